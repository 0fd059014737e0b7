/**
 * Every maximum in one place, with the relations between them asserted when the module loads.
 * A limit that a person may change is a default here and a setting in the configuration.
 */
import { invariant } from './errors.ts'

const KiB = 1024
const MiB = 1024 * KiB

export const limits = Object.freeze({
  // wire
  frameBytesMax: 4 * MiB,
  frameMessagesMax: 1024,
  frameCoalesceBytes: 60 * KiB,
  gossipBytesMax: 256 * KiB,
  payloadInlineBytesMax: 32 * KiB,
  peerQueueBytesMax: 64 * MiB,
  /** Levels of lists and objects in one input, in a whole request or result, and in a whole frame. */
  jsonDepthMax: 192,
  payloadDepthMax: 208,
  eventDepthMax: 224,
  frameDepthMax: 256,

  // blobs
  blobBytesMax: 1024 * MiB,
  blobChunkBytes: 256 * KiB,
  blobHoldersMax: 16,
  blobFetchConcurrencyMax: 8,
  blobFetchTimeoutMs: 30_000,

  // actors
  mailboxMessagesMax: 10_000,
  restartsMax: 5,
  restartWindowMs: 60_000,
  deadLettersKept: 1_000,

  // capability
  advertTtlMs: 60_000,
  advertRefreshMs: 20_000,
  hardwareSampleMs: 10_000,
  advertCapabilitiesMax: 1_000,
  advertBytesMax: 128 * KiB,
  adverts: 20_000,
  capabilitiesKnown: 20_000,
  shardSubscribersMax: 64,
  shardsMax: 1_024,
  clockSkewMs: 60_000,

  // bidding
  biddersAimed: 8,
  /** Up to so many providers are all asked: choosing well costs little then, and a few of few may all be busy. */
  askedAllMax: 16,
  /** So few providers, all of them known and connected, are told of a call one by one: it costs less than gossip, which signs it and passes it on. */
  calledDirectlyMax: 8,
  /** Of those who were asked by threshold, so many answers are enough to choose from. */
  biddersEnough: 5,
  bidPatienceMs: 300,
  refusalRepeatMs: 10_000,
  untrustedPatienceMs: 5_000,
  /** Calls asking for the same that a manager has open, beyond one for each task that runs. */
  callsOpenMax: 256,
  callsPerAnnouncementMax: 64,
  bidWindowMs: 150,
  bidExpiryMs: 5_000,
  callExpiryMs: 20_000,
  reannounceMsMin: 500,
  reannounceMsMax: 5_000,
  waitingCallsMax: 4_096,
  /** Awards, and results, in one message: what is inline in them makes it no larger than a frame. */
  awardsPerMessageMax: 48,
  /** A standing offer is forgotten so long after it was last used or renewed. */
  offerMs: 30_000,
  /** Places that an offer is believed to have, and offers that a participant gives, in all and to one peer. */
  offerSlotsMax: 4_096,
  offersGivenMax: 1_024,
  offersPerPeerMax: 256,
  /** With offers, calls are for whoever has made none yet: so many at first, and later one so often. */
  callsBesideOffers: 8,
  offerProbeMs: 2_000,
  bidsRecordedMax: 16,
  refusalsRecordedMax: 16,

  // leasing
  leaseMs: 6_000,
  pulseMs: 500,
  /** A worker tells how far its skill is as soon as that says so, but no more often. */
  progressGapMs: 100,
  adoptTimeoutMs: 3_000,
  resultKeptMs: 60 * 60_000,
  /** A running task's checkpoints: the newest is sent so often, and is no larger than this. */
  checkpointGapMs: 1_000,
  checkpointBytesMax: 16 * MiB,
  resultRetryMs: 1_000,
  resultRetryMsMax: 16_000,

  // tasking
  missionTasksMax: 20_000,
  missionLeavesDefault: 30,
  missionDepthDefault: 3,
  missionDepthMax: 16,
  missionBudgetUsdDefault: 1,
  missionDurationMsDefault: 60 * 60_000,
  missionsLiveMax: 1_000,
  missionsLivePerPrincipalMax: 200,
  planTasksMax: 5_000,
  goalCharsMax: 100_000,
  planBytesMax: 4 * MiB,
  attemptsMax: 4,
  /** How often a composite task's plan is added to after its children have ended. */
  revisionsMax: 4,
  attemptsHardMax: 20,
  retryBackoffMs: 1_000,
  retryBackoffMsMax: 4_000,
  lostWorkersMax: 10,
  noProviderMs: 30_000,
  idempotencyKeyKeptMs: 7 * 24 * 60 * 60_000,
  skillTimeMsDefault: 10 * 60_000,
  skillMemoryBytesDefault: 512 * MiB,
  managersPerNodeMax: 256,

  // money and what is paid for
  /** Beyond this nothing is a price or a budget: sums stay exact to a thousandth of a cent. */
  usdMax: 1_000_000,
  unitsMax: 1_000_000_000_000,

  // models
  chatMessagesMax: 10_000,
  contextTokensMax: 16 * 1024 * 1024,
  embedTextsMax: 2_048,
  /** Of one call's input: the longest context there is, as text. */
  modelInputBytesMax: 16 * MiB,
  /** Calls of one model that wait on its node beyond those that were bid for. */
  modelQueueMax: 1_024,
  /** A node offers no more models than this: its adverts would not fit otherwise. */
  modelsOfferedMax: 128,
  modelCacheBytes: 64 * MiB,
  /** What is measured of models is told to its node at most so often, and a change of their speed to the mesh. */
  measuresToldMs: 1_000,
  speedToldMs: 20_000,
  prefixesMax: 8,
  /** Kinds of places that one bidder's bids are told apart by. */
  poolsPerPeerMax: 256,

  // invocations
  /** Pieces of a streamed answer in one message. */
  chunksPerMessageMax: 256,
  chunkBytesMax: 32 * KiB,
  /** Of one caller, under way at a time. */
  invocationsPerCallerMax: 4_096,
  invocationTimeMsDefault: 5 * 60_000,

  // replicated logs
  votersMax: 5,
  votersAimed: 3,
  learnersMax: 4,
  registrarShards: 64,
  rosterVotersMax: 5,
  rosterReplicasMax: 512,
  appendEntriesMax: 256,
  appendBytesMax: 1 * MiB,
  /** Unanswered appends to one member of one group. */
  appendsInFlightMax: 8,
  /** An append that is not answered is sent again. */
  appendRetryMs: 1_000,
  groupTermsMax: 512,
  blobsHeldAtOnceMax: 4_096,
  groupsPerNodeMax: 20_000,
  groupPulseMs: 300,
  /** A commit that no append has carried is told to the other members within this time, so that they come to the same end; of the roster, whose members act on it, within `groupPulseMs`. */
  commitToldMs: 750,
  electionMsMin: 1_500,
  electionMsMax: 3_000,
  /** A connection that closed says that the leader's process is gone: its members need not wait for silence. */
  lostLeaderMsMax: 150,
  slowSyncMs: 1_000,
  memberSilentMs: 10 * 60_000,
  membersLookMs: 5_000,
  snapshotEntries: 4_096,
  snapshotTailEntries: 512,
  /** A registrar shard has small entries and a small state, and there are many of them on every node: at least so many entries are between two snapshots, and so many stay. */
  shardSnapshotEntries: 64,
  shardTailEntries: 32,
  missionRestMs: 60_000,
  whereaboutsKept: 10_000,
  archiveCitesMax: 100_000,
  /** A failed mission can be tried again so long. */
  failedMissionRestMs: 24 * 60 * 60_000,
  archiveKeptMs: 30 * 24 * 60 * 60_000,
  /** A node remembers so long that it once had a copy of a log, and so will not vote as if it never had. */
  formerCopyKeptMs: 30 * 24 * 60 * 60_000,
  /** And so long that it sealed one: longer than a founder can be away. */
  sealedCopyKeptMs: 10 * 365 * 24 * 60 * 60_000,
  /** A claim can be sealed so long after it: every copy that was given up since is remembered then. */
  sealableMs: 15 * 24 * 60 * 60_000,
  /** A log in which no mission was begun is kept so long for whoever submits it again. */
  unbegunKeptMs: 7 * 24 * 60 * 60_000,
  /** A claim without a key is forgotten when no owner has told of its mission for so long; an owner tells after `ownerTellsMs`. */
  unbegunClaimKeptMs: 30 * 24 * 60 * 60_000,
  ownerTellsMs: 24 * 60 * 60_000,
  /** How long the members of a claim are waited for. */
  sealAnswerMs: 3_000,
  /** How often archives whose time is over are looked for: a part of that time, within these. */
  archiveSweepMsMin: 60_000,
  archiveSweepMsMax: 60 * 60_000,
  /** A wall clock that goes further apart from the monotonic one between two looks was set: nothing is let go by it then. */
  clockJumpMsMax: 60_000,
  archivesSweptAtOnce: 256,
  blobsSweptAtOnce: 20_000,
  /** What was in use so lately may be about to be cited. */
  blobIdleMsMin: 15 * 60_000,
  /** What nothing on this node cites is freed when it has not been used for so long; earlier when its room is needed. */
  uncitedKeptMs: 24 * 60 * 60_000,
  /** The use of a blob is written down on the disk at most so often: the next process knows it that exactly. */
  blobUseNotedMs: 5 * 60_000,
  /** How long what does not fit into the quota waits for room. */
  roomPatienceMs: 10_000,
  /** When no more could be freed, it is not tried again sooner. */
  roomAgainMs: 15_000,
  /** How often the disk is looked at. */
  roomLookMs: 60_000,
  /** Log entries looked through for citations before others have their turn. */
  citationsEntriesAtOnce: 2_000,
  valuesLookedIntoMax: 1_000,
  valueLookedIntoBytesMax: 16 * MiB,
  foldChunkEntries: 500,
  /** Given up when the disk is full, so that a node can still start again, finish and compact. */
  diskReserveBytes: 16 * MiB,
  /** With less room than this no new missions are taken. */
  diskLowBytes: 64 * MiB,
  /** What the watermark beside the log may grow by before it is written anew. */
  watermarkBytesMax: 4 * MiB,

  // bridge
  httpBodyBytesMax: 4 * MiB,
  httpUploadBytesMax: 1024 * MiB,
  askTimeoutMs: 10_000,
  drainMs: 10_000,
})

