import { describe, expect, it } from 'vitest'
import type { Fact } from '../../../actors/ports/telemetry.ts'
import { createBreaker } from '../../../node/models/breaker.ts'
import type { Breaker, Release } from '../../../node/models/breaker.ts'
import { fault } from '../../../protocols/kernel/errors.ts'
import { createVirtualClock } from '../../../sim/virtual-clock.ts'
import { faultOf } from '../../contracts/llm-provider.ts'

const failed = fault('provider-failed', 'it is broken')
const never = new AbortController().signal

interface World {
  readonly breaker: Breaker
  readonly facts: readonly Fact[]
  /** Enters, or fails the test. */
  enter(): Promise<Release>
  runFor(durationMs: number): Promise<void>
  /** Whether the promise is settled once everything that can happen now has happened. */
  isSettled(promise: Promise<unknown>): Promise<boolean>
}

function world({ slots = 8, patienceMs = 30_000 } = {}): World {
  const clock = createVirtualClock()
  const facts: Fact[] = []
  const node = clock.clockFor('n')
  const breaker = createBreaker({ name: 'far', clock: node, slots, patienceMs, telemetry: { record: (fact) => void facts.push(fact) } })
  return {
    breaker, facts,
    enter: () => breaker.enter(never),
    runFor: (durationMs) => clock.runFor(durationMs),
    async isSettled(promise) {
      let settled = false
      promise.then(() => (settled = true), () => (settled = true))
      await clock.settle()
      return settled
    },
  }
}

async function failThrice({ enter }: World): Promise<void> {
  for (let i = 0; i < 3; i++) (await enter())(failed)
}

