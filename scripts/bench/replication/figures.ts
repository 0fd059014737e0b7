/** A figure of the replication benchmark, and how it is printed. */
import { spreadOf, tableHead, tableRow } from '../table.ts'

export interface Figure {
  readonly name: string
  readonly unit: string
  /** One for each time that it was measured. */
  readonly values: readonly number[]
  /** What it cannot be better than, measured in the same run, or what it is to be read beside. */
  readonly beside?: string
}

/** The value that a share of the samples does not exceed (nearest rank). NaN of no samples. */
export function quantileOf(values: readonly number[], share: number): number {
  const sorted = [...values].sort((left, right) => left - right)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
}

export const figuresHead = tableHead(['figure', 'unit', 'median', 'p99', 'least–most', 'samples', 'beside it'])

export function figureRow({ name, unit, values, beside }: Figure): string {
  const { median, least, most, runs } = spreadOf(values)
  // Of fewer than a hundred samples the 99th percentile is the most.
  const p99 = values.length < 100 ? '–' : text(quantileOf(values, 0.99))
  return tableRow([name, unit, text(median), p99, `${text(least)}–${text(most)}`, String(runs), beside ?? ''])
}

/** Three digits that mean something. */
export function text(value: number): string {
  if (!Number.isFinite(value)) return '?'
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US')
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2)
}

/** Resolves once the condition holds. @throws Error with what did not happen in time. */
export async function until<Value>(what: string, look: () => Promise<Value | undefined> | Value | undefined, patienceMs = 60_000): Promise<Value> {
  const deadlineMs = performance.now() + patienceMs
  for (;;) {
    let lastFailure = ''
    try {
      const found = await look()
      if (found !== undefined) return found
    } catch (thrown) {
      lastFailure = `: ${thrown instanceof Error ? thrown.message : String(thrown)}`
    }
    if (performance.now() > deadlineMs) throw new Error(`${what} did not happen within ${patienceMs / 1_000} s${lastFailure}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
