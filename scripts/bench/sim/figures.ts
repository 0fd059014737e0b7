/** The simulator's figures beside what was aimed at. */
import { type Spread, spreadOf } from '../table.ts'

/** What a figure should at least be, or at most. */
export interface Goal {
  readonly atLeast?: true
  readonly target: number
  readonly remarkable?: number
}

export interface Figure extends Spread {
  readonly figure: string
  /** `%`, `min`, `GiB`, …; empty for a ratio or a count. */
  readonly unit: string
  readonly goal?: Goal
  readonly verdict?: 'remarkable' | 'met' | 'missed'
}

export function figureOf(figure: string, unit: string, values: readonly number[], goal?: Goal): Figure {
  const spread = spreadOf(values)
  return { figure, unit, ...spread, ...(goal === undefined ? {} : { goal, verdict: verdictOf(spread.median, goal) }) }
}

/** The median decides. One that could not be measured has missed its target. */
function verdictOf(median: number, { atLeast, target, remarkable }: Goal): NonNullable<Figure['verdict']> {
  const reaches = (bound: number): boolean => (atLeast ? median >= bound : median <= bound)
  if (remarkable !== undefined && reaches(remarkable)) return 'remarkable'
  return reaches(target) ? 'met' : 'missed'
}

/** Run by run, because a run of either has the same seed. */
export function ratios(values: readonly number[], to: readonly number[]): number[] {
  return values.map((value, run) => value / (to[run] ?? Number.NaN))
}

export function cellsOf({ figure, unit, median, least, most, runs, goal, verdict }: Figure): string[] {
  const withUnit = (text: string): string => (unit === '' ? text : `${text} ${unit}`)
  const digits = (value: number): string => (Number.isNaN(value) ? '?' : value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2))
  const bound = (value: number | undefined): string => (value === undefined ? '' : withUnit(`${goal?.atLeast ? '≥' : '≤'} ${value}`))
  return [figure, withUnit(digits(median)), runs > 1 ? `${digits(least)}–${digits(most)}` : '', String(runs), bound(goal?.target), bound(goal?.remarkable), verdict ?? '']
}
