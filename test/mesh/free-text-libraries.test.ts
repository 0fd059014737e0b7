/**
 * Three libraries are compared by a mission in free text, on three nodes of which one has a model: a plan of plans, leaves on several nodes, a plan that is
 * refused, a result that fails its check, one that a review refuses and an agent mends. The model's script knows nothing but its prompts.
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { PlanOutput } from '../../node/skills/agents/schema.ts'
import { type Asked, ask, eventsOf, offered, outputOf, taskAt } from '../support/free-text.ts'
import { leavesByWorker, recordOf } from '../support/mission-records.ts'
import { type OpenAiServer, type RecordedChat, startOpenAiServer } from '../support/openai-server/server.ts'
import { type RealMesh, startRealMesh } from '../support/real-mesh.ts'
import { sectionsOf, subjectsIn } from '../support/scripted-team/reading-prompts.ts'
import { type Part, billed, partOf, questionOf, scriptedTeam } from '../support/scripted-team/team.ts'
import { repositoryFolder } from '../support/skein-command.ts'

const libraries = ['larder', 'pebble-cache', 'tidepool'] as const
const shelf = join(repositoryFolder, 'test', 'fixtures', 'libraries')
const goal = 'compare these three libraries for our use and recommend one'
const use = 'one small web service in one process'
/** US dollars per million tokens. */
const price = { input: 1, output: 5 }
const callUsd = (billed.prompt_tokens * price.input + billed.completion_tokens * price.output) / 1_000_000

let server: OpenAiServer
let mesh: RealMesh
let compared: Asked
let chats: readonly RecordedChat[]

beforeAll(async () => {
  server = await startOpenAiServer({ script: scriptedTeam(), models: ['scripted'] })
  const settings = { endpoints: [{ url: server.url, prices: { scripted: price } }] }
  mesh = await startRealMesh([{ name: 'node-a' }, { name: 'node-b', env: { SKEIN_LLM_URL: server.url }, settings }, { name: 'node-c' }])
  await offered(mesh, 'node-a', 'llm.chat')
  await offered(mesh, 'node-c', 'llm.chat')
  compared = await ask(mesh, 'node-a', goal, inputs(shelf))
  chats = [...server.chats]
}, 120_000)
afterAll(async () => {
  await mesh?.stop()
  await server?.close()
}, 120_000)


function inputs(folder: string, of: readonly string[] = libraries): string[] {
  return [...of.flatMap((name) => ['--input', `${name}=@${join(folder, `${name}.md`)}`]), '--input', `use=${use}`]
}

/** A section of a README as the worker quotes it. */
function quoted(folder: string, library: string, heading: string): string {
  const section = sectionsOf(readFileSync(join(folder, `${library}.md`), 'utf8')).get(heading)
  return `Of ${library}: “${section?.replaceAll(/\s+/g, ' ') ?? ''}”`
}

function asked(part: Part, ...words: readonly string[]): RecordedChat[] {
  return chats.filter(({ chat }) => partOf(chat) === part && words.every((word) => questionOf(chat).includes(word)))
}

