/** `POST /v1/embeddings`. */
import type { ServerResponse } from 'node:http'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { z } from 'zod'
import type { Invoked } from '../../../actors/mesh-api.ts'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import type { Principal } from '../../../protocols/kernel/ids.ts'
import { limits as meshLimits } from '../../../protocols/kernel/limits.ts'
import { embedCapability, EmbedInput, EmbedOutput } from '../../../protocols/models/schema.ts'
import { written } from '../answer.ts'
import type { BridgeParts } from '../parts.ts'
import type { BridgeContext } from '../route-table.ts'
import { checkedOutput, Provenance, provenanceOf } from './chat-answer.ts'
import { modelNamed } from './chat-request.ts'
import { ClientGone, clientSignal, invokeModel, modelTimeMsMax, nobodyAnswered } from './invoking.ts'
import { refused, refusedBody } from './refusal.ts'

const Text = z.string().min(1, 'an empty text has no embedding')

export const EmbeddingRequest = z.object({
  model: z.string().max(256).nullish().describe('A name of `GET /v1/models`. `auto`, empty or absent: any that embeds. Vectors of different models cannot be compared.'),
  input: z.union([Text, z.array(Text).min(1).max(meshLimits.embedTextsMax)], { error: `is neither a text nor a list of 1 to ${meshLimits.embedTextsMax} texts, none of them empty` }),
  encoding_format: z.enum(['float', 'base64']).nullish().describe('Default `float`. base64: of float32 values, little-endian.'),
  dimensions: EmbedInput.shape.dimensions.nullable(),
  user: z.unknown().optional().describe('Taken and ignored.'),
}).strict()

export const EmbeddingList = z.object({
  object: z.literal('list'),
  data: z.array(z.object({ object: z.literal('embedding'), index: z.number().int(), embedding: z.union([z.array(z.number()), z.string()]) })),
  model: z.string(),
  usage: z.object({ prompt_tokens: z.number().int(), total_tokens: z.number().int() }),
  skein: Provenance,
})
export type EmbeddingList = z.infer<typeof EmbeddingList>

interface EmbedAsked {
  readonly input: EmbedInput
  readonly model: string | undefined
  readonly format: 'float' | 'base64'
}

/** @throws HttpFault 400 that names the parameter. */
export function embedAsked(document: unknown): EmbedAsked {
  if (typeof document === 'object' && document !== null && 'input' in document && Array.isArray(document.input) && document.input.some((part) => typeof part === 'number' || Array.isArray(part))) {
    throw refused('input', 'tokens cannot be embedded: every model of the mesh has its own', { code: 'unsupported_value', next: 'send the text, not its tokens (LangChain: check_embedding_ctx_length=False)' })
  }
  const parsed = EmbeddingRequest.safeParse(document)
  if (!parsed.success) throw refusedBody(parsed.error)
  const { input, encoding_format: format, dimensions } = parsed.data
  const model = modelNamed(parsed.data.model)
  return {
    input: { ...(model === undefined ? {} : { model }), texts: typeof input === 'string' ? [input] : input, ...(typeof dimensions === 'number' ? { dimensions } : {}) },
    model,
    format: format ?? 'float',
  }
}

export async function answerEmbeddings({ mesh, limits }: BridgeParts, c: BridgeContext, principal: Principal, { input, model, format }: EmbedAsked): Promise<Response> {
  const outgoing = c.env.outgoing as ServerResponse
  outgoing.setTimeout(modelTimeMsMax + limits.stallMs)
  const signal = clientSignal(outgoing)
  try {
    const invoked = await invokeModel(mesh, { capability: embedCapability, model, input, principal, signal })
    const output = checkedOutput(EmbedOutput, invoked)
    if (output.vectors.length !== input.texts.length) throw new MeshError('bad-output', `${invoked.by.name} answered ${output.vectors.length} vectors to ${input.texts.length} texts`, { next: 'ask again, or name another model' })
    await write(outgoing, piecesOf(invoked, output, format), signal)
    return written(200)
  } catch (thrown) {
    if (thrown instanceof ClientGone) return nobodyAnswered()
    throw thrown
  }
}

/** An EmbeddingList as text, a vector at a time. */
function* piecesOf(invoked: Invoked, { vectors, model, usage, cached }: EmbedOutput, format: 'float' | 'base64'): Generator<string> {
  yield '{"object":"list","data":['
  for (const [index, vector] of vectors.entries()) {
    yield `${index === 0 ? '' : ','}{"object":"embedding","index":${index},"embedding":${JSON.stringify(format === 'base64' ? vector : floatsOf(vector))}}`
  }
  const rest: Omit<EmbeddingList, 'object' | 'data'> = { model, usage: { prompt_tokens: usage.promptTokens, total_tokens: usage.promptTokens }, skein: provenanceOf(invoked, cached) }
  yield `],${JSON.stringify(rest).slice(1)}`
}

function floatsOf(vector: string): number[] {
  const bytes = Buffer.from(vector, 'base64')
  return Array.from({ length: Math.floor(bytes.byteLength / 4) }, (_, at) => bytes.readFloatLE(at * 4))
}

/** Thousands of vectors are megabytes of text: the loop is let go in between, and a slow client waited for. */
const pieceLength = 128 * 1024

async function write(outgoing: ServerResponse, pieces: Iterable<string>, signal: AbortSignal): Promise<void> {
  outgoing.statusCode = 200
  outgoing.setHeader('content-type', 'application/json')
  let text = ''
  for (const piece of pieces) {
    text += piece
    if (text.length < pieceLength) continue
    if (outgoing.write(text)) await nextTurn()
    else await drained(outgoing, signal)
    if (signal.aborted) throw signal.reason
    text = ''
  }
  outgoing.end(text)
}

function drained(outgoing: ServerResponse, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      outgoing.off('drain', done)
      signal.removeEventListener('abort', done)
      resolve()
    }
    outgoing.on('drain', done)
    signal.addEventListener('abort', done)
    if (signal.aborted) done()
  })
}
