/** What actors of one node say to each other. These never cross the wire; what does is in `protocols/wire.ts`. */
import type { Assessment } from '../protocols/bidding/calibration.ts'
import type { CapabilityMeasure } from '../protocols/bidding/measure.ts'
import type { Award, RunStats, RunUnits } from '../protocols/bidding/schema.ts'
import type { Advert, Attributes, Capability, CapabilityQuery, SchemaVersion } from '../protocols/capability/schema.ts'
import type { CapabilityView, NodeView } from '../protocols/capability/views.ts'
import type { Fault } from '../protocols/kernel/errors.ts'
import type { Invoke } from '../protocols/invoking/schema.ts'
import type { Bytes, DurationMs, InstantMs } from '../protocols/kernel/units.ts'
import type { ActorAddress, AwardId, CapabilityName, Digest, Epoch, GroupId, Incarnation, MissionId, PeerId, Principal, TaskId } from '../protocols/kernel/ids.ts'
import type { BlobRef, Json, Payload } from '../protocols/kernel/payload.ts'
import type { Membership, MissionClaim, RosterView } from '../protocols/membership/schema.ts'
import type { EndedMission, FormerCopy, LogEntry, LogSnapshot } from '../protocols/replicated-log/schema.ts'
import type { DeadView, MissionView } from '../protocols/tasking/views.ts'
import type { MissionOperation } from '../protocols/tasking/schema.ts'
import type { Message, MessageOf } from '../protocols/wire.ts'
import type { ReplicationReport } from './mesh-api.ts'
import type { IdleBlob } from './ports/blob-store.ts'
import type { HardwareSample } from './ports/hardware.ts'
import type { DiskRoom, StoreOnDisk } from './ports/log-store.ts'
import type { SkillRunEvent } from './ports/skill-runner.ts'

/** Outcomes of effects, by the tag the actor gave. */
export type EffectOutcome =
  | { readonly kind: 'value-loaded'; readonly tag: string; readonly value?: Json; readonly fault?: Fault }
  | { readonly kind: 'value-stored'; readonly tag: string; readonly payload?: Payload; readonly fault?: Fault }
  | { readonly kind: 'blobs-fetched'; readonly tag: string; readonly fault?: Fault }
  | { readonly kind: 'log-written'; readonly tag: string; readonly fault?: Fault }
  | { readonly kind: 'log-read'; readonly tag: string; readonly entries: readonly LogEntry[]; readonly fault?: Fault }
  | { readonly kind: 'log-opened'; readonly tag: string; readonly found?: StoreOnDisk; readonly fault?: Fault }
  | { readonly kind: 'room-looked'; readonly tag: string; readonly room: DiskRoom }
  | { readonly kind: 'ended-read'; readonly tag: string; readonly ended: readonly EndedMission[]; readonly fault?: Fault }
  /** `ended`: its archive is here. `former`: a copy of it was here. */
  | { readonly kind: 'group-recalled'; readonly group: GroupId; readonly ended?: EndedMission; readonly former?: FormerCopy; readonly fault?: Fault }
  /** `kept`: those that were in use too lately. */
  | { readonly kind: 'blobs-removed'; readonly tag: string; readonly kept: readonly Digest[]; readonly fault?: Fault }
  | { readonly kind: 'idle-blobs-found'; readonly tag: string; readonly blobs: readonly IdleBlob[]; readonly fault?: Fault }
  | { readonly kind: 'held-found'; readonly tag: string; readonly refs: readonly BlobRef[]; readonly runningSinceMs?: InstantMs }
  | { readonly kind: 'input-checked'; readonly tag: string; readonly fault?: Fault }
  | { readonly kind: 'skill-described'; readonly tag: string; readonly inputSchema?: Json }
  | { readonly kind: 'skill-event'; readonly runId: string; readonly event: SkillRunEvent }
  | { readonly kind: 'providers-found'; readonly tag: string; readonly peers: readonly PeerId[] }
  | { readonly kind: 'hardware-sampled'; readonly sample: HardwareSample }

/** From the world below: connections and what the skills changed to. */
export type WorldNews =
  | { readonly kind: 'peer-up'; readonly peer: PeerId }
  | { readonly kind: 'peer-down'; readonly peer: PeerId }
  | { readonly kind: 'capabilities-changed'; readonly capabilities: readonly Capability[] }
  | { readonly kind: 'capabilities-measured'; readonly measures: readonly CapabilityMeasure[] }
  | { readonly kind: 'undelivered'; readonly peer: PeerId; readonly to: string; readonly messageKind: string; readonly reason: string }
  | { readonly kind: 'child-failed'; readonly name: string; readonly reason: string }

