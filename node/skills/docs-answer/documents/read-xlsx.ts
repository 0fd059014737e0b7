/** XLSX as rows that name their columns, with sheet and cells. Values as they were last computed; formulas, notes and charts are not read. */
import type { Block, ReadDocument } from './document.ts'
import { UnreadableDocument } from './document.ts'
import { docsBounds } from '../schema.ts'
import { columnName, tableBlocks } from './table-rows.ts'
import type { TableRow } from './table-rows.ts'
import { readSharedStrings, readSheet, readStyles, readWorkbook } from './xlsx-parts.ts'

/** @throws UnreadableDocument. */
export async function readXlsx(bytes: Uint8Array, pulse: () => void): Promise<ReadDocument> {
  if (bytes[0] === 0xd0 && bytes[1] === 0xcf) throw new UnreadableDocument('it is encrypted, or in a format older than XLSX')
  const { Parser } = await import('htmlparser2')
  const file = await unpack(bytes)
  const workbook = file('workbook.xml')
  if (workbook === undefined) throw new UnreadableDocument('it is not a workbook')
  pulse()
  const { sheets, from1904 } = readWorkbook(Parser, workbook, file('_rels/workbook.xml.rels') ?? '')
  const strings = readSharedStrings(Parser, file('sharedStrings.xml') ?? '')
  pulse()
  const styles = readStyles(Parser, file('styles.xml') ?? '')
  const blocks: Block[] = []
  const notes: string[] = []
  let rowsLeft: number = docsBounds.rowsMax
  let charactersLeft: number = docsBounds.documentCharsMax
  for (const sheet of sheets) {
    const xml = file(sheet.target)
    // A sheet that is only a chart has no rows.
    if (xml === undefined || !sheet.target.startsWith('worksheets/')) continue
    const rows: TableRow[] = []
    let cut = false
    readSheet(Parser, xml, {
      strings, styles, from1904,
      onRow(row, cells) {
        if (rowsLeft <= 0 || charactersLeft <= 0) {
          cut = true
          return false
        }
        rowsLeft--
        if (rowsLeft % 500 === 0) pulse()
        const values: string[] = []
        for (const cell of cells) {
          if (cell.column >= docsBounds.cellsPerRowMax) continue
          charactersLeft -= cell.text.length
          while (values.length < cell.column) values.push('')
          values[cell.column] = cell.text
        }
        const first = cells[0]
        const last = cells.at(-1)
        if (first === undefined || last === undefined) return true
        const from = `${columnName(first.column)}${row}`
        rows.push({ cells: values, place: { sheet: sheet.name, range: first === last ? from : `${from}:${columnName(last.column)}${row}` } })
        return true
      },
    })
    blocks.push(...tableBlocks(rows, [sheet.name]))
    if (cut) notes.push(`its sheet ${sheet.name} was not read to the end`)
  }
  return { blocks, notes }
}

/** @returns a file of the archive's `xl` folder as text, or undefined. */
async function unpack(bytes: Uint8Array): Promise<(name: string) => string | undefined> {
  const { unzipSync } = await import('fflate')
  let left: number = docsBounds.unpackedBytesMax
  let files: Record<string, Uint8Array>
  try {
    files = unzipSync(bytes, {
      // The sizes are those that the archive claims: fflate makes room for no more than that, whatever comes out.
      filter({ name, originalSize }) {
        if (!/^xl\/(workbook\.xml|_rels\/workbook\.xml\.rels|sharedStrings\.xml|styles\.xml|worksheets\/[^/]+\.xml)$/.test(name)) return false
        left -= originalSize
        if (left < 0) throw new UnreadableDocument(`unpacked it is larger than ${docsBounds.unpackedBytesMax / 1024 / 1024} MiB`)
        return true
      },
    })
  } catch (thrown) {
    if (thrown instanceof UnreadableDocument) throw thrown
    throw new UnreadableDocument('it is not a readable archive')
  }
  return (name) => {
    const found = files[`xl/${name}`]
    return found === undefined ? undefined : new TextDecoder().decode(found)
  }
}
