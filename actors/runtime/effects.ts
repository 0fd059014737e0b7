/** Everything an actor can cause, as values. The interpreter is the only thing that performs them; tests compare them. */
import type { Fault } from '../../protocols/kernel/errors.ts'
import type { ActorAddress, Digest, GroupId, MissionId, PeerId, Principal } from '../../protocols/kernel/ids.ts'
import type { BlobRef, Json, Payload } from '../../protocols/kernel/payload.ts'
import type { LastUse } from '../../protocols/kernel/recent-use.ts'
import type { DurationMs } from '../../protocols/kernel/units.ts'
import type { Message } from '../../protocols/wire.ts'
import type { ActorMessage, LocalMessage } from '../messages.ts'
import type { LogBatch } from '../ports/log-store.ts'
import type { SkillCallEvent, SkillRun } from '../ports/skill-runner.ts'
import type { Fact } from '../ports/telemetry.ts'
import type { Delivery } from './delivery.ts'

/** A behaviour whose state's type is forgotten, so that all kinds can be spawned. Made by `erased`. */
export interface Spawnable {
  readonly kind: string
}

export type Effect =
  /** To an actor of this node (any message) or of another (wire messages only). */
  | { readonly type: 'tell'; readonly to: ActorAddress; readonly message: ActorMessage; readonly principal?: Principal }
  | { readonly type: 'publish'; readonly topic: string; readonly to: string; readonly message: Message; readonly principal?: Principal }
  | { readonly type: 'subscribe'; readonly topic: string }
  | { readonly type: 'unsubscribe'; readonly topic: string }
  /** Replaces a timer of the same key. */
  | { readonly type: 'set-timer'; readonly key: string; readonly delayMs: DurationMs; readonly message: LocalMessage }
  | { readonly type: 'clear-timer'; readonly key: string }
  | { readonly type: 'spawn'; readonly name: string; readonly behaviour: Spawnable }
  | { readonly type: 'stop-self' }
  | { readonly type: 'write-log'; readonly batch: LogBatch; readonly tag: string }
  | { readonly type: 'open-log'; readonly tag: string }
  | { readonly type: 'look-for-room'; readonly tag: string }
  /** Records of archived missions: one of them, or those that ended before an instant, or those to be forgotten by one. Answered by `ended-read`. */
  | { readonly type: 'read-ended'; readonly which: { readonly missionId: MissionId } | { readonly beforeWallMs: number; readonly max: number } | { readonly keptUntilWallMs: number; readonly max: number }; readonly tag: string }
  /** Whether a log that is not here once was. Answered by `group-recalled`. */
  | { readonly type: 'recall-group'; readonly group: GroupId }
  /** Frees blobs of this node that nothing cites any more, but for those in use within that time. Answered by `blobs-removed`. */
  | { readonly type: 'remove-blobs'; readonly digests: readonly Digest[]; readonly idleForMs: number; readonly tag: string }
  /** Blobs of this node that were not used for so long, unused for longest first. Answered by `idle-blobs-found`. */
  | { readonly type: 'find-idle-blobs'; readonly idleForMs: DurationMs; readonly max: number; readonly after?: LastUse; readonly tag: string }
  /** What the actors of this node hold that is in no log, and since when the oldest skill runs that runs now. Answered by `held-found`. */
  | { readonly type: 'find-held'; readonly tag: string }
  /** A payload's JSON value, fetched when it is a blob. `onlyHere`: a blob that is not on this node has none. */
  | { readonly type: 'load-value'; readonly payload: Payload; readonly alsoTry: readonly PeerId[]; readonly onlyHere?: boolean; readonly tag: string }
  /** The reverse: inline when small, a blob otherwise. */
  | { readonly type: 'store-value'; readonly value: Json; readonly tag: string }
  /** Makes all of them local. */
  | { readonly type: 'fetch-blobs'; readonly refs: readonly BlobRef[]; readonly alsoTry: readonly PeerId[]; readonly tag: string }
  /** Checks an input against the schema of a skill of this node; no fault when the skill is not here. */
  | { readonly type: 'check-input'; readonly capability: string; readonly version: string | undefined; readonly input: Json; readonly tag: string }
  | { readonly type: 'start-skill'; readonly run: SkillRun }
  | { readonly type: 'stop-skill'; readonly runId: string; readonly why: Fault }
  /** What has become of a call that a run has made. */
  | { readonly type: 'answer-call'; readonly runId: string; readonly callNumber: number; readonly event: SkillCallEvent }
  /** A run's checkpoint of this number, or a newer one, is in the mission's log; with a fault: it never will be. */
  | { readonly type: 'tell-committed'; readonly runId: string; readonly number: number; readonly problem?: Fault }
  /** The JSON Schema of an input, of a skill of this node. Answered by `skill-described`. */
  | { readonly type: 'describe-skill'; readonly capability: string; readonly version: string | undefined; readonly tag: string }
  | { readonly type: 'provide'; readonly keys: readonly string[] }
  | { readonly type: 'find-providers'; readonly key: string; readonly max: number; readonly timeoutMs: DurationMs; readonly tag: string }
  | { readonly type: 'sample-hardware' }
  | { readonly type: 'fact'; readonly fact: Fact }
  /** A message that came too late or that nobody waits for: counted and kept to be looked at. */
  | { readonly type: 'dead-letter'; readonly delivery: Delivery; readonly reason: string }
  /** The node must not go on: it exits, and recovers from its log when it is started again. */
  | { readonly type: 'give-up'; readonly reason: string }

export function tell(to: ActorAddress, message: ActorMessage, principal?: Principal): Effect {
  return { type: 'tell', to, message, ...(principal === undefined ? {} : { principal }) }
}

export function fact(level: Fact['level'], name: string, fields: Fact['fields'] = {}): Effect {
  return { type: 'fact', fact: { level, name, fields } }
}
