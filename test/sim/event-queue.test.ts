import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../protocols/kernel/prng.ts'
import { createEventQueue, type QueuedEvent } from '../../sim/event-queue.ts'

describe('the event queue', () => {
  it('gives events by time, then by order, without the cancelled, however many there are', () => {
    for (let seed = 1; seed <= 5; seed++) {
      const random = seededRandom([seed, 1])
      const queue = createEventQueue()
      const kept: QueuedEvent[] = []
      const taken: QueuedEvent[] = []
      let nowMs = 0
      for (let step = 0; step < 40_000; step++) {
        const event = queue.add(nowMs + random.below(50), () => undefined)
        // Most timers are cancelled: enough of them make the queue sweep.
        if (random.below(10) < 7) queue.cancel(event)
        else kept.push(event)
        if (random.below(4) === 0) {
          const first = queue.take()
          if (first !== undefined) taken.push(first)
          nowMs = first?.atMs ?? nowMs
        }
      }
      for (let next = queue.take(); next !== undefined; next = queue.take()) taken.push(next)
      expect(new Set(taken)).toEqual(new Set(kept))
      for (const [at, event] of taken.entries()) {
        const before = taken[at - 1]
        if (before === undefined || before.atMs < event.atMs) continue
        expect(before.atMs).toBe(event.atMs)
        expect(before.order).toBeLessThan(event.order)
      }
      expect(queue.earliestMs()).toBeUndefined()
    }
  })
})
