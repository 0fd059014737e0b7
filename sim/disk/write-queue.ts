/** What was written and is not yet synced, in the order of writing. */
import type { DurationMs } from '../../protocols/kernel/units.ts'

/** Puts a write on the platter: all of it, or the one of its files that was synced when the power went. */
export type Apply = (only?: 'database' | 'watermark') => void

export interface WriteQueueInit {
  /** Absent: every write is on the platter at once. @returns how a timer is set. */
  readonly schedule?: (delayMs: DurationMs, callback: () => void) => void
  /** Of the write that is staged now. */
  readonly syncMs: () => DurationMs
  readonly isStuck: () => boolean
  /** Promises were resolved or rejected. */
  readonly stir: () => void
}

export interface WriteQueue {
  /** Resolves once `apply` was called: what it writes is on the platter then. */
  stage(apply: Apply): Promise<void>
  waiting(): number
  /** The process or the power is gone: the first `kept` get to the platter, of the next what `half` says, the others are lost, and nobody is told. */
  cut(kept: number, half?: 'database' | 'watermark'): void
  /** Everything gets to the platter now, and is told. */
  flush(): void
  /**
   * The next write fails when it is synced, and all that were staged behind it.
   * @param failed is given what did not get to the platter, and returns what the writers are told.
   * @returns a function that takes it back, until something is staged.
   */
  failNext(failed: (lost: readonly Apply[]) => Error): () => void
  /** Called once, when the next write is staged. */
  onNextStaged(listener: () => void): () => void
  /** The disk works again after it was stuck. */
  unstick(): void
  /** The disk is faster than it was: what waits takes no longer than a write that is staged now. */
  hurry(): void
}

interface Staged {
  readonly apply: Apply
  readonly resolve: () => void
  readonly reject: (error: Error) => void
  readonly failed: ((lost: readonly Apply[]) => Error) | undefined
  isDue: boolean
}

export function createWriteQueue(init: WriteQueueInit): WriteQueue {
  let staged: Staged[] = []
  let failNext: Staged['failed']
  let stagedListeners: (() => void)[] = []

  /** Writes reach the platter in order, whatever their sync times were: `one` takes with it all that were staged before. */
  function syncThrough(one: Staged): void {
    const until = staged.indexOf(one) + 1
    for (let done = 0; done < until; done++) {
      const next = staged[0]
      // Whoever is told of a write may cut the power.
      if (next === undefined) break
      if (next.failed !== undefined) {
        const lost = staged
        staged = []
        const error = next.failed(lost.map(({ apply }) => apply))
        for (const { reject } of lost) reject(error)
        break
      }
      staged.shift()
      next.apply()
      next.resolve()
    }
    init.stir()
  }

  function settle(one: Staged): void {
    // It was cut, or a later write took it along.
    if (!staged.includes(one)) return
    one.isDue = true
    if (!init.isStuck()) syncThrough(one)
  }

  function arm(one: Staged): void {
    if (init.schedule === undefined) settle(one)
    else init.schedule(init.syncMs(), () => settle(one))
  }

  return {
    stage(apply) {
      return new Promise((resolve, reject) => {
        const one: Staged = { apply, resolve, reject, failed: failNext, isDue: false }
        failNext = undefined
        staged.push(one)
        const listeners = stagedListeners
        stagedListeners = []
        for (const listener of listeners) listener()
        arm(one)
      })
    },
    waiting: () => staged.length,
    cut(kept, half) {
      const before = staged
      staged = []
      failNext = undefined
      for (const { apply } of before.slice(0, kept)) apply()
      if (half !== undefined) before[kept]?.apply(half)
    },
    flush() {
      const last = staged.at(-1)
      if (last !== undefined) syncThrough(last)
    },
    failNext(failed) {
      failNext = failed
      return () => {
        if (failNext === failed) failNext = undefined
      }
    },
    onNextStaged(listener) {
      stagedListeners.push(listener)
      return () => {
        stagedListeners = stagedListeners.filter((other) => other !== listener)
      }
    },
    hurry() {
      for (const one of [...staged]) arm(one)
    },
    unstick() {
      const lastDue = staged.findLast(({ isDue }) => isDue)
      if (lastDue !== undefined) syncThrough(lastDue)
    },
  }
}
