/** The parts of an XLSX workbook (ECMA-376) that its text needs, each read from its XML as a stream of tags. */
import type { Parser } from 'htmlparser2'
import { docsBounds } from '../schema.ts'
import { UnreadableDocument } from './document.ts'

export type ParserClass = typeof Parser
type Attributes = Readonly<Record<string, string>>

/** Reads XML. Names come without their prefix; `r:id` is `id`. Entities that a document defines itself are not expanded. */
function readXml(ParserOf: ParserClass, xml: string, on: { open?(name: string, attributes: Attributes): void; close?(name: string): void; text?(data: string): void }): void {
  const bare = (name: string): string => name.slice(name.indexOf(':') + 1)
  let depth = 0
  const parser = new ParserOf(
    {
      onopentag(name, attributes) {
        if (++depth > docsBounds.nestingMax) throw new UnreadableDocument(`its elements are nested more than ${docsBounds.nestingMax} deep`)
        on.open?.(bare(name), attributes)
      },
      onclosetag(name) {
        depth--
        on.close?.(bare(name))
      },
      ontext: (data) => on.text?.(data),
    },
    { xmlMode: true, decodeEntities: true },
  )
  parser.end(xml)
}

function attribute(attributes: Attributes, name: string): string | undefined {
  return attributes[name] ?? Object.entries(attributes).find(([key]) => key.endsWith(`:${name}`))?.[1]
}

export interface SheetEntry {
  readonly name: string
  /** Of its file, within `xl/`. */
  readonly target: string
}

