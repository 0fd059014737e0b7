/** The one line that `node start --json` prints when it is ready. */
import { z } from 'zod'

export const Ready = z.object({
  event: z.literal('ready'),
  peerId: z.string(),
  addrs: z.array(z.string()),
  /** Absent when the node serves no bridge. */
  http: z.string().optional(),
})
export type Ready = z.infer<typeof Ready>

/** @returns undefined for a line that is something else. */
export function parseReadyLine(line: string): Ready | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    return Ready.safeParse(JSON.parse(line)).data
  } catch {
    return undefined
  }
}
