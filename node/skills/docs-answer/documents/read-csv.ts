/** CSV and TSV as rows that name their columns, with the lines they stand on. */
import type { ReadDocument } from './document.ts'
import { docsBounds } from '../schema.ts'
import { tableBlocks } from './table-rows.ts'
import type { TableRow } from './table-rows.ts'

const delimiters = [',', ';', '\t', '|'] as const

export async function readCsv(text: string, tabs: boolean): Promise<ReadDocument> {
  const { parse } = await import('csv-parse/sync')
  const delimiter = tabs ? '\t' : likelyDelimiter(text)
  const records = (quote: '"' | null): Parsed[] =>
    parse(text, { delimiter, quote, info: true, relax_quotes: true, relax_column_count: true, skip_empty_lines: true, to: docsBounds.rowsMax + 1, max_record_size: 1_000_000, encoding: 'utf8' }) as unknown as Parsed[]
  let parsed: Parsed[]
  try {
    parsed = records('"')
  } catch {
    // A quotation mark that nothing closes: then it is a character like any other.
    parsed = records(null)
  }
  const rows: TableRow[] = []
  for (const { record, info } of parsed.slice(0, docsBounds.rowsMax)) {
    if (record.every((cell) => cell.trim() === '')) continue
    // `lines` is where the record ends; its quoted cells may hold ends of lines.
    const from = info.lines - record.reduce((sum, cell) => sum + (cell.split('\n').length - 1), 0)
    rows.push({ cells: record, place: { lines: [Math.max(1, from), info.lines] } })
  }
  return { blocks: tableBlocks(rows, []), notes: parsed.length > docsBounds.rowsMax ? [`only its first ${docsBounds.rowsMax} rows were read`] : [] }
}

interface Parsed {
  readonly record: readonly string[]
  readonly info: { readonly lines: number }
}

/** The one that the first line has most of. */
function likelyDelimiter(text: string): string {
  const first = text.slice(0, 10_000).split('\n').find((line) => line.trim() !== '') ?? ''
  const outsideQuotes = first.replace(/"[^"]*"/g, '')
  const counted = delimiters.map((delimiter) => ({ delimiter, count: outsideQuotes.split(delimiter).length }))
  return counted.reduce((left, right) => (right.count > left.count ? right : left)).delimiter
}