/** A provider as a manager sees it. */
export interface Provider {
  readonly peer: PeerId
  readonly name: string
  readonly capability: Capability
  readonly connected: boolean
  readonly assessment: Assessment
}

/** Another node as the missions desk sees it: whom to pass a question or a submission on to. Those that are gone are among them for a while. */
export interface Member {
  readonly peer: PeerId
  readonly name: string
  readonly replica: boolean
  /** As it said last. */
  readonly missionsOwned: number
}

/** What an award has come to, beside what was promised for it. */
export type LearnedOutcome =
  | { readonly peer: PeerId; readonly good: true; readonly promisedMs: number; readonly actualMs: number; readonly samples: number }
  | { readonly peer: PeerId; readonly good: false }

export type DirectoryMessage =
  | { readonly kind: 'watch-peers'; /** Those that are connected already are told, too. */ readonly present?: boolean }
  | { readonly kind: 'unwatch-peers' }
  /** Answered by `offers`, one per query, in order. */
  | { readonly kind: 'who-offers'; readonly tag: string; readonly queries: readonly CapabilityQuery[]; readonly patient: boolean }
  | { readonly kind: 'offers'; readonly tag: string; readonly offers: readonly Offer[]; readonly population: number }
  /** Answered by `assessments`. */
  | { readonly kind: 'outcomes-learned'; readonly outcomes: readonly LearnedOutcome[] }
  | { readonly kind: 'assessments'; readonly assessments: ReadonlyMap<PeerId, Assessment> }
  | { readonly kind: 'own-advert'; readonly advert: Advert; readonly text: string; readonly signature: Uint8Array }
  | { readonly kind: 'describe-nodes'; readonly replyTo: ActorAddress }
  | { readonly kind: 'nodes-described'; readonly nodes: NodeView[]; readonly capabilities: CapabilityView[] }
  | { readonly kind: 'nodes-changed' }
  /** Answered by `members`: all of them now, then those that came, went or changed. */
  | { readonly kind: 'watch-members' }
  | { readonly kind: 'members'; readonly members: readonly Member[] }
  /** How many nodes there are, estimated where the mesh is divided into shards, and into how many. */
  | { readonly kind: 'population'; readonly nodes: number; readonly shards: number }
  /** Into how many shards the providers of each capability are divided. */
  | { readonly kind: 'capability-shards'; readonly shardsOf: ReadonlyMap<string, number> }

export interface Offer {
  readonly query: CapabilityQuery
  /** Those known here. */
  readonly providers: readonly Provider[]
  /** How many there are in the whole mesh, known here or not. */
  readonly population: number
  /** Into how many shards they are divided. */
  readonly shards: number
  /** This node knows a part of the mesh only. */
  readonly partial: boolean
  /** The capability as it was last heard of, even when nobody offers it now. */
  readonly known?: Capability
  /** Versions that are offered or known, when none matches. */
  readonly versions: readonly string[]
  readonly nearest: readonly string[]
  /** When nobody offers it: what is offered, some of it. */
  readonly others?: readonly string[]
}

/** A group of this node that was found on the disk, or that this node has joined. */
export interface GroupNews {
  readonly group: GroupId
  readonly membership?: Membership
  /** Its copy here is not what was promised. With other members it is wiped and joins anew; else this is all there is to say. */
  readonly damage?: Fault
}

/**
 * Between the log-keeper, which replicates, and the hosts, which say what is appended. The host of a mission's group is the
 * `missions` desk (and, while this node leads it, the mission's orchestrator), of the roster the `roster`, of the shards the `registrar`.
 */
