/** Peers that invoke, answer and charge as nobody should: nothing of it reaches others, and no account pays more than was agreed. */
import { describe, expect, it, vi } from 'vitest'
import type { Invocation, Invoked, InvokeOptions } from '../../actors/mesh-api.ts'
import type { MeshError } from '../../protocols/kernel/errors.ts'
import { awardIdOf, type MissionId, type TaskId } from '../../protocols/kernel/ids.ts'
import type { Json } from '../../protocols/kernel/payload.ts'
import { invocationCallId } from '../../protocols/invoking/schema.ts'
import { Message } from '../../protocols/wire.ts'
import { virtualPeerId } from '../../sim/identity-virtual-adapter.ts'
import type { ScriptedSkill } from '../../sim/skill-runner-scripted-adapter.ts'
import { createVirtualTransport } from '../../sim/transport-virtual-adapter.ts'
import { failedActors, missionWorld, startNodes, type MissionWorld } from './mission-world.ts'
import { capability, local } from './virtual-missions.ts'

vi.setConfig({ testTimeout: 60_000 })

const chat = { messages: [{ role: 'user', content: 'hello' }], maxTokens: 100 }
const rogue = virtualPeerId('rogue')

function model(afterMs: number, costUsd: number, given: { slots?: number; chunks?: readonly Json[]; price?: number; external?: boolean } = {}): ScriptedSkill {
  return {
    capability: capability('llm.chat', 'leaf', { attributes: { model: 'm', outputUsdPerMillion: given.price ?? 1_000 }, slots: given.slots ?? 4, ...(given.external === true ? { effects: 'external' } : {}) }),
    run: () => ({ afterMs, output: { content: 'yes' }, costUsd, chunks: given.chunks ?? [] }),
  }
}

function invoke(world: MissionWorld, on: string, invocation: Invocation, options: Partial<InvokeOptions> = {}) {
  const state: { done?: Invoked; failed?: MeshError; heard: Json[] } = { heard: [] }
  world.node(on).mesh.invoke(invocation, { principal: local, onChunk: (chunk) => void state.heard.push(chunk), ...options }).then((done) => (state.done = done), (thrown: unknown) => (state.failed = thrown as MeshError))
  return state
}

const over = ({ done, failed }: ReturnType<typeof invoke>) => done !== undefined || failed !== undefined

/** A peer of the mesh that says what it likes. */
async function hostile(world: MissionWorld) {
  const transport = createVirtualTransport(world.mesh.network.join(rogue))
  world.mesh.network.connectAll()
  await world.runFor(500)
  return (to: string, actor: string, message: Record<string, unknown>, from = 'invoker') => transport.send(world.node(to).peer, { to: actor, from, message: Message.parse(message) })
}

function asking(calls: number): ScriptedSkill {
  return { capability: capability('agent.ask', 'leaf', { attributes: { spends: true }, slots: 8 }), run: () => ({ afterMs: 10, output: 'done', calls: Array.from({ length: calls }, () => ({ capability: 'llm.chat', input: chat })) }) }
}

describe('what a provider says it has cost', () => {
  it('is no more than was set aside: it has bid that', async () => {
    const world = missionWorld(1, () => [])
    await world.start('a')
    await world.start('b', { skills: [model(20, 1e6)] })
    await world.runFor(1_000)
    const one = invoke(world, 'a', { capability: 'llm.chat', input: chat, budgetUsd: 1 })
    await world.until(() => over(one), 'its end')
    // A hundred tokens at 0.1 USD, with their margin.
    expect(one.done?.stats.costUsd).toBeCloseTo(0.3, 9)
    expect(world.node('a').telemetry.facts.filter(({ name }) => name === 'invocation.overcharged').map(({ fields }) => fields['toldUsd'])).toEqual([1e6])
  })

  it('nor can a task of a mission cost more than was set aside for it', async () => {
    const world = missionWorld(2, () => [])
    await startNodes(world, ['a', 'b', 'c'], {})
    await world.start('w', { skills: [{ capability: capability('job.run'), run: () => ({ afterMs: 20, output: 1, costUsd: 1e6 }) }] })
    await world.runFor(2_000)
    const { id } = await world.submit('a', { plan: { tasks: { free: { capability: 'job.run' }, paid: { capability: 'job.run', budgetUsd: 0.25 } } }, limits: { budgetUsd: 1 } })
    expect(await world.ended('a', id)).toMatchObject({ state: 'completed', spentUsd: 0.25 })
    const costs = (await world.events('a', id)).flatMap((event) => (event.type === 'accepted' && event.taskId !== 'root' ? [[event.taskId, event.costUsd]] : []))
    expect(Object.fromEntries(costs)).toMatchObject({ 'root/paid': 0.25 })
  })
})