export function readWorkbook(ParserOf: ParserClass, workbook: string, relations: string): { sheets: SheetEntry[]; from1904: boolean } {
  const targets = new Map<string, string>()
  readXml(ParserOf, relations, { open: (name, attributes) => name === 'Relationship' && targets.set(attributes['Id'] ?? '', attributes['Target'] ?? '') })
  const sheets: SheetEntry[] = []
  let from1904 = false
  readXml(ParserOf, workbook, {
    open(name, attributes) {
      if (name === 'workbookPr') from1904 = /^(1|true)$/.test(attributes['date1904'] ?? '')
      if (name !== 'sheet') return
      const target = targets.get(attribute(attributes, 'id') ?? '')
      if (target !== undefined) sheets.push({ name: (attributes['name'] ?? '').slice(0, 256), target: target.replace(/^\/?xl\/|^\.?\//, '') })
    },
  })
  return { sheets, from1904 }
}

/** Without the readings that Japanese texts carry beside them. */
export function readSharedStrings(ParserOf: ParserClass, xml: string): string[] {
  const strings: string[] = []
  let text: string | undefined
  let inText = false
  let phonetic = false
  readXml(ParserOf, xml, {
    open(name) {
      if (name === 'si') text = ''
      else if (name === 'rPh') phonetic = true
      else if (name === 't') inText = !phonetic
    },
    close(name) {
      if (name === 'si') strings.push(text ?? '')
      else if (name === 'rPh') phonetic = false
      else if (name === 't') inText = false
    },
    text: (data) => {
      if (inText) text = (text ?? '') + data
    },
  })
  return strings
}

export type NumberStyle = 'date' | 'percent' | 'plain'

/** How each cell style shows a number. */
export function readStyles(ParserOf: ParserClass, xml: string): NumberStyle[] {
  const own = new Map<string, NumberStyle>()
  const styles: NumberStyle[] = []
  let inCellStyles = false
  readXml(ParserOf, xml, {
    open(name, attributes) {
      if (name === 'cellXfs') inCellStyles = true
      else if (name === 'numFmt') own.set(attributes['numFmtId'] ?? '', styleOfFormat(attributes['formatCode'] ?? ''))
      else if (name === 'xf' && inCellStyles) styles.push(own.get(attributes['numFmtId'] ?? '') ?? builtInStyle(Number(attributes['numFmtId'] ?? 0)))
    },
    close(name) {
      if (name === 'cellXfs') inCellStyles = false
    },
  })
  return styles
}

function builtInStyle(id: number): NumberStyle {
  if (id === 9 || id === 10) return 'percent'
  return (id >= 14 && id <= 22) || (id >= 27 && id <= 36) || (id >= 45 && id <= 47) || (id >= 50 && id <= 58) ? 'date' : 'plain'
}

function styleOfFormat(code: string): NumberStyle {
  const bare = code.replace(/"[^"]*"|\\.|\[[^\]]*\]/g, '')
  if (/[dmyhs]/i.test(bare.replace(/general/i, ''))) return 'date'
  return bare.includes('%') ? 'percent' : 'plain'
}

export interface SheetCell {
  readonly column: number
  readonly text: string
}

export interface SheetReading {
  readonly strings: readonly string[]
  readonly styles: readonly NumberStyle[]
  readonly from1904: boolean
  /** @param row from 1. @returns false when no more are wanted. */
  onRow(row: number, cells: readonly SheetCell[]): boolean
}

export function readSheet(ParserOf: ParserClass, xml: string, { strings, styles, from1904, onRow }: SheetReading): void {
  let wanted = true
  let row = 0
  let column = -1
  let cells: SheetCell[] = []
  let type = 'n'
  let style: NumberStyle = 'plain'
  let text = ''
  let inValue = false
  let phonetic = false
  const value = (): string => {
    if (type === 's') return strings[Number(text)] ?? ''
    if (type === 'b') return text === '1' ? 'true' : 'false'
    if (type !== 'n' || text === '' || !Number.isFinite(Number(text))) return text
    return style === 'date' ? dateOf(Number(text), from1904) : style === 'percent' ? `${rounded(Number(text) * 100)}%` : rounded(Number(text))
  }
  readXml(ParserOf, xml, {
    open(name, attributes) {
      if (name === 'row') {
        row = Number(attributes['r'] ?? row + 1) || row + 1
        column = -1
        cells = []
      } else if (name === 'c') {
        column = columnOf(attributes['r']) ?? column + 1
        type = attributes['t'] ?? 'n'
        style = styles[Number(attributes['s'] ?? 0)] ?? 'plain'
        text = ''
      } else if (name === 'rPh') phonetic = true
      else if (name === 'v' || name === 't') inValue = !phonetic
    },
    close(name) {
      if (name === 'v' || name === 't') inValue = false
      else if (name === 'rPh') phonetic = false
      else if (name === 'c') {
        const shown = value().trim()
        if (shown !== '') cells.push({ column, text: shown })
      } else if (name === 'row' && wanted && cells.length > 0) wanted = onRow(row, cells)
    },
    text: (data) => {
      if (inValue && wanted) text += data
    },
  })
}

/** Of `BC12`, from 0. */
function columnOf(reference: string | undefined): number | undefined {
  const letters = /^([A-Z]{1,3})\d+$/i.exec(reference ?? '')?.[1]?.toUpperCase()
  if (letters === undefined) return undefined
  return [...letters].reduce((sum, letter) => sum * 26 + letter.charCodeAt(0) - 64, 0) - 1
}

/** Without the tail that binary fractions leave behind: 0.1 + 0.2. */
function rounded(value: number): string {
  return String(Number(value.toPrecision(15)))
}

/** Days since the end of 1899 (which Excel believes 1900 to have been a leap year for), or since 1904. */
function dateOf(serial: number, from1904: boolean): string {
  const days = serial + (from1904 ? 1_462 : serial < 60 ? 1 : 0)
  const ms = Math.round(days * 86_400) * 1_000 + Date.UTC(1899, 11, 30)
  if (!Number.isFinite(ms) || serial < 0 || serial > 2_958_466) return rounded(serial)
  const iso = new Date(ms).toISOString()
  if (serial < 1) return iso.slice(11, 16)
  return serial % 1 === 0 ? iso.slice(0, 10) : `${iso.slice(0, 10)} ${iso.slice(11, 16)}`
}
