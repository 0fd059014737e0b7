import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { zipSync } from 'fflate'
import { describe, expect, it } from 'vitest'
import { decodeDocument } from '../../../../node/skills/docs-answer/documents/decode-document.ts'
import type { Block } from '../../../../node/skills/docs-answer/documents/document.ts'
import { readDocument } from '../../../../node/skills/docs-answer/documents/read-document.ts'
import { passagesOf } from '../../../../node/skills/docs-answer/passages.ts'
import { docsBounds } from '../../../../node/skills/docs-answer/schema.ts'
import { statementsOf } from '../../../../node/skills/docs-answer/statements.ts'
import { termsOf } from '../../../../node/skills/docs-answer/words.ts'
import { encryptedPdf, pdfOf } from './write-pdf.ts'

const handbook = join(import.meta.dirname, '../../../fixtures/docs-answer/handbook')
const pulse = (): void => undefined
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

async function blocksOf(name: string, bytes?: Uint8Array | string): Promise<readonly Block[]> {
  const content = bytes === undefined ? await readFile(join(handbook, name)) : typeof bytes === 'string' ? bytesOf(bytes) : bytes
  return (await readDocument(name, content, pulse)).blocks
}

function blockWith(blocks: readonly Block[], text: string): Block {
  const found = blocks.find((block) => block.text.includes(text))
  if (found === undefined) throw new Error(`no block holds "${text}" among:\n${blocks.map((block) => block.text).join('\n---\n')}`)
  return found
}

