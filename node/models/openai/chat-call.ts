/** One answer of a model at an endpoint, from the request to its last piece. */
import type OpenAI from 'openai'
import type * as Streaming from 'openai/streaming'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import type { ChatDelta, ChatInput } from '../../../protocols/models/schema.ts'
import { chatRequest } from './chat-request.ts'
import { buildAnswer } from './chat-stream.ts'
import type { RawAnswer } from './chat-stream.ts'
import { firstDialect, learnFrom } from './dialect.ts'
import type { Dialect } from './dialect.ts'
import { apiError } from './faults.ts'
import type { Line } from './line.ts'

/** Refusals to learn from before one is believed. */
const lessonsMax = 6

/** What was learned of each model. */
export type Dialects = Map<string, Dialect>

export interface ChatCall {
  readonly endpoint: string
  readonly line: Line
  readonly dialects: Dialects
  readonly model: string
  readonly input: ChatInput
  readonly signal: AbortSignal
  readonly onDelta: (delta: ChatDelta) => void
}

/** An answer that broke off: what had come of it was computed, and is charged. */
export class BrokenAnswer extends Error {
  readonly why: MeshError
  readonly soFar: RawAnswer

  constructor(why: MeshError, soFar: RawAnswer) {
    super(why.message)
    this.why = why
    this.soFar = soFar
  }
}

/** Looks at no schema. @throws BrokenAnswer when some of the answer had come, otherwise MeshError as `LlmProvider.chat`. */
export async function chatOnce({ endpoint, line, dialects, model, input, signal, onDelta }: ChatCall): Promise<RawAnswer> {
  const client = await line.client()
  let builder = buildAnswer(endpoint, onDelta)
  const answer = line.request(line.context(signal, model), async () => {
    builder = buildAnswer(endpoint, onDelta)
    // Ends the request when its answer is not read to its end.
    const leaving = new AbortController()
    let isRead = false
    try {
      const response = await ask(client, dialects, model, input, AbortSignal.any([signal, leaving.signal]))
      const type = response.headers.get('content-type') ?? ''
      // A server that streams nothing.
      if (/^application\/json/i.test(type)) builder.add(await response.json())
      else if (/^text\/html/i.test(type)) throw new MeshError('provider-failed', `what answers as the endpoint ${endpoint} is a web page`, { retryable: false, next: 'check its address: it usually ends in /v1' })
      else for await (const piece of await pieces(response, leaving, client)) builder.add(piece)
      isRead = true
      return builder.end()
    } finally {
      // An abort of what has ended costs as much as one of what has not.
      if (!isRead) leaving.abort()
    }
  }, () => builder.hasBegun())
  return answer.catch((thrown: unknown) => {
    throw thrown instanceof MeshError && builder.hasBegun() ? new BrokenAnswer(thrown, builder.soFar()) : thrown
  })
}

/** Looked up once: even of a module that is loaded an import takes its time. */
let streaming: Promise<typeof Streaming> | undefined

async function pieces(response: Response, leaving: AbortController, client: OpenAI): Promise<AsyncIterable<unknown>> {
  const { Stream } = await (streaming ??= import('openai/streaming'))
  return Stream.fromSSEResponse<unknown>(response, leaving, client)
}

/** Asks, and asks otherwise when the endpoint does not like how it was asked. */
async function ask(client: OpenAI, dialects: Dialects, model: string, input: ChatInput, signal: AbortSignal): Promise<Response> {
  let dialect = dialects.get(model) ?? firstDialect(model)
  for (let lessons = 0; ; lessons++) {
    try {
      return await client.chat.completions.create(chatRequest(model, input, dialect), { signal }).asResponse()
    } catch (thrown) {
      const refusal = apiError(thrown)
      const lesson = refusal === undefined || lessons >= lessonsMax ? undefined : learnFrom(refusal, dialect)
      if (lesson === undefined) throw thrown
      dialect = lesson.dialect
      if (lesson.lasts) dialects.set(model, dialect)
    }
  }
}
