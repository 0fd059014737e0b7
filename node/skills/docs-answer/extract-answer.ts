/** An answer without a model: the statements of the documents that say most of what is asked, as they stand. Pure. */
import { listItem } from './documents/text-blocks.ts'
import { termWeights } from './rank.ts'
import type { Corpus, RankedPassage } from './rank.ts'
import type { Citation, Term } from './schema.ts'
import { citationOf, joined, overlap, statementsOf } from './statements.ts'
import type { Statement } from './statements.ts'
import { stemsOf } from './words.ts'

export interface ComposedAnswer {
  readonly answer: string
  readonly answered: boolean
  readonly citations: readonly Citation[]
  readonly notes: readonly string[]
}

const statementsMax = 4
/** Of the best statement's worth, so much makes another one worth telling. */
const worthShareMin = 0.65
const alike = 0.8
/** The question is taken as answered by a passage with so much of it, or with less in several words. */
const coverageEnough = 0.6
const coverageOfSeveral = 0.4
const headingWorth = 0.4
const numberWorth = 0.1
const nearnessWorth = 0.1

/** Opens a sentence that is understood only with the one before it. */
const leansBack = /^(?:it|they|this|these|those|that|he|she|its|their|er|sie|es|dies\w*|il|elle|ils|ce|cela)\b/i
const asksForNumber = /\bhow (?:many|much|long|old|large|big|fast|often|far|high|tall)\b|\bwhen\b|\bwhat (?:year|date|day|time|percentage|price|size|number|port|version)\b|\bwie\s?(?:viele?|lange?|oft|gro(?:ß|ss)|alt)\b|\bwann\b|\bcombien\b|\bquand\b|\bcuant\w+\b/iu

/** "How long" asks for a time: that word is in no answer to it, and where it stands it means something else. */
function askingStems(question: string): ReadonlySet<string> {
  return new Set([...question.matchAll(/\bhow (many|much|long|old|large|big|fast|often|far|high|tall)\b/gi)].flatMap(([, word = '']) => stemsOf(word)))
}

interface Weighed {
  readonly ranked: RankedPassage
  readonly statement: Statement
  readonly at: number
  readonly worth: number
}

/** @param ranked best first. @param question with its terms, in the order of the corpus's statistics. */
export function extractAnswer(question: string, terms: readonly Term[], ranked: readonly RankedPassage[], corpus: Corpus, documents: number): ComposedAnswer {
  const unseen = terms.filter((_, term) => corpus.documentFrequencies[term] === 0).map((term) => `"${term.word}"`)
  const notes = unseen.length > 0 && corpus.passages > 0 ? [`in no document: ${unseen.join(', ')}`] : []
  if (documents === 0) return { answer: 'There is no document here that could be read.', answered: false, citations: [], notes }
  const chosen = choose(weigh(question, terms, ranked, corpus))
  if (chosen.length === 0) {
    const answer = `Nothing in ${documents === 1 ? 'the one document' : `the ${documents} documents`} has to do with the question, as far as its words tell.`
    return { answer, answered: false, citations: [], notes }
  }
  const citations = chosen.map(({ ranked: from, statement }) => citationOf(from.passage.file, statement, from.score))
  const said = chosen.map(({ statement }, index) => `${asText(statement)} [${index + 1}]`)
  const answered = chosen.some(({ ranked: from }) => from.coverage >= coverageEnough || (from.coverage >= coverageOfSeveral && from.passage.counts.filter((count) => count > 0).length > 1))
  const answer = answered ? said.join('\n\n') : `The documents do not seem to answer this. What comes nearest:\n\n${said.join('\n\n')}`
  return { answer, answered, citations, notes }
}

function weigh(question: string, terms: readonly Term[], ranked: readonly RankedPassage[], corpus: Corpus): Weighed[] {
  const weights = termWeights(corpus)
  const asking = askingStems(question)
  const weightOf = new Map(terms.map((term, at) => [term.stem, asking.has(term.stem) ? 0 : weights[at] ?? 0]))
  const weightOfAll = [...weightOf.values()].reduce((sum, weight) => sum + weight, 0) || 1
  const worthOf = (stems: ReadonlySet<string>): number => [...stems].reduce((sum, stem) => sum + (weightOf.get(stem) ?? 0), 0) / weightOfAll
  const bestScore = ranked[0]?.score ?? 1
  const wantsNumber = asksForNumber.test(question)

  return ranked.flatMap((from) => {
    const statements = statementsOf(from.passage)
    const above = new Set(stemsOf([from.passage.file.split('/').at(-1) ?? '', ...from.passage.headings].join('\n')))
    let asked = 0
    return statements.flatMap((original, at) => {
      const own = new Set(original.stems)
      const said = worthOf(own)
      const context = worthOf(new Set([...above].filter((stem) => !own.has(stem))))
      let worth = said + headingWorth * context + (wantsNumber && /\p{N}/u.test(original.text) ? numberWorth : 0) + nearnessWorth * Math.max(0, from.passage.cosine ?? 0)
      if (said + context === 0 && from.passage.cosine === undefined && asked === 0) return []
      // A question in the text is answered by what follows it.
      if (/\?["'”’)*_]*$/.test(original.text)) {
        asked = Math.max(asked, worth)
        return []
      }
      worth = Math.max(worth, asked * 0.95)
      asked = 0
      if (isTitle(original)) {
        for (const stem of original.stems) above.add(stem)
        worth *= 0.4
      }
      if (original.stems.length < 3 && !/\p{N}/u.test(original.text)) worth *= 0.5
      if (original.stems.length > 80) worth *= 0.8
      const before = statements[at - 1]
      const statement = before !== undefined && before.prose && original.prose && leansBack.test(original.text) ? joined(before, original) : original
      return [{ ranked: from, statement, at, worth: worth * (0.6 + 0.4 * (from.score / (bestScore || 1))) }]
    })
  })
}

/** A heading of a format that has none, like PDF: what follows stands under it. */
function isTitle({ text, prose, stems }: Statement): boolean {
  return prose && stems.length <= 10 && !/[.!?…:;,。！？]["'”’)\]]*$/.test(text) && !listItem.test(text)
}

/** The best that say different things; those of one passage in its order. */
function choose(weighed: readonly Weighed[]): Weighed[] {
  const ordered = weighed.map((each, index) => ({ each, index })).sort((left, right) => right.each.worth - left.each.worth || left.index - right.index)
  const best = ordered[0]?.each.worth ?? 0
  const chosen: { each: Weighed; index: number }[] = []
  for (const candidate of ordered) {
    if (chosen.length >= statementsMax || candidate.each.worth < best * worthShareMin || candidate.each.worth <= 0) break
    if (chosen.every((known) => overlap(known.each.statement.stems, candidate.each.statement.stems) < alike)) chosen.push(candidate)
  }
  const passages = [...new Set(chosen.map(({ each }) => each.ranked))]
  return chosen.sort((left, right) => passages.indexOf(left.each.ranked) - passages.indexOf(right.each.ranked) || left.each.at - right.each.at).map(({ each }) => each)
}

/** Without the mark of a list or the frame of a table, which would make the answer one; a document's own `[1]` is no citation of ours. */
function asText(statement: Statement): string {
  const text = statement.text.replace(/^(?:[-*+•–>]\s+|\d{1,3}[.)]\s+)+/, '').replace(/\[(\d+)\]/g, '($1)')
  if (!/^\|.*\|$/.test(text)) return text
  return text.slice(1, -1).split('|').map((cell) => cell.trim()).filter((cell) => cell !== '').join(' · ')
}