describe('each format is read with where its text stands', () => {
  it('Markdown', async () => {
    const blocks = await blocksOf('warranty.md')
    expect(blockWith(blocks, 'revised')).toMatchObject({ kind: 'lines', place: { lines: [2, 3] } })
    expect(blockWith(blocks, 'ten years')).toEqual({ kind: 'prose', text: 'The frame is covered for ten years, the motor for five years. The battery is covered for two years or 500 full charging\ncycles, whichever comes first.', place: { lines: [13, 14] }, headings: ['Warranty', 'What is covered'] })
    expect(blockWith(blocks, 'Tyres')).toMatchObject({ text: expect.stringMatching(/^- Tyres.*covered\.$/) as unknown, place: { lines: [17, 17] } })
    expect(blockWith(blocks, '| Repair')).toMatchObject({ kind: 'lines', headings: ['Warranty', 'How to make a claim'] })
    const code = blockWith(blocks, 'greylag claim')
    expect(code).toMatchObject({ kind: 'lines', place: { lines: [32, 33] } })
    // What looks like a heading in code is none.
    expect(blocks.some((block) => block.headings.some((heading) => heading.includes('command line')))).toBe(false)
  })

  it('Markdown of other habits', async () => {
    const blocks = await blocksOf('a.md', 'Title\n=====\n\nText.\n\nSecond\n------\n* one\n* two\n   more\n\n## Third [link](x.md) `code`\n~~~\n```\nx\n~~~\nAfter.\n\n# Empty\n')
    expect(blocks.map((block) => [block.text, block.place, block.headings])).toEqual([
      ['Text.', { lines: [4, 4] }, ['Title']],
      ['* one', { lines: [8, 8] }, ['Title', 'Second']],
      ['* two\n   more', { lines: [9, 10] }, ['Title', 'Second']],
      ['```\nx', { lines: [14, 15] }, ['Title', 'Third link code']],
      ['After.', { lines: [17, 17] }, ['Title', 'Third link code']],
      ['Empty', { lines: [19, 19] }, ['Empty']],
    ])
  })

  it('plain text', async () => {
    const blocks = await blocksOf('charging.txt')
    expect(blocks.map((block) => block.place)).toEqual([{ lines: [1, 1] }, { lines: [3, 4] }, { lines: [6, 7] }, { lines: [9, 10] }])
    expect(blocks.every((block) => block.kind === 'prose')).toBe(true)
    expect((await blocksOf('run.log', 'one\ntwo\nthree\n')).map((block) => block.kind)).toEqual(['lines'])
    expect((await blocksOf('config.ini', 'a = 1\nb = 2\n'))[0]).toMatchObject({ kind: 'lines', text: 'a = 1\nb = 2' })
  })

  it('reStructuredText', async () => {
    const blocks = await blocksOf('assembly.rst')
    expect(blockWith(blocks, 'torque')).toMatchObject({ headings: ['Assembly'], place: { lines: [5, 5] } })
    expect(blockWith(blocks, '5.5 Nm')).toMatchObject({ headings: ['Assembly', 'Handlebar'], place: { lines: [10, 10] } })
    expect(blockWith(blocks, 'counter-clockwise')).toMatchObject({ headings: ['Assembly', 'Handlebar', 'Pedals'] })
    expect(blockWith(blocks, 'MAX')).toMatchObject({ headings: ['Assembly', 'Saddle'], place: { lines: [22, 22] } })
  })

  it('HTML', async () => {
    const blocks = await blocksOf('faq.html')
    const all = blocks.map((block) => block.text).join('\n')
    expect(all).not.toMatch(/million|secret|display|27 kg/)
    expect(blockWith(blocks, '120 kilometres')).toMatchObject({ text: 'In eco mode the Greylag reaches 120 kilometres, in turbo mode only 45.', place: { lines: [13, 14] }, headings: ['Questions & answers', 'How far does one charge take me?'] })
    expect(blockWith(blocks, 'bättery')).toMatchObject({ place: { lines: [17, 17] } })
    expect(blockWith(blocks, 'Turbo')).toMatchObject({ kind: 'row', text: 'Mode: Turbo; Assistance: 300 %; Top speed: 25 km/h', place: { lines: [24, 24] }, headings: ['Questions & answers', 'Speeds'] })
    expect(blockWith(blocks, 'Walk').text).toBe('Mode: Walk; Top speed: 6 km/h')
    expect(blockWith(blocks, 'E07')).toMatchObject({ kind: 'lines' })
  })

  it('HTML that nobody has closed', async () => {
    const blocks = await blocksOf('a.htm', '<h1>Geese<p>One\n<p>Two<ul><li>a<li>b</ul><script>if (a < b) x("<p>no</p>")</script><table><tr><td>1<td>2</table>Tail')
    expect(blocks.map((block) => block.text)).toEqual(expect.arrayContaining(['Two', 'a', 'b', '1 | 2', 'Tail']))
    expect(blocks.map((block) => block.text).join()).not.toContain('no')
  })

  it('CSV', async () => {
    const blocks = await blocksOf('prices.csv')
    expect(blocks.map((block) => [block.text, block.place])).toEqual([
      ['Part: Charger; Article: GL-100; Price in EUR: 89.00', { lines: [2, 2] }],
      ['Part: Battery; Article: GL-200; Price in EUR: 649.00; Remark: 500 Wh; delivered separately from the bicycle', { lines: [3, 4] }],
      ['Part: Bell; Article: GL-300; Price in EUR: 12.50; Remark: brass, "loud"', { lines: [5, 5] }],
      ['Part: Saddle; Article: GL-400; Price in EUR: 59.90', { lines: [6, 6] }],
    ])
  })

  it('CSV of other habits', async () => {
    expect((await blocksOf('a.csv', 'Town;Size\r\n\r\nAarhus;"1,5"\r\n'))[0]).toMatchObject({ text: 'Town: Aarhus; Size: 1,5', place: { lines: [3, 3] } })
    expect((await blocksOf('a.tsv', 'Town\tSize\nGent\t3\n'))[0]).toMatchObject({ text: 'Town: Gent; Size: 3' })
    expect((await blocksOf('a.csv', '1,2\n3,4\n')).map((block) => block.text)).toEqual(['1; 2', '3; 4'])
    // A quotation mark that nothing closes.
    expect((await blocksOf('a.csv', 'Part,Size\nPipe,12" long\nTube,"3\n')).map((block) => block.text)).toEqual(['Part: Pipe; Size: 12" long', 'Part: Tube; Size: "3'])
  })

  it('XLSX', async () => {
    const blocks = await blocksOf('stock.xlsx')
    expect(blocks.map((block) => [block.text, block.place, block.headings])).toEqual([
      ['Part: Charger; Pieces: 42; Next delivery: 2026-12-04; Returned: 1.5%', { sheet: 'Stock', range: 'B4:E4' }, ['Stock']],
      ['Part: Battery; Pieces: 7; Next delivery: 2027-01-18; Returned: 0.2%', { sheet: 'Stock', range: 'B5:E5' }, ['Stock']],
      ['Part: Bell; Pieces: 310; Returned: 0%', { sheet: 'Stock', range: 'B6:E6' }, ['Stock']],
      ['Part: Sum; Pieces: 359', { sheet: 'Stock', range: 'B7:C7' }, ['Stock']],
      ['Town: Aarhus; Mechanic: Freja Møller', { sheet: 'Workshops & people', range: 'A2:B2' }, ['Workshops & people']],
      ['Town: Gent; Mechanic: Lotte De Smet', { sheet: 'Workshops & people', range: 'A3:B3' }, ['Workshops & people']],
    ])
  })

  it('PDF', async () => {
    const blocks = await blocksOf('service-report.pdf')
    expect(blockWith(blocks, '418 cases')).toMatchObject({ kind: 'prose', place: { page: 1 } })
    expect(blockWith(blocks, 'October')).toMatchObject({ place: { page: 1 } })
    expect(blockWith(blocks, 'batch K7')).toMatchObject({ place: { page: 2 } })
    // Its heading and its paragraphs are not one.
    expect(blockWith(blocks, 'waiting time').text).not.toContain('connector')
  })
})

