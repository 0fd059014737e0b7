/**
 * One valid example of every message and of every log event, for golden bytes and for tests. Every optional field is set
 * somewhere, so that its encoding is pinned too. The types make the two records total: a new kind without an example does not compile.
 */
import type { AwardedTask, AwardTerms, Bid, BidSummary, Call, RefusalSummary, StandingOffer } from '../protocols/bidding/schema.ts'
import type { Advert } from '../protocols/capability/schema.ts'
import { canonicalJson } from '../protocols/kernel/hashing.ts'
import { awardIdOf, callIdOf, type ActorAddress, type CapabilityName, type Digest, type Incarnation, type MissionId, type OfferId, type PeerId, type Principal, type TaskId } from '../protocols/kernel/ids.ts'
import { limits } from '../protocols/kernel/limits.ts'
import type { BlobRef, Json } from '../protocols/kernel/payload.ts'
import type { Member, Membership, MissionClaim, RegistrarEvent, Replica, RosterEvent, RosterView } from '../protocols/membership/schema.ts'
import { chainOrigin, extend } from '../protocols/replicated-log/chain.ts'
import type { EndedMission, LogPosition } from '../protocols/replicated-log/schema.ts'
import type { AwardRecord, MissionEvent, MissionLimits, TaskSpec } from '../protocols/tasking/schema.ts'
import type { Envelope, MessageKind, MessageOf } from '../protocols/wire.ts'

