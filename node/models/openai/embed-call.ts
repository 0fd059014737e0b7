/** Embeddings of many texts: in batches that every endpoint takes, in whichever form it gives them. */
import { z } from 'zod'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import type { EmbedInput } from '../../../protocols/models/schema.ts'
import { apiError } from './faults.ts'
import type { Line } from './line.ts'
import { readVector } from './vectors.ts'

const batchTextsMax = 256
/** Well within the 300,000 tokens that OpenAI takes in one request. */
const batchCharsMax = 400_000

const Answer = z.object({
  data: z.array(z.object({ index: z.number().int().min(0).nullish(), embedding: z.unknown() })),
  usage: z.object({ prompt_tokens: z.number().int().min(0).nullish() }).nullish(),
})

export interface EmbedCall {
  readonly endpoint: string
  readonly line: Line
  /** Models that want no base64. */
  readonly numbersOnly: Set<string>
  readonly model: string
  readonly input: EmbedInput
  readonly signal: AbortSignal
}

export interface Embedded {
  readonly dimensions: number
  /** Base64 of float32 values, little-endian; in the order of the texts. */
  readonly vectors: readonly string[]
  /** Undefined: the endpoint did not say. */
  readonly promptTokens: number | undefined
}

/** @throws MeshError as `LlmProvider.embed`. */
export async function embedAll(call: EmbedCall): Promise<Embedded> {
  const vectors: string[] = []
  let dimensions: number | undefined
  let promptTokens: number | undefined = 0
  for (const texts of batches(call.input.texts)) {
    const answer = await embedBatch(call, texts)
    const told = answer.usage?.prompt_tokens ?? undefined
    promptTokens = promptTokens === undefined || told === undefined ? undefined : promptTokens + told
    if (answer.data.length !== texts.length) throw new MeshError('provider-failed', `the endpoint ${call.endpoint} sent ${answer.data.length} embeddings of ${texts.length} texts`, { retryable: false })
    const sorted = answer.data.map((entry, i) => ({ at: entry.index ?? i, embedding: entry.embedding })).sort((left, right) => left.at - right.at)
    for (const { embedding } of sorted) {
      const vector = readVector(embedding, call.endpoint)
      dimensions ??= vector.dimensions
      if (vector.dimensions !== dimensions) throw new MeshError('provider-failed', `the endpoint ${call.endpoint} sent embeddings of ${dimensions} and of ${vector.dimensions} dimensions`, { retryable: false })
      vectors.push(vector.base64)
    }
  }
  return { dimensions: dimensions ?? 1, vectors, promptTokens }
}

function* batches(texts: readonly string[]): Iterable<string[]> {
  let batch: string[] = []
  let chars = 0
  for (const text of texts) {
    if (batch.length > 0 && (batch.length >= batchTextsMax || chars + text.length > batchCharsMax)) {
      yield batch
      batch = []
      chars = 0
    }
    batch.push(text)
    chars += text.length
  }
  if (batch.length > 0) yield batch
}

async function embedBatch({ endpoint, line, numbersOnly, model, input, signal }: EmbedCall, texts: string[]): Promise<z.infer<typeof Answer>> {
  const client = await line.client()
  const { dimensions } = input
  const ask = async (format: 'base64' | 'float'): Promise<unknown> =>
    client.post('/embeddings', { body: { model, input: texts, encoding_format: format, ...(dimensions === undefined ? {} : { dimensions }) }, signal })
  return line.request(line.context(signal, model), async () => {
    let answer: unknown
    try {
      answer = await ask(numbersOnly.has(model) ? 'float' : 'base64')
    } catch (thrown) {
      const refusal = apiError(thrown)
      const isAboutFormat = refusal !== undefined && (refusal.status === 400 || refusal.status === 422) && /encoding_format|base64/.test(`${refusal.param ?? ''} ${refusal.message}`)
      if (!isAboutFormat || numbersOnly.has(model)) throw thrown
      numbersOnly.add(model)
      answer = await ask('float')
    }
    const read = Answer.safeParse(answer)
    if (!read.success) throw new MeshError('provider-failed', `the endpoint ${endpoint} sent no embeddings: ${read.error.issues.slice(0, 3).map(({ path, message }) => `${path.map(String).join('.')}: ${message}`).join('; ')}`, { retryable: false })
    return read.data
  }, () => false)
}
