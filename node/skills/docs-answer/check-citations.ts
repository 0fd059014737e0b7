/** Holds what a model has written to the passages that it was given. Pure. */
import { sentencesIn } from './sentences.ts'

/** Behind a sentence that cites nothing. */
export const uncitedMark = '[no source]'

export interface CheckedText {
  /** With citations as `[1]`, numbered anew in the order in which they are met; `cited[0]` is what `[1]` was before. */
  readonly text: string
  readonly cited: readonly number[]
  /** Citations of passages that do not exist. They are gone from the text. */
  readonly removed: number
  readonly uncited: number
}

/** `[1]`, `[1, 3]`, `[2-4]`, `[passage 2]`, `【1】`. */
const group = /[ \t]*[[【]\s*(?:(?:passages?|sources?|quelle|nr\.?|no\.?)\s*)?(\d{1,4}(?:\s*(?:[-–,;&]|and)\s*\d{1,4})*)\s*[\]】](?:\([^)\s]*\))?/giu
/** Code is left as it is: `a[1]` there is no citation. */
const code = /(```[\s\S]*?(?:```|$)|`[^`\n]*`)/
const rangeMax = 50

/**
 * @param passages how many there are; they are cited from 1.
 * @param mark whether sentences without a citation are marked.
 */
export function checkCitations(text: string, passages: number, mark = true): CheckedText {
  const cited: number[] = []
  let removed = 0
  const numbersOf = (list: string): number[] =>
    list.split(/[,;&]|and/i).flatMap((part) => {
      const [from = 0, to = from] = part.split(/[-–]/).map((number) => Number(number.trim()))
      return Array.from({ length: Math.max(1, Math.min(rangeMax, to - from + 1)) }, (_, index) => from + index)
    })
  const renumbered = eachProse(text, (prose) =>
    prose.replace(group, (_, list: string) => {
      const kept = [...new Set(numbersOf(list))].filter((number) => {
        if (number >= 1 && number <= passages) return true
        removed++
        return false
      })
      for (const number of kept) if (!cited.includes(number)) cited.push(number)
      return kept.length === 0 ? '' : ` ${kept.map((number) => `[${cited.indexOf(number) + 1}]`).join('')}`
    }).replace(/(\[\d+\]) (?=\[\d+\])/g, '$1'),
  )
  // `… south. [1]` belongs to the sentence before it.
  const attached = eachProse(renumbered, (prose) => prose.replace(/([.!?]+["'”’)]*)((?:[ \t]*\[\d+\])+)/g, (_, point: string, citations: string) => ` ${citations.replace(/\s+/g, '')}${point}`))
  if (!mark) return { text: attached.trim(), cited, removed, uncited: 0 }
  let uncited = 0
  const marked = eachProse(attached, (prose) =>
    prose.split('\n').map((line) => markLine(line, () => uncited++)).join('\n'),
  )
  return { text: marked.trim(), cited, removed, uncited }
}

function eachProse(text: string, change: (prose: string) => string): string {
  return text.split(code).map((part, index) => (index % 2 === 1 ? part : change(part))).join('')
}

/** Headings, lead-ins and lines of a table's frame say nothing that would need a source. */
function markLine(line: string, count: () => void): string {
  if (/^\s*(#|\||[-*_=]{3,}\s*$)/.test(line)) return line
  return sentencesIn(line).map(({ from, to }) => {
    const sentence = line.slice(from, to)
    const bare = sentence.trim()
    const words = bare.match(/[\p{L}\p{N}]{2,}/gu)?.length ?? 0
    if (words < 3 || /\[\d+\]/.test(bare) || /[:：]["'”’)*_]*$/.test(bare)) return sentence
    count()
    return `${sentence.trimEnd()} ${uncitedMark}${sentence.slice(sentence.trimEnd().length)}`
  }).join('')
}
