/**
 * Patterns that strangers may give. JavaScript's engine backtracks, so a pattern of a dozen characters can hold a thread for
 * ever; the node's loop must not be at its mercy. Only patterns whose worst case is small are accepted, and only the
 * beginning of a text is looked at.
 */

/** How much of a text a pattern is tried on, characters. */
export const patternTextLength = 256
/** Steps that the worst text of that length may cost: some tens of milliseconds. */
const stepsMax = 50_000_000

/** @returns what is wrong with a pattern, in words; undefined when it may be used. */
export function patternFault(pattern: string): string | undefined {
  try {
    new RegExp(pattern, 'u')
  } catch (error) {
    return `cannot be read: ${error instanceof Error ? error.message : String(error)}`
  }
  const bare = pattern.replace(/\\[^1-9k]/gu, 'x').replace(/\[(?:[^\]\\]|\\.)*\]/gu, 'x')
  if (/\\[1-9k]/u.test(bare)) return 'refers back to a group, which is not supported'
  if (/\(\?(?:[=!]|<[=!])/u.test(bare)) return 'looks ahead or behind, which is not supported'
  if (/\)[*+?{]/u.test(bare)) return 'repeats a group, which is not supported'
  // A fixed count has one way to match; every other repetition and every alternative multiplies the ways.
  const counted = bare.replace(/\{\d+\}/gu, '')
  const openEnded = (counted.match(/[*+]|\{\d+,\d*\}/gu) ?? []).length
  const choices = (counted.replace(/\(\?/gu, '(').replace(/[*+}]\?/gu, '').match(/\?|\|/gu) ?? []).length
  const steps = patternTextLength ** (openEnded + (pattern.startsWith('^') ? 0 : 1)) * 2 ** choices
  return steps > stepsMax ? 'has too many repetitions or alternatives' : undefined
}

/** Whether the beginning of the text matches. A pattern that may not be used matches nothing. */
export function patternMatches(pattern: string, text: string): boolean {
  return patternFault(pattern) === undefined && new RegExp(pattern, 'u').test(text.slice(0, patternTextLength))
}
