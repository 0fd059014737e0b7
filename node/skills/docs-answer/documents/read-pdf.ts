/** PDF as paragraphs with their pages. Only text that the file holds as text: a scan has none. */
import { constants, inflateSync } from 'node:zlib'
import type { Block, ReadDocument } from './document.ts'
import { UnreadableDocument } from './document.ts'
import { docsBounds } from '../schema.ts'

/** @param bytes are not kept and not changed. @throws UnreadableDocument. */
export async function readPdf(bytes: Uint8Array, pulse: () => void): Promise<ReadDocument> {
  refuseBombs(bytes)
  const { getDocumentProxy } = await import('unpdf')
  const startedMs = performance.now()
  // A copy: pdf.js takes the memory of what it is given.
  const pdf = await getDocumentProxy(Uint8Array.from(bytes), { verbosity: 0, disableFontFace: true, useSystemFonts: false, stopAtErrors: false }).catch((thrown: unknown) => {
    throw new UnreadableDocument(reasonOf(thrown))
  })
  try {
    const blocks: Block[] = []
    const notes: string[] = []
    const pages = Math.min(pdf.numPages, docsBounds.pdfPagesMax)
    let characters = 0
    let unreadable = 0
    let read = 0
    for (; read < pages; read++) {
      pulse()
      if (characters > docsBounds.documentCharsMax || performance.now() - startedMs > docsBounds.pdfTimeMsMax) break
      try {
        const page = await pdf.getPage(read + 1)
        const content = await page.getTextContent()
        page.cleanup()
        for (const text of paragraphsOf(content.items)) {
          characters += text.length
          blocks.push({ kind: 'prose', text, place: { page: read + 1 }, headings: [] })
        }
      } catch {
        unreadable++
      }
    }
    if (read < pdf.numPages) notes.push(`only its first ${read} of ${pdf.numPages} pages were read`)
    if (unreadable > 0) notes.push(`${unreadable} of its pages could not be read`)
    if (blocks.length === 0 && unreadable < read) throw new UnreadableDocument('it holds no text: a scan, perhaps')
    if (blocks.length === 0) throw new UnreadableDocument('none of its pages could be read')
    return { blocks, notes }
  } finally {
    await pdf.loadingTask.destroy().catch(() => undefined)
  }
}

function reasonOf(thrown: unknown): string {
  const name = thrown instanceof Error ? thrown.name : ''
  if (name === 'PasswordException') return 'it is encrypted with a password'
  return 'it is not a readable PDF'
}

/** Lines that are further apart than lines of a paragraph are: about one and a half times their height. */
const gapOfParagraphs = 1.6

/** @param items text runs as pdf.js gives them: `transform[5]` is the height on the page, `hasEOL` ends a line. */
function paragraphsOf(items: readonly object[]): string[] {
  const paragraphs: string[] = []
  let lines: string[] = []
  let line = ''
  let lineY: number | undefined
  let lineHeight = 0
  let previousY: number | undefined
  const endParagraph = (): void => {
    const text = joinLines(lines)
    if (text !== '') paragraphs.push(text)
    lines = []
  }
  const endLine = (): void => {
    if (line.trim() !== '') {
      const gap = previousY === undefined || lineY === undefined ? 0 : Math.abs(previousY - lineY)
      if (lineHeight > 0 && gap > lineHeight * gapOfParagraphs) endParagraph()
      lines.push(line.trim())
      previousY = lineY
    }
    line = ''
    lineY = undefined
    lineHeight = 0
  }
  for (const item of items) {
    if (!('str' in item) || typeof item.str !== 'string') continue
    if (item.str !== '') {
      if (lineY === undefined && 'transform' in item && Array.isArray(item.transform)) lineY = Number(item.transform[5])
      if ('height' in item) lineHeight = Math.max(lineHeight, Number(item.height) || 0)
      line += item.str
    }
    if ('hasEOL' in item && item.hasEOL === true) endLine()
  }
  endLine()
  endParagraph()
  return paragraphs
}

/** One line of text; a word that was divided at the end of a line is one again. */
function joinLines(lines: readonly string[]): string {
  let text = ''
  for (const line of lines) {
    if (/\p{L}[-\u00ad\u2010]$/u.test(text) && /^\p{Ll}/u.test(line)) text = text.slice(0, -1) + line
    else text += (text === '' ? '' : ' ') + line
  }
  return text.replaceAll('\u0000', '').replace(/\s+/g, ' ').trim()
}

/**
 * A few bytes can unpack to more than the machine has. Unpacking everything once, natively and within a bound, is quick; the images, which
 * are most of a file and never unpacked for its text, are left alone. What is encrypted cannot be looked into: pages and time are bounded as well.
 */
function refuseBombs(bytes: Uint8Array): void {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (!file.subarray(0, 1_024).includes('%PDF-')) throw new UnreadableDocument('it is not a readable PDF')
  let left = docsBounds.unpackedBytesMax
  for (let at = file.indexOf('stream'); at >= 0; at = file.indexOf('stream', at + 6)) {
    if (file.subarray(Math.max(0, at - 3), at).toString('latin1') === 'end') continue
    const dictionary = file.subarray(Math.max(0, at - 600), at).toString('latin1')
    const own = dictionary.slice(Math.max(0, dictionary.lastIndexOf(' obj')))
    if (!/\/Fl(?:ateDecode)?\b/.test(own) || /\/Subtype\s*\/Image\b/.test(own)) continue
    if (/\/Fl(?:ateDecode)?\b.*\/Fl(?:ateDecode)?\b/s.test(own)) throw new UnreadableDocument('its text is packed twice')
    const from = file[at + 6] === 0x0d ? at + 8 : at + 7
    const end = file.indexOf('endstream', from)
    const packed = file.subarray(from, end < 0 ? file.length : end)
    try {
      left -= inflateSync(packed, { maxOutputLength: Math.max(1, left), finishFlush: constants.Z_SYNC_FLUSH }).byteLength
    } catch (thrown) {
      if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ERR_BUFFER_TOO_LARGE') throw new UnreadableDocument(`unpacked it is larger than ${docsBounds.unpackedBytesMax / 1024 / 1024} MiB`)
      // Damaged or encrypted: pdf.js will say.
    }
  }
}