it('every statement of a text stands on the lines that it names', async () => {
  for (const name of (await readdir(handbook)).filter((each) => /\.(md|txt|rst)$/.test(each))) {
    const lines = (await readFile(join(handbook, name), 'utf8')).split('\n')
    const { passages } = passagesOf(name, await blocksOf(name), termsOf('battery'))
    const statements = passages.flatMap(statementsOf)
    expect(statements.length).toBeGreaterThan(5)
    for (const statement of statements) {
      if (!('lines' in statement.place)) throw new Error('text has lines')
      const [from, to] = statement.place.lines
      expect(lines.slice(from - 1, to).join(' ').replace(/\s+/g, ' '), name).toContain(statement.text)
    }
  }
})

describe('passages', () => {
  const long = (words: number, seed: string): string => Array.from({ length: words }, (_, index) => `${seed}${index}`).join(' ')

  it('never run over a heading or a page, and overlap within one', async () => {
    const sentences = Array.from({ length: 60 }, (_, index) => `Sentence number ${index} says that the goose ${long(6, `w${index}x`)} flies.`)
    const text = `# One\n\n${sentences.slice(0, 30).join('\n')}\n\n# Two\n\n${sentences.slice(30).join('\n\n')}\n`
    const { passages } = passagesOf('a.md', await blocksOf('a.md', text), termsOf('goose'))
    expect(passages.length).toBeGreaterThan(4)
    expect(new Set(passages.map((passage) => passage.headings.join())).size).toBe(2)
    for (const passage of passages) expect(passage.units.reduce((sum, unit) => sum + unit.text.length, 0)).toBeLessThan(1_700)
    // All of the text is in them.
    for (const sentence of sentences) expect(passages.some((passage) => statementsOf(passage).some((statement) => statement.text === sentence)), sentence).toBe(true)
    const second = passages.filter((passage) => passage.headings.includes('Two'))
    expect(second[1]?.units[0]).toEqual(second[0]?.units.at(-1))
  })

  it('cut what has neither sentences nor lines, and lose nothing of it', async () => {
    const endless = long(3_000, 'x')
    const { passages } = passagesOf('a.txt', await blocksOf('a.txt', endless), [])
    expect(passages.map((passage) => passage.units.map((unit) => unit.text).join(' ')).join(' ').split(/\s+/).length).toBeGreaterThanOrEqual(3_000)
    expect(new Set(passages.flatMap((passage) => passage.units.flatMap((unit) => unit.text.split(/\s+/)))).size).toBe(3_000)
  })

  it('are bounded for each document', async () => {
    const { passages, cut } = passagesOf('a.md', Array.from({ length: docsBounds.passagesPerDocumentMax + 5 }, (_, index): Block => ({ kind: 'prose', text: 'x', place: { lines: [index + 1, index + 1] }, headings: [String(index)] })), [])
    expect(cut).toBe(true)
    expect(passages).toHaveLength(docsBounds.passagesPerDocumentMax)
  })
})

describe('encodings', () => {
  it.each([
    ['UTF-8 with a mark', Buffer.from('\uFEFFGänse')],
    ['UTF-16, little-endian', Buffer.from('\uFEFFGänse', 'utf16le')],
    ['UTF-16, big-endian', Buffer.from('\uFEFFGänse', 'utf16le').swap16()],
    ['Latin-1', Buffer.from('Gänse', 'latin1')],
  ])('%s', (_, bytes) => {
    expect(decodeDocument(bytes).text).toBe('Gänse')
  })

  it('believes what HTML says of itself', async () => {
    const bytes = Buffer.concat([Buffer.from('<meta charset="iso-8859-2"><p>'), Buffer.from([0xb3]), Buffer.from('odka</p>')])
    expect((await blocksOf('a.html', bytes)).map((block) => block.text)).toEqual(['łodka'])
  })

  it('counts lines of every kind of line end', async () => {
    expect((await blocksOf('a.txt', 'one is a line\r\rtwo is a line\r\n\r\nthree')).map((block) => block.place)).toEqual([{ lines: [1, 1] }, { lines: [3, 3] }, { lines: [5, 5] }])
  })
})

