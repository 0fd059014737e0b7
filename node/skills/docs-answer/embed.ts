/** Meanings as vectors, from an embedding model of the mesh. */
import type { Json } from '../../../protocols/kernel/payload.ts'
import { EmbedOutput, embedCapability } from '../../../protocols/models/schema.ts'
import type { SkillContext } from '../define-skill.ts'
import { MeshError } from '../define-skill.ts'
import type { Passage } from './schema.ts'

const textsPerCall = 64
const callsAtOnce = 4
const embeddedCharsMax = 2_000

export interface Embedder {
  /** The passages with their nearness to the question. @throws MeshError what the calls throw. */
  compare(passages: readonly Passage[]): Promise<Passage[]>
}

/** @param label tells the calls of one task apart. */
export function createEmbedder(question: string, model: string, context: SkillContext): Embedder {
  let asked = 0
  let ofQuestion: Promise<Float32Array> | undefined

  async function embed(texts: readonly string[]): Promise<Float32Array[]> {
    const input: Json = { model, texts: [...texts] }
    const { output } = await context.call(embedCapability, input, { attributes: { model }, signal: context.signal, key: `embed-${++asked}` })
    const { vectors, dimensions } = EmbedOutput.parse(output)
    if (vectors.length !== texts.length) throw new MeshError('bad-output', `${model} gave ${vectors.length} vectors for ${texts.length} texts`, { next: 'use another embedding model' })
    return vectors.map((vector) => vectorOf(vector, dimensions))
  }

  return {
    async compare(passages) {
      const wanted = await (ofQuestion ??= embed([question]).then(([vector]) => vector ?? new Float32Array()))
      const batches: (readonly Passage[])[] = []
      for (let at = 0; at < passages.length; at += textsPerCall) batches.push(passages.slice(at, at + textsPerCall))
      const compared: Passage[] = []
      for (let at = 0; at < batches.length; at += callsAtOnce) {
        const vectors = await Promise.all(batches.slice(at, at + callsAtOnce).map((batch) => embed(batch.map(embeddedText))))
        for (const [index, batch] of batches.slice(at, at + callsAtOnce).entries()) {
          for (const [place, passage] of batch.entries()) {
            const vector = vectors[index]?.[place]
            compared.push(vector === undefined ? passage : { ...passage, cosine: cosine(wanted, vector) })
          }
        }
      }
      return compared
    },
  }
}

function embeddedText(passage: Passage): string {
  return [passage.headings.join(' > '), ...passage.units.map((unit) => unit.text)].filter((text) => text !== '').join('\n').slice(0, embeddedCharsMax)
}

function vectorOf(base64: string, dimensions: number): Float32Array {
  const bytes = Buffer.from(base64, 'base64')
  if (bytes.byteLength !== dimensions * 4) throw new MeshError('bad-output', `an embedding of ${dimensions} dimensions has ${bytes.byteLength} bytes`, { next: 'use another embedding model' })
  return Float32Array.from({ length: dimensions }, (_, index) => bytes.readFloatLE(index * 4))
}

function cosine(left: Float32Array, right: Float32Array): number {
  if (left.length !== right.length) return 0
  let product = 0
  let leftLength = 0
  let rightLength = 0
  for (const [index, value] of left.entries()) {
    const other = right[index] ?? 0
    product += value * other
    leftLength += value * value
    rightLength += other * other
  }
  const length = Math.sqrt(leftLength * rightLength)
  return length > 0 ? Math.max(-1, Math.min(1, product / length)) : 0
}
