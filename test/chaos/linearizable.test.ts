/** The checker of write-once registers: histories made by hand, and random ones against a search through every order. */
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../protocols/kernel/prng.ts'
import { type RegisterOperation, type RegisterRead, type RegisterWrite, checkRegister, something } from '../../scripts/chaos/linearizable.ts'

const read = (invokedMs: number, returnedMs: number, value?: RegisterRead['value']): RegisterRead => ({ kind: 'read', invokedMs, returnedMs, value })
const write = (invokedMs: number, returnedMs: number, value: string, outcome: RegisterWrite['outcome'] = 'won'): RegisterWrite => ({ kind: 'write', invokedMs, returnedMs, value, outcome })

describe('a write-once register', () => {
  it.each<[string, RegisterOperation[]]>([
    ['nothing happened', []],
    ['nobody saw anything', [read(0, 1), read(2, 3)]],
    ['a write between reads', [read(0, 1), write(2, 3, 'a'), read(4, 5, 'a')]],
    ['reads beside the write see either', [write(0, 10, 'a'), read(1, 2), read(3, 4, 'a'), read(5, 6, 'a')]],
    ['a read that returned late and one that was invoked early overlap', [read(0, 10, 'a'), read(2, 12), write(0, 20, 'a')]],
    ['the second writer is told that it lost', [write(0, 5, 'a'), write(1, 6, 'b', 'lost'), read(7, 8, 'a')]],
    ['a write of unknown outcome arrived late', [write(0, 1, 'a', 'unknown'), read(5, 6), read(7, 8, 'a')]],
    ['a write of unknown outcome never arrived', [write(0, 1, 'a', 'unknown'), read(5, 6)]],
    ['one of two unknown writes took effect', [write(0, 1, 'a', 'unknown'), write(2, 3, 'b', 'unknown'), read(5, 6), read(7, 8, 'b')]],
    ['a read of something', [write(0, 1, 'a', 'unknown'), read(2, 3, something), read(4, 5, 'a')]],
    ['what returns and what is invoked at the same time are concurrent', [write(0, 5, 'a'), read(5, 6)]],
  ])('legal: %s', (_title, history) => {
    expect(checkRegister(history)).toEqual({ ok: true })
    expect(search(history)).toBe(true)
  })

  it.each<[string, RegisterOperation[], RegExp]>([
    ['two values', [write(0, 9, 'a', 'unknown'), write(0, 9, 'b', 'unknown'), read(1, 2, 'a'), read(1, 2, 'b')], /two values/],
    ['empty again', [write(0, 1, 'a', 'unknown'), read(2, 3, 'a'), read(4, 5)], /returned 1\.0 ms before a read of nothing/],
    ['something, then empty again', [write(0, 1, 'a', 'unknown'), read(2, 3, something), read(4, 5)], /read of something/],
    ['a stale read after the write returned', [write(0, 1, 'a'), read(2, 3)], /after the value had been written/],
    ['a value from the future', [read(0, 1, 'a'), write(2, 3, 'a')], /before the value was written/],
    ['a value from nowhere', [read(0, 1, 'a')], /nobody had written/],
    ['two firsts', [write(0, 1, 'a'), write(2, 3, 'b')], /two writes/],
    ['a loser that nobody beat', [write(0, 1, 'a', 'lost')], /nobody had written/],
    ['a loser that was told before the winner began', [write(0, 1, 'a', 'lost'), write(2, 3, 'b')], /before the value was written/],
    ['empty after somebody had lost', [write(0, 9, 'a', 'unknown'), write(0, 1, 'b', 'lost'), read(2, 3)], /before a read of nothing/],
    ['the value of a write that lost', [write(0, 1, 'a'), write(2, 3, 'b', 'lost'), read(4, 5, 'b')], /nobody had written/],
  ])('illegal: %s', (_title, history, why) => {
    const verdict = checkRegister(history)
    expect(verdict.ok).toBe(false)
    expect(verdict.why).toMatch(why)
    expect(verdict.conflict?.length).toBeGreaterThan(0)
    expect(search(history)).toBe(false)
  })

  it('whose writes nobody recorded: what was read was written, once', () => {
    const hidden = { writes: 'hidden' } as const
    expect(checkRegister([read(0, 1), read(2, 3, 'a'), read(2, 9)], hidden).ok).toBe(true)
    expect(checkRegister([read(0, 1, 'a'), read(2, 3)], hidden).ok).toBe(false)
    expect(checkRegister([read(0, 1, 'a'), read(0, 1, 'b')], hidden).ok).toBe(false)
    expect(checkRegister([read(0, 1, something), read(0, 1, 'b')], hidden).ok).toBe(true)
    expect(checkRegister([write(0, 1, 'a'), read(2, 3, 'b')], hidden).ok).toBe(false)
  })

  it('agrees with a search through every order on random histories, of both kinds', () => {
    const random = seededRandom([20_261, 127])
    const pick = <T>(...from: readonly T[]): T => from[random.below(from.length)] as T
    const found = { legal: 0, illegal: 0 }
    for (let round = 0; round < 20_000; round++) {
      const history = Array.from({ length: 1 + random.below(6) }, (): RegisterOperation => {
        const invokedMs = random.below(9)
        const returnedMs = invokedMs + random.below(5)
        return random.below(3) === 0
          ? write(invokedMs, pick(returnedMs, returnedMs, Infinity), pick('a', 'b'), pick('won', 'lost', 'unknown', 'unknown'))
          : read(invokedMs, returnedMs, pick<RegisterRead['value']>(undefined, 'a', 'a', something, pick('a', 'b')))
      })
      const legal = search(history)
      found[legal ? 'legal' : 'illegal'] += 1
      expect(checkRegister(history).ok, JSON.stringify(history)).toBe(legal)
      // Unrecorded writes of any value at any time are legal exactly if recording such a write of some value makes it legal.
      const hidden = [history, ...['a', 'b', 'c'].map((value) => [...history, write(-1, Infinity, value, 'unknown')])].some(search)
      expect(checkRegister(history, { writes: 'hidden' }).ok, JSON.stringify(history)).toBe(hidden)
    }
    expect(Math.min(found.legal, found.illegal)).toBeGreaterThan(2_000)
  })
})

/** Every order that respects real time, tried on a register; a write of unknown outcome may also never happen, or happen after its caller gave up. */
function search(history: readonly RegisterOperation[]): boolean {
  const returned = (operation: RegisterOperation): number => (operation.kind === 'write' && operation.outcome === 'unknown' ? Infinity : operation.returnedMs)
  const go = (left: readonly RegisterOperation[], register: string | undefined): boolean => {
    if (left.every((operation) => operation.kind === 'write' && operation.outcome === 'unknown')) return true
    return left.some((operation) => {
      const rest = left.filter((other) => other !== operation)
      if (rest.some((other) => returned(other) < operation.invokedMs)) return false
      if (operation.kind === 'read') {
        const right = operation.value === something ? register !== undefined : operation.value === register
        return right && go(rest, register)
      }
      if (operation.outcome === 'won' && register !== undefined) return false
      if (operation.outcome === 'lost' && register === undefined) return false
      return go(rest, register ?? operation.value)
    })
  }
  return go(history, undefined)
}
