/** Puts the same load on whatever runs tasks. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Figure, type Yardstick, quantileOf } from '../figure.ts'
import { cpuDuring } from '../process-cpu.ts'
import type { TaskSystem } from './system.ts'

export const loads = ['saturated', 'unloaded', 'fan-out'] as const
export type Load = (typeof loads)[number]

export interface TaskLoadOptions {
  readonly loads: readonly Load[]
  readonly runs: number
  /** Of one saturated run. */
  readonly tasks: number
  /** Of one unloaded run. */
  readonly oneByOne: number
  readonly fanOutTasks: number
  readonly fanOutMs: number
  readonly fanOuts: number
  /** Between two runs, so that what the last one left behind (acknowledgements, archives) is not measured with the next. */
  readonly restMs?: number
  /** Hears how far it is. */
  say(text: string): void
}

/** By the name of a figure its unit and its values, one for each run, in the order in which they are printed. */
export type TaskMeasures = ReadonlyMap<string, { readonly unit: string; readonly values: number[] }>

const cpuPrefix = 'processor time per task: '
export const measureNames = {
  rate: 'saturated', p50: 'one task unloaded, p50', p95: 'one task unloaded, p95', cpuOfAll: `${cpuPrefix}all processes`,
  fanOut: (tasks: number, ms: number): string => (ms === 0 ? `fan-out of ${tasks} no-op tasks` : `fan-out of ${tasks} tasks of ${ms} ms`),
} as const

export async function measureTasks(system: TaskSystem, options: TaskLoadOptions): Promise<TaskMeasures> {
  const measures = new Map<string, { readonly unit: string; readonly values: number[] }>()
  const add = (name: string, unit: string, value: number): void => {
    const known = measures.get(name) ?? { unit, values: [] }
    measures.set(name, known)
    known.values.push(value)
  }
  const { runs, say, restMs = 500 } = options

  if (options.loads.includes('saturated')) {
    say(`${system.name}: warming up`)
    await system.saturate(options.tasks)
    for (let run = 1; run <= runs; run++) {
      await sleep(restMs)
      say(`${system.name}: saturated, run ${run} of ${runs}`)
      const { value, micros } = await cpuDuring(system.processes, () => system.saturate(options.tasks))
      add(measureNames.rate, 'tasks/s', options.tasks / (value.tookMs / 1_000))
      for (const { what, unit, value: aside } of value.more ?? []) add(what, unit, aside)
      for (const [name, used] of micros) add(`${cpuPrefix}${name}`, 'µs', used / options.tasks)
      add(measureNames.cpuOfAll, 'µs', [...micros.values()].reduce((sum, used) => sum + used, 0) / options.tasks)
    }
  }
  if (options.loads.includes('unloaded')) {
    await system.oneByOne(Math.ceil(options.oneByOne / 2))
    for (let run = 1; run <= runs; run++) {
      await sleep(restMs)
      say(`${system.name}: unloaded, run ${run} of ${runs}`)
      const { timesMs, more = [] } = await system.oneByOne(options.oneByOne)
      add(measureNames.p50, 'ms', quantileOf(timesMs, 0.5))
      add(measureNames.p95, 'ms', quantileOf(timesMs, 0.95))
      for (const { what, unit, value } of more) add(what, unit, value)
    }
  }
  if (options.loads.includes('fan-out')) {
    for (const ms of [0, options.fanOutMs]) {
      // The first ones also start threads.
      for (let warmUp = 0; warmUp < 2; warmUp++) await system.fanOut(options.fanOutTasks, ms)
      say(`${system.name}: fan-outs of ${ms} ms`)
      for (let run = 1; run <= options.fanOuts; run++) {
        await sleep(restMs / 5)
        add(measureNames.fanOut(options.fanOutTasks, ms), 'ms', await system.fanOut(options.fanOutTasks, ms))
      }
    }
  }
  return measures
}

/** Figures of one system, each divided by the same of others that were measured in the same run, or by its limit. */
export function figuresOf(name: string, measures: TaskMeasures, yardsticks: (measure: string) => readonly Yardstick[] = () => []): Figure[] {
  return [...measures].map(([measure, { unit, values }]) => {
    const against = yardsticks(measure)
    return { name: `${name}: ${measure}`, unit, values, ...(against.length === 0 ? {} : { against }) }
  })
}
