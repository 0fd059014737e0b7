/** Numbers from the command line: seeds, ranges of seeds, lengths of time. */
import { usageError } from '../../node/cli/context.ts'

/** Seeds go into a generator of two 32-bit words. */
const seedMax = Number.MAX_SAFE_INTEGER
export const seedsMax = 1_000_000

/** @throws MeshError `bad-request` */
export function seedOf(text: string | undefined): number {
  if (text === undefined) return 1
  const seed = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(seed)) throw usageError(`--seed is "${text}"`, `give a whole number from 0 to ${seedMax}`)
  return seed
}

/** `1..500`, `7`, `1,5,9..12`. @throws MeshError `bad-request` */
export function seedsOf(text: string): number[] {
  const seeds: number[] = []
  const example = 'write it like --seeds 1..500, --seeds 7 or --seeds 1,5,9..12'
  for (const part of text.split(',')) {
    const [, from, to = from] = /^\s*(\d+)(?:\.\.(\d+))?\s*$/.exec(part) ?? []
    const first = Number(from)
    const last = Number(to)
    if (from === undefined || !Number.isSafeInteger(first) || !Number.isSafeInteger(last)) throw usageError(`--seeds is "${text}"`, example)
    if (last < first) throw usageError(`--seeds "${part.trim()}" ends before it begins`, `did you mean ${last}..${first}?`)
    if (last - first + 1 + seeds.length > seedsMax) throw usageError(`--seeds "${text}" are more than ${seedsMax}`, 'give fewer, and the rest in another sweep')
    for (let seed = first; seed <= last; seed++) seeds.push(seed)
  }
  return [...new Set(seeds)]
}

/** Seconds, with fractions, as milliseconds. @throws MeshError `bad-request` */
export function secondsToMs(flag: string, text: string, minMs = 1, maxMs = Infinity): number {
  // To the microsecond: 12.345 × 1,000 is not 12,345 in floating point.
  const ms = Math.round(Number(text) * 1e6) / 1e3
  if (text.trim() === '' || !Number.isFinite(ms) || ms < minMs) throw usageError(`${flag} is "${text}"`, 'give seconds of virtual time, like 30 or 2.5')
  if (ms > maxMs) throw usageError(`${flag} is "${text}"`, `give at most ${Math.floor(maxMs / 1_000)}`)
  return ms
}

/** @throws MeshError `bad-request` */
export function wholeNumber(flag: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (!Number.isInteger(value) || text.trim() === '' || value < min || value > max) throw usageError(`${flag} is "${text}"`, `give a whole number from ${min} to ${max}`)
  return value
}
