/** What the skills of an answer are, without how they do it: see `repo-report/declarations.ts`. `skills.ts` adds the code. */
import { z } from 'zod'
import { BlobRef } from '../../../protocols/kernel/payload.ts'
import { ModelName } from '../../../protocols/models/schema.ts'
import { FolderRef } from '../../folders/schema.ts'
import { Citation, SearchInput, SearchOutput, docsBounds } from './schema.ts'

const version = '1.0'
const MiB = 1024 * 1024

export const AnswerInput = z.object({
  folder: FolderRef,
  question: z.string().trim().min(1).max(docsBounds.questionCharsMax),
  /** Who writes the answer: `extracted` quotes the documents and asks no model; `model` fails without one; `auto` takes a model if there is one. */
  write: z.enum(['auto', 'model', 'extracted']).default('auto'),
  /** Which chat model writes. Default: any that the mesh has. */
  model: ModelName.optional(),
  /** Compare meanings too, where the mesh has an embedding model. Without, only words count. */
  embeddings: z.boolean().default(true),
  /** How many passages the answer is made from. */
  passagesMax: z.number().int().min(1).max(100).default(12),
}).strict()
export type AnswerInput = z.infer<typeof AnswerInput>

export const AnswerOutput = z.object({
  /** Text with citations: `[2]` is the second entry of `citations`. */
  answer: z.string(),
  /** False when the documents do not say. */
  answered: z.boolean(),
  written: z.enum(['model', 'extracted']),
  citations: z.array(Citation).max(docsBounds.citationsMax),
  /** The model that wrote it. */
  model: z.string().optional(),
  /** What was left out, could not be read, or should make a reader careful. */
  notes: z.array(z.string()).max(docsBounds.notesMax),
  /** Answer, sources and notes as a few lines of text. */
  summary: z.string(),
  markdown: BlobRef,
})
export type AnswerOutput = z.infer<typeof AnswerOutput>

/** In the order in which `skills.ts` has them. */
export const declared = {
  answer: {
    kind: 'composite',
    capability: 'docs.answer',
    version,
    summary: 'Answers a question from a folder of documents (Markdown, text, HTML, PDF, CSV, XLSX), with citations to file and line; a model writes the answer where there is one.',
    effects: 'none',
    limits: { timeMs: 20 * 60_000, memoryBytes: 512 * MiB },
    input: AnswerInput,
    output: AnswerOutput,
  },
  search: {
    kind: 'leaf',
    capability: 'docs.search',
    version,
    summary: 'Reads documents and finds the passages that fit a question, by words and, with an embedding model, by meaning. Part of docs.answer.',
    effects: 'none',
    limits: { timeMs: 10 * 60_000, memoryBytes: 768 * MiB },
    input: SearchInput,
    output: SearchOutput,
  },
} as const
