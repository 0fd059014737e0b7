/**
 * A real HTTP server on loopback that speaks OpenAI's protocol and does what a script says: it stands for a paid model, over the real wire.
 *
 * ```ts
 * const server = await startOpenAiServer({
 *   script: rules(
 *     on({ system: 'You plan', promptIncludes: 'compare' }, [say('no JSON at all'), sayJson(plan)]),   // first prose, then a plan
 *     on({ tools: 'repo.report', promptLacks: 'lines' }, callTool('repo.report', { path: '.' })),
 *     on({ toolResult: /lines/ }, ({ toolResult }) => say(`It has ${toolResult}.`)),
 *     on({ model: 'cheap' }, tooMany(2), { times: 1 }),
 *     on({}, say('Yes.')),
 *   ),
 *   tokenMs: 5,
 * })
 * // OPENAI_BASE_URL = server.url, OPENAI_API_KEY = anything
 * …
 * expect(server.chats.map(({ chat }) => chat.user)).toEqual([…])   // what it was asked, in order
 * await server.close()
 * ```
 *
 * - A script is a function of the request and of how many there were (`(request, count) => say('hello')`), a list of rules (`rules(on(…), …)`), or
 *   `inTurn(…)`. What it can do: `say`, `sayJson`, `sayJsonInProse`, `callTool(s)`, `refuse`, `tooMany` (429), `fail` (500), `cut`, `stall`, and the
 *   plain objects of `behaviours.ts`. The script may be changed while the server runs: `server.script = …`.
 * - A request that the script has nothing for is answered with 400 and its own prompt, and stands in `server.unscripted`.
 * - Answers come streamed or whole, as asked. `latencyMs` is the time before the first byte, `tokenMs` that before each further piece (a word).
 *   `max_tokens` cuts an answer after so many pieces, `finish_reason: length`.
 * - `/v1/embeddings` hashes words: texts with words in common are close. `/v1/models` lists `models`. `routes` adds what other servers have beside.
 * - A client may lose the last pieces before a `cut`, as in life. To break a connection when a client has read so much: `stall`, then `server.hangUp()`.
 * - Every request is written down in `server.requests`: path, headers, body, whether the client went away, and how much it had got.
 *
 * Its timers wait as long as they are told; a test that uses them waits for conditions, not for times.
 */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { until } from '../until.ts'
import type { Behaviour, Pace } from './behaviours.ts'
import { embedText } from './embeddings.ts'
import type { RecordedChat, RecordedRequest } from './recorded.ts'
import { inTurn, readChat } from './script.ts'
import type { Script, WireChat } from './script.ts'
import { sendBehaviour } from './send.ts'

export * from './behaviours.ts'
export type { RecordedChat, RecordedRequest } from './recorded.ts'
export { inTurn, on, rules } from './script.ts'
export type { ChatRequest, Match, Rule, Script } from './script.ts'

export interface OpenAiServerOptions extends Pace {
  /** Default: everything is answered with "Hello there, my friend.". */
  readonly script?: Script
  /** Listed at `/v1/models`: names, or entries as a server gives them. Default: `test-model` and `test-embedding`. Any other name is answered with 404. */
  readonly models?: readonly (string | (Readonly<Record<string, unknown>> & { readonly id: string }))[]
  /** Requests without this key are answered with 401, and the key that they had. Default: any will do. */
  readonly apiKey?: string
  /** Of embeddings. Default 64. */
  readonly dimensions?: number
  /** `base64`: in whichever form is asked for. `numbers`: always as numbers. `numbers-only`: asking for base64 is an error. Default `base64`. */
  readonly embeddingForm?: 'base64' | 'numbers' | 'numbers-only'
  /** More routes with their answers in JSON: `{ 'GET /api/v0/models': { data: […] } }`; a function gets the body. */
  readonly routes?: Readonly<Record<string, unknown>>
}

export interface OpenAiServer {
  /** The base of its routes: `http://127.0.0.1:34567/v1`. */
  readonly url: string
  script: Script
  readonly requests: readonly RecordedRequest[]
  readonly chats: readonly RecordedChat[]
  readonly embeddings: readonly RecordedRequest[]
  /** Chats that the script had nothing for. */
  readonly unscripted: readonly RecordedChat[]
  /** Chats that are being answered now. */
  readonly open: number
  /** The most that were answered at the same time. */
  readonly openMost: number
  /** Connections that clients have now. */
  connections(): Promise<number>
  /** @returns the chat of this number (the first is 1), as soon as it has come. */
  chat(number: number): Promise<RecordedChat>
  /** Breaks the connections of all chats that are being answered: with `stall`, whenever a test wants it. */
  hangUp(): void
  /** Forgets what was recorded. */
  forget(): void
  close(): Promise<void>
}

const bodyBytesMax = 64 * 1024 * 1024

