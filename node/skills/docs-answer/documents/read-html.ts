/** HTML as blocks of its visible text, with the line numbers of the source. */
import { docsBounds } from '../schema.ts'
import type { Block } from './document.ts'
import { Headings, UnreadableDocument } from './document.ts'

/** Their content is no text that a reader sees. */
const unseen = new Set(['script', 'style', 'noscript', 'template', 'svg', 'math', 'iframe', 'object', 'canvas', 'head'])
/** They run on within a paragraph; every other element begins a new one. */
const inline = new Set(['a', 'abbr', 'acronym', 'b', 'bdi', 'bdo', 'big', 'cite', 'code', 'data', 'del', 'dfn', 'em', 'font', 'i', 'img', 'ins', 'kbd', 'label', 'mark', 'q', 'rp', 'rt', 'ruby', 's', 'samp', 'small', 'span', 'strike', 'strong', 'sub', 'sup', 'time', 'tt', 'u', 'var', 'wbr'])
const headingLevel: ReadonlyMap<string, number> = new Map(['h1', 'h2', 'h3', 'h4', 'h5', 'h6'].map((name, index) => [name, index + 1]))

export async function readHtml(text: string): Promise<readonly Block[]> {
  const { Parser } = await import('htmlparser2')
  const found = new HtmlBlocks(text)
  // In one piece: the parser then gives its positions in the whole.
  const parser = new Parser(
    {
      onopentag: (name) => found.open(name),
      onclosetag: (name) => found.close(name),
      ontext: (data) => found.text(data, parser.startIndex, parser.endIndex),
    },
    { decodeEntities: true },
  )
  parser.end(text)
  found.endBlock()
  return found.blocks
}

class HtmlBlocks {
  readonly blocks: Block[] = []
  readonly #headings = new Headings()
  readonly #lineStarts: number[] = [0]
  #depth = 0
  #text = ''
  #from = 0
  #to = 0
  #unseen = 0
  #verbatim = 0
  /** Cells of the row that is being read; undefined outside of tables. */
  #cells: string[] | undefined
  #rowFrom = 0
  #cellOpen = false
  #rowOfHeads = true
  /** The names of the table's columns, from a row of nothing but `th`. */
  #columns: readonly string[] = []
  #heading: number | undefined

  constructor(source: string) {
    for (let at = source.indexOf('\n'); at >= 0; at = source.indexOf('\n', at + 1)) this.#lineStarts.push(at + 1)
  }

  open(name: string): void {
    // The parser looks through all open elements for each end tag that fits none.
    if (++this.#depth > docsBounds.nestingMax) throw new UnreadableDocument(`its elements are nested more than ${docsBounds.nestingMax} deep`)
    if (unseen.has(name)) {
      this.#unseen++
      return
    }
    if (name === 'br') this.#text += this.#verbatim > 0 ? '\n' : ' '
    if (inline.has(name) || name === 'br') return
    if (name === 'td' || name === 'th') {
      this.#endCell()
      this.#cellOpen = this.#cells !== undefined
      if (name === 'td') this.#rowOfHeads = false
      return
    }
    if (this.#cells !== undefined && name !== 'tr') {
      this.#text += ' '
      return
    }
    this.endBlock()
    if (name === 'table') this.#columns = []
    if (name === 'tr') {
      this.#cells = []
      this.#rowOfHeads = true
      this.#rowFrom = 0
    }
    if (name === 'pre' || name === 'textarea') this.#verbatim++
    this.#heading = headingLevel.get(name)
  }

  close(name: string): void {
    this.#depth--
    if (unseen.has(name)) {
      this.#unseen = Math.max(0, this.#unseen - 1)
      return
    }
    if (inline.has(name) || name === 'br') return
    if (name === 'td' || name === 'th') {
      this.#endCell()
      return
    }
    if (this.#cells !== undefined && name !== 'tr' && name !== 'table') {
      this.#text += ' '
      return
    }
    this.endBlock()
    if ((name === 'pre' || name === 'textarea') && this.#verbatim > 0) this.#verbatim--
    this.#heading = undefined
  }

  /** @param start where the text stands in the source. @param end its last character. */
  text(data: string, start: number, end: number): void {
    if (this.#unseen > 0) return
    if (data.trim() !== '') {
      if (this.#text.trim() === '') this.#from = this.#lineOf(start + (data.length - data.trimStart().length))
      this.#to = this.#lineOf(Math.max(start, end - (data.length - data.trimEnd().length)))
    }
    this.#text += data
  }

  endBlock(): void {
    if (this.#cells !== undefined) {
      this.#endRow(this.#cells)
      return
    }
    const verbatim = this.#verbatim > 0
    const text = verbatim ? this.#text.trimEnd().replace(/^\n/, '') : this.#text.replace(/\s+/g, ' ').trim()
    this.#text = ''
    if (text.trim() === '') return
    if (this.#heading !== undefined) {
      this.#headings.enter(this.#heading, text)
      return
    }
    this.blocks.push({ kind: verbatim ? 'lines' : 'prose', text, place: { lines: [this.#from, this.#to] }, headings: this.#headings.path() })
  }

  #endRow(cells: string[]): void {
    this.#endCell()
    this.#cells = undefined
    this.#text = ''
    if (cells.every((cell) => cell === '')) return
    const columns = this.#columns
    if (this.#rowOfHeads) this.#columns = cells
    const named = !this.#rowOfHeads && columns.length > 0
    const text = named ? cells.map((cell, index) => (cell === '' ? '' : columns[index] ? `${columns[index]}: ${cell}` : cell)).filter((cell) => cell !== '').join('; ') : cells.filter((cell) => cell !== '').join(' | ')
    this.blocks.push({ kind: 'row', text, place: { lines: [this.#rowFrom, Math.max(this.#rowFrom, this.#to)] }, headings: this.#headings.path() })
  }

  #endCell(): void {
    if (this.#cells === undefined || !this.#cellOpen) return
    const text = this.#text.replace(/\s+/g, ' ').trim()
    this.#text = ''
    this.#cellOpen = false
    if (text !== '' && this.#rowFrom === 0) this.#rowFrom = this.#from
    this.#cells.push(text)
  }

  #lineOf(offset: number): number {
    let low = 0
    let high = this.#lineStarts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.#lineStarts[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    return low + 1
  }
}
