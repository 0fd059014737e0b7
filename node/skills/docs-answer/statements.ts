/** The single statements of a passage, each with its own place: sentences of prose, lines of lists and code, rows of tables. */
import { placeWithin } from './passages.ts'
import type { Citation, Passage, Place } from './schema.ts'
import { sentencesIn } from './sentences.ts'
import { stemsOf } from './words.ts'

export interface Statement {
  readonly text: string
  readonly place: Place
  readonly stems: readonly string[]
  readonly prose: boolean
}

const quoteCharsMax = 600

export function statementsOf(passage: Passage): Statement[] {
  return passage.units.flatMap((unit) => {
    const prose = unit.kind === 'prose'
    const spans = prose ? sentencesIn(unit.text) : linesOf(unit.text)
    return spans.flatMap(({ from, to }) => {
      const text = unit.text.slice(from, to).replace(/\s+/g, ' ').trim()
      return text === '' ? [] : [{ text, prose, place: placeWithin(unit, from, to), stems: stemsOf(text) }]
    })
  })
}

function linesOf(text: string): { from: number; to: number }[] {
  const spans: { from: number; to: number }[] = []
  let from = 0
  for (const line of text.split('\n')) {
    spans.push({ from, to: from + line.length })
    from += line.length + 1
  }
  return spans
}

/** Two statements that follow one another, as one. */
export function joined(left: Statement, right: Statement): Statement {
  const place = 'lines' in left.place && 'lines' in right.place ? { lines: [left.place.lines[0], right.place.lines[1]] satisfies [number, number] } : right.place
  return { text: `${left.text} ${right.text}`, place, stems: [...left.stems, ...right.stems], prose: right.prose }
}

export function citationOf(file: string, statement: Pick<Statement, 'text' | 'place'>, score: number): Citation {
  const quote = statement.text.length > quoteCharsMax ? `${statement.text.slice(0, quoteCharsMax)}…` : statement.text
  return { file, ...statement.place, quote, score: Number(Math.min(1, Math.max(0, score)).toFixed(4)) }
}

/** How much of the smaller set of words stands in the larger. */
export function overlap(left: Iterable<string>, right: Iterable<string>): number {
  const first = new Set(left)
  const second = new Set(right)
  const [small, large] = first.size <= second.size ? [first, second] : [second, first]
  if (small.size === 0) return 0
  return [...small].filter((stem) => large.has(stem)).length / small.size
}
