/** What the benchmark asks of a process that keeps logs, and what it answers. One question at a time. */
import type { MeshKey } from '../../../node/mesh-key.ts'
import type { GroupId, PeerId } from '../../../protocols/kernel/ids.ts'
import type { Member } from '../../../protocols/membership/schema.ts'

export type KeeperAsk =
  /** Answered once the node listens and its store is open. */
  | { readonly op: 'start'; readonly dataDir: string; readonly meshKey: MeshKey; readonly groupPulseMs?: number }
  | { readonly op: 'connect'; readonly addrs: readonly string[]; readonly peers: readonly PeerId[] }
  /** The disk's own rates, in this process. */
  | { readonly op: 'disk'; readonly batchRecords: number; readonly seconds: number }
  /** Answered once this node leads them all and their first entry is committed. */
  | { readonly op: 'found'; readonly groups: readonly GroupId[]; readonly members: readonly Member[] }
  /** One entry after the other in one group. */
  | { readonly op: 'commit-one-by-one'; readonly group: GroupId; readonly count: number }
  /** In every group that was founded here, one append after the other. */
  | { readonly op: 'load'; readonly seconds: number; readonly entriesPerAppend: number }
  | { readonly op: 'end' }

export interface KeeperAnswers {
  readonly start: { readonly member: Member; readonly addrs: readonly string[] }
  readonly connect: Record<string, never>
  readonly disk: { readonly recordsPerSecond: number }
  readonly found: Record<string, never>
  readonly 'commit-one-by-one': { readonly timesMs: readonly number[] }
  readonly load: { readonly entriesPerSecond: number; readonly timesMs: readonly number[] }
  readonly end: Record<string, never>
}

export type KeeperReply = { readonly answer: KeeperAnswers[keyof KeeperAnswers] } | { readonly failed: string }