export type LogMessage =
  // ---- to the log-keeper
  /** This node founds the group and leads it under (1, 1): entry 1, `members`, is appended. Answered by `group-led`. `durable: false`: in memory only. */
  | { readonly kind: 'found-group'; readonly group: GroupId; readonly membership: Membership; readonly durable: boolean; /** Voters that it should have. */ readonly aimed: number }
  /** How many voters a mission's log should have: of its orchestrator, which knows the mission's acknowledgement. Until then its members stay as they are. */
  | { readonly kind: 'aim-at'; readonly group: MissionId; readonly voters: number }
  /** Of a leader's host: entries that continue its log (`extend`). Answered by `appended` once committed, in the order asked. */
  | { readonly kind: 'append'; readonly tag: string; readonly group: GroupId; readonly entries: readonly LogEntry[] }
  /** Answered by `appended` once this node is known to lead still, and everything appended before is committed (ReadIndex). */
  | { readonly kind: 'barrier'; readonly tag: string; readonly group: GroupId }
  /** To the blob-keeper: the blobs are made local, then put on the disks of a majority of these voters. Answered by `blobs-secured`. */
  | { readonly kind: 'secure-blobs'; readonly tag: string; readonly voters: readonly PeerId[]; readonly refs: readonly BlobRef[]; readonly alsoTry: readonly PeerId[] }
  /** Of a leader's host: everything up to there, folded. The log before it may go, here and at the other members. */
  | { readonly kind: 'snapshot-taken'; readonly group: GroupId; readonly snapshot: LogSnapshot }
  /** Of a leader's host: `archived` is committed; the members keep this record and drop the rest. */
  | { readonly kind: 'end-group'; readonly group: MissionId; readonly ended: EndedMission }
  /** Of a leader's host: it is committed that no mission will be begun in this log; it goes, and nothing is kept of it. */
  | { readonly kind: 'end-unbegun'; readonly group: MissionId }
  /** A mission's orchestrator failed: `group-led` is told again, with everything that was appended. */
  | { readonly kind: 'lead-again'; readonly group: GroupId }
  /** Of a leader's host: it cannot fold what the log holds. Somebody else leads as soon as somebody can, and this node only when nobody else does. */
  | { readonly kind: 'cannot-lead'; readonly group: GroupId; readonly fault: Fault }
  /** Archived missions that were kept long enough. */
  | { readonly kind: 'forget-ended'; readonly ended: readonly EndedMission[] }
  /** Of the retention: which of these blobs do the logs of this node cite? Answered by `citations-found` for some groups, with the last of them in `next` while there are more. */
  | { readonly kind: 'find-citations'; readonly tag: string; readonly digests: ReadonlySet<Digest>; readonly after?: GroupId }
  /** `within`: large values that may cite more. `doubt`: it cannot be told. `leaderless`: what a log here will hold next, it has been told by nobody. */
  | { readonly kind: 'citations-found'; readonly tag: string; readonly cited: readonly Digest[]; readonly within: readonly BlobRef[]; readonly doubt?: string; readonly leaderless?: GroupId; readonly next?: GroupId }
  /** To the retention: so much does not fit into the blob store. Answered by `room-made` when all was done that can be. */
  | { readonly kind: 'room-wanted'; readonly bytes: Bytes; readonly replyTo: ActorAddress }
  | { readonly kind: 'room-made' }
  /** By hand: this member leads from now on, alone, under the next lineage. Answered by `taken-over`. */
  | { readonly kind: 'take-over'; readonly tag: string; readonly group: GroupId }
  /** The node is about to stop: the other replicas hear of it. Answered by `may-leave` once a spare votes wherever it was to be waited for. */
  | { readonly kind: 'leave' }
  | { readonly kind: 'may-leave' }
  /** The node is about to stop: leadership is handed on. Answered by `leads-nothing`. */
  | { readonly kind: 'hand-over' }
  /** The roster as this node knows it now: what the log-keeper chooses members from. */
  | { readonly kind: 'roster-known'; readonly view: RosterView }
  /** For people: to the missions desk, which passes it on with what only it knows. Answered by `replication-described`. */
  | { readonly kind: 'describe-replication'; readonly replyTo: ActorAddress; readonly replica: boolean; readonly room: DiskRoom }
  | { readonly kind: 'replication-described'; readonly report: ReplicationReport }
  // ---- from the log-keeper
  | { readonly kind: 'appended'; readonly tag: string; readonly fault?: Fault }
  | { readonly kind: 'blobs-secured'; readonly tag: string; readonly holders: readonly PeerId[]; /** All of them, those named inside others too. */ readonly cites: readonly Digest[]; readonly fault?: Fault }
  | { readonly kind: 'taken-over'; readonly tag: string; readonly fault?: Fault }
  | { readonly kind: 'leads-nothing' }
  /** Once, after the store was opened; a host acts after it. `ended`: nothing, archives are read when asked for. */
  | { readonly kind: 'groups-opened'; readonly incarnation: Incarnation; readonly lostEverything: boolean; readonly groups: readonly GroupNews[] }
  /** This node leads the group: its whole log, the uncommitted end and its own `took-over` included. Everything up to `commit` is committed. */
  | { readonly kind: 'group-led'; readonly group: GroupId; readonly epoch: Epoch; readonly membership: Membership; readonly snapshot?: LogSnapshot; readonly entries: readonly LogEntry[]; readonly commit: number }
  /** It leads no more, or follows another leader, or knows of none. */
  | { readonly kind: 'group-followed'; readonly group: GroupId; readonly leader?: PeerId; readonly membership?: Membership }
  | { readonly kind: 'group-damaged'; readonly group: GroupId; readonly fault: Fault }
  /** Nothing of this mission's log can ever be committed: what was here of it has gone. */
  | { readonly kind: 'group-sealed'; readonly group: MissionId }
  /** A mission's group is no more: this record is left of it. */
  | { readonly kind: 'group-ended'; readonly ended: EndedMission }
  /** The members should be these: the leader's host appends `members`, which it may refuse by not doing it. */
  | { readonly kind: 'members-wanted'; readonly group: GroupId; readonly membership: Membership }
  /** Of the roster only, at every member: what was committed, after `snapshot` if there is one. */
  | { readonly kind: 'committed'; readonly group: GroupId; readonly snapshot?: LogSnapshot; readonly entries: readonly LogEntry[] }

