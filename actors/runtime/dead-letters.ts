/** Messages that reached nobody: counted, and the last ones kept to be looked at. */
import { limits } from '../../protocols/kernel/limits.ts'
import type { WallMs } from '../../protocols/kernel/units.ts'

export interface DeadLetter {
  readonly number: number
  readonly atWallMs: WallMs
  readonly to: string
  readonly from: string
  readonly messageKind: string
  readonly reason: string
}

export interface DeadLetters {
  add(letter: Omit<DeadLetter, 'number'>): void
  readonly count: number
  recent(): readonly DeadLetter[]
  /** Somebody has seen enough of it. @returns false when it is not kept (any more). */
  drop(number: number): boolean
}

export function createDeadLetters(): DeadLetters {
  const kept: DeadLetter[] = []
  let count = 0
  return {
    add(letter) {
      count += 1
      kept.push({ number: count, ...letter })
      if (kept.length > limits.deadLettersKept) kept.shift()
    },
    get count() {
      return count
    },
    recent: () => kept,
    drop(number) {
      const at = kept.findIndex((letter) => letter.number === number)
      if (at >= 0) kept.splice(at, 1)
      return at >= 0
    },
  }
}
