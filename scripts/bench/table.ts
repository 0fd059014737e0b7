/** What the benchmarks print alike: the machine, a median and how far the runs lie apart. */
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, totalmem, type as system } from 'node:os'
import { join, resolve } from 'node:path'

export const repositoryRoot = resolve(import.meta.dirname, '..', '..')

/** Figures without the machine that they were measured on say nothing. */
export function machineLine(): string {
  const { version } = JSON.parse(readFileSync(join(repositoryRoot, 'package.json'), 'utf8')) as { version: string }
  return `Skein ${version}, Node ${process.versions.node}, ${system()} ${release()} ${process.arch}, ${availableParallelism()} × ${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${(totalmem() / 1024 ** 3).toFixed(0)} GiB, load ${loadavg()[0]?.toFixed(1) ?? '?'} when it began`
}

export interface Spread {
  readonly median: number
  readonly least: number
  readonly most: number
  readonly runs: number
}

/** @returns NaN for all but `runs` when one of the runs could not be measured, or there was none. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.some(Number.isNaN) ? [] : [...values].sort((left, right) => left - right)
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN
  return { median: (lower + upper) / 2, least: sorted[0] ?? Number.NaN, most: sorted.at(-1) ?? Number.NaN, runs: values.length }
}

export function tableRow(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}

export function tableHead(names: readonly string[]): string {
  return `${tableRow(names)}\n|${names.map(() => '---|').join('')}`
}
