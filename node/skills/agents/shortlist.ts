/** Which of many descriptions are likely to matter for a text: BM25 (Robertson & Walker, 1994) over their words. */

const k1 = 1.2
const b = 0.75

/** Lower-case words of at least two letters or digits, plural endings taken off. */
export function wordsOf(text: string): string[] {
  return (text.toLowerCase().match(/[\p{L}\p{N}]{2,}/gu) ?? []).map((word) => (word.length > 3 ? word.replace(/(?:ies|es|s)$/, '') : word))
}

/**
 * @param textOf what is known of an entry, in words.
 * @returns the entries, the likeliest first; those that share no word with the query keep their order at the end.
 */
export function ranked<T>(entries: readonly T[], textOf: (entry: T) => string, query: string): T[] {
  const documents = entries.map((entry) => wordsOf(textOf(entry)))
  const meanLength = documents.reduce((sum, words) => sum + words.length, 0) / Math.max(1, documents.length)
  const holding = new Map<string, number>()
  for (const words of documents) for (const word of new Set(words)) holding.set(word, (holding.get(word) ?? 0) + 1)
  const asked = [...new Set(wordsOf(query))]
  const scores = documents.map((words) => asked.reduce((sum, word) => {
    const times = words.reduce((count, other) => count + (other === word ? 1 : 0), 0)
    if (times === 0) return sum
    const rarity = Math.log(1 + (documents.length - (holding.get(word) ?? 0) + 0.5) / ((holding.get(word) ?? 0) + 0.5))
    return sum + (rarity * times * (k1 + 1)) / (times + k1 * (1 - b + (b * words.length) / meanLength))
  }, 0))
  return entries.map((entry, index) => ({ entry, index, score: scores[index] ?? 0 })).sort((left, right) => right.score - left.score || left.index - right.index).map(({ entry }) => entry)
}
