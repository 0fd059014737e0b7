/** Missions in free text while things go wrong: a worker is killed, endpoints fail, one is slow, somebody changes their mind. Two workers, each with its own endpoint. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import { ask, ended, eventsOf, offered, outputOf } from '../support/free-text.ts'
import { type Ledger, keeper, openLedger, worker } from '../support/ledger.ts'
import { recordOf } from '../support/mission-records.ts'
import { type Behaviour, type ChatRequest, type OpenAiServer, type RecordedChat, type Script, callTool, fail, on, rules, say, sayJson, startOpenAiServer } from '../support/openai-server/server.ts'
import { type RealMesh, type RealNode, startRealMesh } from '../support/real-mesh.ts'
import { marks, partOf, questionOf } from '../support/scripted-team/team.ts'
import { startSkein } from '../support/skein-command.ts'
import { until } from '../support/until.ts'

let one: OpenAiServer
let two: OpenAiServer
let mesh: RealMesh
let front: RealNode

beforeAll(async () => {
  const models = ['scripted']
  one = await startOpenAiServer({ models })
  two = await startOpenAiServer({ models })
  mesh = await startRealMesh([
    { name: 'front', ...keeper },
    { name: 'left', flags: [...worker.flags, '--llm-url', one.url] },
    { name: 'right', flags: [...worker.flags, '--llm-url', two.url] },
  ])
  front = mesh.node('front')
  for (const { name, client } of mesh.nodes) {
    await offered(mesh, name, 'llm.chat', 'ledger.step')
    await until(async () => (await client.capabilities()).find(({ name: capability }) => capability === 'llm.chat')?.providers.length === 2 || undefined, { what: `${name} to know both models`, context: mesh.lastWords })
  }
}, 120_000)
afterAll(async () => {
  await mesh?.stop()
  await one?.close()
  await two?.close()
}, 120_000)
beforeEach(() => {
  one.forget()
  two.forget()
})

function bothSay(script: Script): void {
  one.script = script
  two.script = script
}

function chats(): RecordedChat[] {
  return [...one.chats, ...two.chats].sort((left, right) => left.atMs - right.atMs)
}

/** What was asked, by how many results of functions were there already. */
function askedAt(results: number): RecordedChat[] {
  return chats().filter(({ chat }) => chat.messages.filter(({ role }) => role === 'tool').length === results)
}

/** Three tasks that know nothing of one another, put together at the end. */
const threeWays: readonly ReturnType<typeof on>[] = [
  on({ system: marks.plan }, sayJson({ why: 'three sources', tasks: ['north', 'east', 'south'].map((name) => ({ name, capability: 'agent.work', role: 'researcher', goal: `Look ${name}` })) })),
  on({ system: marks.work }, (request) => say(`There is nothing to the ${/Look (\w+)/.exec(questionOf(request))?.[1] ?? '?'}.`)),
  on({ system: marks.synthesise }, (request) => say([...questionOf(request).matchAll(/^There is nothing to the (\w+)\.$/gm)].map(([line, name = '']) => `${line} [${name}]`).join(' '))),
]
const nothingAnywhere = /nothing to the north\. \[north\].*nothing to the east\. \[east\].*nothing to the south\. \[south\]/

/** Alone on it: one question to plan, and the work. */
const alone = on({ system: marks.plan }, sayJson({ doItYourself: true, why: 'one train of thought', role: 'analyst' }))

