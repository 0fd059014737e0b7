/** Cuts a document into passages along its structure: never across headings, pages or sheets, rows whole, with a little overlap. */
import type { Block } from './documents/document.ts'
import { docsBounds } from './schema.ts'
import type { Passage, Place, Term, Unit } from './schema.ts'
import { sentencesIn } from './sentences.ts'
import { eachWord } from './words.ts'

const passageCharsAimed = 900
const unitCharsMax = 600
/** A line or a row longer than this is cut, wherever that is. */
const lineCharsMax = 2_000
/** The last unit of a passage also begins the next, if it is no longer. */
const overlapCharsMax = 250

type Piece = Pick<Passage, 'headings' | 'units'>

/** @returns the passages of one document in order; `cut` when there were more than are kept. */
export function passagesOf(path: string, blocks: readonly Block[], terms: readonly Term[]): { passages: Passage[]; cut: boolean } {
  const index = new Map(terms.map((term, at) => [term.stem, at]))
  const name = (path.split('/').at(-1) ?? path).replace(/\.[^.]*$/, '')
  const passages: Passage[] = []
  for (const piece of piecesOf(blocks)) {
    if (passages.length >= docsBounds.passagesPerDocumentMax) return { passages, cut: true }
    const counts = terms.map(() => 0)
    let words = 0
    eachWord([name, ...piece.headings, ...piece.units.map((unit) => unit.text)].join('\n'), (stem) => {
      words++
      const at = index.get(stem)
      if (at !== undefined) counts[at] = (counts[at] ?? 0) + 1
    })
    passages.push({ file: path, number: passages.length, ...piece, words, counts })
  }
  return { passages, cut: false }
}

function* piecesOf(blocks: readonly Block[]): Generator<Piece> {
  let units: Unit[] = []
  let chars = 0
  let section: { readonly key: string; readonly headings: readonly string[] } | undefined
  let fresh = 0
  for (const block of blocks) {
    const key = JSON.stringify([block.headings, 'page' in block.place ? block.place.page : 'sheet' in block.place ? block.place.sheet : 0])
    if (section !== undefined && section.key !== key && fresh > 0) yield { headings: [...section.headings], units }
    if (section?.key !== key) {
      units = []
      chars = 0
      fresh = 0
      section = { key, headings: block.headings }
    }
    for (const unit of unitsOf(block)) {
      if (fresh > 0 && chars + unit.text.length > passageCharsAimed) {
        yield { headings: [...section.headings], units }
        const last = units.at(-1)
        const repeated = last !== undefined && block.kind !== 'row' && last.text.length <= overlapCharsMax && units.length > 1 ? last : undefined
        units = repeated === undefined ? [] : [repeated]
        chars = repeated?.text.length ?? 0
        fresh = 0
      }
      units.push(unit)
      chars += unit.text.length
      fresh++
    }
  }
  if (section !== undefined && fresh > 0) yield { headings: [...section.headings], units }
}

function* unitsOf(block: Block): Generator<Unit> {
  if (block.kind === 'row') {
    for (let at = 0; at < block.text.length; at += lineCharsMax) yield { kind: 'lines', text: block.text.slice(at, at + lineCharsMax), place: block.place }
    return
  }
  const parts = block.kind === 'prose' ? sentencesIn(block.text) : linesIn(block.text)
  let from = 0
  let to = 0
  for (const part of parts) {
    if (to > from && part.to - from > unitCharsMax) {
      yield unitOf(block, from, to)
      from = part.from
    }
    to = part.to
  }
  if (to > from) yield unitOf(block, from, to)
}

function* linesIn(text: string): Generator<{ from: number; to: number }> {
  let from = 0
  for (const line of text.split('\n')) {
    for (let at = 0; at < line.length || at === 0; at += lineCharsMax) yield { from: from + at, to: from + Math.min(line.length, at + lineCharsMax) }
    from += line.length + 1
  }
}

function unitOf(block: Block, from: number, to: number): Unit {
  const text = block.text.slice(from, to)
  return { kind: block.kind === 'prose' ? 'prose' : 'lines', text: text.replace(/^\n+|\s+$/g, ''), place: placeWithin(block, from, to) }
}

/**
 * @param from @param to a part of the text.
 * @returns its own lines where the text has as many as its place, else the whole place.
 */
export function placeWithin(whole: { readonly text: string; readonly place: Place }, from: number, to: number): Place {
  if (!('lines' in whole.place)) return whole.place
  const [first, last] = whole.place.lines
  if (lineEndsIn(whole.text, 0, whole.text.length) !== last - first) return whole.place
  // A line end at either edge belongs to neither.
  const inner = whole.text.slice(from, to)
  const start = from + (inner.length - inner.trimStart().length)
  const end = Math.max(start, to - (inner.length - inner.trimEnd().length))
  const begins = first + lineEndsIn(whole.text, 0, start)
  return { lines: [begins, begins + lineEndsIn(whole.text, start, end)] }
}

function lineEndsIn(text: string, from: number, to: number): number {
  let count = 0
  for (let at = text.indexOf('\n', from); at >= 0 && at < to; at = text.indexOf('\n', at + 1)) count++
  return count
}
