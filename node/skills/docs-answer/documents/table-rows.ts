/** Rows of a table as text that names its columns: `Item: bolt M6; Price: 0.12`. */
import type { Block } from './document.ts'
import type { Place } from '../schema.ts'
import { docsBounds } from '../schema.ts'

export interface TableRow {
  /** Cell values as shown, by column from 0; empty ones are ''. */
  readonly cells: readonly string[]
  readonly place: Place
}

/** Columns beyond the header, or of a table without one, are named as a sheet names them. */
export function columnName(index: number): string {
  let name = ''
  for (let left = index + 1; left > 0; left = Math.floor((left - 1) / 26)) name = String.fromCharCode(65 + ((left - 1) % 26)) + name
  return name
}

/** A first row of different words above others is a header. */
function isHeader(cells: readonly string[], rows: number): boolean {
  const filled = cells.filter((cell) => cell !== '')
  return rows > 1 && filled.length * 2 > cells.length && new Set(filled).size === filled.length && filled.every((cell) => cell.length <= 80 && !/^[-+]?[\d.,\s]+%?$/.test(cell))
}

/** @param rows without empty ones. @param headings e.g. the sheet's name. */
export function tableBlocks(rows: readonly TableRow[], headings: readonly string[]): Block[] {
  const first = rows[0]
  if (first === undefined) return []
  const header = isHeader(first.cells, rows.length) ? first.cells : undefined
  return (header === undefined ? rows : rows.slice(1)).map((row) => {
    const cells = row.cells.slice(0, docsBounds.cellsPerRowMax).map((cell) => cell.replace(/\s+/g, ' ').trim())
    const parts = cells.flatMap((cell, index) => (cell === '' ? [] : [header === undefined ? cell : `${header[index]?.replace(/\s+/g, ' ').trim() || columnName(index)}: ${cell}`]))
    return { kind: 'row', text: parts.join('; '), place: row.place, headings }
  })
}
