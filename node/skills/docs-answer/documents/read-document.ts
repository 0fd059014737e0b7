/** A file as a document, by its name's ending and its first bytes. */
import { decodeDocument } from './decode-document.ts'
import type { Block, ReadDocument } from './document.ts'
import { UnreadableDocument } from './document.ts'
import { docsBounds } from '../schema.ts'
import { readCsv } from './read-csv.ts'
import { readHtml } from './read-html.ts'
import { readMarkdown } from './read-markdown.ts'
import { readPdf } from './read-pdf.ts'
import { readPlainText } from './read-plain-text.ts'
import { readRestructuredText } from './read-restructured-text.ts'
import { readXlsx } from './read-xlsx.ts'

/** Known to hold no text that could be read here. */
const unread: readonly (readonly [RegExp, string])[] = [
  [/\.(docx?|odt|rtf|pages|pptx?|odp|key)$/i, 'documents of this format are not read: save it as PDF, HTML or text'],
  [/\.(xls|xlsb|ods|numbers)$/i, 'sheets of this format are not read: save it as XLSX or CSV'],
  [/\.(epub|mobi|azw3)$/i, 'books of this format are not read: save it as HTML or PDF'],
  [/\.(min\.(js|css)|map|svg)$|(^|\/)(package-lock\.json|npm-shrinkwrap\.json|[^/]*[-.]lock|[^/]*-lock\.(json|yaml))$/i, 'it is written by programs for programs'],
]

const prose = /\.(txt|text|log|adoc|asciidoc|org|tex|me|nfo|eml)$|(^|\/)[^./]+$/i
const lineEnds = 10_000

/**
 * @param pulse called while it takes long.
 * @returns its blocks in their order.
 * @throws UnreadableDocument that says why; anything else is a bug of a reader.
 */
export async function readDocument(path: string, bytes: Uint8Array, pulse: () => void): Promise<ReadDocument> {
  const reason = unread.find(([pattern]) => pattern.test(path))?.[1]
  if (reason !== undefined) throw new UnreadableDocument(reason)
  if (bytes.byteLength === 0) return { blocks: [], notes: [] }
  if (startsWith(bytes, '%PDF-') || /\.pdf$/i.test(path)) return readPdf(bytes, pulse)
  if (/\.xls[xm]$/i.test(path)) return readXlsx(bytes, pulse)

  const isHtml = /\.(html?|xhtml)$/i.test(path)
  const decoded = decodeDocument(bytes, isHtml)
  const { text, notes } = bounded(decoded.text)
  if (/\.(csv|tsv|tab)$/i.test(path)) {
    const table = await readCsv(text, !/\.csv$/i.test(path))
    return { blocks: table.blocks, notes: [...notes, ...table.notes] }
  }
  return { blocks: await blocksOf(path, text, isHtml), notes }
}

async function blocksOf(path: string, text: string, isHtml: boolean): Promise<readonly Block[]> {
  if (isHtml) return readHtml(text)
  if (/\.(md|markdown|mdx|mkd|qmd|rmd)$/i.test(path)) return readMarkdown(text)
  if (/\.(rst|rest)$/i.test(path)) return readRestructuredText(text)
  return readPlainText(text, !prose.test(path))
}

function bounded(text: string): { text: string; notes: string[] } {
  if (text.length <= docsBounds.documentCharsMax) return { text, notes: [] }
  // At the end of a line, if there is one near.
  const cut = text.lastIndexOf('\n', docsBounds.documentCharsMax)
  return {
    text: text.slice(0, cut > docsBounds.documentCharsMax - lineEnds ? cut : docsBounds.documentCharsMax),
    notes: [`only its first ${docsBounds.documentCharsMax / 1024 / 1024} million characters were read`],
  }
}

function startsWith(bytes: Uint8Array, text: string): boolean {
  return [...text].every((character, index) => bytes[index] === character.charCodeAt(0))
}
