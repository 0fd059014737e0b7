/**
 * Ranks passages: BM25 (Robertson & Zaragoza, 2009) over the statistics of all parts together, and reciprocal rank fusion (Cormack et al., 2009)
 * with nearness in meaning.
 *
 * Which passages a part hands up must not depend on how the folder was split, or the answer would: they are the first of orders that look at
 * nothing but the passage itself. The first n of everything are then among the first n of the parts, and are found again by the same choice
 * among what the parts handed up.
 */
import { docsBounds } from './schema.ts'
import type { Passage } from './schema.ts'

const k1 = 1.2
const b = 0.75
const fusionConstant = 60
/** Stands in for the average length where that must not matter. */
const usualWords = 150

export interface Corpus {
  readonly passages: number
  readonly words: number
  readonly documentFrequencies: readonly number[]
}

export interface RankedPassage {
  readonly passage: Passage
  /** In [0,1]: of the best that any passage could reach. */
  readonly score: number
  /** In [0,1]: how much of the question its words are, rare ones counting more. */
  readonly coverage: number
}

const text = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0)
const byPlace = (left: Passage, right: Passage): number => text(left.file, right.file) || left.number - right.number

/** What a term's count is worth in a passage of this length, in [0,1). */
function saturation(count: number, words: number, averageWords: number): number {
  return count / (count + k1 * (1 - b + (b * words) / Math.max(1, averageWords)))
}

/** The passages worth handing up, in order of place. A part's choice, and then the choice among all parts' choices. */
export function chooseCandidates(passages: readonly Passage[], terms: number): Passage[] {
  const matching = passages.filter((passage) => passage.counts.some((count) => count > 0))
  const chosen = new Set<Passage>()
  const take = (from: readonly Passage[], max: number, worth: (passage: Passage) => readonly number[]): void => {
    const valued = from.map((passage) => ({ passage, worth: worth(passage) }))
    valued.sort((left, right) => compareWorth(right.worth, left.worth) || byPlace(left.passage, right.passage))
    for (const { passage } of valued.slice(0, max)) chosen.add(passage)
  }
  const covered = (passage: Passage): number => passage.counts.filter((count) => count > 0).length
  const weight = (passage: Passage): number => passage.counts.reduce((sum, count) => sum + saturation(count, passage.words, usualWords), 0)
  take(matching, docsBounds.coveringMax, (passage) => [covered(passage), weight(passage)])
  for (let term = 0; term < terms; term++) {
    take(matching.filter((passage) => (passage.counts[term] ?? 0) > 0), docsBounds.perTermMax, (passage) => [saturation(passage.counts[term] ?? 0, passage.words, usualWords), weight(passage)])
  }
  take(passages.filter((passage) => passage.cosine !== undefined), docsBounds.nearestMax, (passage) => [passage.cosine ?? 0])
  return [...chosen].sort(byPlace)
}

function compareWorth(left: readonly number[], right: readonly number[]): number {
  for (const [index, value] of left.entries()) if (value !== right[index]) return value - (right[index] ?? 0)
  return 0
}

/** How much each term tells: much when few passages have it. One that none has tells as much as one that stands in one: it may be another word for the same. */
export function termWeights(corpus: Corpus): number[] {
  return corpus.documentFrequencies.map((frequency) => {
    const passages = Math.max(1, frequency)
    return Math.log(1 + Math.max(0, corpus.passages - passages + 0.5) / (passages + 0.5))
  })
}

/** @returns in order, best first. Passages of the same text are ranked once. */
export function rankPassages(candidates: readonly Passage[], corpus: Corpus): RankedPassage[] {
  const weights = termWeights(corpus)
  const weightOfAll = weights.reduce((sum, weight) => sum + weight, 0) || 1
  const averageWords = corpus.words / Math.max(1, corpus.passages)
  const seen = new Set<string>()
  const different = [...candidates].sort(byPlace).filter((passage) => {
    const said = passage.units.map((unit) => unit.text).join('\n')
    return seen.has(said) ? false : seen.add(said) !== undefined
  })
  const byWords = different.map((passage) => ({
    passage,
    score: weights.reduce((sum, weight, term) => sum + weight * saturation(passage.counts[term] ?? 0, passage.words, averageWords), 0) / weightOfAll,
    coverage: weights.reduce((sum, weight, term) => sum + ((passage.counts[term] ?? 0) > 0 ? weight : 0), 0) / weightOfAll,
  }))
  byWords.sort((left, right) => right.score - left.score || byPlace(left.passage, right.passage))
  const near = different.filter((passage) => passage.cosine !== undefined).sort((left, right) => (right.cosine ?? 0) - (left.cosine ?? 0) || byPlace(left, right))
  if (near.length === 0) return byWords.filter((ranked) => ranked.score > 0)

  const places = new Map(near.map((passage, place) => [passage, place]))
  const fused = byWords.map(({ passage, score, coverage }, place) => {
    const nearness = places.get(passage)
    const sum = (score > 0 ? 1 / (fusionConstant + place + 1) : 0) + (nearness === undefined ? 0 : 1 / (fusionConstant + nearness + 1))
    return { passage, coverage, score: sum / (2 / (fusionConstant + 1)) }
  })
  return fused.filter((ranked) => ranked.score > 0).sort((left, right) => right.score - left.score || byPlace(left.passage, right.passage))
}
