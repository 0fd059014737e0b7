/**
 * Traces of requests to language models, as Azure publishes them: CSV with the columns `TIMESTAMP,ContextTokens,GeneratedTokens`.
 *
 * @see https://github.com/Azure/AzurePublicDataset
 */
import type { DurationMs } from '../../protocols/kernel/units.ts'

export interface TraceRequest {
  /** After the trace's first request. */
  readonly afterMs: DurationMs
  readonly promptTokens: number
  readonly outputTokens: number
}

const header = ['timestamp', 'contexttokens', 'generatedtokens']
/** `2023-11-16 18:17:03.9799600`; newer traces add an offset. */
const timestamp = /^(\d{4})-(\d{2})-(\d{2})[ T](\d{2}):(\d{2}):(\d{2})(\.\d+)?(Z|[+-]\d{2}:?\d{2})?$/
const count = /^\d{1,9}$/

/**
 * @param file what the trace is called in errors.
 * @returns the requests by time, the first at 0.
 * @throws Error that names the line when the text is not such a trace.
 */
export function parseTrace(text: string, file: string): TraceRequest[] {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/)
  const first = (lines[0] ?? '').split(',').map((column) => column.trim().toLowerCase())
  if (first.join() !== header.join()) throw new Error(`${file}, line 1: '${(lines[0] ?? '').slice(0, 80)}' is not the header 'TIMESTAMP,ContextTokens,GeneratedTokens'`)
  const rows: { second: number; fraction: number; promptTokens: number; outputTokens: number }[] = []
  lines.slice(1).forEach((line, at) => {
    if (line.trim() !== '') rows.push(parseRow(line, `${file}, line ${at + 2}`))
  })
  if (rows.length === 0) throw new Error(`${file} has no requests, only a header`)
  rows.sort((left, right) => left.second - right.second || left.fraction - right.fraction)
  const start = rows[0] ?? { second: 0, fraction: 0 }
  // Whole seconds and fractions apart: milliseconds since 1970 leave a double no room for the seventh digit.
  return rows.map((row) => ({ afterMs: (row.second - start.second) * 1_000 + (row.fraction - start.fraction) * 1_000, promptTokens: row.promptTokens, outputTokens: row.outputTokens }))
}

function parseRow(line: string, where: string): { second: number; fraction: number; promptTokens: number; outputTokens: number } {
  const cells = line.split(',').map((cell) => cell.trim())
  if (cells.length !== header.length) throw new Error(`${where}: ${cells.length} columns instead of ${header.length}: '${line.slice(0, 80)}'`)
  const [at = '', prompt = '', output = ''] = cells
  const match = timestamp.exec(at)
  if (match === null) throw new Error(`${where}: '${at.slice(0, 40)}' is not a time like 2023-11-16 18:17:03.9799600`)
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number)
  if (month < 1 || month > 12 || day < 1 || day > daysOf(year, month) || hour > 23 || minute > 59 || second > 59) throw new Error(`${where}: there is no such time as '${at}': mend the line`)
  for (const cell of [prompt, output]) if (!count.test(cell)) throw new Error(`${where}: '${cell.slice(0, 40)}' is not a number of tokens`)
  return {
    second: Date.UTC(year, month - 1, day, hour, minute, second) / 1_000 - offsetSeconds(match[8]),
    fraction: Number(`0${match[7] ?? ''}`), promptTokens: Number(prompt), outputTokens: Number(output),
  }
}

function daysOf(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate()
}

function offsetSeconds(offset: string | undefined): number {
  if (offset === undefined || offset === 'Z') return 0
  const digits = offset.slice(1).replace(':', '')
  return (offset.startsWith('-') ? -1 : 1) * (Number(digits.slice(0, 2)) * 3_600 + Number(digits.slice(2)) * 60)
}
