/** Colours, or none: `NO_COLOR` (https://no-color.org) and a stream that is no terminal turn them off, `FORCE_COLOR` on. */
import picocolors from 'picocolors'

export type Colours = ReturnType<typeof picocolors.createColors>

export function coloursFor(isTty: boolean, env: Readonly<Record<string, string | undefined>>): Colours {
  const isOff = (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb'
  const isForced = (env['FORCE_COLOR'] ?? '') !== '' && env['FORCE_COLOR'] !== '0'
  return picocolors.createColors(!isOff && (isTty || isForced))
}
