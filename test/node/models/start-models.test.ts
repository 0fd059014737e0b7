import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import type { Fact } from '../../../actors/ports/telemetry.ts'
import { defaultSettings, surroundingsOf } from '../../../node/config/schema.ts'
import type { Endpoint, ModelFile } from '../../../node/config/model-settings.ts'
import { type FoundServer, findLocalServers, offerLine } from '../../../node/models/local-servers.ts'
import { startModels, type StartedModels } from '../../../node/models/start-models.ts'
import { withModels } from '../../../node/models/with-models.ts'
import { createMemoryBlobs } from '../../../node/skills/memory-blobs.ts'
import { loadSkill } from '../../../node/skills/loader.ts'
import { createThreadSkillRunner, type ThreadSkillRunner } from '../../../node/skills/skill-runner-thread-adapter.ts'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import { expectDone, expectFailed, follow, skillRun, skillRunnerContract } from '../../contracts/skill-runner.ts'
import { startOpenAiServer } from '../../support/openai-server/server.ts'
import { until } from '../../support/until.ts'
import { realClock, startHost } from './host-fixture.ts'

const closers: (() => Promise<unknown> | void)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

const blobs = createMemoryBlobs()

async function threads(): Promise<ThreadSkillRunner> {
  const runner = createThreadSkillRunner({ skills: [await loadSkill('./contract.skill.ts', fileURLToPath(new URL('../skills/fixtures', import.meta.url)))], blobs, pulseMs: 20 })
  closers.push(() => runner.close())
  return runner
}

interface Begun extends StartedModels {
  readonly facts: Fact[]
  readonly secrets: string[]
}

async function begin(endpoints: readonly Partial<Endpoint>[], files: readonly ModelFile[] = []): Promise<Begun> {
  const facts: Fact[] = []
  const secrets: string[] = []
  const started = await startModels({
    files, endpoints: endpoints.map((endpoint, at) => ({ name: `endpoint-${at}`, url: 'http://127.0.0.1:9/v1', ...endpoint })), cache: defaultSettings(surroundingsOf({})).modelCache, blobs, clock: realClock,
    telemetry: { record: (fact) => void facts.push(fact), keepSecret: (secret) => void secrets.push(secret) },
  })
  closers.push(() => started.close())
  return { ...started, facts, secrets }
}

async function failure(run: () => Promise<unknown>): Promise<MeshError> {
  try {
    await run()
  } catch (thrown) {
    if (thrown instanceof MeshError) return thrown
    throw thrown
  }
  throw new Error('expected an error')
}

