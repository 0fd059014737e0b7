import { describe, expect, it } from 'vitest'
import { chooseCandidates, rankPassages, termWeights } from '../../../../node/skills/docs-answer/rank.ts'
import type { Passage } from '../../../../node/skills/docs-answer/schema.ts'
import { seededRandom } from '../../../../protocols/kernel/prng.ts'

const terms = 3

function passage(number: number, counts: readonly number[], words: number, cosine?: number): Passage {
  return { file: `f${number % 40}.md`, number, headings: [], units: [{ kind: 'prose', text: `text ${number}`, place: { lines: [1, 1] } }], words, counts: [...counts], ...(cosine === undefined ? {} : { cosine }) }
}

describe('the choice of what a part hands up', () => {
  const { next } = seededRandom([7, 7])
  const counts = (): number[] => Array.from({ length: terms }, (_, term) => (next() < ([0.5, 0.1, 0.01][term] ?? 0) ? 1 + Math.floor(next() * 4) : 0))
  const all = Array.from({ length: 3_000 }, (_, number) => passage(number, counts(), 20 + Math.floor(next() * 200), next() * 2 - 1))

  it('is the same whatever the parts were', () => {
    const whole = chooseCandidates(all, terms)
    expect(whole.length).toBeGreaterThan(100)
    expect(whole.length).toBeLessThan(all.length / 5)
    for (const parts of [2, 7, 30]) {
      for (const of of [(number: number) => number % parts, (number: number) => Math.floor(number / Math.ceil(all.length / parts))]) {
        const handedUp = Array.from({ length: parts }, (_, part) => chooseCandidates(all.filter((_, number) => of(number) === part), terms))
        expect(chooseCandidates(handedUp.reverse().flat(), terms)).toEqual(whole)
      }
    }
  })

  it('has passages with a rare word, however common the others are', () => {
    const crowd = Array.from({ length: 500 }, (_, number) => passage(number, [5, 5, 0], 100))
    const rare = passage(999, [0, 0, 1], 900)
    expect(chooseCandidates([...crowd, rare], terms)).toContain(rare)
  })

  it('leaves out what has nothing of the question', () => {
    expect(chooseCandidates([passage(1, [0, 0, 0], 10)], terms)).toEqual([])
  })
})

describe('ranking', () => {
  const corpus = { passages: 100, words: 10_000, documentFrequencies: [50, 10, 1] }

  it('values rare words more, and never below nothing', () => {
    const [common = 0, some = 0, rare = 0] = termWeights(corpus)
    expect(rare).toBeGreaterThan(some)
    expect(some).toBeGreaterThan(common)
    for (const weight of termWeights({ passages: 1, words: 5, documentFrequencies: [0, 1, 1] })) expect(weight).toBeGreaterThan(0)
  })

  it('values words in short passages more, and the second mention less than the first', () => {
    const ranked = rankPassages([passage(1, [0, 1, 0], 400), passage(2, [0, 1, 0], 50), passage(3, [0, 2, 0], 50), passage(4, [0, 0, 0], 5)], corpus)
    expect(ranked.map((each) => each.passage.number)).toEqual([3, 2, 1])
    const [twice = 0, once = 0] = ranked.map((each) => each.score)
    expect(twice).toBeLessThan(2 * once)
    for (const { score } of ranked) expect(score).toBeLessThanOrEqual(1)
  })

  it('puts first what is good by words and by meaning', () => {
    const ranked = rankPassages([passage(1, [1, 1, 1], 100, 0.2), passage(2, [1, 1, 0], 100, 0.9), passage(3, [0, 0, 0], 100, 0.8)], corpus)
    expect(ranked.map((each) => each.passage.number)).toEqual([2, 1, 3])
  })

  it('ranks what stands in two files once', () => {
    const twin = passage(7, [1, 1, 1], 100)
    expect(rankPassages([twin, { ...twin, file: 'copy.md' }], corpus).map((each) => each.passage.file)).toEqual(['copy.md'])
  })
})