invariant(limits.payloadInlineBytesMax < limits.frameBytesMax, 'an inline payload fits in a frame')
invariant(limits.jsonDepthMax + 16 <= limits.payloadDepthMax, 'a request with a legal input can be stored')
invariant(limits.payloadDepthMax + 32 <= limits.frameDepthMax, 'what can be stored fits in a message that carries it')
invariant(limits.payloadDepthMax + 8 <= limits.eventDepthMax && limits.eventDepthMax + 8 <= limits.frameDepthMax, 'what can be stored fits in an event, and an event in a message that carries it')
invariant(limits.awardsPerMessageMax * (2 * limits.payloadInlineBytesMax + 4 * KiB) < limits.frameBytesMax, 'awards with the largest inline inputs and checkpoints fit in a frame')
invariant(limits.frameCoalesceBytes < limits.frameBytesMax, 'a coalesced frame is a legal frame')
invariant(limits.advertBytesMax <= limits.gossipBytesMax, 'an advert fits in one gossip message')
invariant(limits.hardwareSampleMs <= limits.advertRefreshMs, 'an advert tells of a fresh sample')
invariant(limits.advertRefreshMs * 3 <= limits.advertTtlMs, 'two lost refreshes do not expire an advert')
invariant(limits.pulseMs * 4 <= limits.leaseMs, 'three lost pulses do not end a lease')
invariant(limits.bidWindowMs < limits.bidExpiryMs, 'a bid outlives the window it was made in')
invariant(limits.bidExpiryMs < limits.callExpiryMs, 'a waiting participant can still bid')
invariant(limits.biddersAimed <= limits.askedAllMax, 'who is asked by threshold is asked in no smaller a mesh than aimed at')
invariant(limits.biddersEnough <= limits.biddersAimed, 'the answers that are enough can be expected')
invariant(limits.refusalRepeatMs < limits.callExpiryMs, 'who waits for a call says so again before it forgets it')
invariant(limits.reannounceMsMax < limits.callExpiryMs, 'a call is announced again before it expires')
invariant(limits.payloadInlineBytesMax < limits.checkpointBytesMax && limits.checkpointBytesMax <= limits.blobBytesMax, 'a checkpoint is a legal payload')
invariant(limits.pulseMs <= limits.checkpointGapMs, 'a worker looks often enough whether a checkpoint is due')
invariant(limits.resultRetryMs <= limits.resultRetryMsMax, 'results are sent again ever more seldom')
invariant(limits.missionLeavesDefault <= limits.missionTasksMax, 'the default fits the maximum')
invariant(limits.planBytesMax <= limits.httpBodyBytesMax, 'a legal plan can be posted')
invariant(2 * limits.sealableMs <= limits.formerCopyKeptMs && limits.formerCopyKeptMs < limits.sealedCopyKeptMs, 'whoever had a copy of a mission remembers it while that may be sealed')
invariant(limits.idempotencyKeyKeptMs <= limits.unbegunKeptMs && 2 * limits.ownerTellsMs < limits.unbegunClaimKeptMs, 'what may have been begun is not let go of')
invariant(limits.votersAimed <= limits.votersMax && limits.rosterVotersMax <= limits.votersMax, 'a log may have as many voters as are aimed at')
invariant(limits.commitToldMs + limits.appendRetryMs < 2_000, 'who misses the first word of a commit has heard the second within two seconds (L3)')
invariant(limits.groupPulseMs * 4 <= limits.electionMsMin, 'three lost pulses start no election')
invariant(limits.electionMsMin < limits.electionMsMax, 'members that ask for votes at once need not collide for ever')
invariant(limits.snapshotTailEntries < limits.snapshotEntries, 'a snapshot leaves a tail for members that are a little behind')
invariant(limits.archiveSweepMsMin <= limits.archiveSweepMsMax && limits.archiveSweepMsMax < limits.archiveKeptMs, 'an archive is looked for before twice its time has passed')
invariant(limits.blobUseNotedMs < limits.blobIdleMsMin && limits.blobIdleMsMin <= limits.uncitedKeptMs, 'what was in use lately is known to have been')
invariant(limits.appendBytesMax < limits.frameBytesMax, 'an append fits in a frame')
invariant(limits.diskReserveBytes < limits.diskLowBytes, 'what is reserved can be reserved again while there is room')
