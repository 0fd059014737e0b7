/** A figure of a benchmark, and how all of them are printed: as a table or as one JSON object. */
import { machineLine, spreadOf, tableHead, tableRow } from './table.ts'

export interface Figure {
  readonly name: string
  readonly unit: string
  /** One for each time that it was measured. */
  readonly values: readonly number[]
  /** What it is to be read beside. */
  readonly beside?: string
  /** Peers and limits, in the same unit and measured in the same run: the median is divided by each. */
  readonly against?: readonly Yardstick[]
}

export interface Yardstick {
  readonly what: string
  readonly value: number
}

export interface Report {
  /** The part of `npm run bench` that measured it. */
  readonly part: string
  /** Of what was measured beside Skein, by name. */
  readonly versions?: Readonly<Record<string, string>>
  readonly figures: readonly Figure[]
  /** What could not be measured, and why; how to read the figures. */
  readonly notes?: readonly string[]
}

/** The value that a share of the samples does not exceed (nearest rank). NaN of no samples. */
export function quantileOf(values: readonly number[], share: number): number {
  const sorted = [...values].sort((left, right) => left - right)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
}

export function medianOf(values: readonly number[]): number {
  return spreadOf(values).median
}

/** Three digits that mean something. */
export function text(value: number): string {
  if (!Number.isFinite(value)) return '?'
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US')
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2)
}

/** Of fewer samples than this the 99th percentile is the most. */
const samplesForP99 = 100

export const figuresHead = tableHead(['figure', 'unit', 'median', 'p99', 'least–most', 'runs', 'ratio', 'beside it'])

export function figureRow({ name, unit, values, beside, against = [] }: Figure): string {
  const { median, least, most, runs } = spreadOf(values)
  const p99 = values.length < samplesForP99 ? '–' : text(quantileOf(values, 0.99))
  const ratios = against.map(({ what, value }) => `${text(median / value)} × ${what} (${text(value)})`)
  return tableRow([name, unit, text(median), p99, runs > 1 ? `${text(least)}–${text(most)}` : '–', String(runs), ratios.join('; '), beside ?? ''])
}

/** What `--json` prints of a figure: the spread beside the values that it was made of. */
export function figureJson({ name, unit, values, beside, against }: Figure): object {
  const { median, least, most, runs } = spreadOf(values)
  return {
    name, unit, median, min: least, max: most, runs, values,
    ...(values.length < samplesForP99 ? {} : { p99: quantileOf(values, 0.99) }),
    ...(beside === undefined ? {} : { beside }),
    ...(against === undefined ? {} : { against: against.map(({ what, value }) => ({ what, value, ratio: median / value })) }),
  }
}

/** Prints a report as it was asked for. The machine's line is taken before the measurement: with the load that it began under. */
export function printReport({ part, versions = {}, figures, notes = [] }: Report, machine: string, json: boolean): void {
  if (json) {
    console.log(JSON.stringify({ part, machine, versions, figures: figures.map(figureJson), notes }))
    return
  }
  console.log(machine)
  const named = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  if (named.length > 0) console.log(`beside: ${named.join(', ')}`)
  console.log(`\n${figuresHead}`)
  for (const figure of figures) console.log(figureRow(figure))
  if (notes.length > 0) console.log(`\n${notes.join('\n')}`)
}

/** Measures and prints one part. What fails is one line on the output's foot and exit code 1; what was measured before is printed. */
export async function reportOf(part: string, json: boolean, measure: (report: Collected) => Promise<void>): Promise<void> {
  const machine = machineLine()
  const collected: Collected = { figures: [], notes: [], versions: {} }
  try {
    await measure(collected)
  } catch (thrown) {
    console.error(thrown)
    collected.notes.push(`not measured to its end: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
    process.exitCode = 1
  }
  printReport({ part, ...collected }, machine, json)
}

export interface Collected {
  readonly figures: Figure[]
  readonly notes: string[]
  readonly versions: Record<string, string>
}

/** @throws Error when a flag is not a whole number from 1. */
export function numberOf(name: string, value: string): number {
  const number = Number(value)
  if (!Number.isInteger(number) || number < 1) throw new Error(`--${name} is a whole number from 1`)
  return number
}
