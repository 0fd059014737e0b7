/** What the tasks of an answer say to each other. Every list is bounded; counts are whole numbers, so parts add up to the same in any grouping. */
import { z } from 'zod'
import { BlobRef } from '../../../protocols/kernel/payload.ts'
import { ModelName } from '../../../protocols/models/schema.ts'
import { RelativePath } from '../../folders/schema.ts'

const MiB = 1024 * 1024

export const docsBounds = Object.freeze({
  questionCharsMax: 4_000,
  /** Different words of a question that count. */
  termsMax: 32,
  /** Of one document, as text; the rest is named in the notes. */
  documentCharsMax: 8 * MiB,
  pdfPagesMax: 2_000,
  pdfTimeMsMax: 60_000,
  /** All streams of one PDF together, and all entries of one workbook, unpacked. */
  unpackedBytesMax: 128 * MiB,
  rowsMax: 100_000,
  /** Of the elements of HTML and XML. */
  nestingMax: 2_000,
  cellsPerRowMax: 256,
  passagesPerDocumentMax: 20_000,
  /** What one part hands up: the passages that have most of the question, most of each of its words, and those nearest in meaning. */
  coveringMax: 60,
  perTermMax: 12,
  nearestMax: 40,
  /** A part embeds no more passages than this: those with words of the question first. */
  embeddedMax: 4_000,
  problemsMax: 200,
  notesMax: 100,
  citationsMax: 100,
})

const count = z.number().int().min(0)
const lineNumber = z.number().int().min(1)

/** Where something stands in its document: lines of the source, a page, or cells of a sheet. */
export const Place = z.union([
  z.object({ lines: z.tuple([lineNumber, lineNumber]) }).strict(),
  z.object({ page: z.number().int().min(1) }).strict(),
  z.object({ sheet: z.string().max(256), range: z.string().max(64) }).strict(),
])
export type Place = z.infer<typeof Place>

/** A paragraph, a row, a list item, or a piece of one. `prose`: its lines are wrapped sentences; `lines`: each line stands for itself. */
export const Unit = z.object({ kind: z.enum(['prose', 'lines']), text: z.string(), place: Place })
export type Unit = z.infer<typeof Unit>

/** A few neighbouring units of one document: what is searched, scored and shown to a model. */
export const Passage = z.object({
  file: RelativePath,
  /** Among the passages of its document, from 0. */
  number: count,
  /** The headings it stands under, outermost first. */
  headings: z.array(z.string()).max(8),
  units: z.array(Unit).min(1),
  /** Its length in words, headings included. */
  words: count,
  /** How often it has each of the question's terms, in their order. */
  counts: z.array(count).max(docsBounds.termsMax),
  /** How near it is to the question in meaning, in [-1,1]; absent when it was not embedded. */
  cosine: z.number().min(-1.001).max(1.001).optional(),
})
export type Passage = z.infer<typeof Passage>

/** A word of the question as it is looked for, and as it was written. */
export const Term = z.object({ stem: z.string().min(1).max(128), word: z.string().max(256) })
export type Term = z.infer<typeof Term>

/** Input of `docs.search`. */
export const SearchInput = z.object({
  packs: z.array(BlobRef).max(4_096),
  /** The list of files: a `Slice` of `repo-report/schema.ts`. */
  slice: BlobRef,
  /** For people: `part 3 of 12`. */
  label: z.string().max(128),
  question: z.string().min(1).max(docsBounds.questionCharsMax),
  terms: z.array(Term).max(docsBounds.termsMax),
  /** Which model of `llm.embed` compares meanings; absent: words only. */
  embedModel: ModelName.optional(),
})
export type SearchInput = z.infer<typeof SearchInput>

export const Problem = z.object({ path: z.string(), reason: z.string().max(300) })
export type Problem = z.infer<typeof Problem>

/** Output of `docs.search`. Numbers are of all passages of the part, not only of those handed up. */
export const SearchOutput = z.object({
  documents: count,
  passages: count,
  words: count,
  /** In how many passages each term stands. */
  documentFrequencies: z.array(count).max(docsBounds.termsMax),
  /** In no order that means anything. */
  candidates: z.array(Passage),
  /** Documents that were not read, or not wholly. */
  problems: z.array(Problem).max(docsBounds.problemsMax),
  problemsTotal: count,
  notes: z.array(z.string()).max(docsBounds.notesMax),
  embeddedPassages: count,
})
export type SearchOutput = z.infer<typeof SearchOutput>

/** Where the answer has something from. Of `lines`, `page` and `sheet` with `range` there is exactly one. */
export const Citation = z.object({
  file: RelativePath,
  lines: z.tuple([lineNumber, lineNumber]).optional(),
  page: z.number().int().min(1).optional(),
  sheet: z.string().optional(),
  range: z.string().optional(),
  /** As it stands there, white space aside. */
  quote: z.string(),
  /** In [0,1]: how well the passage fits the question, against the best that a passage could. */
  score: z.number().min(0).max(1),
})
export type Citation = z.infer<typeof Citation>

/** `lines 3-5`, `page 2`, `Prices!A2:C2`. */
export function placeText(place: Place | Citation): string {
  if ('lines' in place && place.lines !== undefined) return place.lines[0] === place.lines[1] ? `line ${place.lines[0]}` : `lines ${place.lines[0]}-${place.lines[1]}`
  if ('page' in place && place.page !== undefined) return `page ${place.page}`
  if ('sheet' in place && place.sheet !== undefined) return `${place.sheet}!${place.range ?? ''}`
  return ''
}
