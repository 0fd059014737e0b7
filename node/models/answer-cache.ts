/**
 * Answers that were given before, in memory, the least recently used forgotten first. Only for whoever opted in (`modelCache` of the configuration), and visible
 * as such: `cached` of the answer says how it was found, and its usage is nothing.
 *
 * - exact: the same model and the same input. Of chats only those that ask for no chance, by temperature 0 or a seed: whoever leaves that open asks for
 *   an answer, not for the answer.
 * - similar: a chat that differs from an earlier one in the text of its last message alone, a user's, and means about the same by the cosine of their embeddings.
 *
 * Whose answer it was counts as well: nobody is given what somebody else's question has brought to light.
 */
import { canonicalJson, digestOfText } from '../../protocols/kernel/hashing.ts'
import type { Principal } from '../../protocols/kernel/ids.ts'
import { type Cached, type ChatInput, type ChatOutput, chatCapability, type EmbedInput, type EmbedOutput, embedCapability, noUsage } from '../../protocols/models/schema.ts'

export interface AnswerCacheSettings {
  readonly chat: { readonly exact: boolean; /** Cosine from which on two texts mean the same; 0: none do. */ readonly similar: number }
  readonly embed: { readonly exact: boolean }
  readonly bytesMax: number
}

/** What was found, and where a new answer goes. */
export interface CacheEntry<Output> {
  readonly found: Output | undefined
  keep(output: Output): void
}

export interface AnswerCache {
  /** @param embed the vector of a text; undefined when there is none to be had. */
  chat(model: string, input: ChatInput, principal: Principal, embed: (text: string) => Promise<Float32Array | undefined>): Promise<CacheEntry<ChatOutput>>
  embed(model: string, input: EmbedInput, principal: Principal): CacheEntry<EmbedOutput>
  usage(): { readonly entries: number; readonly bytes: number }
}

interface Kept {
  readonly output: ChatOutput | EmbedOutput
  readonly bytes: number
  readonly shelf?: string
  /** Of length 1. */
  readonly vector?: Float32Array
}

/** Chats that differ in their last message alone, of which each is compared with a new one. */
const comparedMax = 1_000
/** Of an entry beside its text. */
const entryBytes = 512

export function createAnswerCache(settings: AnswerCacheSettings): AnswerCache {
  // In the order of their last use.
  const kept = new Map<string, Kept>()
  const shelves = new Map<string, Set<string>>()
  let bytes = 0

  function forget(key: string): void {
    const entry = kept.get(key)
    if (entry === undefined) return
    kept.delete(key)
    bytes -= entry.bytes
    const shelf = entry.shelf === undefined ? undefined : shelves.get(entry.shelf)
    shelf?.delete(key)
    if (shelf?.size === 0 && entry.shelf !== undefined) shelves.delete(entry.shelf)
  }

  function use(key: string): Kept | undefined {
    const entry = kept.get(key)
    if (entry === undefined) return undefined
    kept.delete(key)
    kept.set(key, entry)
    return entry
  }

  function keep(key: string, output: Kept['output'], near?: { readonly shelf: string; readonly vector: Float32Array }): void {
    forget(key)
    const size = entryBytes + 2 * JSON.stringify(output).length + (near === undefined ? 0 : near.vector.byteLength)
    if (size > settings.bytesMax) return
    kept.set(key, { output, bytes: size, ...near })
    bytes += size
    if (near !== undefined) {
      const shelf = shelves.get(near.shelf) ?? new Set()
      shelf.add(key)
      shelves.set(near.shelf, shelf)
      if (shelf.size > comparedMax) for (const oldest of shelf) {
        forget(oldest)
        break
      }
    }
    for (const oldest of kept.keys()) {
      if (bytes <= settings.bytesMax) break
      forget(oldest)
    }
  }

  function nearest(shelf: string, vector: Float32Array): string | undefined {
    let best: string | undefined
    let bestCosine = settings.chat.similar
    for (const key of shelves.get(shelf) ?? []) {
      const other = kept.get(key)?.vector
      const cosine = other === undefined ? -1 : dot(vector, other)
      if (cosine < bestCosine) continue
      best = key
      bestCosine = cosine
    }
    return best
  }

  return {
    async chat(model, input, principal, embed) {
      const nothing = { found: undefined, keep: () => undefined }
      const { exact, similar } = settings.chat
      if ((!exact && similar === 0) || !asksForNoChance(input)) return nothing
      const key = digestOfText(canonicalJson([chatCapability, principal, { ...input, model }]))
      const same = exact ? use(key) : undefined
      if (same !== undefined) return { ...nothing, found: again(same.output as ChatOutput, 'exact') }
      const last = input.messages.at(-1)
      const isComparable = similar > 0 && last?.role === 'user'
      const vector = isComparable ? unit(await embed(last.content)) : undefined
      const near = vector === undefined ? undefined : { shelf: digestOfText(canonicalJson([principal, { ...input, model, messages: input.messages.slice(0, -1) }])), vector }
      const alike = near === undefined ? undefined : nearest(near.shelf, near.vector)
      const found = alike === undefined ? undefined : use(alike)
      if (found !== undefined) return { ...nothing, found: again(found.output as ChatOutput, 'similar') }
      return {
        found: undefined,
        keep(output) {
          if (output.finish === 'filter') return
          // What was cut off fits nothing but itself.
          const comparable = output.finish === 'length' ? undefined : near
          if (exact || comparable !== undefined) keep(key, output, comparable)
        },
      }
    },
    embed(model, input, principal) {
      if (!settings.embed.exact) return { found: undefined, keep: () => undefined }
      const key = digestOfText(canonicalJson([embedCapability, principal, { ...input, model }]))
      const same = use(key)
      return { found: same === undefined ? undefined : again(same.output as EmbedOutput, 'exact'), keep: (output) => keep(key, output) }
    },
    usage: () => ({ entries: kept.size, bytes }),
  }
}

function asksForNoChance({ temperature, seed }: ChatInput): boolean {
  return temperature === 0 || seed !== undefined
}

function again<Output extends ChatOutput | EmbedOutput>(output: Output, cached: Cached): Output {
  return { ...output, usage: noUsage, cached }
}

function unit(vector: Float32Array | undefined): Float32Array | undefined {
  const length = vector === undefined ? 0 : Math.sqrt(dot(vector, vector))
  return vector === undefined || length === 0 || !Number.isFinite(length) ? undefined : vector.map((value) => value / length)
}

/** Vectors of different lengths are of different models, and unlike. */
function dot(left: Float32Array, right: Float32Array): number {
  if (left.length !== right.length) return -1
  let sum = 0
  for (let i = 0; i < left.length; i++) sum += (left[i] ?? 0) * (right[i] ?? 0)
  return sum
}

/** A vector of an `EmbedOutput`. */
export function vectorOf(base64: string): Float32Array {
  const bytes = Buffer.from(base64, 'base64')
  const vector = new Float32Array(bytes.byteLength >> 2)
  for (let i = 0; i < vector.length; i++) vector[i] = bytes.readFloatLE(4 * i)
  return vector
}