describe('breaker: failures', () => {
  it('two in a row do nothing, and a good answer between them makes them none', async () => {
    const { breaker, enter } = world()
    for (const outcome of [failed, failed, undefined, failed, failed, fault('bad-input', 'no'), failed, failed]) (await enter())(outcome)
    expect(breaker.closedForMs()).toBe(0)
  })

  it('after three in a row it is closed for 2 s, and says so with the last error and the time', async () => {
    const under = world()
    await failThrice(under)
    expect(under.breaker.closedForMs()).toBe(2_000)
    await under.runFor(500)
    const refused = await faultOf(under.breaker.enter(never))
    expect(refused).toMatchObject({ code: 'provider-failed', retryable: true, retryAfterMs: 1_500 })
    expect(refused.detail).toContain('it is broken')
    expect(under.facts.map(({ name }) => name)).toEqual(['models.endpoint-closed'])
  })

  it('then one probe goes through, and others wait for how it ends', async () => {
    const under = world()
    await failThrice(under)
    await under.runFor(2_000)
    expect(under.breaker.closedForMs()).toBe(0)
    const probe = await under.enter()
    const waiting = [under.enter(), under.enter()]
    expect(await under.isSettled(Promise.race(waiting))).toBe(false)
    probe()
    for (const release of await Promise.all(waiting)) release()
    expect(under.facts.at(-1)?.name).toBe('models.endpoint-back')
  })

  it('a probe that fails closes it for twice as long, at most a minute; who waited is told', async () => {
    const under = world()
    await failThrice(under)
    for (const closedMs of [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
      expect(under.breaker.closedForMs()).toBe(closedMs)
      await under.runFor(closedMs)
      const probe = await under.enter()
      const waiting = faultOf(under.enter())
      probe(failed)
      expect((await waiting).code).toBe('provider-failed')
    }
  })

  it('after it came back, it begins with 2 s again', async () => {
    const under = world()
    await failThrice(under)
    await under.runFor(2_000);
    (await under.enter())(failed)
    await under.runFor(4_000);
    (await under.enter())()
    await failThrice(under)
    expect(under.breaker.closedForMs()).toBe(2_000)
  })

  it('calls that were under way when it was closed do not close it for longer, nor open it', async () => {
    const under = world()
    const early = await Promise.all(Array.from({ length: 6 }, () => under.enter()))
    for (const release of early.slice(0, 5)) release(failed)
    expect(under.breaker.closedForMs()).toBe(2_000)
    early[5]?.()
    expect(under.breaker.closedForMs()).toBe(2_000)
    await under.runFor(2_000);
    (await under.enter())(failed)
    expect(under.breaker.closedForMs(), 'the next one is still a probe').toBe(4_000)
  })

  it('a probe that was given up makes room for another', async () => {
    const under = world()
    await failThrice(under)
    await under.runFor(2_000)
    const probe = await under.enter()
    const next = under.enter()
    probe(fault('cancelled', 'given up'))
    const second = await next
    expect(await under.isSettled(under.enter())).toBe(false)
    second()
  })

  it('what was given up counts for nothing', async () => {
    const { breaker, enter } = world();
    (await enter())(failed);
    (await enter())(failed);
    (await enter())(fault('cancelled', 'given up'))
    expect(breaker.closedForMs()).toBe(0);
    (await enter())(failed)
    expect(breaker.closedForMs()).toBe(2_000)
  })
})

describe('breaker: too many requests', () => {
  const overloaded = (retryAfterMs?: number) => fault('overloaded', 'slow down', retryAfterMs === undefined ? {} : { retryAfterMs })

  it('all wait until the endpoint wants to hear of any again', async () => {
    const under = world();
    (await under.enter())(overloaded(5_000))
    expect(under.breaker.closedForMs()).toBe(5_000)
    const waiting = [under.enter(), under.enter(), under.enter()]
    await under.runFor(4_999)
    expect(await under.isSettled(Promise.race(waiting))).toBe(false)
    await under.runFor(1)
    expect(await under.isSettled(Promise.all(waiting))).toBe(true)
    expect(under.breaker.closedForMs()).toBe(0)
  })

  it('who would have to wait too long is refused, with the time; so is who waits already', async () => {
    const under = world({ slots: 2 })
    const [first, second] = [await under.enter(), await under.enter()]
    const waiting = faultOf(under.enter())
    first(overloaded(60_000))
    expect(await waiting).toMatchObject({ code: 'overloaded', retryAfterMs: 60_000 })
    await under.runFor(10_000)
    expect(await faultOf(under.enter())).toMatchObject({ code: 'overloaded', retryAfterMs: 50_000 })
    await under.runFor(20_000)
    const patient = under.enter()
    expect(await under.isSettled(patient)).toBe(false)
    second()
    await under.runFor(30_000)
    expect(await under.isSettled(patient)).toBe(true)
  })

  it('halves the places, once for all that were under way, and never below one', async () => {
    const under = world({ slots: 8 })
    const burst = await Promise.all(Array.from({ length: 8 }, () => under.enter()))
    for (const release of burst) release(overloaded(100))
    expect(under.breaker.limit()).toBe(4)
    for (const expected of [2, 1, 1]) {
      await under.runFor(100);
      (await under.enter())(overloaded(100))
      expect(under.breaker.limit()).toBe(expected)
    }
  })

  it('twenty answers in a row allow one more, up to the slots', async () => {
    const under = world({ slots: 4 });
    (await under.enter())(overloaded(0))
    expect(under.breaker.limit()).toBe(2)
    for (let i = 0; i < 19; i++) (await under.enter())();
    (await under.enter())(failed)
    for (let i = 0; i < 19; i++) (await under.enter())()
    expect(under.breaker.limit()).toBe(2);
    (await under.enter())()
    expect(under.breaker.limit()).toBe(3)
    for (let i = 0; i < 100; i++) (await under.enter())()
    expect(under.breaker.limit()).toBe(4)
  })

  it('one that does not say for how long is left alone for a second, then two, then four', async () => {
    const under = world()
    for (const heldMs of [1_000, 2_000, 4_000]) {
      (await under.enter())(overloaded())
      expect(under.breaker.closedForMs()).toBe(heldMs)
      await under.runFor(heldMs)
    }
    (await under.enter())();
    (await under.enter())(overloaded())
    expect(under.breaker.closedForMs()).toBe(1_000)
  })

  it('is an answer: it ends a row of failures, and a probe', async () => {
    const under = world();
    (await under.enter())(failed);
    (await under.enter())(failed);
    (await under.enter())(overloaded(0));
    (await under.enter())(failed)
    expect(under.breaker.closedForMs()).toBe(0)
  })
})

describe('breaker: places', () => {
  it('lets through as many as there are slots, and the rest in their order', async () => {
    const under = world({ slots: 2 })
    const order: number[] = []
    const calls = Array.from({ length: 5 }, async (_, i) => {
      const release = await under.enter()
      order.push(i)
      return release
    })
    await under.isSettled(Promise.all(calls))
    expect(order).toEqual([0, 1])
    for (let i = 0; i < 5; i++) {
      (await calls[i])?.()
      await under.isSettled(Promise.all(calls))
    }
    expect(order).toEqual([0, 1, 2, 3, 4])
  })

  it('who gives up leaves the queue; who gave up before does not enter it', async () => {
    const under = world({ slots: 1 })
    const release = await under.enter()
    const stop = new AbortController()
    const given = faultOf(under.breaker.enter(stop.signal))
    const next = under.enter()
    stop.abort()
    expect((await given).code).toBe('cancelled')
    expect((await faultOf(under.breaker.enter(stop.signal))).code).toBe('cancelled')
    release()
    expect(await under.isSettled(next)).toBe(true)
  })

  it('releasing twice is releasing once', async () => {
    const under = world({ slots: 1 })
    const release = await under.enter()
    release(failed)
    release(failed)
    release(failed)
    expect(under.breaker.closedForMs()).toBe(0)
    await under.enter()
    const second = under.enter()
    release()
    expect(await under.isSettled(second)).toBe(false)
  })

  it('stopped, it lets nobody through', async () => {
    const under = world({ slots: 1 })
    await under.enter()
    const waiting = faultOf(under.enter())
    under.breaker.stop()
    expect((await waiting).code).toBe('cancelled')
    expect((await faultOf(under.enter())).code).toBe('cancelled')
  })
})