describe('a comparison of three libraries in free text', () => {
  it('ends with a recommendation that rests on what the files say, and cites who found it', () => {
    expect(compared).toMatchObject({ state: 'completed', name: goal, result: { citationsRemoved: 0, doubts: [], missing: [], condensed: 0 } })
    const { text, result, citations, provenance } = compared.result
    expect(result).toBe(text)
    expect(text).toMatch(/^I recommend pebble-cache \[pebble-cache\], for its 3 kB\.\n/)
    for (const library of libraries) for (const heading of ['Licence and size', 'Upkeep']) expect(text).toContain(quoted(shelf, library, heading))
    expect([...citations].sort()).toEqual([...libraries])
    expect(provenance).toEqual({ model: 'scripted', node: 'node-b', role: 'analyst', roleDigest: expect.stringMatching(/^[0-9a-f]{64}$/) as string, promptDigest: expect.stringMatching(/^[0-9a-f]{64}$/) as string })
  })

  it('was planned on three levels, and its leaves were done on more than one node', async () => {
    const { tree, leaves } = await recordOf(mesh.node('node-c').client, compared.id)
    const mission = taskAt(tree, 'mission')
    expect(mission).toMatchObject({ capability: 'agent.plan', kind: 'composite', state: 'accepted' })
    expect(mission.children.map(({ name, capability, state }) => ({ name, capability, state }))).toEqual(libraries.map((name) => ({ name, capability: 'agent.plan', state: 'accepted' })))
    expect(taskAt(mission, 'larder').children.map(({ name, capability }) => `${name} ${capability}`)).toEqual(['licence-and-size agent.work', 'upkeep agent.work', 'review_1 agent.review'])
    expect(leavesByWorker(leaves).size).toBeGreaterThan(1)
    expect(compared.tasks).toEqual({ accepted: leaves.length + 4 })
  })

  it('sent a plan back that nobody could carry out, with the reasons', () => {
    expect(compared.result.attempts).toEqual([{ round: 0, attempts: 2, causes: ['the plan is cyclic: larder → pebble-cache → tidepool → larder: remove one of these dependencies'] }])
    const [first, second, ...others] = asked('plan', `Goal:\n${goal}`)
    expect(others).toEqual([])
    expect(first?.chat.messages).toHaveLength(2)
    expect(second?.chat.messages.slice(0, 2)).toEqual(first?.chat.messages)
    expect(second?.chat.messages[2]).toMatchObject({ role: 'assistant', content: expect.stringContaining('"after":["pebble-cache"]') as string })
    expect(second?.chat.user).toContain(compared.result.attempts[0]?.causes[0])
  })

  it('showed the planners what was given and what the mesh can do, and each only its own part of it', () => {
    const [whole] = asked('plan', `Goal:\n${goal}`)
    for (const library of libraries) expect(questionOf(whole?.chat ?? { messages: [] })).toContain(readFileSync(join(shelf, `${library}.md`), 'utf8'))
    const [part] = asked('plan', 'Find out what tidepool is worth')
    expect(part?.chat.prompt).toContain(use)
    expect(part?.chat.prompt).toContain('Tidepool is published under the GPL-3.0-only licence')
    expect(part?.chat.prompt).not.toContain('Larder is published')
    expect(part?.chat.prompt).toContain('there is no level left below this plan')
  })

  it('had a refused result mended, judged again, and told what that gained', async () => {
    const events = await eventsOf(mesh.node('node-a').client, compared.id)
    const mended = outputOf<PlanOutput>(events, 'root/mission/pebble-cache')
    expect(mended?.refinements).toEqual([{ task: 'licence-and-size', round: 1, scoreBefore: 0.3, scoreAfter: 0.9 }])
    expect(mended?.citations).toEqual(['fix_licence-and-size.r1', 'upkeep'])
    const [fix] = asked('work', 'The result under "the result so far" was judged and refused')
    expect(fix?.chat.user).toContain('not met: gives the size in kB')
    expect(fix?.chat.user).toContain('It is tiny')
    expect(outputOf<PlanOutput>(events, 'root/mission/larder')?.refinements).toEqual([])
  })

  it('did a result again that failed its check, on another node', async () => {
    const { why } = await recordOf(mesh.node('node-a').client, compared.id)
    const attempts = why.tasks.find(({ id }) => id === 'root/mission/tidepool/upkeep')?.attempts ?? []
    expect(attempts.map(({ outcome, fault }) => [outcome, fault?.code])).toEqual([['failed', 'bad-output'], ['accepted', undefined]])
    expect(attempts[0]?.fault?.detail).toContain('the result was not accepted')
    expect(attempts[0]?.worker).not.toBe(attempts[1]?.worker)
  })

  it('cost what its calls cost, and says so', () => {
    expect(server.unscripted).toEqual([])
    expect(compared.spentUsd).toBeCloseTo(chats.length * callUsd, 6)
    // The calls of a result that was not accepted are in the mission's money alone.
    expect(compared.result.usage.costUsd).toBeCloseTo((compared.result.usage.modelCalls) * callUsd, 6)
    expect(compared.result.usage.costUsd).toBeLessThanOrEqual(compared.spentUsd)
  })
})