/** Between the registrar and the missions desk of a node. */
export type RegistrarMessage =
  /** Claims for a submission, wherever the shard is led. Answered by `claimed`. */
  | { readonly kind: 'claim-mission'; readonly tag: string; readonly claim: MissionClaim }
  /** Answered by `claimed`, with `unknown-mission` when no shard knows it. */
  | { readonly kind: 'find-mission'; readonly tag: string; readonly missionId: MissionId }
  /** With the claim that holds: another mission's, when the key was used before. */
  | { readonly kind: 'claimed'; readonly tag: string; readonly claim?: MissionClaim; readonly fault?: Fault }
  /** This node leads the mission: its shard is told where it is, until it has heard. */
  | { readonly kind: 'tell-registrar'; readonly missionId: MissionId; readonly members: readonly PeerId[]; readonly endedAtWallMs?: number; readonly epoch?: Epoch }
  /** From the roster of the node that founded the mesh: nobody serves these shards yet, so that it founds them. */
  | { readonly kind: 'found-shards'; readonly shards: readonly number[] }
  /** Answered, and told again whenever it changes, by `roster-known`. */
  | { readonly kind: 'watch-roster' }

export type MissionsMessage =
  /** `untilMs`: the desk's own, of a submission that it looks at anew. */
  | { readonly kind: 'local-ask'; readonly requestId: string; readonly principal: Principal; readonly operation: MissionOperation; readonly replyTo: ActorAddress; readonly untilMs?: InstantMs }
  | { readonly kind: 'local-answer'; readonly requestId: string; readonly answer?: Json; readonly fault?: Fault }
  | { readonly kind: 'local-watch'; readonly missionId: MissionId; readonly fromIndex: number; readonly subscriber: ActorAddress }
  /** An orchestrator tells where it stands: for admission and for the load in the advert. */
  | { readonly kind: 'mission-changed'; readonly view: MissionView; readonly dead: readonly DeadView[]; readonly ended: boolean }
  /** The log of a mission cannot be read: it is refused, the others go on. */
  | { readonly kind: 'mission-damaged'; readonly missionId: MissionId }
  /** A worker has not heard from its manager for long: is its award still wanted? */
  | { readonly kind: 'still-wanted'; readonly awardId: AwardId; readonly worker: ActorAddress }
  /** The first events of a new mission are committed. */
  | { readonly kind: 'mission-opened'; readonly missionId: MissionId; readonly fault?: Fault }

/** What one actor hands to another, or keeps for itself until later, with the sender that the wire vouches for. */
export type PassedOn = MessageOf<'adopt' | 'cancel' | 'confirm' | 'refuse-award' | 'inform' | 'failure' | 'hand-back'>

