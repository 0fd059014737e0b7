import { describe, expect, it } from 'vitest'
import type { LlmProvider, ModelInfo } from '../../../actors/ports/llm-provider.ts'
import type { CapabilityMeasure } from '../../../actors/ports/skill-runner.ts'
import { createHostedModels, type HostedModels, type HostedProvider } from '../../../node/models/hosted-models.ts'
import { createMeasureTeller } from '../../../node/models/measures.ts'
import { offerOf } from '../../../node/models/offered-models.ts'
import { createSpeed } from '../../../node/models/speed.ts'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { createVirtualClock } from '../../../sim/virtual-clock.ts'

const info = (name: string, more: Partial<ModelInfo> = {}): ModelInfo => ({ name, does: 'chat', contextTokens: 1_000, slots: 1, inputUsdPerMillion: 0, outputUsdPerMillion: 0, ...more })

/** Whoever is asked nothing but what it serves. */
function serving(name: string, models: readonly ModelInfo[], more: Partial<HostedProvider> & { warm?: readonly string[]; warmUpMs?: number } = {}): HostedProvider {
  const refuse = (): never => {
    throw new MeshError('internal', 'nobody asks it')
  }
  const provider: LlmProvider = { origin: name, models: () => models, countTokens: refuse, chat: refuse, embed: refuse, close: () => Promise.resolve() }
  return { name, isLocal: true, ...more, provider: { ...provider, warmPrefixes: () => more.warm ?? [], warmUpMs: () => more.warmUpMs ?? 0 } }
}

const never = new AbortController().signal

function hosted(...providers: readonly HostedProvider[]): HostedModels {
  const models = createHostedModels()
  models.refresh(providers)
  return models
}

describe('speed', () => {
  it('tells reading from writing by the first piece', () => {
    const speed = createSpeed()
    expect([speed.msPerInput(), speed.msPerOutput()]).toEqual([undefined, undefined])
    speed.learn({ promptTokens: 110, cachedTokens: 10, completionTokens: 11, firstMs: 200, totalMs: 700 })
    expect([speed.msPerInput(), speed.msPerOutput()]).toEqual([2, 50])
  })

  it('believes a long answer more than a short one, and the last one most', () => {
    const speed = createSpeed()
    speed.learn({ promptTokens: 0, cachedTokens: 0, completionTokens: 1_001, firstMs: 0, totalMs: 10_000 })
    speed.learn({ promptTokens: 0, cachedTokens: 0, completionTokens: 2, firstMs: 0, totalMs: 500 })
    expect(speed.msPerOutput()).toBeLessThan(11)
    for (let i = 0; i < 20; i++) speed.learn({ promptTokens: 0, cachedTokens: 0, completionTokens: 1_001, firstMs: 0, totalMs: 40_000 })
    expect(speed.msPerOutput()).toBeGreaterThan(38)
  })

  it('counts an answer in one piece as written, but for what reading is known to take', () => {
    const speed = createSpeed()
    speed.learn({ promptTokens: 100, cachedTokens: 0, completionTokens: 10, totalMs: 300 })
    expect([speed.msPerInput(), speed.msPerOutput()]).toEqual([undefined, 30])
  })

  it('of vectors is that of their texts', () => {
    const speed = createSpeed()
    speed.learn({ promptTokens: 50, cachedTokens: 0, completionTokens: 0, totalMs: 100 })
    expect([speed.msPerInput(), speed.msPerOutput()]).toEqual([2, undefined])
  })
})

