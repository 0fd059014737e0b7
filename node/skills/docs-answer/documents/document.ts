/** A document as its reader gives it. */
import type { Place } from '../schema.ts'

/** Text that belongs together: a paragraph, a list item, a table row, a block of code. */
export interface Block {
  /** `prose`: lines are wrapped sentences; `lines`: each line stands for itself; `row`: never torn apart, nothing of it is repeated. */
  readonly kind: 'prose' | 'lines' | 'row'
  /** Without leading or trailing empty lines. Where it has as many lines as its place, they are those of the source. */
  readonly text: string
  readonly place: Place
  /** The headings it stands under, outermost first. */
  readonly headings: readonly string[]
}

export interface ReadDocument {
  readonly blocks: readonly Block[]
  /** What of it was not read: `only its first 2000 pages were read`. */
  readonly notes: readonly string[]
}

/** Why a document is not read, in words for the notes of an answer. */
export class UnreadableDocument extends Error {
  constructor(reason: string) {
    super(reason)
    this.name = 'UnreadableDocument'
  }
}

/** The headings that are open while a document is read from top to bottom. */
export class Headings {
  #open: { readonly level: number; readonly text: string }[] = []

  /** @param level 1 for the outermost. */
  enter(level: number, text: string): void {
    this.#open = this.#open.filter((heading) => heading.level < level)
    this.#open.push({ level, text: text.replace(/\s+/g, ' ').trim().slice(0, 200) })
  }

  /** At most eight, innermost last. */
  path(): string[] {
    return this.#open.map((heading) => heading.text).filter((text) => text !== '').slice(-8)
  }
}
