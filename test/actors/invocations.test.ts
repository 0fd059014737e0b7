/** Capabilities that are executed for somebody who waits, outside of any mission: placed by bids, streamed, lost, cancelled, priced. */
import { describe, expect, it } from 'vitest'
import type { Invocation, Invoked, InvokeOptions } from '../../actors/mesh-api.ts'
import { MeshError } from '../../protocols/kernel/errors.ts'
import type { Json } from '../../protocols/kernel/payload.ts'
import type { ScriptedSkill } from '../../sim/skill-runner-scripted-adapter.ts'
import { missionWorld, startNodes, type MissionWorld } from './mission-world.ts'
import { capability, local } from './virtual-missions.ts'

const usage = { input: 10, output: 20 }

/** Answers after a while, in pieces. */
function model(name: string, afterMs: number, { slots = 2, costUsd = 0, prices = {} as Record<string, number>, chunks = [] as Json[] } = {}): ScriptedSkill {
  return {
    capability: capability('llm.chat', 'leaf', { attributes: { model: name, ...prices }, slots }),
    run: () => ({ afterMs, output: { content: `from ${name}` }, chunks, costUsd, tokens: usage }),
  }
}

function double(afterMs = 20): ScriptedSkill {
  return { capability: capability('number.double'), run: (run) => ({ afterMs, output: 'inline' in run.input ? 2 * Number((run.input.inline as { value: number }).value) : null }) }
}

const chat = { messages: [{ role: 'user', content: 'hello' }], maxTokens: 100 }

interface Settled {
  readonly done?: Invoked
  readonly failed?: MeshError
}

/** Starts it, and says later what came of it. */
function invoke(world: MissionWorld, on: string, invocation: Invocation, options: Partial<InvokeOptions> = {}): { settled(): Settled | undefined } {
  let settled: Settled | undefined
  world.node(on).mesh.invoke(invocation, { principal: local, ...options }).then(
    (done) => (settled = { done }),
    (thrown: unknown) => {
      if (!(thrown instanceof MeshError)) throw thrown
      settled = { failed: thrown }
    },
  )
  return { settled: () => settled }
}

async function outcome(world: MissionWorld, on: string, invocation: Invocation, options: Partial<InvokeOptions> = {}): Promise<Settled> {
  const running = invoke(world, on, invocation, options)
  await world.until(() => running.settled() !== undefined, `the end of ${invocation.capability}`)
  return running.settled() ?? {}
}