describe('models of one name', () => {
  it('are one model: places together, the promise that all can keep, each provider used', async () => {
    const models = hosted(serving('one', [info('m', { slots: 2, contextTokens: 500, outputUsdPerMillion: 1 })]), serving('two', [info('m', { slots: 1, inputUsdPerMillion: 3 }), info('m', { does: 'embed' })]))
    const [chat, embed] = models.list()
    if (chat === undefined || embed === undefined) throw new Error('expected two models')
    expect(offerOf(chat, 12)).toMatchObject({ name: 'llm.chat', slots: 3, attributes: { model: 'm', provider: 'one, two', contextTokens: 500, slots: 3, tokensPerSecond: 12, inputUsdPerMillion: 3, outputUsdPerMillion: 1 } })
    expect(offerOf(embed, undefined)).toMatchObject({ name: 'llm.embed', slots: 1, attributes: { provider: 'two' } })
    const places = await Promise.all([0, 1, 2].map(() => models.place(chat, never)))
    expect(places.map(({ member }) => member.by.name)).toEqual(['one', 'one', 'two'])
    let isServed = false
    const fourth = models.place(chat, never).then((place) => {
      isServed = true
      return place.member.by.name
    })
    await Promise.resolve()
    expect(isServed).toBe(false)
    places[2]?.release()
    places[2]?.release()
    expect(await fourth).toBe('two')
  })

  it('that are closed come last', async () => {
    const models = hosted(serving('closed', [info('m')], { breaker: { closedForMs: () => 1_000 } }), serving('open', [info('m')]))
    const model = models.pick('llm.chat', 'm', () => true)
    expect((await models.place(model, never)).member.by.name).toBe('open')
    expect((await models.place(model, never)).member.by.name).toBe('closed')
  })

  it('keep what they learned when their provider says what it has again; who waits for one that is gone is told', async () => {
    const served = [info('m'), info('n')]
    const models = createHostedModels()
    const providers = [serving('one', served)]
    expect(models.refresh(providers)).toBe(true)
    const model = models.pick('llm.chat', 'm', () => true)
    const held = await models.place(model, never)
    const waiting = models.place(model, never)
    expect(models.refresh(providers)).toBe(false)
    served.shift()
    expect(models.refresh(providers)).toBe(true)
    await expect(waiting).rejects.toThrow('m is not served here any more')
    held.release()
    expect(models.list().map(({ name }) => name)).toEqual(['n'])
  })

  it('refuse who comes when very many wait, and let go of who waits no longer', async () => {
    const models = hosted(serving('one', [info('m')]))
    const model = models.pick('llm.chat', undefined, () => true)
    const held = await models.place(model, never)
    const leaving = new AbortController()
    const left = models.place(model, leaving.signal)
    const others = Array.from({ length: limits.modelQueueMax - 1 }, () => models.place(model, never))
    await expect(models.place(model, never)).rejects.toThrow(expect.objectContaining({ fault: expect.objectContaining({ code: 'overloaded', retryAfterMs: expect.any(Number) as number }) as unknown }))
    leaving.abort(new MeshError('cancelled', 'gave up'))
    await expect(left).rejects.toThrow('gave up')
    held.release()
    expect((await others[0])?.member.by.name).toBe('one')
  })
})

describe('measures', () => {
  function telling(...providers: readonly HostedProvider[]) {
    const world = createVirtualClock()
    const models = hosted(...providers)
    const teller = createMeasureTeller(world.clockFor('n'), models.list)
    const told: (readonly CapabilityMeasure[])[] = []
    teller.listen((measures) => void told.push(measures))
    return { world, models, teller, told, model: models.pick('llm.chat', undefined, () => true) }
  }
  const write = (ms: number) => ({ promptTokens: 0, cachedTokens: 0, completionTokens: 101, firstMs: 0, totalMs: ms * 100 })

  it('are told at once, then at most once a second, and not for a trifle', async () => {
    const { world, model, teller, told } = telling(serving('one', [info('m')], { warm: ['abc'], warmUpMs: 500 }))
    expect(told).toEqual([[{ capability: 'llm.chat', version: '1.0', model: 'm', warmUpMs: 500, warm: ['abc'] }]])
    model.speed.learn(write(10))
    teller.look()
    teller.look()
    expect(told).toHaveLength(1)
    await world.runFor(limits.measuresToldMs)
    expect(told).toHaveLength(2)
    expect(told[1]?.[0]).toMatchObject({ msPerOutputUnit: 10 })
    await world.runFor(10_000)
    model.speed.learn(write(10.5))
    teller.look()
    expect(told).toHaveLength(2)
    model.speed.learn(write(40))
    teller.look()
    expect(told).toHaveLength(3)
  })

  it('tell of a closed endpoint, and that it is open again', async () => {
    let closedForMs = 0
    const { world, teller, told } = telling(serving('one', [info('m')], { breaker: { closedForMs: () => closedForMs } }))
    await world.runFor(5_000)
    closedForMs = 3_000
    teller.look()
    expect(told.at(-1)?.[0]?.closedForMs).toBe(3_000)
    closedForMs = 0
    await world.runFor(3_000)
    expect(told).toHaveLength(3)
    expect(told.at(-1)?.[0]?.closedForMs).toBeUndefined()
  })

  it('of vectors write nothing', () => {
    const models = hosted(serving('one', [info('e', { does: 'embed' })]))
    models.list()[0]?.speed.learn({ promptTokens: 100, cachedTokens: 0, completionTokens: 0, totalMs: 50 })
    const told: (readonly CapabilityMeasure[])[] = []
    createMeasureTeller(createVirtualClock().clockFor('n'), models.list).listen((measures) => void told.push(measures))
    expect(told[0]?.[0]).toMatchObject({ msPerInputUnit: 0.5, msPerOutputUnit: 0 })
  })
})
