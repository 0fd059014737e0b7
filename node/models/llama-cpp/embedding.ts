/** Texts as vectors of length 1. */
import type { LlamaEmbeddingContext, LlamaModel } from 'node-llama-cpp'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import type { EmbedInput, EmbedOutput } from '../../../protocols/models/schema.ts'

export interface EmbedModel {
  readonly name: string
  readonly contextTokens: number
  readonly model: LlamaModel
  readonly context: LlamaEmbeddingContext
}

/** @throws MeshError `context-overflow`, `bad-input`; the signal's reason, between two texts. */
export async function embedWith({ name, contextTokens, model, context }: EmbedModel, { texts, dimensions }: EmbedInput, signal: AbortSignal): Promise<EmbedOutput> {
  const own = model.embeddingVectorSize
  if (dimensions !== undefined && dimensions > own) throw new MeshError('bad-input', `the vectors of the model "${name}" have ${own} dimensions, not ${dimensions}`, { next: `ask for at most ${own}` })
  // An empty text has no token of its own.
  const edge = model.tokens.bos ?? model.tokens.eos
  const inputs = texts.map((text) => (text === '' && edge !== null ? [edge] : model.tokenize(text)))
  const lengths = inputs.map((tokens) => context.calculateInputLength(tokens))
  for (const [index, length] of lengths.entries()) {
    if (length >= contextTokens) throw new MeshError('context-overflow', `text ${index + 1} has ${length} tokens, the context of the model "${name}" holds ${contextTokens}`, { next: 'split the text' })
  }
  const vectors: string[] = []
  for (const tokens of inputs) {
    signal.throwIfAborted()
    const { vector } = await context.getEmbeddingFor(tokens)
    vectors.push(encodeVector(normalised(vector.slice(0, dimensions ?? own))))
  }
  signal.throwIfAborted()
  const promptTokens = lengths.reduce((sum, length) => sum + length, 0)
  return { model: name, dimensions: dimensions ?? own, vectors, usage: { promptTokens, cachedTokens: 0, completionTokens: 0, costUsd: 0 } }
}

/** A beginning of a vector is shorter than 1 until it is stretched again. What has no direction stays as it is. */
function normalised(vector: readonly number[]): number[] {
  const length = Math.hypot(...vector)
  return length === 0 ? [...vector] : vector.map((value) => value / length)
}

function encodeVector(vector: readonly number[]): string {
  const bytes = Buffer.alloc(vector.length * 4)
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * 4)
  return bytes.toString('base64')
}
