/** What an omniscient observer of a virtual mesh is told, as it happens. Nothing that it does changes the run. */
import type { Fact } from '../actors/ports/telemetry.ts'
import type { SkillRun, SkillRunEvent } from '../actors/ports/skill-runner.ts'
import type { GroupId, MissionId, PeerId } from '../protocols/kernel/ids.ts'
import type { LogEntry } from '../protocols/replicated-log/schema.ts'
import type { Envelope, Received } from '../protocols/wire.ts'
import type { VirtualNode } from './virtual-node.ts'

export type Ending = 'crash' | 'power-cut' | 'left' | 'gave-up'

export interface MeshObserver {
  nodeStarted?(node: VirtualNode, missionsOnDisk: readonly MissionId[]): void
  nodeStopped?(node: VirtualNode, how: Ending, reason?: string): void
  /** A node sends a message on a stream, wherever that gets. */
  sent?(from: PeerId, to: PeerId, envelope: Envelope): void
  /** A message on a stream has reached a node. */
  delivered?(to: PeerId, received: Received): void
  /** A gossiped message has reached a subscriber. */
  gossiped?(to: PeerId, received: Received): void
  published?(from: PeerId, topic: string, envelope: Envelope): void
  /** Entries of a mission's log are on a member's disk. `truncateFrom`: what was there from this index on is gone. */
  synced?(node: string, missionId: MissionId, entries: readonly LogEntry[], truncateFrom?: number): void
  /** The same of the roster and of the registrar's shards. */
  groupSynced?(node: string, group: GroupId, entries: readonly LogEntry[], truncateFrom?: number): void
  runStarted?(node: VirtualNode, run: SkillRun): void
  /** `lost`: its node ended first. */
  runEnded?(node: VirtualNode, run: SkillRun, event: Extract<SkillRunEvent, { type: 'done' | 'failed' }> | { readonly type: 'lost' }): void
  fact?(node: VirtualNode, fact: Fact): void
}
