/** What runs tasks, Skein or a peer, as the load sees it, and the load that is the same for all of them. */
import type { NamedProcess } from '../process-cpu.ts'

/** Tasks that a worker may have under way; there are two workers. */
export const tasksPerWorker = 64
export const workerCount = 2

const textBytes = 189

/** An input of 200 bytes as JSON. The task's result is the length of its text, so that the submitter can tell that it was read. */
export function taskInput(): { readonly text: string } {
  return { text: 'x'.repeat(textBytes) }
}

export const expectedResult = textBytes

export interface TaskSystem {
  readonly name: string
  /** Those that it consists of, for the processor time of each. Processes of one name count together. */
  readonly processes: readonly NamedProcess[]
  /** Hands in so many no-op tasks at once, and resolves when the submitter has every result. */
  saturate(tasks: number): Promise<Saturated>
  /** One no-op task after the other, each begun when the submitter has the result of the last. */
  oneByOne(tasks: number): Promise<OneByOne>
  /** So many tasks at once that take `ms` each (0: no-op). @returns milliseconds until the submitter has every result. */
  fanOut(tasks: number, ms: number): Promise<number>
}

/** What a system can tell of the same load besides, in its own words. */
export interface Aside {
  readonly what: string
  readonly unit: string
  readonly value: number
}

export interface Saturated {
  readonly tookMs: number
  readonly more?: readonly Aside[]
}

export interface OneByOne {
  /** Of each task. */
  readonly timesMs: readonly number[]
  readonly more?: readonly Aside[]
}
