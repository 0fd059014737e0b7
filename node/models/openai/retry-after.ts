/** How long an endpoint wants to be left alone. */
import type { DurationMs, WallMs } from '../../../protocols/kernel/units.ts'

const waitMsMax: DurationMs = 24 * 60 * 60_000

/** @returns what `retry-after-ms` or `retry-after` (seconds, or a date as in RFC 9110) says, at most a day; undefined when neither says anything. */
export function retryAfterMs(headers: Pick<Headers, 'get'> | undefined, nowWallMs: WallMs): DurationMs | undefined {
  const milliseconds = number(headers?.get('retry-after-ms'))
  if (milliseconds !== undefined) return within(milliseconds)
  const text = headers?.get('retry-after')
  const seconds = number(text)
  if (seconds !== undefined) return within(seconds * 1_000)
  const at = text === null || text === undefined ? NaN : Date.parse(text)
  return Number.isNaN(at) ? undefined : within(at - nowWallMs)
}

function number(text: string | null | undefined): number | undefined {
  return text !== null && text !== undefined && /^\s*\d+(\.\d+)?\s*$/.test(text) ? Number(text) : undefined
}

function within(ms: number): DurationMs {
  return Math.min(waitMsMax, Math.max(0, Math.ceil(ms)))
}