/** A run that has ended: its place is free. `runMs`: of one that succeeded. */
export interface FinishedAward {
  readonly awardId: AwardId
  readonly effort: number
  readonly capability: string
  readonly version: string
  readonly runMs?: number
}

export type ParticipantMessage =
  /** To the worker of a mission: leaf tasks that were awarded to this node. */
  | { readonly kind: 'run-awards'; readonly awards: readonly Award[] }
  /** From it: nothing of it runs. Answered by `worker-ends` unless something is on its way. */
  | { readonly kind: 'worker-idle'; readonly missionId: MissionId }
  | { readonly kind: 'worker-ends' }
  | { readonly kind: 'awards-finished'; readonly awards: readonly FinishedAward[] }
  | { readonly kind: 'awards-forgotten'; readonly awardIds: readonly AwardId[] }
  /** A message for whoever runs an award, with the sender that the wire vouches for. */
  | { readonly kind: 'passed-on'; readonly message: PassedOn; readonly from: ActorAddress }
  | { readonly kind: 'hosting'; readonly missionId: MissionId; readonly hosts: boolean }
  | { readonly kind: 'drain' }
  | { readonly kind: 'drained' }
  | { readonly kind: 'load-asked' }
  | { readonly kind: 'load'; readonly slots: number; readonly slotsBusy: number; readonly waiting: number; readonly managers: number; readonly missionsOwned: number }
  | { readonly kind: 'machine-sampled'; readonly stalled: boolean; readonly onBattery: boolean; readonly attributes: Attributes }

/** What an invocation is asked for by. */
export interface AskedInvocation {
  /** The asker's own name for it. */
  readonly tag: string
  readonly capability: CapabilityName
  readonly version?: SchemaVersion
  readonly attributes?: Attributes
  readonly input: Payload
  /** The task that it is a part of; outside of missions an id that belongs to no log, and the root. */
  readonly missionId: MissionId
  readonly taskId: TaskId
  readonly principal: Principal
  readonly priority: number
  readonly effort?: number
  /** How much there is to do, and how the input begins, as far as its asker has looked. */
  readonly units?: RunUnits
  readonly prefixes?: readonly string[]
  readonly timeLimitMs: DurationMs
  /** US dollars for all invocations on the same account; absent: no limit. */
  readonly budgetUsd?: number
  /** Absent: it has one of its own. */
  readonly account?: string
  /** For outside systems: the same for every attempt, other for every other invocation. */
  readonly key: string
  readonly streams: boolean
}

/** To whoever asked, by its tag. */
export type InvocationAnswer =
  /** It has been given to somebody: what all of its attempts may have cost by now. Left out when that is nothing, and when nobody has named the account. */
  | { readonly kind: 'invoke-placed'; readonly tag: string; readonly heldUsd: number }
  | { readonly kind: 'invoke-chunk'; readonly tag: string; readonly chunks: readonly Json[] }
  | { readonly kind: 'invoke-done'; readonly tag: string; readonly output: Payload; readonly by: { readonly peer: PeerId; readonly name: string }; readonly stats: RunStats }
  | { readonly kind: 'invoke-failed'; readonly tag: string; readonly fault: Fault; readonly stats: RunStats }

export type InvokerMessage =
  /** To the invoker. Answered by any number of `invoke-chunk`, if it streams, then by `invoke-done` or `invoke-failed`. */
  | { readonly kind: 'invoke-asked'; readonly tag: string; readonly invocation: AskedInvocation }
  /** Nobody waits for the answer any more: there will be none. */
  | { readonly kind: 'invoke-withdrawn'; readonly tag: string; readonly reason: string }
  /** Of the participant: this actor of the node has failed, and hears no answer. */
  | { readonly kind: 'askers-gone'; readonly actor: string }
  /** Nothing more is asked on this account. */
  | { readonly kind: 'account-closed'; readonly account: string }
  | InvocationAnswer
  /** From the participant to the invocations of this node: it has a place. */
  | { readonly kind: 'run-invocation'; readonly invoke: Invoke }

/** A behaviour's own timers and requests to itself. */
export type OwnMessage =
  | { readonly kind: 'tick'; readonly what?: string }

export type LocalMessage = EffectOutcome | WorldNews | DirectoryMessage | LogMessage | RegistrarMessage | MissionsMessage | ParticipantMessage | InvokerMessage | OwnMessage
export type ActorMessage = Message | LocalMessage