describe('what cannot be read says why', () => {
  const reasonOf = async (name: string, bytes: Uint8Array): Promise<string> => {
    try {
      await readDocument(name, bytes, pulse)
    } catch (thrown) {
      return thrown instanceof Error && thrown.name === 'UnreadableDocument' ? thrown.message : `another error: ${String(thrown)}`
    }
    return 'it was read'
  }
  const zipped = (name: string, content: Uint8Array): Uint8Array => zipSync({ 'xl/workbook.xml': bytesOf('<workbook/>'), [name]: content }, { level: 1 })

  it.each<[string, string, () => Uint8Array | Promise<Uint8Array>, RegExp]>([
    ['a picture', 'a.png', () => new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0, 0, 1]), /binary/],
    ['control characters', 'a.txt', () => new Uint8Array(1_000).fill(7), /binary/],
    ['a document of Word', 'a.docx', () => bytesOf('PK'), /not read: save it as/],
    ['a lock file', 'package-lock.json', () => bytesOf('{}'), /for programs/],
    ['HTML that is nested without end', 'a.html', () => bytesOf(`${'<b>'.repeat(500_000)}${'</i>'.repeat(500_000)}`), /nested more than/],
    ['a workbook that is nested without end', 'a.xlsx', () => zipSync({ 'xl/workbook.xml': bytesOf('<a>'.repeat(500_000)) }), /nested more than/],
    ['a PDF that is none', 'a.pdf', () => bytesOf('no PDF'), /not a readable PDF/],
    ['a PDF cut short', 'a.pdf', async () => (await readFile(join(handbook, 'service-report.pdf'))).subarray(0, 900), /PDF|pages/],
    ['a PDF with a password', 'a.pdf', () => encryptedPdf(), /encrypted with a password/],
    ['a scan', 'a.pdf', () => pdfOf(['']), /no text/],
    ['a PDF that unpacks to more than is allowed', 'a.pdf', () => pdfOf([' '.repeat(docsBounds.unpackedBytesMax + 1)], true), /unpacked it is larger than 128 MiB/],
    ['a workbook that is none', 'a.xlsx', () => bytesOf('no archive'), /not a readable archive/],
    ['an encrypted workbook', 'a.xlsx', () => new Uint8Array([0xd0, 0xcf, 0x11, 0xe0]), /encrypted/],
    ['an archive without a workbook', 'a.xlsx', () => zipSync({ 'a.txt': bytesOf('x') }), /not a workbook/],
    ['a workbook that unpacks to more than is allowed', 'a.xlsx', () => zipped('xl/worksheets/sheet1.xml', new Uint8Array(docsBounds.unpackedBytesMax)), /unpacked it is larger than 128 MiB/],
  ])('%s', { timeout: 60_000 }, async (_, name, make, expected) => {
    expect(await reasonOf(name, await make())).toMatch(expected)
  })

  it('lines made to be slow to read are read at once', { timeout: 60_000 }, async () => {
    const spaces = ' '.repeat(300_000)
    for (const [name, text] of [['a.md', `#${spaces}x${spaces}#${spaces}x`], ['a.md', `- ${spaces}\u0060\u0060`], ['a.html', `<pre>${spaces}x${spaces}x</pre>`], ['a.txt', `p.${spaces}x. `.repeat(3)], ['a.csv', `"${spaces}`.repeat(3)], ['a.rst', '='.repeat(300_000) + 'x']] as const) {
      const { passages } = passagesOf(name, await blocksOf(name, text), termsOf('x'))
      expect(passages.flatMap(statementsOf).length, name).toBeGreaterThan(0)
    }
  })

  it('a PDF written by hand is read', async () => {
    expect((await blocksOf('a.pdf', pdfOf(['BT /F1 12 Tf 50 700 Td (Geese fly south.) Tj ET', 'BT /F1 12 Tf 50 700 Td (They return.) Tj ET'], true))).map((block) => [block.text, block.place])).toEqual([['Geese fly south.', { page: 1 }], ['They return.', { page: 2 }]])
  })

  it('entities that a workbook defines itself are not expanded', async () => {
    const sheet = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><worksheet><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>&b;</t></is></c></row></sheetData></worksheet>'
    const archive = zipSync({
      'xl/workbook.xml': bytesOf('<workbook xmlns:r="r"><sheets><sheet name="S" r:id="r1"/></sheets></workbook>'),
      'xl/_rels/workbook.xml.rels': bytesOf('<Relationships><Relationship Id="r1" Target="worksheets/sheet1.xml"/></Relationships>'),
      'xl/worksheets/sheet1.xml': bytesOf(sheet),
    })
    const texts = (await blocksOf('a.xlsx', archive)).map((block) => block.text)
    expect(texts).toHaveLength(1)
    expect(texts[0]?.length).toBeLessThan(10)
  })
})
