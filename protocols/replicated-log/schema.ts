/** A mission's log as it is stored: hash-chained entries under an epoch. */
import { z } from 'zod'
import { Epoch, MissionId } from '../kernel/ids.ts'
import { MissionEvent } from '../tasking/schema.ts'

export const LogEntry = z.object({
  index: z.number().int().min(1),
  epoch: Epoch,
  event: MissionEvent,
  /** SHA-256 over the previous entry's chain and this entry's bytes. */
  chain: z.string().length(64),
})
export type LogEntry = z.infer<typeof LogEntry>

/** What is kept beside a log, synced with it: its head watermark and the newest epoch that was promised. */
export const LogHead = z.object({
  missionId: MissionId,
  index: z.number().int().min(0),
  chain: z.string().length(64),
  epoch: Epoch,
  /** True once the mission has ended: it is not folded at start-up. */
  sealed: z.boolean(),
})
export type LogHead = z.infer<typeof LogHead>