export async function startOpenAiServer(options: OpenAiServerOptions = {}): Promise<OpenAiServer> {
  const { models = ['test-model', 'test-embedding'], apiKey, dimensions = 64, embeddingForm = 'base64', routes = {} } = options
  const entries = models.map((model) => ({ object: 'model', created: 1_700_000_000, owned_by: 'test', ...(typeof model === 'string' ? { id: model } : model) }))
  const requests: RecordedRequest[] = []
  const chats: RecordedChat[] = []
  const embeddings: RecordedRequest[] = []
  const unscripted: RecordedChat[] = []
  let script = options.script ?? inTurn({ kind: 'answer', text: 'Hello there, my friend.' })
  let count = 0
  let openMost = 0
  const answering = new Set<ServerResponse>()

  const server = createServer((request, response) => {
    answer(request, response).catch((thrown: unknown) => {
      if (response.headersSent) response.destroy()
      else json(response, 500, { error: { message: `the test server failed: ${String(thrown)}`, type: 'server_error', code: null, param: null } })
    })
  })

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const atMs = performance.now()
    const body = await readBody(request)
    const path = (request.url ?? '/').replace(/\?.*$/, '')
    const recorded: RecordedRequest = { method: request.method ?? '', path, headers: request.headers, body, atMs, status: undefined, piecesSent: 0, abortedAtMs: undefined, isDone: false }
    requests.push(recorded)
    response.on('close', () => {
      recorded.status ??= response.headersSent ? response.statusCode : undefined
      if (!recorded.isDone && !response.writableFinished) recorded.abortedAtMs = performance.now()
      else recorded.isDone = true
    })
    const given = request.headers.authorization ?? ''
    if (apiKey !== undefined && given !== `Bearer ${apiKey}`) {
      return json(response, 401, { error: { message: `Incorrect API key provided: ${given.replace('Bearer ', '')}. You can find your API key at https://platform.openai.com/account/api-keys.`, type: 'invalid_request_error', param: null, code: 'invalid_api_key' } })
    }
    const route = `${recorded.method} ${path}`
    if (Object.hasOwn(routes, route)) {
      const made: unknown = routes[route]
      return json(response, 200, typeof made === 'function' ? (made as (body: unknown) => unknown)(body) : made)
    }
    if (route === 'GET /v1/models') return json(response, 200, { object: 'list', data: entries })
    if (route === 'POST /v1/embeddings') {
      embeddings.push(recorded)
      return embed(body as EmbeddingsBody, response)
    }
    if (route === 'POST /v1/chat/completions') return chat(recorded, body as WireChat, response)
    json(response, 404, { error: { message: `Unknown request URL: ${route}. Please check the URL for typos.`, type: 'invalid_request_error', param: null, code: 'unknown_url' } })
  }

  async function chat(recorded: RecordedRequest, body: WireChat, response: ServerResponse): Promise<void> {
    const recordedChat: RecordedChat = Object.assign(recorded, { chat: readChat(body) })
    chats.push(recordedChat)
    count += 1
    answering.add(response)
    openMost = Math.max(answering.size, openMost)
    response.on('close', () => answering.delete(response))
    if (isUnknown(body.model)) return unknownModel(body.model, response)
    let behaviour: Behaviour | undefined
    let why = 'no rule matches it'
    try {
      behaviour = await script(recordedChat.chat, count)
    } catch (thrown) {
      why = String(thrown)
    }
    if (behaviour === undefined) {
      unscripted.push(recordedChat)
      return json(response, 400, { error: { message: `the script has nothing for this request (${why}): ${recordedChat.chat.prompt.slice(0, 2_000)}`, type: 'unscripted', param: null, code: null } })
    }
    await sendBehaviour(behaviour, { recorded: recordedChat, response, pace: options })
  }

  function isUnknown(model: string | undefined): boolean {
    return !entries.some(({ id }) => id === model)
  }

  function unknownModel(model: string | undefined, response: ServerResponse): void {
    json(response, 404, { error: { message: `The model \`${model}\` does not exist or you do not have access to it.`, type: 'invalid_request_error', param: null, code: 'model_not_found' } })
  }

  function embed(body: EmbeddingsBody, response: ServerResponse): void {
    if (isUnknown(body.model)) return unknownModel(body.model, response)
    if (embeddingForm === 'numbers-only' && body.encoding_format === 'base64') return json(response, 400, { error: { message: "encoding_format 'base64' is not supported", type: 'invalid_request_error', param: 'encoding_format', code: null } })
    const texts = typeof body.input === 'string' ? [body.input] : body.input
    const data = texts.map((text, index) => {
      const vector = embedText(text, body.dimensions ?? dimensions)
      const embedding = body.encoding_format === 'base64' && embeddingForm === 'base64' ? Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64') : [...vector]
      return { object: 'embedding', index, embedding }
    })
    const tokens = Math.ceil(texts.join('').length / 4)
    json(response, 200, { object: 'list', model: body.model, data, usage: { prompt_tokens: tokens, total_tokens: tokens } })
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the test server has no port')

  return {
    url: `http://127.0.0.1:${address.port}/v1`,
    get script() {
      return script
    },
    set script(next) {
      script = next
      count = 0
    },
    requests, chats, embeddings, unscripted,
    get open() {
      return answering.size
    },
    get openMost() {
      return openMost
    },
    connections: () => new Promise((resolve, reject) => server.getConnections((error, connections) => (error === null ? resolve(connections) : reject(error)))),
    chat: (number) => until(() => chats[number - 1], { what: `chat ${number} to come to the test server`, everyMs: 5 }),
    hangUp() {
      for (const response of answering) response.socket?.destroy()
    },
    forget() {
      for (const list of [requests, chats, embeddings, unscripted]) list.length = 0
      count = 0
      openMost = answering.size
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
}

interface EmbeddingsBody {
  readonly model?: string
  readonly input: string | readonly string[]
  readonly encoding_format?: string
  readonly dimensions?: number
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > bodyBytesMax) throw new Error('the request is too large')
    chunks.push(chunk)
  }
  const text = Buffer.concat(chunks).toString('utf8')
  return text === '' ? undefined : (JSON.parse(text) as unknown)
}

function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(value))
}
