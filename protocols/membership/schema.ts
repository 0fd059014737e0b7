/** Who is in the mesh: how nodes greet each other, which of them keep which logs, who asked for which mission. */
import { z } from 'zod'
import { Epoch, Incarnation, MissionId, PeerId, Principal } from '../kernel/ids.ts'
import { limits } from '../kernel/limits.ts'

/** First message on every connection, both ways. An unknown major is answered by `goodbye` with a reason. */
export const Hello = z.object({ kind: z.literal('hello'), name: z.string().max(64), release: z.string().max(32), protocolMajor: z.number().int().min(0), protocolMinor: z.number().int().min(0) })
/** The sender is leaving or will not talk: `reason` is for people. */
export const Goodbye = z.object({ kind: z.literal('goodbye'), reason: z.string().max(280) })
/** To the log-keepers of the other replicas: the sender is about to stop, and wants to know whether it can. Said again until they answer and it can; the answer says only that it was heard. */
export const MemberLeaves = z.object({ kind: z.literal('member-leaves') })
export const LeavingHeard = z.object({ kind: z.literal('leaving-heard') })
/** Recent log lines of a node, for `doctor` and the bridge. Answered by `node-report`. */
export const NodeAsk = z.object({ kind: z.literal('node-ask'), requestId: z.string().max(64), about: z.enum(['status', 'peers', 'logs']) })
export const NodeReport = z.object({ kind: z.literal('node-report'), requestId: z.string().max(64), report: z.unknown() })

// ---- who keeps a log ----------------------------------------------------------------------------------------------

/** A voter or learner of a log is (peer, incarnation): a peer that lost its copy is another member. */
export const Member = z.object({ peer: PeerId, incarnation: Incarnation })
export type Member = z.infer<typeof Member>

/**
 * The members of one log, as one of its entries states them. While `outgoing` is there (joint consensus), a majority of
 * `voters` and a majority of `outgoing` must agree. Learners are sent everything and decide nothing.
 */
export const Membership = z.object({
  voters: z.array(Member).min(1).max(limits.votersMax),
  outgoing: z.array(Member).min(1).max(limits.votersMax).optional(),
  learners: z.array(Member).max(limits.learnersMax),
})
export type Membership = z.infer<typeof Membership>

const at = { atWallMs: z.number() }

/** The first entry of every leader: what it commits proves that it leads, and fences those before it. */
export const TookOver = z.object({ type: z.literal('took-over'), ...at, epoch: Epoch, owner: PeerId })
/** In force from the moment it is appended, committed or not. The first entry of every log. */
export const MembersChanged = z.object({ type: z.literal('members'), ...at, membership: Membership })

// ---- the roster: which nodes keep logs, and who serves the registrar's shards ---------------------------------------

export const Replica = z.object({
  peer: PeerId,
  name: z.string().max(64),
  /** Of its store: what a new group's member is called. */
  incarnation: Incarnation,
  /** Members of a log are spread over different ones: by default the machine. */
  domain: z.string().max(64),
})
export type Replica = z.infer<typeof Replica>

export const ShardNumber = z.number().int().min(0).max(limits.registrarShards - 1)

export const RosterEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('replica-admitted'), ...at, replica: Replica }),
  z.object({ type: z.literal('replica-dropped'), ...at, peer: PeerId, reason: z.string().max(280) }),
  /** Into how many shards the registrar is divided in this mesh, for good: said before the first is served, and only where it is not the usual number. */
  z.object({ type: z.literal('shards-divided'), ...at, count: z.number().int().min(1).max(limits.registrarShards) }),
  /** Who serves a shard, as that shard's own log says. */
  z.object({ type: z.literal('shard-served'), ...at, shard: ShardNumber, members: z.array(PeerId).max(limits.votersMax + limits.learnersMax) }),
])
export type RosterEvent = z.infer<typeof RosterEvent>

/** What everybody may know of the roster: learned by asking, kept until a later index is heard of. */
export const RosterView = z.object({
  index: z.number().int().min(0),
  lineage: z.number().int().min(1),
  /** Who keeps the roster's own log. */
  keepers: z.array(PeerId).max(limits.votersMax + limits.learnersMax),
  replicas: z.array(Replica).max(limits.rosterReplicasMax),
  /** By shard number. */
  shards: z.array(z.array(PeerId).max(limits.votersMax + limits.learnersMax)).min(1).max(limits.registrarShards),
})
export type RosterView = z.infer<typeof RosterView>

