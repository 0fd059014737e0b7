/** What the log-keeper remembers of its groups, of what is being written, and of the nodes it shares groups with. */
import type { ActorAddress, GroupId, Incarnation, MissionId, PeerId } from '../../../protocols/kernel/ids.ts'
import { isMissionGroup } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import type { InstantMs } from '../../../protocols/kernel/units.ts'
import type { Membership, RosterView } from '../../../protocols/membership/schema.ts'
import type { RaftInit, RaftPersist, RaftState } from '../../../protocols/replicated-log/raft.ts'
import type { EndedMission, FormerCopy, LogSnapshot, RaftMessage } from '../../../protocols/replicated-log/schema.ts'
import { actorNames } from '../../names.ts'
import type { ActorContext, Delivery } from '../../runtime/actor.ts'
import type { Tuning } from '../../tuning.ts'
import { GroupTable } from './log-keeper-groups.ts'
import { newPace, silenceOf, type Pace } from './log-keeper-pace.ts'

export interface LogKeeperInit {
  readonly tuning: Tuning
  /** False for a node that only votes: it asks for votes late, and hands leadership on. */
  readonly likesToLead: boolean
}

/** One group that this node is a member of. */
export interface Group {
  readonly group: GroupId
  readonly incarnation: Incarnation
  readonly raft: RaftState
  /** False: nothing of it is written, it ends with the process. */
  readonly durable: boolean
  /** How many voters it should have; undefined until its host has said so. */
  aimed: number | undefined
  /**
   * The write that nothing leaves before: of a log founded here, its founding. Members that had heard of it could go on without a
   * founder that has forgotten it, and that would found it a second time.
   */
  foundedBy: number
  /** Sent when the write of that number is synced. */
  readonly held: { readonly after: number; readonly to: PeerId; readonly message: RaftMessage }[]
  /** Who asked for what is not settled, by the machine's tag. */
  readonly askers: Map<string, { readonly to: ActorAddress; readonly tag: string }>
  /** One that is being fetched. */
  incoming: LogSnapshot | undefined
  /** With its state: what members that are far behind are sent. */
  snapshot: LogSnapshot | undefined
  leader: PeerId | undefined
  /** When the last leader fell silent; undefined while one is known. */
  leaderlessSinceMs: InstantMs | undefined
  /** When the timer of this group fires; a later deadline does not move it. */
  wakeAtMs: InstantMs
  /** How often in a row the silence of its leader was put down to this node's own lateness. */
  patience: number
  /** Until then it is: whatever sets its timer meanwhile. */
  patientUntilMs: InstantMs
  /** Incarnations that members answered under, where they differ from the log's. */
  readonly strangers: Map<PeerId, Incarnation>
  /** Other members that have sealed it. */
  sealedBy: ReadonlySet<PeerId>
  /** A membership was proposed to the host, and is not in force yet. */
  membersWanted: Membership | undefined
  membersWantedAtMs: InstantMs
}

/** A pulse that went to a peer and was not answered yet. */
export interface Pulsed {
  readonly beat: number
  readonly sentAtMs: InstantMs
}

/** What has been said of a group that is not here. */
export interface Recalling {
  readonly peers: Set<PeerId>
  readonly messages: Map<RaftMessage['kind'], { readonly from: PeerId; readonly message: RaftMessage }>
  readonly seals: SealAsked[]
}

/** A `seal-ask`, and who sent it. */
export interface SealAsked {
  readonly group: MissionId
  readonly founder: PeerId
  readonly toward: Incarnation
  readonly to: ActorAddress
}

