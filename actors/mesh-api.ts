/** What a node offers to its own front ends (the HTTP bridge, the CLI's doctor): questions, answers and a live feed. */
import type { RunStats } from '../protocols/bidding/schema.ts'
import type { Attributes } from '../protocols/capability/schema.ts'
import type { CapabilityView, NodeView } from '../protocols/capability/views.ts'
import type { Fault } from '../protocols/kernel/errors.ts'
import type { GroupId, MissionId, PeerId, Principal } from '../protocols/kernel/ids.ts'
import type { Json } from '../protocols/kernel/payload.ts'
import type { IndexedEvent, MissionOperation, ProgressNote } from '../protocols/tasking/schema.ts'
import type { DiskRoom } from './ports/log-store.ts'

/** One frame of a mission's feed. A `fault` ends the feed. */
export interface WatchFrame {
  readonly events: readonly IndexedEvent[]
  readonly notes: readonly ProgressNote[]
  readonly fault?: Fault
  /** The events up to this index are not kept any more: ask for the mission as it is now, then go on from here. */
  readonly resetTo?: number
}

/** A node's part in keeping the mesh's logs. */
export interface ReplicationReport {
  /** Whether the roster counts this node among those that keep logs. */
  readonly admitted: 'yes' | 'not-yet' | 'not-a-replica'
  /** `unreachable`: too few of its keepers can be reached, so that nothing can be submitted from here. `unknown`: nobody has told of one yet. */
  readonly roster: 'led' | 'unreachable' | 'unknown'
  /** Known to its keepers only. */
  readonly rosterLeader?: PeerId
  /** Whose votes the roster needs. */
  readonly keepers: readonly { readonly peer: PeerId; readonly name: string; readonly connected: boolean }[]
  /** Logs that this node is a member of; of those, led here; of those, without a leader that it knows. */
  readonly groups: number
  readonly leads: number
  readonly leaderless: number
  /** Logs led here that fewer nodes keep than could: for a moment after replicas have come, and while a lost one is missed. */
  readonly underReplicated: number
  /** Logs whose copy here cannot be used. */
  readonly damaged: readonly GroupId[]
  readonly room: DiskRoom
}

/** A call of one capability, outside of any mission: nothing of it is stored, and nobody goes on with it when the caller is gone. */
export interface Invocation {
  readonly capability: string
  readonly version?: string
  /** What its provider must have: `{ model: 'qwen3-4b' }`. */
  readonly attributes?: Attributes
  readonly input: Json
  /** Default `limits.invocationTimeMsDefault`. */
  readonly timeLimitMs?: number
  /** Of the whole call; default: whatever it costs. */
  readonly budgetUsd?: number
  /** 1 to 10; default 5. */
  readonly priority?: number
}

export interface Invoked {
  readonly output: Json
  readonly by: { readonly peer: PeerId; readonly name: string }
  readonly stats: RunStats
}

export interface InvokeOptions {
  readonly principal: Principal
  /** Ends it, wherever it runs. */
  readonly signal?: AbortSignal
  /** With it the output is streamed, if its provider can: every piece once, in order, before the promise resolves. */
  readonly onChunk?: (chunk: Json) => void
}

export interface MeshApi {
  readonly self: PeerId
  readonly name: string
  /**
   * Asks whichever node leads the mission, however often that changes meanwhile (this one for `submit`, when it is a replica).
   * The answer's shape by `op`: submit/view/pause/resume/cancel/retry/change/drop-dead → MissionView, tasks → TaskView,
   * result → ResultView, why → WhyView, list → MissionView[], dead → DeadView[], queue → QueueView[].
   * @throws MeshError with the owner's fault; `timeout` when the outcome is unknown.
   */
  ask(operation: MissionOperation, principal: Principal): Promise<Json>
  /**
   * Follows a mission of the whole mesh: first what the log holds after `fromIndex`, then live. Survives the owner's death.
   * @returns a function that ends it.
   */
  watch(missionId: MissionId, fromIndex: number, principal: Principal, listener: (frame: WatchFrame) => void): () => void
  /** Drops a message that reached nobody (`letter-N`) from this node's own list. @returns false when it has none of that id. */
  dropLetter(id: string): boolean
  /**
   * Has the best bidder for a capability execute it. Tried elsewhere when a provider is lost or refuses, as long as no piece of the output was passed on and the capability has no effects outside.
   * @throws MeshError `no-provider`, `overloaded` (every provider is busy for as long as the call may take), `over-limit` (budget), `deadline-exceeded`, `cancelled`, `lost-worker`, or the skill's own fault.
   */
  invoke(invocation: Invocation, options: InvokeOptions): Promise<Invoked>
  /** JSON Schema of what a capability takes, as one of its providers says it; undefined when none of them can. */
  inputSchema(capability: string, version?: string): Promise<Json | undefined>
  nodes(): Promise<NodeView[]>
  /** Calls the listener whenever the list of nodes may have changed. */
  watchNodes(listener: () => void): () => void
  capabilities(): Promise<CapabilityView[]>
  /** Asks a node (itself included) for its status, its peers or its recent log lines. @throws MeshError `timeout`, `owner-unreachable`. */
  askNode(peer: PeerId, about: 'status' | 'peers' | 'logs'): Promise<Json>
  /** @throws MeshError `timeout` when the node is not running. */
  replication(): Promise<ReplicationReport>
  /** False while starting, draining or stalled; `reasons` say why. */
  readiness(): { readonly ready: boolean; readonly reasons: readonly string[] }
}
