/** The hash chain over a mission's entries, and the head watermark kept beside it. */
import { fault, type Fault } from '../kernel/errors.ts'
import { canonicalJson, digestOfText } from '../kernel/hashing.ts'
import { formatEpoch, type Epoch } from '../kernel/ids.ts'
import { storable } from '../kernel/json.ts'
import type { MissionEvent } from '../tasking/schema.ts'
import type { LogEntry, LogHead } from './schema.ts'

/** The chain before the first entry. */
export const chainOrigin = '0'.repeat(64)

export function chainOf(previous: string, index: number, epoch: Epoch, event: MissionEvent): string {
  return digestOfText(`${previous} ${index} ${formatEpoch(epoch)} ${canonicalJson(event)}`)
}

/**
 * The events of the entries are the ones to fold: what no disk gives back as it was (half an emoji, a key `__proto__`) is
 * replaced before it is chained, or the log would not verify when it is read.
 * @returns entries for `events`, numbered and chained after `head`.
 */
export function extend(head: { readonly index: number; readonly chain: string }, epoch: Epoch, events: readonly MissionEvent[]): LogEntry[] {
  let { index, chain } = head
  return events.map((given) => {
    const event = storable(given)
    index += 1
    chain = chainOf(chain, index, epoch, event)
    return { index, epoch, event, chain }
  })
}

/** Whether what was read back is what was written up to the watermark. LevelDB can open with records missing in its middle. */
export function verifyLog(entries: readonly LogEntry[], head: LogHead): Fault | undefined {
  let chain = chainOrigin
  for (const [i, entry] of entries.entries()) {
    const expected = chainOf(chain, i + 1, entry.epoch, entry.event)
    if (entry.index !== i + 1 || entry.chain !== expected) return damaged(head, `entry ${i + 1} is missing or altered`)
    chain = expected
  }
  if (entries.length < head.index) return damaged(head, `entries ${entries.length + 1} to ${head.index} are missing`)
  if (head.index > 0 && entries[head.index - 1]?.chain !== head.chain) return damaged(head, `entry ${head.index} is not the one that was written last`)
  return undefined
}

function damaged(head: LogHead, what: string): Fault {
  return fault('storage-failed', `the log of mission ${head.missionId} is damaged: ${what}`, { next: 'restore the data directory from a copy; the other missions are not affected', retryable: false })
}
