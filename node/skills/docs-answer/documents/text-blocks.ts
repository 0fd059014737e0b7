/** What the readers of line-based formats share: paragraphs, list items and tables of consecutive lines. */
import type { Block } from './document.ts'
import { Headings } from './document.ts'

/** Opens an item of a list: it begins a block of its own, so that its sentence does not run on into the next. */
export const listItem = /^\s*(?:[-*+•–]|\d{1,3}[.)]|[a-zA-Z][.)]|#\.)\s+\S/
const tableRow = /^\s*\||^\s*\+[-=+]{2,}\+|\t.*\t/

/** Collects lines into blocks; line numbers are those of the source, from 1. */
export class TextBlocks {
  readonly #blocks: Block[] = []
  readonly #headings = new Headings()
  /** A heading with nothing under it yet: without anything to come, it is all that there is. */
  #bare: { readonly level: number; readonly text: string; readonly number: number } | undefined
  #lines: string[] = []
  #from = 0
  #kind: 'prose' | 'lines' | undefined

  /** A line of a paragraph, a list or a table. An empty one ends it. @param verbatim a line of code or data: never joined with others to a sentence. */
  line(text: string, number: number, verbatim = false): void {
    if (text.trim() === '' && !verbatim) {
      this.end()
      return
    }
    const kind = verbatim || tableRow.test(text) ? 'lines' : 'prose'
    if (this.#kind !== undefined && (kind !== this.#kind || (kind === 'prose' && listItem.test(text)))) this.end()
    if (this.#lines.length === 0) {
      this.#from = number
      this.#kind = kind
    }
    this.#lines.push(text)
  }

  /** @param level 1 for the outermost. @param number of its line. */
  heading(level: number, text: string, number: number): void {
    this.end()
    if (this.#bare !== undefined && this.#bare.level >= level) this.#keepBare()
    this.#headings.enter(level, text)
    this.#bare = { level, text, number }
  }

  finish(): readonly Block[] {
    this.end()
    this.#keepBare()
    return this.#blocks
  }

  #keepBare(): void {
    const { text, number } = this.#bare ?? { text: '', number: 1 }
    this.#bare = undefined
    if (text.trim() !== '') this.#blocks.push({ kind: 'lines', text: text.trim(), place: { lines: [number, number] }, headings: this.#headings.path() })
  }

  end(): void {
    let lines = this.#lines
    let from = this.#from
    while (lines.length > 0 && (lines[0] ?? '').trim() === '') {
      lines = lines.slice(1)
      from++
    }
    while (lines.length > 0 && (lines.at(-1) ?? '').trim() === '') lines = lines.slice(0, -1)
    if (lines.length > 0) {
      const kind = this.#kind === 'prose' && !isWrapped(lines) ? 'lines' : (this.#kind ?? 'lines')
      this.#bare = undefined
      this.#blocks.push({ kind, text: lines.join('\n'), place: { lines: [from, from + lines.length - 1] }, headings: this.#headings.path() })
    }
    this.#lines = []
    this.#kind = undefined
  }

  /** The last line of the open paragraph, taken out of it: it has turned out to be a heading. Undefined when there are more lines than that. */
  takeOnlyLine(): string | undefined {
    if (this.#kind !== 'prose' || this.#lines.length !== 1) return undefined
    const only = this.#lines[0]
    this.#lines = []
    this.#kind = undefined
    return only
  }
}

/** Short lines are a list or a poem, long ones wrapped sentences. The last line of a paragraph says nothing. */
function isWrapped(lines: readonly string[]): boolean {
  if (lines.length === 1) return true
  const long = lines.slice(0, -1).filter((line) => line.trim().length >= 40).length
  return long * 2 >= lines.length - 1
}