/** Answers every request with this. @returns its port. */
async function serve(answer: (path: string) => unknown, port = 0): Promise<number> {
  const server: Server = createServer((request, response) => {
    const body = answer(request.url ?? '')
    response.writeHead(body === undefined ? 404 : 200, { 'content-type': 'application/json' }).end(JSON.stringify(body ?? {}))
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  closers.push(() => new Promise((resolve) => {
    server.close(resolve)
    server.closeAllConnections()
  }))
  return (server.address() as AddressInfo).port
}

const model = { object: 'list', data: [{ id: 'late-model', object: 'model' }] }

describe('endpoints', () => {
  it('that answer are there when it has started, with what the configuration says of them', async () => {
    const server = await startOpenAiServer({ models: ['chosen', 'other'], apiKey: 'sk-the-secret-key-0001' })
    closers.push(() => server.close())
    const { over, secrets } = await begin([{ url: server.url, key: 'sk-the-secret-key-0001', models: ['chosen'], prices: { chosen: { input: 1, output: 2 } }, slots: 7, contextTokens: 5_000 }])
    const runner = over(await threads())
    await until(() => runner.capabilities().some(({ name }) => name === 'llm.chat'), { what: 'the endpoint to be asked' })
    expect(runner.capabilities().filter(({ name }) => name.startsWith('llm.')).map(({ attributes, slots }) => ({ ...attributes, slots }))).toEqual([
      { model: 'chosen', provider: 'endpoint-0', contextTokens: 5_000, slots: 7, inputUsdPerMillion: 1, outputUsdPerMillion: 2 },
    ])
    expect(secrets).toEqual(['sk-the-secret-key-0001'])
    const done = expectDone(await follow(runner, skillRun('llm.chat', { messages: [{ role: 'user', content: 'hi' }] })).ended)
    expect(done.stats.costUsd).toBeGreaterThan(0)
  })

  it('that are down keep nobody from starting, and are used once they answer', async () => {
    const port = await serve(() => undefined)
    await closers.pop()?.()
    const { over, facts } = await begin([{ url: `http://127.0.0.1:${port}/v1` }])
    const runner = over(await threads())
    let changes = 0
    runner.onCapabilitiesChanged(() => (changes += 1))
    await until(() => facts.some(({ name }) => name === 'models.endpoint-unreachable'), { what: 'the failure to be told' })
    expect(runner.capabilities().some(({ name }) => name === 'llm.chat')).toBe(false)
    expect(expectFailed(await follow(runner, skillRun('llm.chat', { messages: [{ role: 'user', content: 'hi' }] })).ended).fault).toMatchObject({ code: 'no-provider', retryable: true })
    await serve((path) => (path === '/v1/models' ? model : undefined), port)
    await until(() => runner.capabilities().some(({ attributes }) => attributes['model'] === 'late-model'), { what: 'the model to be offered' })
    expect(changes).toBeGreaterThan(0)
    expect(facts.find(({ name }) => name === 'models.endpoint-ready')?.fields).toMatchObject({ endpoint: 'endpoint-0' })
    // The same reason is told once, however often it was tried.
    expect(facts.filter(({ name }) => name === 'models.endpoint-unreachable')).toHaveLength(1)
  })

  it('without a list serve what they are said to serve', async () => {
    const port = await serve(() => undefined)
    const { over } = await begin([{ url: `http://127.0.0.1:${port}/v1`, models: ['said-model'] }])
    const runner = over(await threads())
    await until(() => runner.capabilities().some(({ attributes }) => attributes['model'] === 'said-model'), { what: 'the model to be offered' })
  })

  it('whose key is wrong say so without it, and so does what is told of them', async () => {
    const server = await startOpenAiServer({ apiKey: 'right-key-123456' })
    closers.push(() => server.close())
    const { facts, over } = await begin([{ url: server.url, key: 'wrong-key-secret-99', keyFrom: 'SOME_KEY' }])
    const told = await until(() => facts.find(({ name }) => name === 'models.endpoint-unreachable'), { what: 'the failure to be told' })
    expect(over(await threads()).capabilities().some(({ name }) => name === 'llm.chat')).toBe(false)
    expect(told.fields).toMatchObject({ code: 'unauthorised' })
    expect(String(told.fields['next'])).toContain('SOME_KEY')
    expect(JSON.stringify(facts)).not.toContain('wrong-key-secret-99')
  })

  it('that are a mesh themselves are not used: its models would go round in circles', async () => {
    const port = await serve((path) => (path === '/healthz' ? { ok: true, version: '0.1.0' } : model))
    const { over, facts } = await begin([{ url: `http://127.0.0.1:${port}/v1` }])
    const told = await until(() => facts.find(({ name }) => name === 'models.endpoint-unreachable'), { what: 'the refusal to be told' })
    expect(over(await threads()).capabilities().some(({ name }) => name === 'llm.chat')).toBe(false)
    expect(told.fields).toMatchObject({ code: 'bad-request', detail: expect.stringContaining('is a bridge of a Skein mesh') as string })
  })

  it('whose key is to come from a variable that is not set end the start', async () => {
    const { fault } = await failure(() => begin([{ keyFrom: 'NO_SUCH_KEY' }]))
    expect(fault).toMatchObject({ code: 'bad-request', detail: 'the key of the endpoint endpoint-0 (http://127.0.0.1:9/v1) is not there: the variable NO_SUCH_KEY is not set' })
  })
})

describe('a model file', () => {
  it('that is none ends the start with one error', async () => {
    const { fault } = await failure(() => begin([], [{ file: fileURLToPath(import.meta.url) }]))
    expect(['bad-request', 'not-available']).toContain(fault.code)
    expect(fault.next).toBeTruthy()
  })
})

describe('beside skills', () => {
  it('refuses a skill that offers what models do', async () => {
    const runner = await threads()
    const { host } = await startHost()
    const rival = { ...runner, capabilities: () => [...runner.capabilities(), ...host.capabilities()] }
    expect(() => withModels(rival, host)).toThrow(expect.objectContaining({ fault: expect.objectContaining({ code: 'bad-request', detail: 'a skill offers llm.chat 1.0, and so do the models of this node' }) as unknown }))
  })

  it('sends each run to whom it belongs, and tells the measures of both', async () => {
    const { host } = await startHost()
    const runner = withModels(await threads(), host)
    expect(runner.capabilities().map(({ name }) => name)).toEqual(expect.arrayContaining(['contract.echo', 'llm.chat', 'llm.embed']))
    expect(runner.checkInput('llm.chat', '1.0', { messages: 7 })?.code).toBe('bad-input')
    expect(runner.checkInput('contract.echo', '1.0', { value: 7 })?.code).toBe('bad-input')
    expect(runner.inputSchema('llm.chat', '1.0')).toBeDefined()
    expect(expectDone(await follow(runner, skillRun('contract.echo', { value: 'geese' })).ended).output).toEqual({ inline: { value: 'geese' } })
    expectDone(await follow(runner, skillRun('llm.chat', { messages: [{ role: 'user', content: 'hi' }] })).ended)
    let models: string[] = []
    runner.onMeasured((measures) => (models = measures.map((measure) => measure.model ?? '')))
    expect(models).toEqual(expect.arrayContaining(['test-model', 'test-embedding']))
  })
})

// With a host beside it the skills are what they were.
skillRunnerContract('threads with models', async () => {
  const runner = createThreadSkillRunner({ skills: [await loadSkill('./contract.skill.ts', fileURLToPath(new URL('../skills/fixtures', import.meta.url)))], blobs, pulseMs: 20 })
  const server = await startOpenAiServer()
  const started = await startModels({ files: [], endpoints: [{ name: 'e', url: server.url }], cache: defaultSettings(surroundingsOf({})).modelCache, blobs, clock: realClock, telemetry: { record: () => undefined, keepSecret: () => undefined } })
  return {
    runner: started.over(runner), blobs,
    async close() {
      await started.close()
      await runner.close()
      await server.close()
    },
  }
})

describe('servers of this machine', () => {
  it('are noticed when they answer as such, and offered with what to type', async () => {
    const port = await serve((path) => (path === '/v1/models' ? model : undefined))
    const other = await serve(() => ({ hello: 'I am something else' }))
    const kinds = [{ name: 'Ollama', url: `http://127.0.0.1:${port}/v1` }, { name: 'LM Studio', url: `http://127.0.0.1:${other}/v1` }, { name: 'nobody', url: 'http://127.0.0.1:9/v1' }]
    const [found, ...more] = await findLocalServers([], kinds)
    expect(more).toEqual([])
    expect(found).toEqual({ name: 'Ollama', url: `http://127.0.0.1:${port}/v1`, models: 1 })
    expect(offerLine(found as FoundServer)).toEqual({ detail: 'Ollama is running here with 1 model, and this node does not use it', next: `to use it: skein node start --llm-url http://127.0.0.1:${port}/v1` })
    // By whatever name it is used already.
    expect(await findLocalServers([`http://localhost:${port}/v1`], kinds)).toEqual([])
  })
})
