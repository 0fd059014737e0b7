import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ModelView, modelsIn } from '../../../node/cli/commands/models.ts'
import type { CapabilityView } from '../../../protocols/capability/views.ts'
import { CapabilityName, PeerId } from '../../../protocols/kernel/ids.ts'
import { type OpenAiServer, rules, on, say, startOpenAiServer } from '../../support/openai-server/server.ts'
import { type RealMesh, runSkein, startRealMesh } from '../../support/real-mesh.ts'
import { skeinJson } from '../../support/skein-command.ts'
import { writeTinyGguf } from '../../support/tiny-gguf/tiny-gguf.ts'
import { until } from '../../support/until.ts'
import { startBridge } from '../http/bridge-fixture.ts'
import { otherPeer, selfPeer } from '../http/mesh-double.ts'
import { say as saySkein } from './cli-fixture.ts'

const offer = (attributes: Record<string, string | number>, slots = 4) => ({ attributes, slots })

function offered(name: string, providers: CapabilityView['providers']): CapabilityView {
  return { name: CapabilityName.parse(name), version: '1.0', kind: 'leaf', effects: 'none', summary: '', attributes: providers[0]?.offers[0]?.attributes ?? {}, providers }
}

describe('skein models', () => {
  const small = { model: 'small', provider: 'llama.cpp', contextTokens: 8_192, quantisation: 'Q4_K_M', tokensPerSecond: 31, inputUsdPerMillion: 0, outputUsdPerMillion: 0 }
  const large = { model: 'large', provider: 'openai', contextTokens: 128_000, inputUsdPerMillion: 0.25, outputUsdPerMillion: 2 }
  const capabilities = [
    offered('llm.chat', [{ peerId: selfPeer, name: 'node-a', offers: [offer(small), offer(large, 16)] }, { peerId: otherPeer, name: 'node-b', offers: [offer(small, 2)] }]),
    offered('repo.report', [{ peerId: selfPeer, name: 'node-a', offers: [offer({})] }]),
    offered('llm.embed', [{ peerId: otherPeer, name: 'node-b', offers: [offer({ model: 'vectors', provider: 'ollama' })] }]),
  ]

  it('lists each model of each node', async () => {
    const { bridge, mesh } = await startBridge()
    mesh.capabilities = () => Promise.resolve(capabilities)
    const said = await saySkein(['models', '--url', bridge.url])
    expect(said).toMatchObject({ code: 0, err: '' })
    expect(said.out.trim().split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['MODEL', 'DOES', 'NODE', 'STATE', 'CONTEXT', 'QUANT', 'TOK/S', 'SLOTS', 'USD/M IN/OUT', 'BY'],
      ['large', 'chat', 'node-a', 'ready', '128k', expect.stringMatching(/^16$/) as string, '0.25/2', 'openai'],
      ['small', 'chat', 'node-a', 'ready', '8k', 'Q4_K_M', '31', '4', 'free', 'llama.cpp'],
      ['small', 'chat', 'node-b', 'gone', '8k', 'Q4_K_M', '31', '2', 'free', 'llama.cpp'],
      ['vectors', 'embed', 'node-b', 'gone', expect.stringMatching(/^4$/) as string, 'ollama'],
    ])
    const json = JSON.parse((await saySkein(['models', '--url', bridge.url, '--json'])).out) as ModelView[]
    expect(json[0]).toEqual({ model: 'large', does: 'chat', node: { peerId: selfPeer, name: 'node-a' }, state: 'connected', provider: 'openai', contextTokens: 128_000, slots: 16, inputUsdPerMillion: 0.25, outputUsdPerMillion: 2 })
    expect(json).toHaveLength(4)
  })

  it('says what to start when there is none', async () => {
    const { bridge } = await startBridge()
    const said = await saySkein(['models', '--url', bridge.url])
    expect(said.code).toBe(0)
    for (const way of ['skein node start --model', '--llm-url', 'OPENAI_API_KEY']) expect(said.out).toContain(way)
    expect((await saySkein(['models', '--url', bridge.url, '--json'])).out).toBe('[]\n')
    expect(modelsIn([], [])).toEqual([])
  })
})