describe('money of calls within calls', () => {
  it('is set aside level by level: agents that call agents spend no more than the first of them may', async () => {
    const world = missionWorld(3, () => [])
    await startNodes(world, ['a', 'b', 'c'], {})
    const outer: ScriptedSkill = { capability: capability('agent.outer', 'leaf', { attributes: { spends: true } }), run: () => ({ afterMs: 10, output: 'done', calls: Array.from({ length: 3 }, () => ({ capability: 'agent.ask', input: {} })) }) }
    await world.start('w', { skills: [outer, asking(2)] })
    await world.start('m', { skills: [model(20, 0.1)] })
    await world.runFor(2_000)
    const { id } = await world.submit('a', { plan: { tasks: { only: { capability: 'agent.outer', budgetUsd: 0.5, retry: { attemptsMax: 1 } } } }, limits: { budgetUsd: 1 } })
    const view = await world.ended('a', id)
    // The first agent may spend 0.25: two questions. The second has half of the 0.3 that are left: one.
    expect(world.node('m').skills.started).toHaveLength(3)
    expect(view).toMatchObject({ state: 'failed', fault: { code: 'over-limit' } })
    expect(view.spentUsd).toBeCloseTo(0.3, 9)
  })

  it('of a call that was lost counts in the end, though it was made again', async () => {
    const world = missionWorld(4, () => [])
    await startNodes(world, ['a', 'b', 'c'], {})
    await world.start('w', { skills: [asking(1)], duties: ['worker'] })
    for (const name of ['m', 'n']) await world.start(name, { skills: [model(3_000, 0.0625)], duties: ['worker'] })
    await world.runFor(2_000)
    const { id } = await world.submit('a', { plan: { tasks: { only: { capability: 'agent.ask', budgetUsd: 2 } } }, limits: { budgetUsd: 3 } })
    const busy = () => ['m', 'n'].find((name) => world.live().some((node) => node.name === name) && world.node(name).skills.running().length > 0)
    await world.until(() => busy() !== undefined, 'the question')
    world.kill(busy() ?? '')
    const view = await world.ended('a', id)
    expect(view.state).toBe('completed')
    // What was set aside for the lost one, three times its price, and what the other has cost.
    expect(view.spentUsd).toBeCloseTo(0.3 + 0.0625, 9)
  })
})

describe('an effect outside', () => {
  it('is not tried again elsewhere when its node is lost: nobody knows whether it has happened', async () => {
    const world = missionWorld(5, () => [])
    await world.start('a')
    for (const name of ['m', 'n']) await world.start(name, { skills: [model(3_000, 0, { external: true })] })
    await world.runFor(1_000)
    const one = invoke(world, 'a', { capability: 'llm.chat', input: chat })
    const busy = () => ['m', 'n'].find((name) => world.node(name).skills.running().length > 0)
    await world.until(() => busy() !== undefined, 'its begin')
    const lost = busy() ?? ''
    world.kill(lost)
    await world.until(() => over(one), 'its end')
    expect(one.failed?.fault.code).toBe('lost-worker')
    expect(world.node(lost === 'm' ? 'n' : 'm').skills.started).toEqual([])
  })
})

