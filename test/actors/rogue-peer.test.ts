import { expect, it, vi } from 'vitest'
import { fault } from '../../protocols/kernel/errors.ts'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import { seededRandom } from '../../protocols/kernel/prng.ts'
import { Message } from '../../protocols/wire.ts'
import { virtualPeerId } from '../../sim/identity-virtual-adapter.ts'
import { createVirtualTransport } from '../../sim/transport-virtual-adapter.ts'
import { failedActors, logProblems, missionWorld, seeds, startNodes, type MissionWorld } from './mission-world.ts'
import { doubling, summing } from './virtual-missions.ts'

vi.setConfig({ testTimeout: 240_000 })

const rogue = virtualPeerId('rogue')

/** Messages that the schema allows and nobody meant: about real missions, tasks and awards, from a peer that has none of them. */
async function nonsense(world: MissionWorld, missionId: MissionId, random: ReturnType<typeof seededRandom>) {
  const pick = <T>(from: readonly T[]): T => from[random.below(from.length)] as T
  const { tasks } = await world.why('a', missionId)
  const awards: string[] = [...tasks.flatMap((task) => task.attempts.map((attempt) => attempt.awardId)), 'none', `${missionId}:root#1@1.1`, `${missionId}:root/none#1@1.1`]
  const taskIds: string[] = [...tasks.map((task) => task.id), 'root', 'root/none']
  const actors = ['missions', 'participant', 'directory', 'advertiser', 'log-keeper', 'blob-keeper', 'roster', 'registrar', 'root', 'client/1', 'node-desk', 'nodes/listener', `orchestrator/${missionId}`, `manager/${missionId}`, ...awards.map((awardId) => `award/${awardId}`)]
  const live = world.live().map((node) => node.peer)
  const anybody = () => ({ peer: pick([...live, rogue]), actor: pick(actors) })
  const problem = () => fault(pick(['fenced', 'cancelled', 'over-limit', 'unknown-blob', 'wrong-state', 'skill-failed'] as const), 'evil')
  const stats = { queueMs: 0, transferMs: 0, runMs: 1, costUsd: 0 }
  const epoch = () => ({ lineage: 1, term: 1 + random.below(3) })
  const callId = () => `${pick(awards)}?`
  const refusal = () => ({ callId: callId(), reason: 'leaving', detail: 'evil', retryable: random.next() < 0.5, waiting: random.next() < 0.5 })
  const bid = () => ({ callId: callId(), version: '1.0', estimatedFinishMs: 0, breakdown: { queueMs: 0, warmUpMs: 0, transferMs: 0, runMs: 0, samples: 0 }, priceUsd: 0, slotsFree: 5, slots: 5, locality: 1, hostsOrchestrator: false, expiresInMs: 5_000, ...(random.next() < 0.5 ? { standing: { offerId: '1kq3x9-0', slots: random.below(9), forMs: 30_000 } } : {}) })
  const spec = () => ({ taskId: pick(taskIds), kind: 'leaf', capability: 'number.double', effects: 'none', input: { inline: 1 }, after: [], priority: 5, effort: 1, accept: [], retry: { attemptsMax: 4, backoffMs: 1 }, timeLimitMs: 1, optional: false })
  const call = () => ({ callId: callId(), missionId, taskId: pick(taskIds), attempt: 1, kind: pick(['leaf', 'composite']), capability: pick(['number.double', 'number.sum', 'no.such']), effects: 'none', priority: 10, effort: 1, inputBytes: 0, holders: [], excluded: [], budgetUsd: 1, remainingMs: 1_000 })
  const event = () => pick([
    { type: 'dead', atWallMs: 1, taskId: pick(taskIds), fault: problem() },
    { type: 'accepted', atWallMs: 1, taskId: pick(taskIds), awardId: pick(awards), result: { inline: 666 }, cites: [], tookMs: 1 },
    { type: 'planned', atWallMs: 1, taskId: pick(taskIds), children: [spec()] },
    { type: 'completed', atWallMs: 1, result: { inline: 666 } },
    { type: 'took-over', atWallMs: 1, epoch: { lineage: 9, term: 9 }, owner: rogue },
    { type: 'award-ended', atWallMs: 1, awardId: pick(awards), taskId: pick(taskIds), fault: problem(), outcome: 'failed' },
    { type: 'task-cancelled', atWallMs: 1, taskId: pick(taskIds), reason: 'evil' },
  ])
  // It knows every name, and of no log in which life its members are: what they believe each other to be is between them.
  const between = () => ({ group: pick([missionId, 'roster', 'registrar-07', 'm-00nobody-aaaaaaaaaaaa']), as: 'evilevil', toward: 'evilevil', epoch: epoch() })
  const position = { index: 9, epoch: { lineage: 9, term: 9 }, chain: 'e'.repeat(64) }
  const membership = { voters: [{ peer: rogue, incarnation: 'evilevil' }], learners: [] }
  const entry = () => ({ index: 10, epoch: { lineage: 9, term: 9 }, event: event(), chain: 'e'.repeat(64) })
  const archived = () => ({ missionId, endedAtWallMs: 1, keptUntilWallMs: 1, archive: { inline: 'evil' }, cites: [], members: [rogue], view: {} })
  const claim = () => ({ missionId, principal: 'evil', key: 'evil', requestDigest: 'evil', members: [rogue], atWallMs: 1 })
  const requestId = () => pick(['1', '1-aaaaaa', 'secure 0 0', 'r'])
  const terms = { paused: true, limits: { leavesMax: 1, depthMax: 1, budgetUsd: 0, durationMs: 1 }, leavesLeft: 0, priority: 1, remainingMs: 1 }
  const makers: Record<Exclude<Message['kind'], 'accept-proposal'>, () => Record<string, unknown>> = {
    'advert-request': () => ({}),
    advert: () => ({ signed: { advert: '{}', signature: new Uint8Array(64) } }),
    cfp: () => ({ initiator: anybody(), principal: 'evil', threshold: 1, expiresInMs: 100, calls: [call(), call()], ...(random.next() < 0.5 ? { standing: 1 + random.below(99) } : {}) }),
    propose: () => ({ participant: anybody(), name: 'evil', bids: [bid(), bid()] }),
    refuse: () => ({ participant: anybody(), name: 'evil', refusals: [refusal()] }),
    'reject-proposal': () => ({ callIds: [callId()] }),
    confirm: () => ({ awardIds: [pick(awards), pick(awards)] }),
    'refuse-award': () => ({ awardId: pick(awards), refusal: refusal() }),
    inform: () => ({ results: [pick(awards), pick(awards)].map((awardId) => ({ awardId, result: { inline: 666 }, cites: [], stats })) }),
    failure: () => ({ awardId: pick(awards), fault: problem(), stats }),
    checkpoint: () => ({ awardId: pick(awards), number: 1 + random.below(9), checkpoint: { inline: 'evil' } }),
    'checkpoint-heard': () => ({ awardId: pick(awards), number: 1 + random.below(9) }),
    'offers-changed': () => ({ offers: [{ offerId: '1kq3x9-0', slots: random.below(9), forMs: 30_000 }] }),
    'offers-released': () => ({ offerIds: ['1kq3x9-0'] }),
    acknowledge: () => ({ awardIds: [pick(awards), pick(awards)] }),
    cancel: () => ({ awardId: pick(awards), reason: 'evil' }),
    renew: () => ({ round: 1, leases: [{ awardId: pick(awards), text: 'evil' }] }),
    renewed: () => ({ round: 1, awardIds: [pick(awards)], leaseMs: 1 }),
    // In the name of another: one that claims an award for itself cannot be told from a new owner before awards are signed.
    adopt: () => ({ awardId: pick(awards), epoch: epoch(), manager: { peer: pick(live), actor: pick(actors) }, orchestrator: anybody(), leaseMs: 1 }),
    holding: () => ({ awardId: pick(awards), worker: anybody() }),
    'not-holding': () => ({ awardId: pick(awards) }),
    'hand-back': () => ({ awardId: pick(awards), reason: 'evil' }),
    invoke: () => ({ caller: anybody(), principal: 'evil', call: call(), version: '1.0', input: { inline: 'evil' }, timeLimitMs: 1, idempotencyKey: 'evil', streams: true }),
    'invoke-taken': () => ({ callId: callId() }),
    'invoke-refused': () => ({ callId: callId(), refusal: refusal() }),
    'invoke-chunks': () => ({ callId: callId(), at: random.below(3), chunks: ['evil'] }),
    'invoke-pulse': () => ({ callIds: [callId()] }),
    'invoke-ended': () => ({ callId: callId(), output: { inline: 'evil' }, stats }),
    'invoke-cancel': () => ({ callId: callId(), reason: 'evil' }),
    'describe-capability': () => ({ requestId: requestId(), capability: 'repo.measure' }),
    'capability-described': () => ({ requestId: requestId(), inputSchema: {} }),
    hello: () => ({ name: 'evil', release: '1', protocolMajor: 1, protocolMinor: 1 }),
    goodbye: () => ({ reason: 'evil' }),
    'member-leaves': () => ({}),
    'leaving-heard': () => ({}),
    'node-ask': () => ({ requestId: '1', about: 'status' }),
    'node-report': () => ({ requestId: '1', report: 1 }),
    attach: () => ({ missionId, taskId: pick(taskIds), awardId: pick(awards) }),
    attached: () => ({ missionId, taskId: pick(taskIds), epoch: epoch(), ...terms, events: [{ index: 1, event: event() }], last: true }),
    record: () => ({ missionId, taskId: pick(taskIds), awardId: pick(awards), requestId: random.below(9), events: [event(), event()] }),
    recorded: () => ({ missionId, requestId: random.below(9), firstIndex: 1 }),
    'record-refused': () => ({ missionId, requestId: random.below(9), fault: problem() }),
    progress: () => ({ missionId, notes: [{ taskId: pick(taskIds), note: 'stalled', text: 'evil' }] }),
    control: () => ({ missionId, action: pick(['pause', 'resume', 'change', 'retry']), priority: 1 }),
    'mission-ask': () => ({ requestId: 'r', principal: 'evil', operation: pick([{ op: 'view', missionId }, { op: 'why', missionId, taskId: 'root/none' }, { op: 'list', limit: 5 }, { op: 'queue' }, { op: 'dead' }, { op: 'tasks', missionId }, { op: 'result', missionId }]) }),
    'mission-answer': () => ({ requestId: pick(['own-1', 'relay-1', 'gather-1.0', 'none']), answer: { inline: { evil: true } } }),
    watch: () => ({ missionId, fromIndex: random.below(99), subscriber: anybody() }),
    unwatch: () => ({ missionId, subscriber: anybody() }),
    'mission-elsewhere': () => ({ missionId, ...pick([{ requestId: pick(['own-1', 'relay-1', 'none']) }, { subscriber: anybody() }]), leader: rogue }),
    'roster-ask': () => ({ have: random.below(9) }),
    'roster-told': () => ({ index: 99, view: { index: 99, lineage: 9, keepers: [rogue], replicas: [], shards: Array.from({ length: 64 }, () => [rogue]) } }),
    // In the name of another: a replica that joins and keeps nothing is a slow disk like others.
    'roster-join': () => ({ replica: { peer: pick(live), name: 'evil', incarnation: 'evilevil', domain: 'evil' } }),
    'shard-report': () => ({ shard: random.below(64), members: [pick(live)] }),
    'claim-ask': () => ({ requestId: requestId(), claim: claim() }),
    'mission-look-up': () => ({ requestId: requestId(), missionId }),
    'claim-answer': () => ({ requestId: requestId(), ...pick([{ claim: claim() }, { refused: 'key-conflict' }, { refused: 'not-leader', leader: rogue }]) }),
    'mission-moved': () => ({ requestId: requestId(), missionId, members: [rogue], epoch: { lineage: 9, term: 9 } }),
    'moved-heard': () => ({ requestId: requestId(), missionId, committed: true }),
    'vote-ask': () => ({ ...between(), pre: random.next() < 0.5, transfer: random.next() < 0.5, last: position }),
    vote: () => ({ ...between(), pre: random.next() < 0.5, granted: random.next() < 0.5 }),
    'log-append': () => ({ ...between(), previous: position, entries: [entry()], commit: 10, round: 1 }),
    'log-appended': () => ({ ...between(), ok: random.next() < 0.5, matched: random.below(99), round: random.below(99) }),
    'log-install': () => ({ ...between(), snapshot: { at: position, membership, version: 1, state: { inline: 'evil' } }, round: 1 }),
    'lead-now': between,
    'group-pulse': () => ({ beat: random.below(9), groups: random.below(70), digest: random.below(99) }),
    'group-pulse-heard': () => ({ beat: random.below(9), agrees: random.next() < 0.5, differ: [missionId, 'roster'] }),
    'group-terms': () => ({ beat: random.below(9), groups: [{ group: missionId, epoch: epoch() }, { group: 'roster', epoch: { lineage: 9, term: 9 } }] }),
    'other-incarnation': () => ({ group: pick([missionId, 'roster']), incarnation: 'evilevil' }),
    'copy-lost': () => ({ group: pick([missionId, 'roster']), toward: 'evilevil' }),
    'group-ended': () => ({ group: missionId, ended: archived() }),
    'group-left': () => ({ group: pick([missionId, 'roster']) }),
    'group-ask': () => ({ group: pick([missionId, 'roster']) }),
    'seal-ask': () => ({ group: missionId, founder: pick([...live, rogue]), toward: 'evilevil' }),
    sealed: () => ({ group: missionId, as: 'evilevil', sealed: random.next() < 0.8 }),
    'hold-blobs': () => ({ requestId: requestId(), refs: [{ $blob: 'e'.repeat(64), sizeBytes: 5 }] }),
    'blobs-held': () => ({ requestId: requestId(), ok: random.next() < 0.5 }),
    watched: () => ({ missionId, events: [{ index: 1, event: event() }], notes: [] }),
  }
  return {
    message: (): Message => {
      const [kind, make] = pick(Object.entries(makers))
      return Message.parse({ kind, ...make() })
    },
    actor: () => pick(actors),
    peer: () => pick(live),
  }
}

