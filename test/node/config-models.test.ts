import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type LoadOptions, loadConfig, redacted } from '../../node/config.ts'
import { shownKey } from '../../node/config/model-settings.ts'
import type { Surroundings } from '../../node/config/schema.ts'
import { MeshError } from '../../protocols/kernel/errors.ts'

let root: string
let around: Surroundings

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'skein-config-models-'))
  mkdirSync(join(root, 'home'))
  around = { env: {}, platform: 'linux', home: join(root, 'home'), hostname: 'goose', cores: 2 }
})
afterEach(() => {
  rmSync(root, { recursive: true, force: true })
})

const load = (options: LoadOptions) => loadConfig({ cwd: root, env: {}, around, ...options })

async function failure(options: LoadOptions): Promise<MeshError> {
  try {
    await load(options)
  } catch (thrown) {
    if (thrown instanceof MeshError) return thrown
    throw thrown
  }
  throw new Error('expected an error')
}

const file = (text: string): void => writeFileSync(join(root, 'skein.config.yaml'), text)
const key = 'sk-proj-0123456789abcdefghijklmnopWXYZ'

describe('models', () => {
  it('are files, from where they are named', async () => {
    expect((await load({})).config.models).toEqual([])
    expect((await load({ flags: { models: ['a.gguf', '/models/b.gguf'] } })).config.models).toEqual([{ file: join(root, 'a.gguf') }, { file: '/models/b.gguf' }])
    expect((await load({ env: { SKEIN_MODELS: 'a.gguf' } })).config.models).toEqual([{ file: join(root, 'a.gguf') }])
    file('models:\n  - small.gguf\n  - { file: models/big.gguf, name: big, slots: 3, contextTokens: 4096, gpu: off, threads: 2, does: embed }\n')
    // In YAML 1.2 `off` is a text.
    expect((await load({})).config.models).toEqual([{ file: join(root, 'small.gguf') }, { file: join(root, 'models/big.gguf'), name: 'big', slots: 3, contextTokens: 4_096, gpu: 'off', threads: 2, does: 'embed' }])
  })

  it('are refused with their place', async () => {
    file('models:\n  - { file: a.gguf, slots: 0 }\n')
    expect((await failure({})).fault.detail).toMatch(/skein\.config\.yaml:2: models\.0\.slots: /)
  })
})