describe('a node with an endpoint', () => {
  const key = 'sk-test-4711-abcdefghijklmnop-LAST'
  let server: OpenAiServer
  let mesh: RealMesh
  beforeAll(async () => {
    server = await startOpenAiServer({ apiKey: key, script: rules(on({ user: 'skein' }, say('a flight of geese'))) })
    mesh = await startRealMesh([{ name: 'node-a', env: { SKEIN_LLM_URL: server.url, SKEIN_LLM_KEY: key } }, { name: 'node-b' }])
  })
  afterAll(async () => {
    await mesh.stop()
    await server.close()
  })

  it('offers its models to the whole mesh', async () => {
    const models = await until(async () => {
      const found = await mesh.node('node-b').skein<ModelView[]>(['models'])
      return found.length === 2 && found
    }, { what: 'node-b to know the models of node-a', context: mesh.lastWords })
    expect(models.map(({ model, does, node, state }) => ({ model, does, node: node.name, state }))).toEqual([
      { model: 'test-embedding', does: 'embed', node: 'node-a', state: 'connected' },
      { model: 'test-model', does: 'chat', node: 'node-a', state: 'connected' },
    ])
    const mission = await mesh.node('node-b').skein<{ state: string; result: { content: string; model: string } }>(['run', 'llm.chat', '--input', 'messages=[{"role":"user","content":"what is a skein?"}]'])
    expect(mission).toMatchObject({ state: 'completed', result: { content: 'a flight of geese', model: 'test-model' } })
    expect(server.chats).toHaveLength(1)
  })

  it('never shows its key', async () => {
    const shown = await runSkein(['config', 'show', '--data', mesh.node('node-a').dataDir], { env: { SKEIN_LLM_URL: server.url, SKEIN_LLM_KEY: key } })
    expect(shown.out).toContain('…LAST')
    const owner = PeerId.parse(mesh.node('node-a').peerId)
    const told = [
      shown.out, shown.err, mesh.node('node-a').stderr(),
      JSON.stringify(await mesh.node('node-b').client.nodes()), JSON.stringify(await mesh.node('node-b').client.capabilities()),
      JSON.stringify(await Promise.all(mesh.nodes.map(({ client }) => Promise.all([client.logs(owner), client.status(owner)])))),
      (await runSkein(['doctor', '--data', mesh.node('node-a').dataDir, '--json'], { env: { SKEIN_LLM_URL: server.url, SKEIN_LLM_KEY: key } })).out,
    ]
    for (const text of told) expect(text).not.toContain(key)
  })
})

it('a node with a model file offers it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'skein-models-'))
  await writeTinyGguf(join(folder, 'tiny.gguf'))
  const mesh = await startRealMesh([{ name: 'node-a', flags: ['--model', 'tiny.gguf'], cwd: folder }])
  try {
    expect(await mesh.node('node-a').skein<ModelView[]>(['models'])).toMatchObject([{ model: 'tiny', does: 'chat', provider: 'llama.cpp', state: 'connected', inputUsdPerMillion: 0 }])
    const mission = await mesh.node('node-a').skein<{ state: string; result: { content: string; usage: { completionTokens: number } } }>(['run', 'llm.chat', '--input', 'messages=[{"role":"user","content":"Say something."}]', '--input', 'maxTokens=8'])
    expect(mission).toMatchObject({ state: 'completed', result: { model: 'tiny', usage: { completionTokens: 8 } } })
  } finally {
    await mesh.stop()
    rmSync(folder, { recursive: true, force: true })
  }
})

it('an Ollama that runs here is offered, and not used', async (context) => {
  const ollama = createServer((_request, response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"object":"list","data":[{"id":"qwen3:4b"}]}'))
  const isFree = await new Promise<boolean>((resolve) => ollama.once('error', () => resolve(false)).listen(11_434, '127.0.0.1', () => resolve(true)))
  if (!isFree) return context.skip('something listens at 127.0.0.1:11434 already')
  const mesh = await startRealMesh([{ name: 'node-a' }])
  try {
    const next = 'skein node start --llm-url http://127.0.0.1:11434/v1'
    await until(() => mesh.node('node-a').stderr().includes(`skein: Ollama is running here with 1 model, and this node does not use it; to use it: ${next}`), { what: 'the offer', context: mesh.lastWords })
    const { findings } = JSON.parse((await runSkein(['doctor', '--json', '--data', mesh.node('node-a').dataDir])).out) as { findings: { about: string; next?: string }[] }
    expect(findings.filter(({ about }) => about === 'models')).toEqual([expect.objectContaining({ level: 'note', next: `to use it: ${next}` })])
    expect(await mesh.node('node-a').skein<ModelView[]>(['models'])).toEqual([])
  } finally {
    await mesh.stop()
    await new Promise((resolve) => ollama.close(resolve))
  }
})

describe('a bad start', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'skein-models-'))
  })
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true })
  })
  const start = (...argv: string[]) => runSkein(['node', 'start', '--json', '--data', join(folder, 'data'), '--listen-port', '0', '--http-port', '0', '--no-mdns', ...argv], { cwd: folder })

  it.each([
    ['a model file that is not there', ['--model', 'none.gguf'], /none\.gguf|node-llama-cpp/],
    ['a model file that is none', ['--model', fileURLToPath(import.meta.url)], /models\.test\.ts|node-llama-cpp/],
    ['an address that is none', ['--llm-url', 'nonsense'], /--llm-url: is not the address of an endpoint/],
    ['a model without a worker to run it', ['--model', 'none.gguf', '--duties', 'bridge,replica'], /a model is run by a worker/],
  ])('with %s is one error that says what to do', async (_title, argv, detail) => {
    const { code, err, out } = await start(...argv)
    expect(out).toBe('')
    expect(code).not.toBe(0)
    const { error } = JSON.parse(err.trim().split('\n').at(-1) ?? '') as { error: { detail: string; next?: string } }
    expect(error.detail).toMatch(detail)
    expect(error.next).toBeTruthy()
  })

  it('is none when the endpoint is down', async () => {
    const mesh = await startRealMesh([{ name: 'node-a', flags: ['--llm-url', 'http://127.0.0.1:9/v1'] }])
    try {
      expect(await skeinJson<unknown[]>(['models', '--url', mesh.node('node-a').http])).toEqual([])
      await until(() => mesh.node('node-a').facts('models.endpoint-unreachable').length > 0, { what: 'the failure to be told', context: mesh.lastWords })
    } finally {
      await mesh.stop()
    }
  })
})