it('a peer that says whatever the schema allows fails no actor, changes no mission and has no work done', async () => {
  for (const seed of seeds(10)) {
    const random = seededRandom([seed, 0xe51])
    const world = missionWorld(seed, () => [doubling(200), summing()])
    await startNodes(world, ['a', 'b', 'c'])
    const transport = createVirtualTransport(world.mesh.network.join(rogue))
    world.mesh.network.connectAll()
    await world.runFor(50)
    const accepted = await world.submit('a', { capability: 'number.sum', input: { values: [1, 2, 3, 4, 5, 6] } })
    for (let round = 0; round < 10; round++) {
      await world.runFor(45)
      const next = await nonsense(world, accepted.id, random)
      for (let i = 0; i < 150; i++) transport.send(next.peer(), { to: next.actor(), from: next.actor(), message: next.message() })
    }
    expect((await world.ended('a', accepted.id)).state).toBe('completed')
    expect(await world.result('a', accepted.id)).toBe(42)
    expect(logProblems(await world.events('a', accepted.id))).toEqual([])
    expect(JSON.stringify(await world.why('a', accepted.id))).not.toContain('evil')
    expect(world.runs.filter((run) => run.step === 'run')).toHaveLength(6)
    expect(failedActors(world)).toEqual([])
  }
})
