/** Sets the model beside reality. */
import type { Counts } from './scenario.ts'
import { runVirtual } from './virtual-run.ts'

export interface Row {
  readonly name: keyof Counts
  readonly real: number
  readonly virtual: number
  /** Virtual by real; 1 when both are nothing. */
  readonly ratio: number
}

/** The mean of some virtual runs: chance moves a mesh of 20 by more than the model is off. */
export async function meanVirtual(seeds = 10): Promise<Counts> {
  const runs: Counts[] = []
  for (let seed = 1; seed <= seeds; seed++) runs.push(await runVirtual(seed))
  return meanOf(runs)
}

export function meanOf(runs: readonly Counts[]): Counts {
  return Object.fromEntries((Object.keys(runs[0]!) as (keyof Counts)[]).map((name) => [name, runs.reduce((sum, run) => sum + run[name], 0) / runs.length])) as unknown as Counts
}

export function compare(real: Counts, virtual: Counts): Row[] {
  return (Object.keys(virtual) as (keyof Counts)[]).map((name) => ({ name, real: real[name], virtual: virtual[name], ratio: real[name] === virtual[name] ? 1 : virtual[name] / real[name] }))
}

export function tableOf(rows: readonly Row[]): string {
  return ['| | real | virtual | ratio |', '|---|---|---|---|', ...rows.map(({ name, real, virtual, ratio }) => `| ${name} | ${Math.round(real)} | ${Math.round(virtual)} | ${ratio.toFixed(2)} |`)].join('\n')
}