describe('endpoints', () => {
  it('are addresses, named after them', async () => {
    const { config, origins } = await load({ flags: { endpoints: ['http://127.0.0.1:11434', 'https://models.example.org/api/v1/'] } })
    expect(config.endpoints).toEqual([{ name: 'ollama', url: 'http://127.0.0.1:11434/v1' }, { name: 'models.example.org', url: 'https://models.example.org/api/v1' }])
    expect(origins['endpoints']).toBe('flag')
  })

  it('come from the environment as well', async () => {
    file('endpoints:\n  - { name: own, url: "http://10.0.0.5:8000/v1", models: [qwen], prices: { "qwen*": { input: 0.1, output: 0.2 } }, slots: 9, contextTokens: 32768 }\n')
    const { config, origins } = await load({ env: { OPENAI_API_KEY: key, SKEIN_LLM_URL: 'http://127.0.0.1:1234/v1, http://127.0.0.1:8080', SKEIN_LLM_KEY: 'local-key' } })
    expect(config.endpoints).toEqual([
      { name: 'own', url: 'http://10.0.0.5:8000/v1', models: ['qwen'], prices: { 'qwen*': { input: 0.1, output: 0.2 } }, slots: 9, contextTokens: 32_768 },
      { name: 'lm-studio', url: 'http://127.0.0.1:1234/v1', key: 'local-key', keyFrom: 'SKEIN_LLM_KEY' },
      { name: '127.0.0.1:8080', url: 'http://127.0.0.1:8080/v1', key: 'local-key', keyFrom: 'SKEIN_LLM_KEY' },
      { name: 'openai', url: 'https://api.openai.com/v1', key, keyFrom: 'OPENAI_API_KEY' },
    ])
    expect(origins['endpoints']).toBe(`${join(root, 'skein.config.yaml')} and environment`)
    expect((await load({ env: { OPENAI_API_KEY: key, OPENAI_BASE_URL: 'http://127.0.0.1:9000/v1' } })).config.endpoints.at(-1)).toEqual({ name: '127.0.0.1:9000', url: 'http://127.0.0.1:9000/v1', key, keyFrom: 'OPENAI_API_KEY' })
    expect((await load({ env: { SKEIN_LLM_URL: 'http://127.0.0.1:1234' } })).ignored).toEqual([])
  })

  it('get their keys from variables: those of the file the ones they name, those of the command line SKEIN_LLM_KEY', async () => {
    file('endpoints:\n  - { url: "https://api.together.xyz/v1", keyFrom: TOGETHER_KEY }\n  - { name: mine, url: "https://api.openai.com/v1" }\n')
    expect((await load({ env: { TOGETHER_KEY: 'together-key', SKEIN_LLM_KEY: 'not for these', OPENAI_API_KEY: key } })).endpointProblem?.fault.detail).toMatch(/^SKEIN_LLM_KEY: is not a key/)
    expect((await load({ env: { TOGETHER_KEY: 'together-key', SKEIN_LLM_KEY: 'not-for-these', OPENAI_API_KEY: key } })).config.endpoints).toEqual([
      { name: 'together', url: 'https://api.together.xyz/v1', key: 'together-key', keyFrom: 'TOGETHER_KEY' },
      { name: 'mine', url: 'https://api.openai.com/v1', key, keyFrom: 'OPENAI_API_KEY' },
    ])
    // Whoever starts a node is told that it is missing; other commands do not need it.
    expect((await load({})).config.endpoints[0]).toEqual({ name: 'together', url: 'https://api.together.xyz/v1', keyFrom: 'TOGETHER_KEY' })
    expect((await load({ flags: { endpoints: ['http://gpu.example.org:8000/v1'] }, env: { SKEIN_LLM_KEY: 'flag-key' } })).config.endpoints).toEqual([{ name: 'gpu.example.org:8000', url: 'http://gpu.example.org:8000/v1', key: 'flag-key', keyFrom: 'SKEIN_LLM_KEY' }])
  })

  it.each([
    ['no address', '- nonsense', /endpoints\.0\.url: is not the address of an endpoint/],
    ['another protocol', '- ftp://x/v1', /is not the address of an endpoint/],
    ['a key in the address', '- "https://x.example/v1?key=swordfish"', /has a query in it/],
    ['credentials in the address', '- "https://ada:swordfish@x.example/v1"', /has credentials in it/],
    ['a key of several lines', '- { url: "http://x/v1", key: "swordfish\\nX-Admin: yes" }', /is not a key/],
    ['a key and a variable', '- { url: "http://x/v1", key: swordfish, keyFrom: KEY }', /keep one of them/],
    ['two of one name', '- { name: a, url: "http://x/v1" }\n- { name: a, url: "http://y/v1" }', /a names two endpoints/],
    ['an unknown setting', '- { url: "http://x/v1", colour: red }', /colour/],
    ['no models', '- { url: "http://x/v1", models: [] }', /endpoints\.0\.models/],
  ])('with %s are refused, their key unsaid', async (_title, text, detail) => {
    file(`endpoints:\n${text.replace(/^/gm, '  ')}\n`)
    const { fault } = await failure({})
    expect(fault.detail).toMatch(detail)
    expect(JSON.stringify(fault)).not.toContain('swordfish')
  })

  it('in the environment that are wrong matter to whoever starts a node, and to nobody else', async () => {
    const { endpointProblem, config } = await load({ env: { OPENAI_API_KEY: key, OPENAI_BASE_URL: 'not an address' } })
    expect(config.endpoints).toEqual([])
    expect(endpointProblem?.fault).toMatchObject({ code: 'bad-request', detail: 'OPENAI_BASE_URL: is not the address of an endpoint (like http://127.0.0.1:11434/v1)' })
    expect((await load({ env: { OPENAI_API_KEY: 'two words' } })).endpointProblem?.fault.detail).toMatch(/^OPENAI_API_KEY: is not a key/)
    const broken = await failure({ env: { SKEIN_ENDPOINTS: '[{"url": "http://x/v1", "key": swordfish}]' } })
    expect(broken.fault.detail).toBe('SKEIN_ENDPOINTS is not JSON')
  })
})

describe('keys', () => {
  it('are shown by their end, short ones not at all', () => {
    expect(shownKey(key)).toBe('…WXYZ')
    expect(shownKey('short-key')).toBe('(secret)')
    expect(redacted('endpoints', [{ name: 'a', url: 'http://x/v1', key }, { name: 'b', url: 'http://y/v1' }])).toEqual([{ name: 'a', url: 'http://x/v1', key: '…WXYZ' }, { name: 'b', url: 'http://y/v1' }])
  })
})

it('takes what the cache may do', async () => {
  expect((await load({})).config.modelCache).toMatchObject({ chat: { exact: false, similar: 0 }, embed: { exact: false } })
  expect((await load({ env: { SKEIN_MODEL_CACHE_CHAT_EXACT: 'yes', SKEIN_MODEL_CACHE_CHAT_SIMILAR: '0.95' } })).config.modelCache.chat).toEqual({ exact: true, similar: 0.95 })
  expect((await failure({ flags: { 'modelCache.chat.similar': '2' } })).fault.detail).toMatch(/similar/)
})