describe('a mission whose models fail in the middle of it', () => {
  it('waits for them when all fail, and repeats nothing that was done', { timeout: 120_000 }, async () => {
    let failures = 0
    bothSay(rules(
      on({ system: marks.work, where: () => failures < 7 }, () => {
        failures += 1
        return fail()
      }),
      ...threeWays,
    ))
    const asked = await ask(mesh, 'front', 'look around')
    expect(asked.state).toBe('completed')
    expect(asked.result.text).toMatch(nothingAnywhere)
    expect(failures).toBe(7)
    expect(chats().filter(({ chat }) => partOf(chat) === 'plan')).toHaveLength(1)
    expect(chats().filter(({ chat, status }) => partOf(chat) === 'work' && status === 200)).toHaveLength(3)
  })

  it('is done by the other endpoint when one is gone', { timeout: 120_000 }, async () => {
    let planned: 'one' | 'two' | undefined
    const script = (name: 'one' | 'two'): Script => {
      const usual = rules(...threeWays)
      return (request, count) => {
        if (partOf(request) === 'plan') planned = name
        else if (name === planned) return { kind: 'hangup' }
        return usual(request, count)
      }
    }
    one.script = script('one')
    two.script = script('two')
    const asked = await ask(mesh, 'front', 'look around')
    expect(asked.result.text).toMatch(nothingAnywhere)
    const [gone, other] = planned === 'one' ? [one, two] : [two, one]
    expect(gone.chats.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(other.chats.filter(({ status }) => status === 200).map(({ chat }) => partOf(chat)).sort()).toEqual(['synthesise', 'work', 'work', 'work'])
  })
})

describe('a mission that may cost nothing', () => {
  it('is done by models that are free', { timeout: 120_000 }, async () => {
    bothSay(rules(...threeWays))
    expect(await ask(mesh, 'front', 'look around', ['--limit', 'budgetUsd=0'])).toMatchObject({ state: 'completed', spentUsd: 0, result: { text: expect.stringMatching(nothingAnywhere) as string } })
  })
})

describe('somebody who changes their mind', () => {
  it('lets go of a mission with Ctrl-C, and ends the request that is under way by cancelling it', { timeout: 120_000 }, async () => {
    bothSay(rules(alone, on({ system: marks.work }, { kind: 'silence' })))
    const command = startSkein(['ask', 'think for a long time', '--data', front.dataDir, '--json'], { env: mesh.env })
    const held = await until(() => chats().find(({ chat }) => partOf(chat) === 'work'), { what: 'the agent to ask its model', context: mesh.lastWords })
    command.child.kill('SIGINT')
    const { code, out } = await command.ended
    expect(code).toBe(130)
    const { id } = JSON.parse(out) as { id: MissionId }
    expect((await front.client.mission(id)).state).toBe('running')
    expect(held.abortedAtMs).toBeUndefined()
    await front.skein(['mission', 'cancel', id])
    await until(() => held.abortedAtMs, { what: 'the request to be aborted', context: mesh.lastWords })
    expect(await ended(mesh, 'front', id)).toMatchObject({ state: 'cancelled' })
    expect(chats().filter(({ chat }) => partOf(chat) === 'work')).toHaveLength(1)
  })
})

describe('two nodes with one model, one of them ten times slower', () => {
  it('share the work by what they were measured to do', { timeout: 120_000 }, async () => {
    const words = 'one two three four five six seven eight nine ten'
    one.script = () => say(words, { tokenMs: 100 })
    two.script = () => say(words, { tokenMs: 10 })
    const question = (index: number): Promise<Response> => fetch(`${front.http}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ model: 'scripted', messages: [{ role: 'user', content: `count to ten, ${index}` }] }) })
    // An endpoint that failed in an earlier test is asked again before long.
    await until(async () => {
      await Promise.all(Array.from({ length: 8 }, (_, index) => question(-index)))
      return (one.chats.some(({ status }) => status === 200) && two.chats.some(({ status }) => status === 200)) || undefined
    }, { what: 'both endpoints to answer', context: mesh.lastWords })
    one.forget()
    two.forget()
    let next = 0
    const inLine = async (): Promise<void> => {
      while (next < 48) expect((await question(next++)).status).toBe(200)
    }
    await Promise.all(Array.from({ length: 8 }, inLine))
    expect(one.chats.length + two.chats.length).toBe(48)
    expect(one.chats.length).toBeLessThan(two.chats.length / 2)
  })
})

describe('an agent whose node is killed between two steps', () => {
  let ledger: Ledger
  beforeAll(() => {
    ledger = openLedger(mesh, 'steps')
  })

  it('goes on elsewhere: no function is called again, and no model is asked again what it has answered', { timeout: 120_000 }, async () => {
    let isHeld = true
    const take = (step: string): Behaviour => callTool('ledger_step', { ledger: ledger.path, step })
    bothSay(({ messages }: ChatRequest) => {
      const results = messages.filter(({ role }) => role === 'tool').length
      if (results < 2) return take(results === 0 ? 'first' : 'second')
      return isHeld ? { kind: 'silence' } : say('Both steps were taken.')
    })
    const { id } = await front.client.submit({ capability: 'agent.work', input: { goal: 'Take two steps', role: 'analyst' } } as never)
    await until(() => askedAt(2).length === 1 || undefined, { what: 'the third step to begin', context: mesh.lastWords })
    const running = (await front.client.why(id)).tasks.flatMap(({ attempts }) => attempts).find(({ outcome }) => outcome === 'running')
    const victim = running?.workerName ?? ''
    isHeld = false
    await mesh.kill(victim)
    expect(await ended(mesh, 'front', id)).toMatchObject({ state: 'completed' })

    const [work] = (await recordOf(front.client, id)).leaves
    expect(work?.attempts.map(({ workerName, outcome }) => [workerName, outcome])).toEqual([[victim, 'lost'], [victim === 'left' ? 'right' : 'left', 'accepted']])
    expect([0, 1, 2].map((results) => askedAt(results).length)).toEqual([1, 1, 2])
    for (const step of ['first', 'second']) expect(ledger.countOf(step, 'done')).toBe(1)
    const output = outputOf<{ text: string; steps: number; calls: readonly { capability: string; ok: boolean }[]; usage: { modelCalls: number } }>(await eventsOf(front.client, id), 'root/agent.work')
    expect(output).toMatchObject({ text: 'Both steps were taken.', steps: 3, usage: { modelCalls: 3 } })
    expect(output?.calls.map(({ capability, ok }) => [capability, ok])).toEqual([['ledger.step', true], ['ledger.step', true]])
  })
})
