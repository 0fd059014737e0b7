/** Reads the documents of one part and finds the passages that fit the question. */
import { fileBytes } from '../../folders/file-bytes.ts'
import type { SkillContext } from '../define-skill.ts'
import { MeshError } from '../define-skill.ts'
import type { SliceFile } from '../repo-report/schema.ts'
import { toFault } from '../../../protocols/kernel/errors.ts'
import { UnreadableDocument } from './documents/document.ts'
import type { ReadDocument } from './documents/document.ts'
import { readDocument } from './documents/read-document.ts'
import { createEmbedder } from './embed.ts'
import type { Embedder } from './embed.ts'
import { passagesOf } from './passages.ts'
import { chooseCandidates } from './rank.ts'
import { readSlice } from './read-folder.ts'
import { docsBounds } from './schema.ts'
import type { Passage, Problem, SearchInput, SearchOutput } from './schema.ts'

/** Passages in memory before the best of them are chosen and the others forgotten. */
const poolMax = 2_000

/** One pack and a bounded number of passages in memory at a time. */
export async function searchPart(input: SearchInput, context: SkillContext): Promise<SearchOutput> {
  const { files } = await readSlice(input.slice, context)
  const search = new PartSearch(input, context)
  let packIndex = -1
  let pack: Uint8Array = new Uint8Array(0)
  const inOrder = [...files].sort((left, right) => left.pack - right.pack || left.offset - right.offset || (left.path < right.path ? -1 : 1))
  for (const [index, file] of inOrder.entries()) {
    const pulse = (): void => context.progress(index / inOrder.length, file.path)
    pulse()
    if (file.headBytes !== undefined) {
      search.problem(file.path, `it has ${Math.round(file.sizeBytes / 1024 / 1024)} MiB, too much to be sent whole`)
      continue
    }
    if (file.pack !== packIndex) {
      pack = await readPack(input, file, context)
      packIndex = file.pack
    }
    const document = await read(file, fileBytes(pack, file), pulse)
    if ('problem' in document) search.problem(file.path, document.problem)
    else await search.add(file.path, document)
  }
  return search.end()
}

function readPack(input: SearchInput, file: SliceFile, context: SkillContext): Promise<Uint8Array> {
  const ref = input.packs[file.pack]
  if (ref === undefined) throw new MeshError('bad-input', `the pack of ${file.path} is not among the task's packs`, { next: 'submit docs.answer, which makes these tasks itself' })
  return context.blobs.read(ref)
}

/** One document that cannot be read, for whatever reason, leaves the others to be read. */
async function read(file: SliceFile, bytes: Uint8Array, pulse: () => void): Promise<ReadDocument | { problem: string }> {
  try {
    return await readDocument(file.path, bytes, pulse)
  } catch (thrown) {
    if (thrown instanceof UnreadableDocument) return { problem: thrown.message }
    return { problem: `it could not be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`.slice(0, 300) }
  }
}

class PartSearch {
  readonly #input: SearchInput
  readonly #context: SkillContext
  readonly #output: { documents: number; passages: number; words: number; documentFrequencies: number[]; problems: Problem[]; problemsTotal: number; notes: string[]; embeddedPassages: number }
  #embedder: Embedder | undefined
  #kept: Passage[] = []
  #pool: Passage[] = []

  constructor(input: SearchInput, context: SkillContext) {
    this.#input = input
    this.#context = context
    this.#embedder = input.embedModel === undefined ? undefined : createEmbedder(input.question, input.embedModel, context)
    this.#output = { documents: 0, passages: 0, words: 0, documentFrequencies: input.terms.map(() => 0), problems: [], problemsTotal: 0, notes: [], embeddedPassages: 0 }
  }

  problem(path: string, reason: string): void {
    this.#output.problemsTotal++
    if (this.#output.problems.length < docsBounds.problemsMax) this.#output.problems.push({ path, reason: reason.slice(0, 300) })
  }

  async add(path: string, document: ReadDocument): Promise<void> {
    const { passages, cut } = passagesOf(path, document.blocks, this.#input.terms)
    const output = this.#output
    output.documents++
    for (const note of document.notes) this.problem(path, note)
    if (cut) this.problem(path, `only its first ${docsBounds.passagesPerDocumentMax} passages were searched`)
    output.passages += passages.length
    for (const passage of passages) {
      output.words += passage.words
      for (const [term, count] of passage.counts.entries()) if (count > 0) output.documentFrequencies[term] = (output.documentFrequencies[term] ?? 0) + 1
      this.#pool.push(passage)
      if (this.#pool.length >= poolMax) await this.#choose()
    }
  }

  async end(): Promise<SearchOutput> {
    await this.#choose()
    this.#context.progress(1, `${this.#output.documents} documents searched`)
    return { ...this.#output, candidates: this.#kept }
  }

  async #choose(): Promise<void> {
    const terms = this.#input.terms.length
    this.#kept = chooseCandidates([...this.#kept, ...(await this.#compared(this.#pool))], terms)
    this.#pool = []
  }

  /** With their nearness in meaning, as long as that works and is not too much. */
  async #compared(passages: readonly Passage[]): Promise<readonly Passage[]> {
    if (this.#embedder === undefined || passages.length === 0) return passages
    const all = this.#output.embeddedPassages + passages.length <= docsBounds.embeddedMax
    const chosen = all ? passages : chooseCandidates(passages, this.#input.terms.length)
    if (!all) this.#note(`of the ${this.#output.passages} passages of ${this.#input.label}, those without any word of the question were not all compared by meaning`)
    try {
      const compared = await this.#embedder.compare(chosen)
      this.#output.embeddedPassages += compared.length
      return compared
    } catch (thrown) {
      const fault = toFault(thrown, 'skill-failed')
      if (fault.code === 'cancelled') throw thrown
      this.#embedder = undefined
      this.#note(`meanings were not compared in ${this.#input.label}: ${fault.detail}`)
      return passages
    }
  }

  #note(text: string): void {
    const notes = this.#output.notes
    const kept = text.slice(0, 500)
    // The numbers in it grow: only the last word counts.
    const known = notes.findIndex((note) => note.replace(/\d+/g, '') === kept.replace(/\d+/g, ''))
    if (known >= 0) notes[known] = kept
    else if (notes.length < docsBounds.notesMax) notes.push(kept)
  }
}
