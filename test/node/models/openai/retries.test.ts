import { describe, expect, it } from 'vitest'
import { faultOf } from '../../../contracts/llm-provider.ts'
import { fail, inTurn, on, refuse, rules, say, tooMany } from '../../../support/openai-server/server.ts'
import { until } from '../../../support/until.ts'
import { asks, never, open, realClock } from './open-provider.ts'

const chat = { signal: never }

describe('requests that are made again', () => {
  it('after 408, 409, 429, 5xx and a broken connection, at most as often as allowed', async () => {
    for (const trouble of [refuse(408, 'late'), refuse(409, 'conflict'), tooMany(0), fail(), refuse(503, 'busy'), { kind: 'hangup' } as const]) {
      const { provider, server } = await open({ script: inTurn(trouble, trouble, say('at last')) }, { retriesMax: 2 })
      expect((await provider.chat('test-model', asks('hello'), chat)).content).toBe('at last')
      expect(server.chats).toHaveLength(3)
    }
    const { provider, server } = await open({ script: inTurn(refuse(408, 'late'), refuse(409, 'conflict'), say('too late')) }, { retriesMax: 1 })
    expect((await faultOf(provider.chat('test-model', asks('hello'), chat))).code).toBe('provider-failed')
    expect(server.chats, 'and the client makes none of its own').toHaveLength(2)
  })

  it('not after what a retry cannot change', async () => {
    for (const refusal of [refuse(400, 'no'), refuse(401, 'no'), refuse(403, 'no'), refuse(404, 'no such model'), refuse(422, 'no')]) {
      const { provider, server } = await open({ script: inTurn(refusal) }, { retriesMax: 2 })
      expect((await faultOf(provider.chat('test-model', asks('hello'), chat))).retryable).toBe(false)
      expect(server.chats).toHaveLength(1)
    }
  })

  it('not before the endpoint wants to', async () => {
    const { provider, server } = await open({ script: inTurn(refuse(503, 'wait', { headers: { 'retry-after-ms': '300' } }), say('now')) }, { retriesMax: 1 })
    expect((await provider.chat('test-model', asks('hello'), chat)).content).toBe('now')
    const [first, second] = server.chats
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(290)
  })

  it('a wait that is given up ends at once', async () => {
    const { provider, server } = await open({ script: inTurn(refuse(503, 'wait', { headers: { 'retry-after': '20' } })) }, { retriesMax: 1 })
    const stop = new AbortController()
    const answer = faultOf(provider.chat('test-model', asks('hello'), { signal: stop.signal }))
    await server.chat(1)
    setTimeout(() => stop.abort(), 50)
    expect((await answer).code).toBe('cancelled')
    expect(server.chats).toHaveLength(1)
  })
})

