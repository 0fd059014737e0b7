/** A step that fails on purpose, to watch how the mesh tries again. Used by `diamond.yaml`. */
import { defineSkill, z } from 'skein/skill'

export default defineSkill({
  capability: 'flaky.step',
  version: '1.0',
  summary: 'adds its label to a trail; fails on its first attempts when told to',
  effects: 'none',
  input: z.object({
    label: z.string(),
    /** Outputs of the steps before; null stands for an optional one that failed for good. */
    follows: z.array(z.object({ trail: z.array(z.string()) }).loose().nullable()).default([]),
    /** How many attempts fail before one succeeds. */
    failures: z.number().int().min(0).default(0),
  }),
  output: z.object({ label: z.string(), attempt: z.number().int(), trail: z.array(z.string()) }),
  run({ label, follows, failures }, { attempt, log }) {
    if (attempt <= failures) {
      log(`${label} fails on purpose (attempt ${attempt} of ${failures + 1})`)
      throw new Error(`${label} fails on purpose on attempt ${attempt}`)
    }
    const before = follows.flatMap((step) => step?.trail ?? [])
    return { label, attempt, trail: [...new Set([...before, label])] }
  },
})
