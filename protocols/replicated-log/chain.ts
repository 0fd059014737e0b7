/** The hash chain over a log's entries: two members whose entries have the same chain have the same log up to there. */
import { fault, type Fault } from '../kernel/errors.ts'
import { canonicalJson, digestOfText } from '../kernel/hashing.ts'
import { formatEpoch, type Epoch, type GroupId } from '../kernel/ids.ts'
import { storable } from '../kernel/json.ts'
import type { LogEntry, LogPosition, LogRecord } from './schema.ts'

/** The chain before the first entry. */
export const chainOrigin = '0'.repeat(64)

/** The place before the first entry of every log. */
export const logOrigin: LogPosition = Object.freeze({ index: 0, chain: chainOrigin })

export function chainOf(previous: string, index: number, epoch: Epoch, event: LogRecord): string {
  return digestOfText(`${previous} ${index} ${formatEpoch(epoch)} ${canonicalJson(event)}`)
}

/** The place that an entry is at. */
export function positionOf(entry: LogEntry): LogPosition {
  return { index: entry.index, epoch: entry.epoch, chain: entry.chain }
}

/**
 * The events of the entries are the ones to fold: what no disk gives back as it was (half an emoji, a key `__proto__`) is
 * replaced before it is chained, or the log would not verify when it is read.
 * @returns entries for `events`, numbered and chained after `head`.
 */
export function extend(head: { readonly index: number; readonly chain: string }, epoch: Epoch, events: readonly LogRecord[]): LogEntry[] {
  let { index, chain } = head
  return events.map((given) => {
    const event = storable(given)
    index += 1
    chain = chainOf(chain, index, epoch, event)
    return { index, epoch, event, chain }
  })
}

/**
 * Whether what was read back is what was written up to the watermark. LevelDB can open with records missing in its middle.
 * @param entries all that are there after `from`: the beginning, or the place that a snapshot stands for. Some may lie above the watermark.
 * @param head the watermark. It may lie at `from`, and not before it.
 */
export function verifyLog(group: GroupId, entries: readonly LogEntry[], from: LogPosition, head: { readonly index: number; readonly chain: string }): Fault | undefined {
  let { index, chain } = from
  if (head.index < index) return damaged(group, `it is known up to ${head.index}, and its snapshot is of ${index}`)
  for (const entry of entries) {
    index += 1
    chain = chainOf(chain, index, entry.epoch, entry.event)
    if (entry.index !== index || entry.chain !== chain) return damaged(group, `entry ${index} is missing or altered`)
  }
  if (index < head.index) return damaged(group, `entries ${index + 1} to ${head.index} are missing`)
  const written = head.index === from.index ? from : entries[head.index - from.index - 1]
  if (written?.chain !== head.chain) return damaged(group, `entry ${head.index} is not the one that was written last`)
  return undefined
}

function damaged(group: GroupId, what: string): Fault {
  return fault('storage-failed', `the log of ${group} is damaged: ${what}`, { next: 'if no other node keeps it, restore the data directory from a copy; the other logs are not affected', retryable: false })
}