describe('an invocation', () => {
  it('is executed by whoever offers it, and its output comes back', async () => {
    const world = missionWorld(1, () => [])
    await world.start('a')
    await world.start('b', { skills: [double()] })
    await world.runFor(1_000)
    const { done } = await outcome(world, 'a', { capability: 'number.double', input: { value: 21 } })
    expect(done).toMatchObject({ output: 42, by: { name: 'b' } })
    expect(world.node('a').skills.started).toEqual([])
  })

  it('needs no other node than the one that is asked', async () => {
    const world = missionWorld(2, () => [double()])
    await world.start('a')
    await world.runFor(1_000)
    expect((await outcome(world, 'a', { capability: 'number.double', input: { value: 4 } })).done?.output).toBe(8)
  })

  it('goes to the node that has the model which is named in its input', async () => {
    const world = missionWorld(3, () => [])
    await world.start('a', { skills: [model('small', 50)] })
    await world.start('b', { skills: [model('large', 50)] })
    await world.runFor(1_000)
    expect((await outcome(world, 'a', { capability: 'llm.chat', input: { ...chat, model: 'large' } })).done).toMatchObject({ output: { content: 'from large' }, by: { name: 'b' } })
    expect((await outcome(world, 'b', { capability: 'llm.chat', input: { ...chat, model: 'small' } })).done).toMatchObject({ by: { name: 'a' }, stats: { tokens: usage } })
    const { failed } = await outcome(world, 'a', { capability: 'llm.chat', input: { ...chat, model: 'huge' } })
    expect(failed?.fault).toMatchObject({ code: 'no-provider', detail: expect.stringContaining('huge') as string, next: expect.stringContaining('--model') as string })
  })

  it('is streamed piece by piece, in order, before it ends', async () => {
    const pieces = Array.from({ length: 40 }, (_, i) => ({ content: `${i} ` }))
    const world = missionWorld(4, () => [])
    await world.start('a')
    await world.start('b', { skills: [model('m', 400, { chunks: pieces })] })
    await world.runFor(1_000)
    const heard: Json[] = []
    const running = invoke(world, 'a', { capability: 'llm.chat', input: chat }, { onChunk: (chunk) => void heard.push(chunk) })
    await world.until(() => heard.length >= 10, 'some pieces')
    expect(running.settled(), 'they come while it runs').toBeUndefined()
    await world.until(() => running.settled() !== undefined, 'its end')
    expect(heard).toEqual(pieces)
  })

  it('uses the places of its capability, however many the node has for tasks', async () => {
    const world = missionWorld(5, () => [])
    await world.start('a', { slots: 1, skills: [model('m', 1_000, { slots: 3 }), double(1_000)] })
    await world.runFor(1_000)
    const chats = Array.from({ length: 5 }, () => invoke(world, 'a', { capability: 'llm.chat', input: chat }))
    const doubles = Array.from({ length: 2 }, () => invoke(world, 'a', { capability: 'number.double', input: { value: 1 } }))
    await world.runFor(500)
    const runningNow = (name: string) => world.node('a').skills.running().filter((run) => run.capability === name).length
    expect([runningNow('llm.chat'), runningNow('number.double')]).toEqual([3, 1])
    await world.until(() => [...chats, ...doubles].every((one) => one.settled()?.done !== undefined), 'all of them')
  })

  it('is tried elsewhere when its node is lost before a piece was handed on', async () => {
    const world = missionWorld(6, () => [])
    for (const name of ['a', 'b', 'c']) await world.start(name, name === 'a' ? {} : { skills: [model('m', 5_000)] })
    await world.runFor(1_000)
    const running = invoke(world, 'a', { capability: 'llm.chat', input: chat })
    const busy = () => ['b', 'c'].find((name) => world.live().some((node) => node.name === name) && world.node(name).skills.running().length > 0)
    await world.until(() => busy() !== undefined, 'one of them to run it')
    world.kill(busy() ?? '')
    await world.until(() => running.settled() !== undefined, 'its end')
    expect(running.settled()?.done?.by.name).toBe(world.live().some(({ name }) => name === 'b') ? 'b' : 'c')
  })

  it('fails when its node is lost after that: half an answer is not followed by another', async () => {
    const world = missionWorld(7, () => [])
    for (const name of ['a', 'b', 'c']) await world.start(name, name === 'a' ? {} : { skills: [model('m', 5_000, { chunks: Array.from({ length: 50 }, (_, i) => i) })] })
    await world.runFor(1_000)
    const heard: Json[] = []
    const running = invoke(world, 'a', { capability: 'llm.chat', input: chat }, { onChunk: (chunk) => void heard.push(chunk) })
    await world.until(() => heard.length > 3, 'some pieces')
    world.kill(['b', 'c'].find((name) => world.node(name).skills.running().length > 0) ?? '')
    await world.until(() => running.settled() !== undefined, 'its end')
    expect(running.settled()?.failed?.fault).toMatchObject({ code: 'lost-worker' })
  })

  it('is stopped where it runs when nobody waits for it any more', async () => {
    const world = missionWorld(8, () => [])
    await world.start('a')
    await world.start('b', { skills: [model('m', 60_000, { slots: 1 })] })
    await world.runFor(1_000)
    const gone = new AbortController()
    const running = invoke(world, 'a', { capability: 'llm.chat', input: chat }, { signal: gone.signal })
    await world.until(() => world.node('b').skills.running().length > 0, 'its begin')
    gone.abort()
    await world.until(() => world.node('b').skills.running().length === 0, 'its end')
    expect(running.settled()?.failed?.fault.code).toBe('cancelled')
    // Its place is free again.
    world.node('b').skills.setSkills([model('m', 10, { slots: 1 })])
    expect((await outcome(world, 'a', { capability: 'llm.chat', input: chat })).done).toBeDefined()
  })

  it('is stopped when its caller is gone', async () => {
    const world = missionWorld(9, () => [])
    await world.start('a')
    await world.start('b', { skills: [model('m', 60_000)] })
    await world.runFor(1_000)
    invoke(world, 'a', { capability: 'llm.chat', input: chat })
    await world.until(() => world.node('b').skills.running().length > 0, 'its begin')
    world.kill('a')
    await world.until(() => world.node('b').skills.running().length === 0, 'its end')
  })

  it('waits for a place no longer than it may take', async () => {
    const world = missionWorld(10, () => [])
    await world.start('a', { skills: [model('m', 100_000, { slots: 1 })] })
    await world.runFor(1_000)
    invoke(world, 'a', { capability: 'llm.chat', input: chat, timeLimitMs: 200_000 })
    await world.until(() => world.node('a').skills.running().length > 0, 'the place to be taken')
    const { failed } = await outcome(world, 'a', { capability: 'llm.chat', input: chat, timeLimitMs: 3_000 })
    expect(failed?.fault).toMatchObject({ code: 'overloaded', retryable: true })
  })

  it('ends at its time limit', async () => {
    const world = missionWorld(11, () => [])
    await world.start('a', { skills: [model('m', 100_000)] })
    await world.runFor(1_000)
    const { failed } = await outcome(world, 'a', { capability: 'llm.chat', input: chat, timeLimitMs: 2_000 })
    expect(['deadline-exceeded', 'skill-timeout']).toContain(failed?.fault.code)
  })

  it('costs no more than its budget: dearer nodes are not asked, and if there is no other it is refused at once', async () => {
    const world = missionWorld(12, () => [])
    const prices = { inputUsdPerMillion: 1_000, outputUsdPerMillion: 10_000 }
    await world.start('a', { skills: [model('m', 20, { prices, costUsd: 0.2 })] })
    await world.start('b', { skills: [model('m', 5_000)] })
    await world.runFor(1_000)
    // A hundred tokens may cost a dollar at the first, nothing at the other, which is slower.
    expect((await outcome(world, 'a', { capability: 'llm.chat', input: chat, budgetUsd: 0.5 })).done?.by.name).toBe('b')
    expect((await outcome(world, 'a', { capability: 'llm.chat', input: chat, budgetUsd: 2 })).done).toMatchObject({ by: { name: 'a' }, stats: { costUsd: 0.2 } })
    world.kill('b')
    await world.runFor(1_000)
    expect((await outcome(world, 'a', { capability: 'llm.chat', input: chat, budgetUsd: 0.5 })).failed?.fault).toMatchObject({ code: 'over-limit' })
  })

  it('of what nobody offers says so at once, and what to do', async () => {
    const world = missionWorld(13, () => [double()])
    await world.start('a')
    await world.runFor(1_000)
    expect((await outcome(world, 'a', { capability: 'number.duoble', input: {} })).failed?.fault).toMatchObject({ code: 'unknown-capability', detail: expect.stringContaining('number.double') as string })
    expect((await outcome(world, 'a', { capability: 'llm.chat', input: chat })).failed?.fault).toMatchObject({ code: 'no-provider', next: expect.stringContaining('OPENAI_API_KEY') as string })
  })
})