export const peerA = '12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp' as PeerId
export const peerB = '12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq' as PeerId
const missionId = 'm-0a1b2c3d-abcdefghijkl' as MissionId
const principal = 'local' as Principal
const root = 'root' as TaskId
const taskId = 'root/measure-3' as TaskId
const capability = 'repo.measure' as CapabilityName
const epoch = { lineage: 1, term: 2 }
const awardId = awardIdOf(missionId, taskId, 2, epoch)
const callId = callIdOf(missionId, taskId, 2, epoch)
const atWallMs = 1_790_000_000_123
const manager: ActorAddress = { peer: peerA, actor: `manager/${missionId}` }
const worker: ActorAddress = { peer: peerB, actor: `award/${awardId}` }
const blob: BlobRef = { $blob: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08' as Digest, sizeBytes: 4_096, name: 'report.html', mediaType: 'text/html', holders: [peerA, peerB] }
const missionLimits: MissionLimits = { leavesMax: 30, depthMax: 3, budgetUsd: 1, durationMs: 3_600_000 }

const call: Call = {
  callId, missionId, taskId, attempt: 2, kind: 'leaf', capability, version: '1.0', attributes: { model: 'none', contextTokens: 8_192, quick: true }, effects: 'none',
  priority: 5, effort: 12_345.5, inputBytes: 4_096, holders: [peerA], excluded: [peerB], budgetUsd: 0.75, remainingMs: 3_599_000,
}
const breakdown = { queueMs: 0, warmUpMs: 50, transferMs: 0.08, runMs: 1_234.5, samples: 7 }
const offer: StandingOffer = { offerId: '1kq3x9-0' as OfferId, slots: 4, forMs: 30_000 }
const bid: Bid = { callId, version: '1.0', estimatedFinishMs: 1_284.58, breakdown, priceUsd: 0.001, slotsFree: 2, slots: 4, locality: 0.5, hostsOrchestrator: false, expiresInMs: 5_000, standing: offer }
const bidSummary: BidSummary = {
  peer: peerB, name: 'node-b', version: '1.0', estimatedFinishMs: 1_284.58, calibratedFinishMs: 1_300, priceUsd: 0.001, slotsFree: 2, breakdown,
  terms: { finish: 1, price: 1, reliability: 0.9, headroom: 0.5, spread: 1 }, total: 0.94,
}
const refusal = { callId, reason: 'no-free-slot', detail: 'every slot is busy', retryable: true, waiting: true } as const
const refusalSummary: RefusalSummary = { peer: peerA, name: 'node-a', reason: 'no-free-slot', detail: 'every slot is busy', retryable: true }
const terms: AwardTerms = { missionId, epoch, kind: 'leaf', manager, orchestrator: { peer: peerA, actor: `mission/${missionId}` }, principal, capability, version: '1.0', effects: 'none', leaseMs: 6_000, remainingMs: 3_598_000 }
const task: AwardedTask = { taskId, attempt: 2, callId, effort: 12_345.5, input: { inline: { folder: blob as Json, limit: 100 } }, checkpoint: { inline: { step: 40 } }, priority: 5, timeLimitMs: 600_000 }
const awardRecord: AwardRecord = {
  awardId, taskId, attempt: 2, epoch, worker: peerB, workerName: 'node-b', capability, version: '1.0', offer: offer.offerId, bid: bidSummary, bids: [bidSummary], refusals: [refusalSummary],
  why: 'best of 2 bids, 0.94 to 0.81: finishes 40 ms sooner',
}
const problem = { code: 'skill-failed', detail: 'the skill threw: né 🪿', retryable: true, next: 'see its log', retryAfterMs: 1_000 } as const
const stats = { queueMs: 1, transferMs: 2.5, runMs: 1_180, memoryBytesMax: 73_400_320, costUsd: 0.001 }
const leafSpec: TaskSpec = {
  taskId, kind: 'leaf', capability, version: '1.0', attributes: { gpu: false }, effects: 'external', input: { blob }, after: ['root/split' as TaskId], priority: 7, effort: 4_096,
  accept: [{ path: 'files', atLeast: 1, atMost: 20_000 }, { path: 'name', matches: '^[a-z]+$' }, { path: 'ok', equals: true }, { path: 'error', exists: false }],
  retry: { attemptsMax: 4, backoffMs: 1_000 }, timeLimitMs: 600_000, optional: true,
}
const rootSpec: TaskSpec = {
  taskId: root, kind: 'composite', capability: 'mission.plan' as CapabilityName, effects: 'none', input: { inline: {} }, after: [], priority: 5, effort: 1, accept: [],
  retry: { attemptsMax: 4, backoffMs: 1_000 }, timeLimitMs: 3_600_000, optional: false,
}

const advert: Advert = {
  peerId: peerB, sequence: 17, issuedAtWallMs: atWallMs, expiresAtWallMs: atWallMs + 60_000, name: 'node-b', release: '0.1.0', duties: ['worker', 'bridge'],
  addrs: [`/ip4/192.0.2.7/tcp/4747/p2p/${peerB}`], http: 'http://192.0.2.7:7420',
  capabilities: [{ name: capability, version: '1.0', kind: 'leaf', effects: 'none', attributes: { gpu: false }, summary: 'measures a part of a repository' }],
  gpus: [{ vendor: 'nvidia', model: 'A100', vramBytes: 42_949_672_960, vramFreeBytes: 40_000_000_000, utilisation: 0.25 }],
  environment: { os: 'linux', arch: 'x64', cores: 8, memoryBytes: 34_359_738_368, memoryFreeBytes: 17_179_869_184, container: 'docker', cloud: 'aws', battery: { charging: true, fraction: 0.8 } },
  load: { slots: 4, slotsBusy: 1, waiting: 0, missionsOwned: 1, managers: 2, cpu: 0.3, loopDelayMs: 1.5 }, leaving: false,
}

export const sampleEvents: { readonly [Type in MissionEvent['type']]: Extract<MissionEvent, { type: Type }> } = {
  submitted: { type: 'submitted', atWallMs, missionId, principal, owner: peerA, name: 'report', request: { blob }, rootSpec, priority: 5, limits: missionLimits, acknowledgement: 'local', key: 'key-1', requestDigest: blob.$blob },
  'took-over': { type: 'took-over', atWallMs, epoch, owner: peerB },
  planned: { type: 'planned', atWallMs, taskId: root, children: [leafSpec], result: { inline: { $from: 'measure-3', path: 'files.0' } } },
  awarded: { type: 'awarded', atWallMs, award: awardRecord },
  'award-ended': { type: 'award-ended', atWallMs, awardId, taskId, fault: problem, outcome: 'failed', retryInMs: 2_000 },
  checkpointed: { type: 'checkpointed', atWallMs, taskId, awardId, checkpoint: { inline: { step: 40 } } },
  accepted: { type: 'accepted', atWallMs, taskId, awardId, result: { inline: { files: [1, 2.5, -3, 1e300, null], ok: true, 'né 🪿': 'ünï' } }, cites: [awardId], tookMs: 1_234.5 },
  reused: { type: 'reused', atWallMs, taskId, result: { inline: { lines: 3 } }, from: { missionId, awardId } },
  dead: { type: 'dead', atWallMs, taskId, fault: problem },
  retried: { type: 'retried', atWallMs, taskId },
  'task-cancelled': { type: 'task-cancelled', atWallMs, taskId, reason: 'a task it needs was cancelled' },
  paused: { type: 'paused', atWallMs },
  resumed: { type: 'resumed', atWallMs },
  changed: { type: 'changed', atWallMs, priority: 9, limits: { leavesMax: 60, budgetUsd: 2.5 } },
  'cancel-requested': { type: 'cancel-requested', atWallMs, by: principal, reason: 'not needed any more' },
  completed: { type: 'completed', atWallMs, result: { blob } },
  failed: { type: 'failed', atWallMs, fault: problem },
  cancelled: { type: 'cancelled', atWallMs },
  members: { type: 'members', atWallMs, membership: { voters: [{ peer: peerA, incarnation: 'aaaaaa' as Incarnation }], outgoing: [{ peer: peerB, incarnation: 'bbbbbb.2' as Incarnation }], learners: [{ peer: peerB, incarnation: 'cccccc' as Incarnation }] } },
  'dead-dropped': { type: 'dead-dropped', atWallMs, taskId, by: principal },
  archived: { type: 'archived', atWallMs, archive: { blob } },
}

const incarnation = 'k7f2m9xq' as Incarnation
const later = 'k7f2m9xq.2' as Incarnation
const member: Member = { peer: peerA, incarnation }
const membership: Membership = { voters: [member], outgoing: [{ peer: peerB, incarnation: later }], learners: [{ peer: peerB, incarnation: 'zzzzzz' as Incarnation }] }
const replica: Replica = { peer: peerB, name: 'node-b', incarnation, domain: 'rack-2' }
const claim: MissionClaim = { missionId, principal, key: 'key-1', requestDigest: blob.$blob, members: [peerA, peerB], incarnations: [incarnation, later], replaces: `${missionId.slice(0, -1)}x` as MissionId, atWallMs, endedAtWallMs: atWallMs + 5_000, epoch }

export const sampleRosterEvents: { readonly [Type in RosterEvent['type']]: Extract<RosterEvent, { type: Type }> } = {
  'replica-admitted': { type: 'replica-admitted', atWallMs, replica },
  'replica-dropped': { type: 'replica-dropped', atWallMs, peer: peerB, reason: 'silent for 10 minutes' },
  'shards-divided': { type: 'shards-divided', atWallMs, count: 8 },
  'shard-served': { type: 'shard-served', atWallMs, shard: 7, members: [peerA, peerB] },
}

export const sampleRegistrarEvents: { readonly [Type in RegistrarEvent['type']]: Extract<RegistrarEvent, { type: Type }> } = {
  claimed: { type: 'claimed', atWallMs, claim },
  'mission-moved': { type: 'mission-moved', atWallMs, missionId, members: [peerB], endedAtWallMs: atWallMs + 5_000, epoch },
  'claims-expired': { type: 'claims-expired', atWallMs, archiveKeptMs: 2_592_000_000 },
}

const rosterView: RosterView = { index: 12, lineage: 1, keepers: [peerA], replicas: [replica], shards: Array.from({ length: limits.registrarShards }, (_, shard) => (shard === 7 ? [peerA, peerB] : [peerA])) }
const entries = extend({ index: 0, chain: chainOrigin }, epoch, [...Object.values(sampleRosterEvents), ...Object.values(sampleRegistrarEvents), sampleEvents.members, sampleEvents['took-over']])
const head: LogPosition = { index: 12, epoch, chain: entries[0]?.chain ?? chainOrigin }
const between = { group: missionId, as: incarnation, toward: later, epoch }
const ended: EndedMission = { missionId, endedAtWallMs: atWallMs, keptUntilWallMs: atWallMs + 2_592_000_000, archive: { blob }, cites: [blob.$blob], members: [peerA, peerB], view: { id: missionId, state: 'completed' }, dead: [{ id: `${missionId}:${taskId}` }] }

export const sampleMessages: { readonly [Kind in MessageKind]: MessageOf<Kind> } = {
  advert: { kind: 'advert', signed: { advert: canonicalJson(advert), signature: Uint8Array.from({ length: 64 }, (_, i) => i) } },
  'advert-request': { kind: 'advert-request' },
  cfp: { kind: 'cfp', initiator: manager, principal, threshold: 0.25, expiresInMs: 20_000, calls: [call], standing: 12 },
  propose: { kind: 'propose', participant: worker, name: 'node-b', bids: [bid] },
  refuse: { kind: 'refuse', participant: worker, name: 'node-b', refusals: [refusal] },
  'accept-proposal': { kind: 'accept-proposal', terms, tasks: [task] },
  'reject-proposal': { kind: 'reject-proposal', callIds: [callId] },
  confirm: { kind: 'confirm', awardIds: [awardId] },
  'refuse-award': { kind: 'refuse-award', awardId, refusal },
  inform: { kind: 'inform', results: [{ awardId, result: { inline: { report: blob as Json } }, cites: [awardId], stats }] },
  failure: { kind: 'failure', awardId, fault: problem, stats },
  acknowledge: { kind: 'acknowledge', awardIds: [awardId] },
  cancel: { kind: 'cancel', awardId, reason: 'the mission was cancelled' },
  'offers-changed': { kind: 'offers-changed', offers: [offer] },
  'offers-released': { kind: 'offers-released', offerIds: [offer.offerId] },
  renew: { kind: 'renew', round: 12, leases: [{ awardId, fraction: 0.4, text: 'file 40 of 100' }] },
  renewed: { kind: 'renewed', round: 12, awardIds: [awardId], leaseMs: 6_000 },
  adopt: { kind: 'adopt', awardId, epoch, manager, orchestrator: manager, leaseMs: 6_000 },
  holding: { kind: 'holding', awardId, worker },
  'not-holding': { kind: 'not-holding', awardId },
  'hand-back': { kind: 'hand-back', awardId, reason: 'the node is stopping' },
  checkpoint: { kind: 'checkpoint', awardId, number: 3, checkpoint: { inline: { step: 40 } } },
  'checkpoint-heard': { kind: 'checkpoint-heard', awardId, number: 3 },
  invoke: { kind: 'invoke', caller: { peer: peerA, actor: 'invoker' }, principal, call: { ...call, units: { input: 812, output: 1_024 }, prefixes: ['0011223344556677'] }, version: '1.0', input: { inline: { messages: [{ role: 'user', content: 'né 🪿' }] } }, timeLimitMs: 300_000, idempotencyKey: `${missionId}:${taskId}:2:0`, streams: true },
  'invoke-taken': { kind: 'invoke-taken', callId },
  'invoke-refused': { kind: 'invoke-refused', callId, refusal },
  'invoke-chunks': { kind: 'invoke-chunks', callId, at: 3, chunks: [{ content: 'né ' }, { content: '🪿' }] },
  'invoke-pulse': { kind: 'invoke-pulse', callIds: [callId] },
  'invoke-ended': { kind: 'invoke-ended', callId, output: { inline: { content: 'né 🪿' } }, stats: { ...stats, tokens: { input: 812, output: 7 } } },
  'invoke-cancel': { kind: 'invoke-cancel', callId, reason: 'nobody waits for it any more' },
  'describe-capability': { kind: 'describe-capability', requestId: 'client/7 7', capability, version: '1.0' },
  'capability-described': { kind: 'capability-described', requestId: 'client/7 7', inputSchema: { type: 'object', properties: { folder: {} } } },
  hello: { kind: 'hello', name: 'node-a', release: '0.1.0', protocolMajor: 1, protocolMinor: 1 },
  goodbye: { kind: 'goodbye', reason: 'the node is stopping' },
  'member-leaves': { kind: 'member-leaves' },
  'leaving-heard': { kind: 'leaving-heard' },
  'roster-ask': { kind: 'roster-ask', have: 11, lineage: 1 },
  'roster-told': { kind: 'roster-told', index: 12, view: rosterView },
  'roster-join': { kind: 'roster-join', replica },
  'shard-report': { kind: 'shard-report', shard: 7, members: [peerA, peerB], passedOn: true },
  'claim-ask': { kind: 'claim-ask', requestId: 'claim-1', claim },
  'mission-look-up': { kind: 'mission-look-up', requestId: 'claim-2', missionId },
  'claim-answer': { kind: 'claim-answer', requestId: 'claim-1', claim, leader: peerB, refused: 'key-conflict' },
  'mission-moved': { kind: 'mission-moved', requestId: 'moved-1', missionId, members: [peerA, peerB], endedAtWallMs: atWallMs + 5_000, epoch },
  'moved-heard': { kind: 'moved-heard', requestId: 'moved-1', missionId, leader: peerB, committed: true },
  'vote-ask': { kind: 'vote-ask', ...between, pre: true, transfer: false, last: head },
  vote: { kind: 'vote', ...between, pre: true, granted: true },
  'log-append': { kind: 'log-append', ...between, previous: { index: 0, chain: chainOrigin }, entries, commit: 3, round: 41 },
  'log-appended': { kind: 'log-appended', ...between, ok: true, matched: 8, round: 41 },
  'log-install': { kind: 'log-install', ...between, snapshot: { at: head, membership, version: 1, state: { inline: { folded: true } } }, round: 42 },
  'lead-now': { kind: 'lead-now', ...between },
  'group-pulse': { kind: 'group-pulse', beat: 9, groups: 64, digest: 3_141_592_653 },
  'group-pulse-heard': { kind: 'group-pulse-heard', beat: 9, agrees: false, differ: ['registrar-07', 'roster'] },
  'group-terms': { kind: 'group-terms', beat: 9, groups: [{ group: missionId, epoch }, { group: 'roster', epoch }] },
  'copy-lost': { kind: 'copy-lost', group: 'roster', toward: later },
  'other-incarnation': { kind: 'other-incarnation', group: 'registrar-07', incarnation: later },
  'group-ended': { kind: 'group-ended', group: missionId, ended },
  'group-left': { kind: 'group-left', group: missionId },
  'group-ask': { kind: 'group-ask', group: missionId },
  'seal-ask': { kind: 'seal-ask', group: missionId, founder: peerA, toward: incarnation },
  sealed: { kind: 'sealed', group: missionId, as: incarnation, sealed: true },
  'hold-blobs': { kind: 'hold-blobs', requestId: 'hold-1', refs: [blob] },
  'blobs-held': { kind: 'blobs-held', requestId: 'hold-1', ok: true },
  'node-ask': { kind: 'node-ask', requestId: 'ask-1', about: 'logs' },
  'node-report': { kind: 'node-report', requestId: 'ask-1', report: { lines: [{ level: 'info', text: 'started' }] } },
  attach: { kind: 'attach', missionId, taskId, awardId },
  attached: { kind: 'attached', missionId, taskId, epoch, paused: false, limits: missionLimits, leavesLeft: 29, priority: 5, remainingMs: 3_500_000, events: Object.values(sampleEvents).map((event, i) => ({ index: i + 1, event })), last: true, base: { inline: { folded: true } } },
  record: { kind: 'record', missionId, taskId: root, awardId, requestId: 3, events: [sampleEvents.awarded, sampleEvents.accepted] },
  recorded: { kind: 'recorded', missionId, requestId: 3, firstIndex: 12 },
  'record-refused': { kind: 'record-refused', missionId, requestId: 3, fault: problem },
  progress: { kind: 'progress', missionId, notes: [{ taskId, note: 'stalled', attempt: 2, worker: peerB, fraction: 0.5, text: 'half way', refusals: [refusalSummary] }] },
  control: { kind: 'control', missionId, action: 'change', priority: 8, taskId },
  'mission-ask': {
    kind: 'mission-ask', requestId: 'ask-2', principal,
    operation: {
      op: 'submit', key: 'key-1',
      request: {
        priority: 5, acknowledgement: 'local', name: 'two', limits: { durationMs: 60_000 },
        plan: {
          name: 'two', description: 'one after the other', priority: 6, limits: { leavesMax: 4 }, result: { $from: 'second' },
          tasks: {
            first: { capability, version: '1.0', attributes: { gpu: true }, input: { folder: blob }, after: [], priority: 3, effort: 10, accept: [{ path: '', exists: true }], retry: { attemptsMax: 2, backoffMs: 0 }, timeLimitMs: 1_000, optional: true },
            second: { capability, input: { of: { $from: 'first', path: 'a.0' } }, after: ['first'], accept: [], optional: false },
          },
        },
      },
    },
  },
  'mission-answer': { kind: 'mission-answer', requestId: 'ask-2', answer: { inline: { id: missionId } }, fault: problem },
  'mission-elsewhere': { kind: 'mission-elsewhere', missionId, leader: peerB, requestId: 'ask-2', subscriber: { peer: peerB, actor: 'feed/1' } },
  watch: { kind: 'watch', missionId, fromIndex: 4, subscriber: { peer: peerB, actor: 'feed/1' } },
  unwatch: { kind: 'unwatch', missionId, subscriber: { peer: peerB, actor: 'feed/1' } },
  watched: { kind: 'watched', missionId, events: [{ index: 1, event: sampleEvents.paused }], notes: [{ taskId, note: 'running' }], fault: problem, resetTo: 4 },
}

/** The message of a kind as it travels. */
export function sampleEnvelope(kind: MessageKind): Envelope {
  return { to: 'participant', from: manager.actor, principal, trace: 'trace-1', message: sampleMessages[kind] }
}