export interface LogKeeperState {
  opened: boolean
  readonly early: Delivery[]
  incarnation: Incarnation | undefined
  readonly groups: GroupTable<Group>
  /** To be written with the next batch, in order. */
  waiting: { readonly group: Group; readonly persist: RaftPersist }[]
  waitingEnded: EndedMission[]
  waitingRemoved: GroupId[]
  waitingFormer: FormerCopy[]
  waitingWiped: Map<GroupId, Group>
  writing: { readonly group: Group; readonly persist: RaftPersist }[]
  writingEnded: readonly EndedMission[]
  writingFormer: readonly FormerCopy[]
  isWriting: boolean
  writeStartedAtMs: InstantMs
  readonly pace: Pace
  broken: boolean
  beat: number
  readonly pulsed: Map<PeerId, Pulsed[]>
  /** When a leader's pulse last agreed with what we hold of it. */
  readonly leaderHeardAtMs: Map<PeerId, InstantMs>
  /** When the newest pulse was sent that a peer has agreed with. */
  readonly followedAtMs: Map<PeerId, InstantMs>
  roster: RosterView | undefined
  /** When each replica of the roster was first heard of. */
  readonly replicasSinceMs: Map<PeerId, InstantMs>
  /** Who has said that it is about to stop, this node itself too, and since when it is away; until it is back. */
  readonly leaving: Map<PeerId, InstantMs | undefined>
  /** This node is about to stop: who asked whether it may, and who has not heard of it yet. */
  goes: { readonly asker: ActorAddress; readonly unheard: Set<PeerId> } | undefined
  /** Groups whose copy here cannot be used, and is left alone. */
  readonly damaged: Set<GroupId>
  /** Groups led here whose members are changing: looked after often, until then. */
  readonly changing: Map<GroupId, InstantMs>
  handingOver: ActorAddress | undefined
  /** Snapshots on their way to this disk: fetched blob by blob. */
  readonly installing: Map<string, GroupId>
  /** Archives on their way to this disk. */
  readonly ending: Map<string, EndedMission>
  /** Groups that are not here and that somebody has spoken of, until the disk has said what it remembers of them. Of every kind of message the last one waits. */
  readonly recalling: Map<GroupId, Recalling>
  /** Who is told that a log is sealed here once that is synced. */
  sealing: readonly SealAsked[]
  counter: number
}

export function newLogKeeperState(): LogKeeperState {
  return {
    opened: false, early: [], incarnation: undefined, groups: new GroupTable<Group>(), waiting: [], waitingEnded: [], waitingRemoved: [], waitingFormer: [], waitingWiped: new Map(), writing: [], writingEnded: [], writingFormer: [], isWriting: false, writeStartedAtMs: 0, pace: newPace(), broken: false,
    beat: 0, pulsed: new Map(), leaderHeardAtMs: new Map(), followedAtMs: new Map(), roster: undefined, replicasSinceMs: new Map(), leaving: new Map(), goes: undefined, damaged: new Set(), changing: new Map(), handingOver: undefined, installing: new Map(), ending: new Map(), recalling: new Map(), sealing: [], counter: 0,
  }
}

/** The actor that speaks for a group on its node. */
export function hostOf(group: GroupId): string {
  return isMissionGroup(group) ? actorNames.missions : group === 'roster' ? actorNames.roster : actorNames.registrar
}

/** Entries that stay when there is a snapshot of them, for members that are a little behind. */
export function tailOf({ tuning }: LogKeeperInit, group: GroupId): number {
  return hostOf(group) === actorNames.registrar ? Math.min(tuning.snapshotTailEntries, limits.shardTailEntries) : tuning.snapshotTailEntries
}

export function raftInit(init: LogKeeperInit, pace: Pace, group: GroupId, incarnation: Incarnation, context: ActorContext): RaftInit {
  const { electionMsMin, electionMsMax, lostLeaderMsMax } = init.tuning
  return { group, self: context.self.peer, incarnation, random: context.random.split(), electionMsMin, electionMsMax, lostLeaderMsMax, snapshotTailEntries: tailOf(init, group), silenceMs: (peer) => silenceOf(pace, peer, electionMsMax), likesToLead: init.likesToLead, commitToldMs: group === 'roster' ? init.tuning.groupPulseMs : limits.commitToldMs }
}

export function newGroup(group: GroupId, incarnation: Incarnation, raft: RaftState, durable: boolean, aimed: number | undefined): Group {
  return { group, incarnation, raft, durable, aimed, foundedBy: 0, held: [], askers: new Map(), incoming: undefined, snapshot: undefined, leader: undefined, leaderlessSinceMs: undefined, wakeAtMs: Infinity, patience: 0, patientUntilMs: -Infinity, strangers: new Map(), sealedBy: new Set(), membersWanted: undefined, membersWantedAtMs: -Infinity }
}

/** Voters that a group should have when the mesh has enough replicas. Of a mission its orchestrator says it, as it depends on the acknowledgement. */
export function aimedOf(group: GroupId): number | undefined {
  if (isMissionGroup(group)) return undefined
  return group === 'roster' ? limits.rosterVotersMax : limits.votersAimed
}