describe('a hostile peer', () => {
  const [missionId, taskId] = ['m-aaaaaaaa-bbbbbbbbbbbb' as MissionId, 'root' as TaskId]
  const call = (callId: string) => ({ callId, missionId, taskId, attempt: 1, kind: 'leaf', capability: 'llm.chat', effects: 'none', priority: 5, effort: 1, inputBytes: 0, holders: [], excluded: [], budgetUsd: 1, remainingMs: 10_000 })
  const invocation = (callId: string, caller: object) => ({ kind: 'invoke', caller, principal: 'local', call: call(callId), version: '1.0', input: { inline: chat }, timeLimitMs: 10_000, idempotencyKey: 'k', streams: false })
  const facts = (world: MissionWorld, on: string, name: string) => world.node(on).telemetry.facts.filter((fact) => fact.name === name).length

  it('cannot invoke in another’s name, nor under the id of an award, nor under that of another’s call', async () => {
    const world = missionWorld(10, () => [])
    await world.start('a')
    await world.start('b', { skills: [model(3_000, 0)] })
    await world.runFor(1_000)
    const say = await hostile(world)
    const own = { peer: rogue, actor: 'invoker' }
    say('b', 'participant', invocation(invocationCallId({ missionId, taskId }, 'x', 1, 1), { peer: world.node('a').peer, actor: 'invoker' }))
    say('b', 'participant', invocation(awardIdOf(missionId, taskId, 1, { lineage: 1, term: 1 }), own))
    await world.runFor(500)
    expect([world.node('b').skills.started.length, facts(world, 'b', 'invoke.forged')]).toEqual([0, 2])
    const one = invoke(world, 'a', { capability: 'llm.chat', input: chat })
    await world.until(() => world.node('b').skills.running().length > 0, 'its begin')
    const [run] = world.node('b').skills.running()
    say('b', 'participant', invocation(run?.runId ?? '', own))
    say('b', 'participant', { kind: 'invoke-cancel', callId: run?.runId ?? '', reason: 'evil' })
    await world.until(() => over(one), 'its end')
    expect([one.done?.output, world.node('b').skills.started.length, facts(world, 'b', 'invoke.taken-by-another')]).toEqual([{ content: 'yes' }, 1, 1])
    expect(failedActors(world)).toEqual([])
  })

  it('has nothing to say about a call that runs elsewhere', async () => {
    const world = missionWorld(11, () => [])
    await world.start('a')
    await world.start('b', { skills: [model(2_000, 0, { chunks: [1, 2, 3] })] })
    await world.runFor(1_000)
    const say = await hostile(world)
    const one = invoke(world, 'a', { capability: 'llm.chat', input: chat })
    await world.until(() => world.node('b').skills.running().length > 0, 'its begin')
    const callId = world.node('b').skills.running()[0]?.runId ?? ''
    const stats = { queueMs: 0, transferMs: 0, runMs: 1, costUsd: 1e6 }
    for (let i = 0; i < 3; i++) {
      say('a', 'invoker', { kind: 'invoke-chunks', callId, at: i, chunks: ['evil'] })
      say('a', 'invoker', { kind: 'invoke-ended', callId, output: { inline: 'evil' }, stats })
      say('a', 'invoker', { kind: 'invoke-refused', callId, refusal: { callId, reason: 'leaving', detail: 'evil', retryable: false, waiting: false } })
      say('a', 'invoker', { kind: 'invoke-taken', callId })
      say('a', 'invoker', { kind: 'invoke-pulse', callIds: [callId] })
    }
    await world.until(() => over(one), 'its end')
    expect([one.done?.output, one.done?.stats.costUsd, one.heard]).toEqual([{ content: 'yes' }, 0, [1, 2, 3]])
    expect(failedActors(world)).toEqual([])
  })

  it('says no cost that is none, and no piece that is too early', () => {
    for (const costUsd of [-1, Infinity, Number.NaN, '7']) expect(Message.safeParse({ kind: 'invoke-ended', callId: 'c', stats: { queueMs: 0, transferMs: 0, runMs: 0, costUsd } }).success, String(costUsd)).toBe(false)
    expect(Message.safeParse({ kind: 'invoke-chunks', callId: 'c', at: -1, chunks: [1] }).success).toBe(false)
    expect(Message.safeParse({ kind: 'invoke-chunks', callId: 'c', at: 0, chunks: [] }).success).toBe(false)
  })
})
