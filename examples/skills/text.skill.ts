/** Counting words: `text.count` looks at one file, `text.merge` makes one count of many. Used by `map-reduce.yaml`. */
import { defineSkill, z } from 'skein/skill'
import type { BlobRef } from 'skein/skill'

const Counts = z.record(z.string(), z.number().int().min(0))

/** A file comes as a reference to its content, never as a path: the worker may be another machine. */
const File = z.object({ $blob: z.string(), sizeBytes: z.number(), name: z.string().optional() }).loose()

export const count = defineSkill({
  capability: 'text.count',
  version: '1.0',
  summary: 'counts the lines and words of a file or a text',
  effects: 'none',
  limits: { timeMs: 60_000, memoryBytes: 256 * 1024 * 1024 },
  input: z.union([z.object({ file: File }), z.object({ text: z.string() })]),
  output: z.object({ name: z.string(), lines: z.number().int(), words: z.number().int(), counts: Counts }),
  async run(input, context) {
    const text = 'text' in input ? input.text : new TextDecoder().decode(await context.blobs.read(input.file as BlobRef))
    const words = text.toLowerCase().match(/\p{L}[\p{L}\p{M}'’-]*/gu) ?? []
    const counts = new Map<string, number>()
    for (const [index, word] of words.entries()) {
      counts.set(word, (counts.get(word) ?? 0) + 1)
      if (index % 1_000 === 0) context.progress(index / words.length, `${index} words`)
    }
    return {
      name: 'file' in input ? (input.file.name ?? 'file') : 'text',
      lines: text === '' ? 0 : text.replace(/\n$/, '').split('\n').length,
      words: words.length,
      counts: Object.fromEntries(counts),
    }
  },
})

export const merge = defineSkill({
  capability: 'text.merge',
  version: '1.0',
  summary: 'adds up word counts and names the most frequent words',
  effects: 'none',
  input: z.object({ parts: z.array(z.object({ words: z.number(), counts: Counts }).loose()), top: z.number().int().min(1).default(10) }),
  output: z.object({ words: z.number().int(), distinct: z.number().int(), top: z.array(z.object({ word: z.string(), count: z.number().int() })) }),
  run({ parts, top }) {
    const sums = new Map<string, number>()
    for (const { counts } of parts) {
      for (const [word, times] of Object.entries(counts)) sums.set(word, (sums.get(word) ?? 0) + times)
    }
    const ranked = [...sums].sort(([leftWord, left], [rightWord, right]) => right - left || leftWord.localeCompare(rightWord, 'en'))
    return {
      words: parts.reduce((sum, part) => sum + part.words, 0),
      distinct: sums.size,
      top: ranked.slice(0, top).map(([word, times]) => ({ word, count: times })),
    }
  },
})

export default [count, merge]
