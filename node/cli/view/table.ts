/** Columns of text. */
import { fit, pad, width } from './format.ts'

/**
 * @param rows cells, already coloured if at all; the first row is the heading when `heading` dims it
 * @param columnsMax what the terminal is wide; the last column is cut to fit
 */
export function table(rows: readonly (readonly string[])[], columnsMax = 200, heading: (text: string) => string = (text) => text): string[] {
  const widths: number[] = []
  for (const row of rows) row.forEach((cell, column) => { widths[column] = Math.max(widths[column] ?? 0, width(cell)) })
  return rows.map((row, index) => {
    const line = row.map((cell, column) => {
      const text = index === 0 ? heading(cell) : cell
      return column === row.length - 1 ? text : pad(text, widths[column] ?? 0)
    }).join('  ')
    return fit(line.trimEnd(), columnsMax)
  })
}
