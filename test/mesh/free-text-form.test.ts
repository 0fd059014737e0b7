/** Free text where no node has a model, and where the only model knows nothing: it is a real one, with random weights, and keeps to the form of a plan. */
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkOf } from '../../node/skills/agents/json-answer.ts'
import { draftIn } from '../../node/skills/agents/plan-draft.ts'
import { draftSchema, planSystem } from '../../node/skills/agents/prompts/plan.ts'
import type { ChatOutput } from '../../protocols/models/schema.ts'
import { ended, offered } from '../support/free-text.ts'
import { type RealMesh, type RealNode, runSkein, startRealMesh } from '../support/real-mesh.ts'
import { writeTinyGguf } from '../support/tiny-gguf/tiny-gguf.ts'

let mesh: RealMesh
let front: RealNode

beforeAll(async () => {
  mesh = await startRealMesh([{ name: 'front' }])
  front = mesh.node('front')
  await offered(mesh, 'front', 'agent.plan', 'repo.report', 'docs.answer')
}, 120_000)
afterAll(() => mesh?.stop(), 60_000)

const goal = 'compare hono and koa for a small web server'

describe('a mesh without any model', () => {
  const ways = ['skein node start --model FILE.gguf', 'OPENAI_API_KEY', 'SKEIN_LLM_URL']
  const meanwhile = ['docs.answer', 'repo.report']

  it('says in one message what to start and what works meanwhile', async () => {
    const { code, out, err } = await runSkein(['ask', goal, '--data', front.dataDir], { env: mesh.env })
    expect(code).toBe(3)
    expect(out).toBe('')
    expect(err.trimEnd().split('\n')).toHaveLength(2)
    for (const words of ['needs a language model', ...ways, ...meanwhile]) expect(err).toContain(words)
  })

  it('says so to programs, too: on the command line and over HTTP', async () => {
    const { code, err } = await runSkein(['ask', goal, '--data', front.dataDir, '--json'], { env: mesh.env })
    expect(code).toBe(3)
    const { error } = JSON.parse(err) as { error: { detail: string; next: string } }
    expect(error).toMatchObject({ code: 'no-provider', retryable: false })
    for (const words of ways) expect(error.next).toContain(words)
    for (const words of meanwhile) expect(error.detail).toContain(words)

    const response = await fetch(`${front.http}/v1/missions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ text: goal }) })
    expect(response.status).toBe(503)
    expect(response.headers.get('content-type')).toContain('application/problem+json')
    expect(await response.json()).toMatchObject({ ...error, type: 'urn:skein:error:no-provider', status: 503 })
    expect(await front.client.missions()).toEqual([])
  })
})

describe('a mesh whose only model has random weights', () => {
  beforeAll(async () => {
    const file = join(mesh.folder, 'random-weights.gguf')
    await writeTinyGguf(file, { contextTokens: 8_192, endBias: 0.5 })
    await mesh.start({ name: 'knows-nothing', flags: ['--model', file] })
    for (const { name } of mesh.nodes) await offered(mesh, name, 'llm.chat')
  }, 60_000)

  it('gets plans of the right form through the mesh, whatever is in them', { timeout: 60_000 }, async () => {
    const schema = draftSchema(['agent.work', 'agent.plan', 'repo.report'], ['analyst', 'researcher'], false)
    const check = checkOf(schema, 'the schema of plans')
    const plans = await Promise.all([1, 2, 3, 4].map(async (seed) => {
      const { id } = await front.client.submit({ capability: 'llm.chat', input: { messages: [{ role: 'system', content: planSystem() }, { role: 'user', content: `Goal:\n${goal}` }], schema, seed, temperature: 1 } } as never)
      expect(await ended(mesh, 'front', id)).toMatchObject({ state: 'completed' })
      const { content, usage } = (await front.client.result(id)).result as ChatOutput
      expect(usage.completionTokens).toBeGreaterThan(0)
      return JSON.parse(content ?? '') as unknown
    }))
    for (const plan of plans) {
      expect(check(plan)).toBeUndefined()
      expect(draftIn(plan)).toHaveProperty('value')
    }
    expect(new Set(plans.map((plan) => JSON.stringify(plan))).size).toBeGreaterThan(1)
  })

  it('plans a mission with it: no answer is refused for its form, only for its sense', { timeout: 60_000 }, async () => {
    const { id } = await front.client.submit({ text: goal } as never)
    const view = await ended(mesh, 'front', id)
    const planning = mesh.node('knows-nothing').facts().filter(({ msg, invocation }) => /^invocation\./.test(msg) && (invocation as string).startsWith(`${id}:root/mission~`))
    expect(planning.length).toBeGreaterThan(0)
    // Too long a prompt is shortened; too long an answer, of which a random model may give one, is asked for again.
    expect(planning.filter(({ msg, code, detail }) => msg === 'invocation.failed' && code !== 'context-overflow' && !/not complete|cut off/.test(String(detail)))).toEqual([])
    // A plan of random words is seldom one; "do it yourself" is, and then the agent's words are the result.
    const isPlanned = (await front.client.tasks(id)).children.some(({ children }) => children.length > 0)
    if (view.state === 'completed') expect((await front.client.result(id)).result).toMatchObject({ provenance: { model: 'random-weights', node: 'knows-nothing' } })
    if (!isPlanned) expect(view.fault).toMatchObject({ code: 'bad-plan', detail: expect.not.stringMatching(/is not JSON|does not fit the schema/) as string })
  })
})