/** Answered by `roster-told`; by nothing but the index when the asker has the newest. A later lineage is newer, whatever the index. */
export const RosterAsk = z.object({ kind: z.literal('roster-ask'), have: z.number().int().min(0), lineage: z.number().int().min(1).optional() })
export const RosterTold = z.object({ kind: z.literal('roster-told'), index: z.number().int().min(0), view: RosterView.optional() })
/** A replica asks a keeper of the roster to be admitted, or says again what has changed. A keeper that does not lead passes it on. */
export const RosterJoin = z.object({ kind: z.literal('roster-join'), replica: Replica })
/** A shard's leader tells who serves it now. A keeper that does not lead passes it on. */
export const ShardReport = z.object({ kind: z.literal('shard-report'), shard: ShardNumber, members: z.array(PeerId).max(limits.votersMax + limits.learnersMax), passedOn: z.boolean().optional() })

// ---- the registrar: which mission an idempotency key names, and who keeps its log -----------------------------------

export const MissionClaim = z.object({
  missionId: MissionId,
  principal: Principal,
  /** Absent: the submitter named none; the claim only says where the mission is. */
  key: z.string().max(256).optional(),
  requestDigest: z.string().max(64),
  /** Who keeps the mission's log; the first leads at first. */
  members: z.array(PeerId).min(1).max(limits.votersMax + limits.learnersMax),
  /**
   * Of the members' stores, in their order: the founding names them so. Only in that life can the first found the mission's log, so that
   * there are never two of one name; only in that life can another say that it has nothing of it. Gone once the mission has moved.
   */
  incarnations: z.array(Incarnation).max(limits.votersMax + limits.learnersMax).optional(),
  /** The mission that this key named before, which can never be committed: it is sealed (`seal-ask`). */
  replaces: MissionId.optional(),
  atWallMs: z.number(),
  /** When the mission ended; a key outlives it by `limits.idempotencyKeyKeptMs`. */
  endedAtWallMs: z.number().optional(),
  /** Of the leader that said last where the mission is: what an earlier one says after that is ignored. */
  epoch: Epoch.optional(),
})
export type MissionClaim = z.infer<typeof MissionClaim>

export const RegistrarEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('claimed'), ...at, claim: MissionClaim }),
  /** Where a mission is, told by whoever takes it over, with itself first among the members; and once more when it has ended. */
  z.object({ type: z.literal('mission-moved'), ...at, missionId: MissionId, members: z.array(PeerId).min(1).max(limits.votersMax + limits.learnersMax), endedAtWallMs: z.number().optional(), epoch: Epoch.optional() }),
  /** Everything that had expired by then is forgotten: keys, and missions whose archive is kept no longer. */
  z.object({ type: z.literal('claims-expired'), ...at, archiveKeptMs: z.number().min(0) }),
])
export type RegistrarEvent = z.infer<typeof RegistrarEvent>

/** Asks a shard's leader for a claim. Answered by `claim-answer`: with the claim that holds, this one or an earlier one under the same key, or with a fault. */
export const ClaimAsk = z.object({ kind: z.literal('claim-ask'), requestId: z.string().max(64), claim: MissionClaim })
/** Where is this mission? Answered by `claim-answer`. */
export const MissionLookUp = z.object({ kind: z.literal('mission-look-up'), requestId: z.string().max(64), missionId: MissionId })
export const ClaimAnswer = z.object({
  kind: z.literal('claim-answer'), requestId: z.string().max(64), claim: MissionClaim.optional(),
  /** The one asked does not lead the shard: ask this one, if it knows. */
  leader: PeerId.optional(),
  refused: z.enum(['not-leader', 'unknown-mission', 'key-conflict', 'unavailable']).optional(),
})
/** A mission's leader tells its shard where the mission is now. Answered by `moved-heard`; repeated until then. */
export const MissionMoved = z.object({ kind: z.literal('mission-moved'), requestId: z.string().max(64), missionId: MissionId, members: z.array(PeerId).min(1).max(limits.votersMax + limits.learnersMax), endedAtWallMs: z.number().optional(), epoch: Epoch.optional() })
export const MovedHeard = z.object({ kind: z.literal('moved-heard'), requestId: z.string().max(64), missionId: MissionId, leader: PeerId.optional(), committed: z.boolean() })

export const membershipMessages = [Hello, Goodbye, MemberLeaves, LeavingHeard, NodeAsk, NodeReport, RosterAsk, RosterTold, RosterJoin, ShardReport, ClaimAsk, MissionLookUp, ClaimAnswer, MissionMoved, MovedHeard] as const
export type MembershipMessage = z.infer<(typeof membershipMessages)[number]>
