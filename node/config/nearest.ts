/** "Did you mean": the known word closest to a mistyped one. */

import { editDistance } from '../../protocols/kernel/edit-distance.ts'

/** @returns the candidate at the smallest edit distance (Levenshtein), or undefined when none is close. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}
