/** The text of a document's bytes: UTF-8, UTF-16, what HTML says of itself, or else Latin-1 as Windows writes it. */
import { UnreadableDocument } from './document.ts'

export interface DecodedText {
  /** With `\n` for every end of a line, so that lines count the same everywhere. */
  readonly text: string
  readonly encoding: string
}

/** Of the first bytes, so many may be control characters that no text has. */
const sniffBytes = 8_000
const controlShareMax = 0.02

/**
 * @param html look for the encoding that the document declares.
 * @throws UnreadableDocument for binary content.
 */
export function decodeDocument(bytes: Uint8Array, html = false): DecodedText {
  const encoding = encodingOf(bytes, html)
  const text = new TextDecoder(encoding).decode(bytes)
  return { text: text.replace(/\r\n?/g, '\n').replaceAll('\u0000', ''), encoding }
}

function encodingOf(bytes: Uint8Array, html: boolean): string {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return 'utf-8'
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le'
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be'
  if (looksBinary(bytes)) throw new UnreadableDocument('it is binary')
  if (isUtf8(bytes)) return 'utf-8'
  return (html ? declaredEncoding(bytes) : undefined) ?? 'windows-1252'
}

function looksBinary(bytes: Uint8Array): boolean {
  const head = bytes.subarray(0, sniffBytes)
  let controls = 0
  for (const byte of head) {
    if (byte === 0) return true
    // Tab, line feed, form feed, carriage return and escape do occur in text.
    if (byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0c && byte !== 0x0d && byte !== 0x1b) controls++
  }
  return controls > head.length * controlShareMax
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return true
  } catch {
    return false
  }
}

/** What `<meta charset=…>` or an XML declaration names, when a decoder of that name exists. */
function declaredEncoding(bytes: Uint8Array): string | undefined {
  const head = new TextDecoder('latin1').decode(bytes.subarray(0, 2_048))
  const name = /(?:charset|encoding)\s*=\s*["']?\s*([\w:.-]{2,40})/i.exec(head)?.[1]
  if (name === undefined) return undefined
  try {
    return new TextDecoder(name).encoding
  } catch {
    return undefined
  }
}