describe('a budget', () => {
  it('of nothing, where every model has its price, is refused before any is asked', async () => {
    server.forget()
    expect(await ask(mesh, 'node-a', goal, [...inputs(shelf), '--limit', 'budgetUsd=0'], 1)).toMatchObject({ state: 'failed', spentUsd: 0, fault: { code: 'over-limit', detail: expect.stringContaining('its budget is 0 USD') as string, next: expect.stringContaining('limits.budgetUsd') as string } })
    expect(server.chats).toEqual([])
  })

  it('that ends in the middle of it ends the mission, which never cost more', async () => {
    server.forget()
    const budgetUsd = 16 * callUsd
    const made = await ask(mesh, 'node-a', goal, [...inputs(shelf), '--limit', `budgetUsd=${budgetUsd}`], 1)
    expect(made).toMatchObject({ state: 'failed', fault: { code: 'over-limit' } })
    expect(made.fault?.detail).toMatch(/budget|USD/)
    expect(server.chats.length).toBeGreaterThan(0)
    expect(server.chats.length * callUsd).toBeLessThanOrEqual(budgetUsd)
    expect(made.spentUsd).toBeGreaterThanOrEqual(server.chats.length * callUsd)
    expect(made.spentUsd).toBeLessThanOrEqual(budgetUsd)
  })
})

describe('two of them, with another README and a capability that is new to the mesh', () => {
  const two = ['larder', 'pebble-cache']
  let changed: Asked
  const folder = (): string => join(mesh.folder, 'changed')
  beforeAll(async () => {
    mkdirSync(folder())
    for (const library of two) copyFileSync(join(shelf, `${library}.md`), join(folder(), `${library}.md`))
    const grown = join(folder(), 'pebble-cache.md')
    writeFileSync(grown, `${readFileSync(grown, 'utf8').replace('Apache-2.0', 'AGPL-3.0-only').replace('It is tiny: it weighs', 'It weighs')}\n## Security\n\npebble-cache was audited in May 2026; the report is in the repository.\n`)
    await mesh.start({ name: 'node-d', flags: ['--skill', join(repositoryFolder, 'test', 'mesh', 'fixtures', 'licence-terms.skill.ts')] })
    for (const { name } of mesh.nodes) await offered(mesh, name, 'licence.terms')
    server.forget()
    changed = await ask(mesh, 'node-c', goal, inputs(folder(), two))
    chats = [...server.chats]
  }, 120_000)

  it('are planned otherwise: what is new in the file, and what the mesh has learnt, have tasks of their own', async () => {
    const { tree, leaves } = await recordOf(mesh.node('node-a').client, changed.id)
    expect(taskAt(tree, 'mission', 'pebble-cache').children.map(({ name }) => name)).toEqual(['licence-and-size', 'licence-terms', 'upkeep', 'security', 'review_1'])
    expect(leaves.filter(({ capability }) => capability === 'licence.terms').map(({ attempt }) => attempt.workerName)).toEqual(['node-d', 'node-d'])
    const prompts = asked('plan', 'Find out what')
    expect(prompts).toHaveLength(2)
    for (const { chat } of prompts) {
      expect(chat.prompt).toContain('- licence.terms: Says of a text that names a licence whether the licence is permissive or copyleft.')
      expect(chat.prompt).toMatch(/input: .*"statement"/)
    }
  })

  it('are answered otherwise', () => {
    const { text, citations } = changed.result
    expect(text).toMatch(/^I recommend larder \[larder\], for its 14 kB\.\n/)
    for (const heading of ['Licence and size', 'Upkeep', 'Security']) expect(text).toContain(quoted(folder(), 'pebble-cache', heading))
    const [larder, pebble] = two.map((library) => outputText(library))
    expect(larder).toContain('"kind":"permissive"')
    expect(pebble).toContain('"kind":"copyleft"')
    expect([...citations].sort()).toEqual(two)
    // What called itself tiny before was refused and mended; now there is nothing to mend.
    expect(asked('work', 'was judged and refused')).toEqual([])
  })

  /** What the last question was told of a library. */
  function outputText(library: string): string {
    const [last] = asked('synthesise', `Goal:\n${goal}`)
    return subjectsIn(last?.chat.user ?? '').find(({ name }) => name === library)?.result ?? ''
  }
})
