/** Which language models a node offers: files that run here, and endpoints elsewhere. */
import { z } from 'zod'
import { MeshError } from '../../protocols/kernel/errors.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { ModelName } from '../../protocols/models/schema.ts'

const slots = z.number().int().min(1).max(1_024)
const contextTokens = z.number().int().min(1).max(limits.contextTokensMax)

/** A GGUF file that runs on this machine. As text: its path. */
export const ModelFile = z.preprocess((given) => (typeof given === 'string' ? { file: given } : given), z.object({
  file: z.string().min(1),
  /** Default: that of the file. */
  name: ModelName.optional(),
  /** Calls at the same time, of which each has the whole context. */
  slots: slots.optional(),
  contextTokens: contextTokens.optional(),
  gpu: z.enum(['auto', 'off']).optional(),
  /** Default: the machine's cores, but two. */
  threads: z.number().int().min(1).max(1_024).optional(),
  does: z.enum(['chat', 'embed']).optional(),
}).strict())
export type ModelFile = z.infer<typeof ModelFile>

/** US dollars per million tokens; see `node/models/prices.ts`. */
const Price = z.object({ input: z.number().min(0), output: z.number().min(0).optional(), cachedInput: z.number().min(0).optional() }).strict()

const EndpointUrl = z.string().min(1).transform((text, context) => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const wrong = url === undefined || !/^https?:$/.test(url.protocol) ? 'is not the address of an endpoint (like http://127.0.0.1:11434/v1)'
    : url.username !== '' || url.password !== '' ? 'has credentials in it: give them as key, or name the variable that holds them as keyFrom'
      : url.search !== '' || url.hash !== '' ? 'has a query in it, which no request to an endpoint can keep: give the address up to its path, and a key as key or keyFrom'
        : undefined
  if (url === undefined || wrong !== undefined) {
    context.addIssue({ code: 'custom', message: wrong ?? '' })
    return z.NEVER
  }
  if (url.pathname === '/') url.pathname = '/v1'
  return url.href.replace(/\/+$/, '')
})

/** A header's value: nothing that would end the header. */
const Key = z.string().regex(/^[\x21-\x7e]{1,512}$/, 'is not a key (1 to 512 printable characters without spaces)')

const EndpointObject = z.object({
  /** What its models' `provider` says. Default: after the address. */
  name: z.string().min(1).max(64).regex(/^[A-Za-z0-9._:-]+$/, 'may have letters, digits, dot, colon, dash and underscore').optional(),
  url: EndpointUrl,
  key: Key.optional(),
  /** The environment variable that holds the key: better than the key in a file. */
  keyFrom: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'is not the name of an environment variable').optional(),
  /** Which of its models are offered. Default: all. */
  models: z.array(ModelName).min(1).optional(),
  /** By model; `gpt-5*` is all whose names begin so. Default: what is known of the model. */
  prices: z.record(z.string(), Price).optional(),
  /** Calls at the same time, for each model. */
  slots: slots.optional(),
  contextTokens: contextTokens.optional(),
}).strict().refine(({ key, keyFrom }) => key === undefined || keyFrom === undefined, { path: ['keyFrom'], message: 'and key are both given: keep one of them' })

/** An OpenAI-compatible endpoint. As text: its address. Once the environment was looked at, `key` is there as well as `keyFrom`. */
export const Endpoint = z.preprocess((given) => (typeof given === 'string' ? { url: given } : given), EndpointObject.transform((endpoint) => ({ ...endpoint, name: endpoint.name ?? endpointName(endpoint.url) })))
export type Endpoint = z.infer<typeof Endpoint>

export const Endpoints = z.array(Endpoint).superRefine((endpoints, context) => {
  const names = new Set<string>()
  for (const [index, { name }] of endpoints.entries()) {
    if (names.has(name)) context.addIssue({ code: 'custom', path: [index, 'name'], message: `${name} names two endpoints: give one another name` })
    names.add(name)
  }
})

/** Answers that are given again; see `node/models/answer-cache.ts`. */
export const ModelCacheSettings = z.object({
  chat: z.object({ exact: z.boolean(), similar: z.number().min(0).max(1) }).strict(),
  embed: z.object({ exact: z.boolean() }).strict(),
  bytesMax: z.number().int().min(1),
}).strict()
export type ModelCacheSettings = z.infer<typeof ModelCacheSettings>

