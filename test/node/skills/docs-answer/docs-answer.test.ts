import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { docsAnswer } from '../../../../node/skills/docs-answer/skills.ts'
import { folderWith } from '../../folders/temporary-folder.ts'
import { answerFrom } from './docs-in-process.ts'

const handbook = join(import.meta.dirname, '../../../fixtures/docs-answer/handbook')

describe('docs.answer without a model', () => {
  it.each([
    ['How long is the warranty of the motor?', { file: 'warranty.md', lines: [13, 13] }, /motor for five years/],
    ['How many hours does a full charge take?', { file: 'charging.txt', lines: [3, 4] }, /four and a half hours/],
    ['Which torque do the bolts of the handlebar need?', { file: 'assembly.rst', lines: [10, 10] }, /5\.5 Nm/],
    ['How many kilometres does eco mode reach?', { file: 'faq.html', lines: [13, 14] }, /120 kilometres/],
    ['What is the price of the bell?', { file: 'prices.csv', lines: [5, 5] }, /12\.50/],
    ['When is the next delivery of the battery?', { file: 'stock.xlsx', sheet: 'Stock', range: 'B5:E5' }, /2027-01-18/],
    ['Who is the mechanic in Aarhus?', { file: 'stock.xlsx', sheet: 'Workshops & people', range: 'A2:B2' }, /Freja Møller/],
    ['Why was the brake lever recalled?', { file: 'service-report.pdf', page: 2 }, /hinge could break/],
    ['What does error code E07 mean?', { file: 'faq.html' }, /battery is too hot/],
  ])('%s', async (question, place, said) => {
    const { output, markdown } = await answerFrom(handbook, question)
    expect(output).toMatchObject({ answered: true, written: 'extracted' })
    expect(output.answer).toMatch(said)
    const first = output.citations.find((citation) => said.test(citation.quote))
    expect(first).toMatchObject(place)
    expect(output.answer).toContain(`[${output.citations.findIndex((citation) => citation === first) + 1}]`)
    expect(markdown).toContain(place.file)
    expect(output.summary).toContain(place.file)
  })

  it('quotes what stands on the lines that it names', async () => {
    for (const question of ['How is a claim made?', 'What happens below freezing?', 'How is the saddle set?']) {
      const { output } = await answerFrom(handbook, question)
      expect(output.citations.length).toBeGreaterThan(0)
      for (const { file, lines, quote } of output.citations) {
        if (lines === undefined || /\.(html|csv)$/.test(file)) continue
        const source = (await readFile(join(handbook, file), 'utf8')).split('\n').slice(lines[0] - 1, lines[1]).join(' ').replace(/\s+/g, ' ')
        expect(source).toContain(quote)
      }
    }
  })

  it('gives the same answer however the folder is split', async () => {
    const files = Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`d${index % 7}/f${index}.md`, `# Goose ${index}\n\nThe goose of flight ${index} weighs ${index * 37 % 100} kilograms${index % 3 === 0 ? ' and eats grass' : ''}.\n\n${index % 5 === 0 ? 'The leader tires, and the next goose leads the flight.\n' : ''}${'Geese fly. '.repeat(index)}\n`]))
    const folder = await folderWith(files)
    for (const question of ['Which goose leads the flight when the leader tires?', 'How much does the goose of flight 17 weigh?', 'What do geese eat?']) {
      const whole = await answerFrom(folder, question, { limits: { leavesLeft: 1, depthLeft: 1 } })
      expect(whole.parts).toBe(1)
      expect(whole.output.answered).toBe(true)
      for (const leavesLeft of [2, 30]) {
        for (const reversed of [false, true]) {
          const split = await answerFrom(folder, question, { limits: { leavesLeft, depthLeft: 1 }, reversed })
          expect(split.parts).toBeGreaterThan(1)
          expect({ ...split.output, markdown: split.markdown }).toEqual({ ...whole.output, markdown: whole.markdown })
        }
      }
    }
  })

  it('prefers the rare word to the frequent one', async () => {
    const folder = await folderWith({
      ...Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`n${index}.txt`, `The node of rack ${index} is a node like any other node.`])),
      'z.txt': 'A quagga sleeps in rack nine.',
    })
    const { output } = await answerFrom(folder, 'Which node is a quagga?')
    expect(output.citations[0]).toMatchObject({ file: 'z.txt', lines: [1, 1] })
  })

  it('says that the documents do not answer', async () => {
    const { output, markdown } = await answerFrom(handbook, 'Who was crowned emperor of Byzantium?')
    expect(output).toMatchObject({ answered: false, written: 'extracted', citations: [] })
    expect(output.answer).toContain('Nothing in the 7 documents')
    expect(output.notes.join('\n')).toContain('in no document: "crowned", "emperor", "Byzantium"')
    expect(markdown).toContain('Not answered')
    const near = (await answerFrom(handbook, 'Who was crowned in the battery of Byzantium?')).output
    expect(near).toMatchObject({ answered: false })
    expect(near.answer).toContain('do not seem to answer')
    expect(near.citations.length).toBeGreaterThan(0)
  })

  it('answers from a folder in which nothing can be read', async () => {
    const { output } = await answerFrom(await folderWith({ 'a.png': new Uint8Array([1, 0, 2]), 'b.docx': 'PK' }), 'What is this?')
    expect(output).toMatchObject({ answered: false, citations: [] })
    expect(output.answer).toContain('no document here that could be read')
    expect(output.notes).toEqual(expect.arrayContaining(['a.png: it is binary', expect.stringContaining('b.docx: documents of this format')]))
  })

  it('names what was not read, and reads the rest', async () => {
    const folder = await folderWith({
      'geese.md': 'The goose flies south in October.\n',
      'broken.pdf': '%PDF-1.4\nnothing',
      'broken.xlsx': 'PK',
      'empty.txt': '',
      'huge.txt': 'x'.repeat(17 * 1024 * 1024),
      ...Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`p${index}.png`, new Uint8Array([0, index])])),
    })
    const { output } = await answerFrom(folder, 'When does the goose fly south?')
    expect(output).toMatchObject({ answered: true, citations: [{ file: 'geese.md', lines: [1, 1] }] })
    const notes = output.notes.join('\n')
    for (const expected of ['broken.pdf: ', 'broken.xlsx: ', 'huge.txt: it has 17 MiB', 'p0.png, p1.png, p2.png and 6 more: it is binary']) expect(notes).toContain(expected)
    expect(notes).not.toContain('empty.txt')
  })

  it('says which part is missing when a task fails for good, and fails when all do', async () => {
    const { output } = await answerFrom(handbook, 'What is the price of the bell?', { fails: (part) => part === 'part-1' })
    expect(output.notes.join('\n')).toContain('part-1 of the folder was not searched: this task was made to fail')
    await expect(answerFrom(handbook, 'What?', { fails: () => true })).rejects.toMatchObject({ fault: { code: 'skill-failed' } })
  })

  it('takes the answer behind a question, and the sentence that a pronoun leans on', async () => {
    const folder = await folderWith({ 'faq.md': '## Travelling\n\nMay I take the bicycle on an aeroplane? No airline allows a battery of this size.\n\n## Motor\n\nThe motor sits in the rear hub. It is silent up to twenty kilometres per hour.\n' })
    expect((await answerFrom(folder, 'May I take the bicycle on an aeroplane?')).output.answer).toMatch(/^No airline/)
    expect((await answerFrom(folder, 'Is it silent at twenty kilometres per hour?')).output.answer).toMatch(/^The motor sits in the rear hub\. It is silent/)
  })

  it('shows rows of a table as text, and references of a document not as its own', async () => {
    const folder = await folderWith({ 'a.md': '| Bird | Speed |\n| --- | --- |\n| Swallow | 11 m/s |\n\nA quagga is a zebra [12].\n' })
    const rows = (await answerFrom(folder, 'What is the speed of a swallow?')).output
    expect(rows).toMatchObject({ answer: 'Swallow · 11 m/s [1]', citations: [{ quote: '| Swallow | 11 m/s |', lines: [3, 3] }] })
    expect((await answerFrom(folder, 'What is a quagga?')).output.answer).toBe('A quagga is a zebra (12). [1]')
  })

  it('keeps what documents hold from becoming markup of the answer', async () => {
    const folder = await folderWith({ 'a b(1).md': 'The goose says <img src=x onerror=alert(1)> and ![x](http://evil.example/x.png) and [click](http://evil.example).\n' })
    const { markdown } = await answerFrom(folder, 'What does the goose say?')
    expect(markdown).not.toContain('<img')
    expect(markdown).not.toMatch(/[^\\]\]\(http/)
    expect(markdown).toContain('(a%20b%281%29.md#L1)')
  })

  it('refuses inputs that are none, and works within the leaves that are left', async () => {
    for (const input of [{}, { folder: '/home', question: 'x' }, { question: 'x' }]) expect((await docsAnswer.input['~standard'].validate(input)).issues).toBeDefined()
    await expect(answerFrom(handbook, '   ')).rejects.toThrow('does not fit the schema')
    await expect(answerFrom(handbook, 'x', { limits: { leavesLeft: 0, depthLeft: 1 } })).rejects.toMatchObject({ fault: { code: 'over-limit' } })
  })
})