describe('an endpoint that wants fewer requests', () => {
  it('is asked by nobody until its time has passed: the node honours it as one', async () => {
    const { provider, server, facts } = await open({ script: rules(on({ user: 'first' }, tooMany(1), { times: 1 }), on({}, say('fine'))) }, { retriesMax: 1, slots: 8 })
    const first = provider.chat('test-model', asks('first'), chat)
    await server.chat(1)
    await until(() => facts.some(({ name }) => name === 'models.endpoint-overloaded'), { what: 'the first to be refused', everyMs: 2 })
    const others = Array.from({ length: 6 }, (_, i) => provider.chat('test-model', asks(`other ${i}`), chat))
    expect((await Promise.all([first, ...others])).map(({ content }) => content)).toEqual(Array.from({ length: 7 }, () => 'fine'))
    const refusedAtMs = server.chats[0]?.atMs ?? 0
    expect(server.chats).toHaveLength(8)
    for (const request of server.chats.slice(1)) expect(request.atMs - refusedAtMs).toBeGreaterThanOrEqual(950)
    expect(server.openMost, 'and then it gets half as many at a time').toBeLessThanOrEqual(4)
    expect(provider.breaker.limit()).toBe(4)
  })

  it('many refusals of one burst halve the places once', async () => {
    const { provider, server } = await open({}, { retriesMax: 2, slots: 8 })
    server.script = async ({ user }, count) => {
      if (count > 6) return say(user)
      await server.chat(6)
      return tooMany(0)
    }
    const answers = await Promise.all(Array.from({ length: 6 }, (_, i) => provider.chat('test-model', asks(`call ${i}`), chat)))
    expect(answers.map(({ content }) => content)).toEqual(Array.from({ length: 6 }, (_, i) => `call ${i}`))
    expect(server.chats).toHaveLength(12)
    expect(provider.breaker.limit()).toBe(4)
  })

  it('for long: calls are refused with the time, and no request is made', async () => {
    const { provider, server } = await open({ script: inTurn(tooMany(3_600)) }, { retriesMax: 2 })
    expect(await faultOf(provider.chat('test-model', asks('one'), chat))).toMatchObject({ code: 'overloaded', retryAfterMs: 3_600_000 })
    const second = await faultOf(provider.chat('test-model', asks('two'), chat))
    expect(second.code).toBe('overloaded')
    expect(second.retryAfterMs).toBeGreaterThan(3_590_000)
    expect(server.chats).toHaveLength(1)
  })

  it('is never sent more at a time than it has places', async () => {
    const { provider, server } = await open({ script: ({ user }) => say(user), latencyMs: 30 }, { slots: 3 })
    await Promise.all(Array.from({ length: 12 }, (_, i) => provider.chat('test-model', asks(`${i}`), chat)))
    expect(server.openMost).toBe(3)
  })
})

describe('an endpoint that fails again and again', () => {
  it('is not asked for a while, and whoever comes is told at once', async () => {
    // Its time does not pass: however slow the machine, it stays closed.
    const { provider, server, facts } = await open({ script: inTurn(fail('broken')) }, { clock: { ...realClock, monotonicMs: () => 0 } })
    for (let i = 0; i < 3; i++) expect((await faultOf(provider.chat('test-model', asks('hello'), chat))).code).toBe('provider-failed')
    const fault = await faultOf(provider.chat('test-model', asks('hello'), chat))
    expect(fault).toMatchObject({ code: 'provider-failed', retryable: true })
    expect(fault.retryAfterMs).toBeGreaterThan(0)
    expect(fault.detail).toContain('broken')
    expect(server.chats).toHaveLength(3)
    expect(facts.map(({ name }) => name)).toContain('models.endpoint-closed')
  })

  it('comes back by one call that goes well', async () => {
    const { provider, server } = await open({ script: inTurn(fail(), fail(), fail(), say('back')) })
    for (let i = 0; i < 3; i++) await faultOf(provider.chat('test-model', asks('hello'), chat))
    await new Promise((resolve) => setTimeout(resolve, provider.breaker.closedForMs() + 20))
    expect((await provider.chat('test-model', asks('hello'), chat)).content).toBe('back')
    expect(provider.breaker.closedForMs()).toBe(0)
    expect(server.chats).toHaveLength(4)
  })

  it('but not for refusals that are the caller\'s own fault, nor for calls that were given up', async () => {
    const { provider, server } = await open({ script: rules(on({ user: 'wait' }, { kind: 'silence' }), on({}, refuse(400, 'no'))) })
    for (let i = 0; i < 5; i++) await faultOf(provider.chat('test-model', asks('hello'), chat))
    for (let i = 0; i < 5; i++) {
      const stop = new AbortController()
      const answer = faultOf(provider.chat('test-model', asks('wait'), { signal: stop.signal }))
      await server.chat(6 + i)
      stop.abort()
      expect((await answer).code).toBe('cancelled')
    }
    expect(provider.breaker.closedForMs()).toBe(0)
    expect(server.chats).toHaveLength(10)
  })
})
