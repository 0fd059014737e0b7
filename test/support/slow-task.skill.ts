/** A task that takes as long as it is told, for tests that need something to be under way. */
import { appendFileSync } from 'node:fs'
import { defineSkill, z } from 'skein/skill'

export default defineSkill({
  capability: 'test.wait',
  version: '1.0',
  summary: 'waits, and notes each run in a file when it is told one',
  effects: 'none',
  limits: { timeMs: 120_000, memoryBytes: 128 * 1024 * 1024 },
  input: z.object({ label: z.string(), ms: z.number().int().min(0), journal: z.string().optional(), after: z.unknown().optional() }),
  output: z.object({ label: z.string() }),
  async run({ label, ms, journal }, context) {
    if (journal !== undefined) appendFileSync(journal, `start ${label} ${context.attempt}\n`)
    const untilMs = performance.now() + ms
    while (performance.now() < untilMs) {
      context.progress(Math.max(0, 1 - (untilMs - performance.now()) / Math.max(1, ms)), label)
      await new Promise((resolve) => setTimeout(resolve, 50))
      if (context.signal.aborted) break
    }
    if (journal !== undefined) appendFileSync(journal, `end ${label} ${context.attempt}\n`)
    return { label }
  },
})