describe('a running skill', () => {
  const asking = (calls: number): ScriptedSkill => ({ capability: capability('agent.ask'), run: () => ({ afterMs: 10, output: 'done', calls: Array.from({ length: calls }, () => ({ capability: 'llm.chat', input: chat })) }) })

  it('has other capabilities executed wherever they are offered, and what they cost is what it costs', async () => {
    const world = missionWorld(20, () => [])
    await startNodes(world, ['a', 'b', 'c'], {})
    await world.start('w', { skills: [asking(3)] })
    await world.start('m', { skills: [model('m', 50, { prices: { outputUsdPerMillion: 1_000 }, costUsd: 0.05 })] })
    await world.runFor(2_000)
    const { id } = await world.submit('a', { plan: { tasks: { only: { capability: 'agent.ask', budgetUsd: 0.4 } } }, limits: { budgetUsd: 1 } })
    const view = await world.ended('a', id)
    expect(view.state).toBe('completed')
    expect(world.node('m').skills.started.map(({ taskId }) => taskId)).toEqual(['root/only', 'root/only', 'root/only'])
    expect(view.spentUsd).toBeCloseTo(0.15)
    const accepted = (await world.events('a', id)).find((event) => event.type === 'accepted' && event.taskId === 'root/only')
    expect(accepted).toMatchObject({ costUsd: expect.closeTo(0.15) as number, tokens: { input: 30, output: 60 } })
  })

  it('spends no more than its task may, and fails with a word about it', async () => {
    const world = missionWorld(21, () => [])
    await startNodes(world, ['a', 'b', 'c'], {})
    await world.start('w', { skills: [asking(5)] })
    await world.start('m', { skills: [model('m', 50, { prices: { outputUsdPerMillion: 1_000 }, costUsd: 0.1 })] })
    await world.runFor(2_000)
    const { id } = await world.submit('a', { plan: { tasks: { only: { capability: 'agent.ask', budgetUsd: 0.25, retry: { attemptsMax: 1 } } } }, limits: { budgetUsd: 1 } })
    const view = await world.ended('a', id)
    expect(view).toMatchObject({ state: 'failed', fault: { detail: expect.stringContaining('budget') as string } })
    expect(world.node('m').skills.started, 'the third would have cost more than was left').toHaveLength(2)
    expect(view.spentUsd).toBeLessThanOrEqual(0.25 + 1e-9)
  })

  it('without a budget has nothing to spend', async () => {
    const world = missionWorld(22, () => [])
    await startNodes(world, ['a', 'b', 'c'], {})
    await world.start('w', { skills: [asking(1)] })
    await world.start('m', { skills: [model('m', 50, { prices: { outputUsdPerMillion: 1_000 } })] })
    await world.runFor(2_000)
    const { id } = await world.submit('a', { plan: { tasks: { only: { capability: 'agent.ask', retry: { attemptsMax: 1 } } } } })
    expect(await world.ended('a', id)).toMatchObject({ state: 'failed', spentUsd: 0 })
    expect(world.node('m').skills.started).toEqual([])
  })

  it('of a capability that spends has a part of the mission’s money by default', async () => {
    const world = missionWorld(23, () => [])
    await startNodes(world, ['a', 'b', 'c'], {})
    await world.start('w', { skills: [{ ...asking(1), capability: capability('agent.ask', 'leaf', { attributes: { spends: true } }) }] })
    await world.start('m', { skills: [model('m', 50, { prices: { outputUsdPerMillion: 1_000 }, costUsd: 0.1 })] })
    await world.runFor(2_000)
    const { id } = await world.submit('a', { capability: 'agent.ask', limits: { budgetUsd: 0.6 } })
    expect(await world.ended('a', id)).toMatchObject({ state: 'completed', spentUsd: expect.closeTo(0.1) as number })
  })
})
