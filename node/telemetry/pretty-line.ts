import pc from 'picocolors'
import type { LogLine } from './log-line.ts'

const paint = { debug: pc.dim, info: pc.cyan, warn: pc.yellow, error: pc.red } as const

/** `12:30:01.042 warn  bidding.refused  reason=no-free-slot peer=node-b`, one line whatever the fields hold. */
export function prettyLine({ atWallMs, level, name, fields }: LogLine): string {
  const time = new Date(atWallMs).toISOString().slice(11, 23)
  const pairs = Object.entries(fields).map(([key, value]) => `${pc.dim(`${key}=`)}${shown(value)}`)
  return `${pc.dim(time)} ${paint[level](level.padEnd(5))} ${name}${pairs.length > 0 ? '  ' : ''}${pairs.join(' ')}\n`
}

function shown(value: string | number | boolean): string {
  // JSON escapes what would break the line or steer the terminal.
  return typeof value !== 'string' || /^[\w./:@#+-]+$/.test(value) ? String(value) : JSON.stringify(value)
}
