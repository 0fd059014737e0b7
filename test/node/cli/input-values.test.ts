import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { inputOf, readDocument, valueOf } from '../../../node/cli/input-values.ts'
import { digestOf } from '../../../protocols/kernel/hashing.ts'
import type { BlobRef } from '../../../protocols/kernel/payload.ts'

let folder: string
let uploaded: Map<string, string>
const uploader = {
  put: async (bytes: Uint8Array, about: { name?: string }): Promise<BlobRef> => {
    const ref = { $blob: digestOf(bytes), sizeBytes: bytes.byteLength, ...about }
    uploaded.set(ref.$blob, new TextDecoder().decode(bytes))
    return ref
  },
}

beforeEach(() => {
  uploaded = new Map()
  folder = mkdtempSync(join(tmpdir(), 'skein-input-'))
  mkdirSync(join(folder, 'src'))
  writeFileSync(join(folder, 'src', 'a.txt'), 'geese')
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

it('takes JSON where it is JSON and text elsewhere', () => {
  expect(['3', 'true', 'null', '[1,"a"]', '{"a":1}', '"3"', 'geese', '1.0.0', ''].map(valueOf)).toEqual([3, true, null, [1, 'a'], { a: 1 }, '3', 'geese', '1.0.0', ''])
})

it('nests dotted keys and adds to an input file', async () => {
  expect(await inputOf('text.shout', ['a.b=1', 'a.c=x', 'd=e=f'], { a: { b: 0, z: 9 }, y: 8 }, folder, uploader)).toEqual({ a: { b: 1, z: 9, c: 'x' }, d: 'e=f', y: 8 })
  await expect(inputOf('text.shout', ['a=1'], [1], folder, uploader)).rejects.toThrow('the input file holds something else')
  await expect(inputOf('text.shout', ['__proto__.x=1'], undefined, folder, uploader)).rejects.toThrow('is not key=value')
  expect(await inputOf('text.shout', [], undefined, folder, uploader)).toEqual({})
})

it('uploads files and folders, and nothing else', async () => {
  const input = await inputOf('text.shout', ['file=@src/a.txt', 'all=@src', 'at=@@home', 'path=src'], undefined, folder, uploader) as Record<string, unknown>
  expect(input).toMatchObject({ file: { $blob: expect.any(String) as string, name: 'a.txt', sizeBytes: 5 }, all: { name: 'src', files: 1 }, at: '@home', path: 'src' })
  expect([...uploaded.values()]).toContain('geese')
  await expect(inputOf('text.shout', ['file=@missing'], undefined, folder, uploader)).rejects.toThrow('there is no file at')
})

it('packs the folder of a report', async () => {
  for (const pair of ['path=src', 'folder=./src', 'folder=@src']) {
    expect(await inputOf('repo.report', [pair, 'topN=3'], undefined, folder, uploader), pair).toEqual({ folder: expect.objectContaining({ name: 'src', files: 1 }) as unknown, topN: 3 })
  }
  expect(await inputOf('repo.report', ['git=https://example.org/a.git'], undefined, folder, uploader)).toEqual({ git: 'https://example.org/a.git' })
})

it('packs the folder of a question, which is text whatever it looks like', async () => {
  for (const [typed, question] of [['How long?', 'How long?'], ['42', '42'], ['"quoted"', '"quoted"'], ['@@home', '@home']] as const) {
    expect(await inputOf('docs.answer', ['path=src', `question=${typed}`, 'passagesMax=3'], undefined, folder, uploader)).toEqual({ folder: expect.objectContaining({ name: 'src', files: 1 }) as unknown, question, passagesMax: 3 })
  }
})

it('replaces uploads in documents, relative to them, and names the line of a mistake', async () => {
  writeFileSync(join(folder, 'plan.yaml'), 'tasks:\n  one:\n    capability: text.shout\n    input:\n      file: { $upload: src/a.txt }\n      deep: [{ $upload: ./src }]\n')
  expect(await readDocument(join(folder, 'plan.yaml'), uploader)).toMatchObject({ tasks: { one: { input: { file: { name: 'a.txt' }, deep: [{ name: 'src', files: 1 }] } } } })
  writeFileSync(join(folder, 'broken.json'), '{\n  "a": [1,\n}')
  await expect(readDocument(join(folder, 'broken.json'), uploader)).rejects.toThrow(/broken\.json is neither YAML nor JSON: .*line \d/s)
})
