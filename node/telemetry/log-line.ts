import { z } from 'zod'

/** A line of a node's log, as it is kept for `doctor` and sent to other nodes. Its fields have been redacted. */
export const LogLine = z.object({
  atWallMs: z.number(),
  level: z.enum(['debug', 'info', 'warn', 'error']),
  name: z.string(),
  fields: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
})
export type LogLine = z.infer<typeof LogLine>