const wellKnownNames: Readonly<Record<string, string>> = {
  'api.openai.com': 'openai', 'api.together.xyz': 'together', '127.0.0.1:11434': 'ollama', 'localhost:11434': 'ollama', '127.0.0.1:1234': 'lm-studio', 'localhost:1234': 'lm-studio',
}

/** @param url a legal one. */
export function endpointName(url: string): string {
  const { host } = new URL(url)
  return wellKnownNames[host] ?? host.replace(/[^A-Za-z0-9._:-]+/g, '').slice(0, 64)
}

/** What of the environment is about models, but is no setting of its own. */
export const modelVariables = ['SKEIN_LLM_URL', 'SKEIN_LLM_KEY'] as const

type Env = Readonly<Record<string, string | undefined>>

const openAiUrl = 'https://api.openai.com/v1'

/**
 * The endpoints that the environment names, beside those of the settings: `SKEIN_LLM_URL` (several with commas between them) with
 * `SKEIN_LLM_KEY`, and OpenAI's by `OPENAI_API_KEY`, at `OPENAI_BASE_URL` if that is set.
 * @throws MeshError `bad-request` that names the variable, never its value when that is a key.
 */
export function endpointsInEnvironment(env: Env): Endpoint[] {
  const skeinKey = keyIn(env, 'SKEIN_LLM_KEY')
  const own = (env['SKEIN_LLM_URL'] ?? '').split(',').map((text) => text.trim()).filter((text) => text !== '')
    .map((url) => endpointFrom('SKEIN_LLM_URL', url, skeinKey, 'SKEIN_LLM_KEY'))
  const openAiKey = keyIn(env, 'OPENAI_API_KEY')
  const baseUrl = env['OPENAI_BASE_URL']?.trim() ?? ''
  if (openAiKey !== undefined) own.push(endpointFrom('OPENAI_BASE_URL', baseUrl === '' ? openAiUrl : baseUrl, openAiKey, 'OPENAI_API_KEY'))
  return own
}

function keyIn(env: Env, variable: string): string | undefined {
  const text = env[variable]?.trim() ?? ''
  if (text === '') return undefined
  const checked = Key.safeParse(text)
  if (!checked.success) throw new MeshError('bad-request', `${variable}: ${checked.error.issues[0]?.message ?? 'is not a key'}`, { next: `set ${variable} to the key alone` })
  return checked.data
}

function endpointFrom(variable: string, url: string, key: string | undefined, keyFrom: string): Endpoint {
  const checked = Endpoint.safeParse({ url })
  if (!checked.success) throw new MeshError('bad-request', `${variable}: ${checked.error.issues[0]?.message ?? 'is not valid'}`, { next: `set ${variable} to an address like http://127.0.0.1:11434/v1` })
  return { ...checked.data, ...keyOf(key, keyFrom) }
}

function keyOf(key: string | undefined, keyFrom: string): Pick<Endpoint, 'key' | 'keyFrom'> {
  return key === undefined ? {} : { key, keyFrom }
}

/**
 * The endpoints of the settings, with their keys, and those of the environment that are not among them.
 * @param fromFlag they were given on the command line, where a key would be seen: `SKEIN_LLM_KEY` is theirs.
 */
export function withEnvironment(settings: readonly Endpoint[], env: Env, fromFlag: boolean): Endpoint[] {
  const named = endpointsInEnvironment(env)
  const all: Endpoint[] = settings.map((endpoint) => {
    if (endpoint.key !== undefined) return endpoint
    if (endpoint.keyFrom !== undefined) return { ...endpoint, ...keyOf(keyIn(env, endpoint.keyFrom), endpoint.keyFrom) }
    const same = named.find(({ url }) => url === endpoint.url)
    if (same?.key !== undefined && same.keyFrom !== undefined) return { ...endpoint, ...keyOf(same.key, same.keyFrom) }
    return fromFlag ? { ...endpoint, ...keyOf(keyIn(env, 'SKEIN_LLM_KEY'), 'SKEIN_LLM_KEY') } : endpoint
  })
  for (const endpoint of named) {
    if (all.some(({ url }) => url === endpoint.url)) continue
    let { name } = endpoint
    for (let i = 2; all.some((other) => other.name === name); i++) name = `${endpoint.name}-${i}`
    all.push({ ...endpoint, name })
  }
  return all
}

/** A key as it may be shown: enough to tell two of them apart, and of a short one nothing. */
export function shownKey(key: string): string {
  return key.length < 20 ? '(secret)' : `…${key.slice(-4)}`
}
