import { describe, expect, it, vi } from 'vitest'
import { actorNames } from '../../actors/names.ts'
import { fault } from '../../protocols/kernel/errors.ts'
import type { CallId, MissionId, PeerId, Principal, TaskId } from '../../protocols/kernel/ids.ts'
import type { Envelope, Message } from '../../protocols/wire.ts'
import { virtualPeerId } from '../../sim/identity-virtual-adapter.ts'
import type { ScriptedSkill } from '../../sim/skill-runner-scripted-adapter.ts'
import { createVirtualTransport } from '../../sim/transport-virtual-adapter.ts'
import { failedActors, logProblems, missionWorld, runsByTask, seeds, startNodes, stillRunning, type MissionWorld } from './mission-world.ts'
import { capability, doubling, local, summing } from './virtual-missions.ts'

// Many seeds of virtual time: how long they take on a busy machine says nothing.
vi.setConfig({ testTimeout: 240_000 })

function doubles(count: number, priority?: number) {
  return { plan: { tasks: Object.fromEntries(Array.from({ length: count }, (_, i) => [`t${i}`, { capability: 'number.double', input: { value: i } }])) }, limits: { leavesMax: count }, ...(priority === undefined ? {} : { priority }) }
}

function winners(world: MissionWorld): Map<string, number> {
  const wins = new Map<string, number>()
  for (const run of world.runs) if (run.step === 'run') wins.set(run.node, (wins.get(run.node) ?? 0) + 1)
  return wins
}

describe('who wins', () => {
  it('a slow node wins less, by its bids’ own terms', async () => {
    for (const seed of seeds(5)) {
      const world = missionWorld(seed, () => [doubling(200)])
      await world.start('a')
      await world.start('b')
      await world.start('c')
      await world.start('slow', { speed: 0.2 })
      await world.runFor(1_500)
      // What every node has measured of itself is what it bids with.
      await world.ended('a', (await world.submit('a', doubles(16))).id)
      world.runs.length = 0
      const accepted = await world.submit('a', doubles(60))
      await world.ended('a', accepted.id)
      const wins = winners(world)
      const slow = wins.get('slow') ?? 0
      for (const name of ['a', 'b', 'c']) expect(slow, `${name} won ${wins.get(name)}, seed ${seed}`).toBeLessThan((wins.get(name) ?? 0) / 2)
      const why = await world.why('a', accepted.id)
      const contested = why.tasks.flatMap((task) => task.attempts).filter((attempt) => attempt.bids.some(({ name }) => name === 'slow') && attempt.workerName !== 'slow')
      expect(contested.length).toBeGreaterThan(0)
      for (const { bid, bids } of contested) {
        const lost = bids.find(({ name }) => name === 'slow')
        expect(lost?.estimatedFinishMs ?? 0).toBeGreaterThan(2 * bid.estimatedFinishMs)
        expect(lost?.terms.finish ?? 1).toBeLessThan(bid.terms?.finish ?? 0)
      }
    }
  })

  it('a node that promises more than it keeps stops winning', async () => {
    for (const seed of seeds(5)) {
      const world = missionWorld(seed, () => [doubling(300)])
      await world.start('a', { skills: [] })
      await world.start('honest', { slots: 1 })
      await world.start('other', { slots: 1 })
      // It says that its runs took a tenth of the time that they took.
      const boast: ScriptedSkill = doubling(900)
      const liar = await world.start('liar', { slots: 1, skills: [boast] })
      const start = liar.skills.start.bind(liar.skills)
      Object.assign(liar.skills, { start: (run: Parameters<typeof start>[0], listener: Parameters<typeof start>[1]) => start(run, (event) => listener(event.type === 'done' ? { ...event, stats: { ...event.stats, runMs: 20 } } : event)) })
      await world.runFor(1_500)
      for (let i = 0; i < 25; i++) await world.ended('a', (await world.submit('a', doubles(1))).id)
      world.runs.length = 0
      for (let i = 0; i < 20; i++) await world.ended('a', (await world.submit('a', doubles(1))).id)
      expect(winners(world).get('liar') ?? 0).toBeLessThanOrEqual(2)
    }
  })

  it('one that keeps failing is left alone while others bid', async () => {
    for (const seed of seeds(5)) {
      const world = missionWorld(seed, () => [doubling(100)])
      await startNodes(world, ['a', 'b', 'c'])
      await world.start('bad', { skills: [{ capability: capability('number.double'), run: () => ({ afterMs: 1, fault: fault('skill-failed', 'broken') }) }] })
      await world.runFor(1_500)
      const accepted = await world.submit('a', doubles(40))
      expect((await world.ended('a', accepted.id)).state).toBe('completed')
      expect(winners(world).get('bad') ?? 0).toBeLessThanOrEqual(8)
    }
  })

  it('every fit worker executes some; the owner none while others are better', async () => {
    for (const seed of seeds(8)) {
      const world = missionWorld(seed, () => [doubling(200), summing()])
      await startNodes(world, ['a', 'b', 'c', 'd', 'e'])
      const accepted = await world.submit('a', { capability: 'number.sum', input: { values: [1, 2, 3, 4, 5, 6, 7, 8] } })
      await world.ended('a', accepted.id)
      const wins = winners(world)
      expect([...wins.keys()].sort()).toEqual(['b', 'c', 'd', 'e'])
    }
  })
})

describe('contention', () => {
  it('higher priorities are served first, whichever node they come from', async () => {
    for (const seed of seeds(8)) {
      const world = missionWorld(seed, () => [doubling(100)])
      await startNodes(world, ['a', 'b', 'c'], { slots: 1 })
      // Every slot is taken; then ten of each priority wait.
      const filler = await world.submit('a', doubles(6, 10))
      await world.runFor(30)
      const missions = [await world.submit('b', doubles(10, 2)), await world.submit('c', doubles(10, 5)), await world.submit('a', doubles(10, 9))]
      const ends = new Map<string, number>()
      for (const { id } of [...missions, filler]) ends.set(id, (await world.ended('a', id)).endedAtWallMs ?? 0)
      const at = (i: number) => ends.get(missions[i]?.id ?? '') ?? 0
      expect(at(2), `priority 9 before 5, seed ${seed}`).toBeLessThan(at(1))
      expect(at(1), `priority 5 before 2, seed ${seed}`).toBeLessThan(at(0))
    }
  })

  it('two principals share the slots, however many missions one of them has', async () => {
    const shares: number[] = []
    for (const seed of seeds(8)) {
      const world = missionWorld(seed, () => [doubling(100)])
      await startNodes(world, ['a', 'b'], { slots: 2 })
      const greedy = [await world.submit('a', doubles(30), undefined, 'greedy' as Principal), await world.submit('b', doubles(30), undefined, 'greedy' as Principal)]
      await world.runFor(350)
      const beforeMs = world.mesh.clock.nowMs()
      const modest = await world.submit('b', doubles(12), undefined, 'modest' as Principal)
      await world.ended('b', modest.id)
      const during = world.runs.filter((run) => run.atMs >= beforeMs)
      // Half of the places, once its first call has been answered; without sharing it would be a sixth.
      const share = during.filter((run) => run.principal === 'modest').length / during.length
      shares.push(share)
      expect(share, `seed ${seed}`).toBeGreaterThan(0.2)
      expect(share, `seed ${seed}`).toBeLessThan(0.75)
      for (const { id } of greedy) expect((await world.ended('a', id)).state).toBe('completed')
    }
    expect(shares.reduce((sum, share) => sum + share) / shares.length).toBeGreaterThan(0.33)
  })

  it('no slot stays idle while calls wait', async () => {
    for (const seed of seeds(6)) {
      const world = missionWorld(seed, () => [doubling(100)])
      await startNodes(world, ['a', 'b', 'c'], { slots: 2 })
      const startedMs = world.mesh.clock.nowMs()
      const missions = [await world.submit('a', doubles(20, 3)), await world.submit('b', doubles(20, 8)), await world.submit('c', doubles(20, 5))]
      for (const { id } of missions) await world.ended('a', id)
      // 60 runs of 100 ms on six slots are one second.
      expect(world.mesh.clock.nowMs() - startedMs, `seed ${seed}`).toBeLessThan(1_600)
      for (const runs of runsByTask(world).values()) expect(runs.length).toBeLessThanOrEqual(3)
    }
  })
})

describe('a peer that lies', () => {
  /** A host on the network that speaks the protocol and says whatever it likes. */
  function rogue(world: MissionWorld) {
    const host = world.mesh.network.join(virtualPeerId('rogue'))
    const transport = createVirtualTransport(host)
    world.mesh.network.connectAll()
    return {
      peer: host.peer,
      send(to: PeerId, actor: string, message: Message, from = 'participant') {
        transport.send(to, { to: actor, from, message } satisfies Envelope)
      },
    }
  }

  it('ends, adopts, cancels and accepts nothing that is not its own', async () => {
    const world = missionWorld(4, () => [doubling(1_000), summing()])
    await startNodes(world, ['a', 'b', 'c'])
    const accepted = await world.submit('a', { capability: 'number.sum', input: { values: [1, 2, 3, 4] } })
    await world.until(() => world.runs.filter((run) => run.step === 'run').length >= 3, 'leaves')
    const evil = rogue(world)
    await world.runFor(50)
    const why = await world.why('a', accepted.id)
    const awards = why.tasks.flatMap((task) => task.attempts.map((attempt) => ({ taskId: task.id, awardId: attempt.awardId, worker: attempt.worker })))
    const epoch = { lineage: 1, term: 9 }
    const here = (actor: string) => ({ peer: evil.peer, actor })
    const rootManager = actorNames.rootManager(accepted.id)
    const stats = { queueMs: 0, transferMs: 0, runMs: 1, costUsd: 0 }
    for (const { taskId, awardId, worker } of awards) {
      const actor = actorNames.award(awardId)
      for (const to of [actor, 'participant']) {
        evil.send(worker, to, { kind: 'adopt', awardId, epoch, manager: { peer: world.node('a').peer, actor: rootManager }, orchestrator: here('participant'), leaseMs: 1_000 })
        evil.send(worker, to, { kind: 'cancel', awardId, reason: 'evil' })
        evil.send(worker, to, { kind: 'acknowledge', awardIds: [awardId] })
        evil.send(worker, to, { kind: 'renewed', round: 0, awardIds: [awardId], leaseMs: 1 })
      }
      const managers = [...new Set([rootManager, ...awards.map((other) => actorNames.award(other.awardId))])]
      for (const node of world.live()) {
        for (const manager of managers) {
          evil.send(node.peer, manager, { kind: 'inform', results: [{ awardId, result: { inline: 666 }, cites: [], stats }] })
          evil.send(node.peer, manager, { kind: 'failure', awardId, fault: fault('skill-failed', 'evil', { retryable: false }), stats })
          evil.send(node.peer, manager, { kind: 'hand-back', awardId, reason: 'evil' })
          evil.send(node.peer, manager, { kind: 'not-holding', awardId })
          evil.send(node.peer, manager, { kind: 'holding', awardId, worker: here(actor) })
          evil.send(node.peer, manager, { kind: 'confirm', awardIds: [awardId] })
          evil.send(node.peer, manager, { kind: 'refuse-award', awardId, refusal: { callId: `${awardId}?` as CallId, reason: 'leaving', detail: 'evil', retryable: false, waiting: false } })
          evil.send(node.peer, manager, { kind: 'control', missionId: accepted.id, action: 'pause' })
          evil.send(node.peer, manager, { kind: 'cancel', awardId, reason: 'evil' })
          evil.send(node.peer, manager, { kind: 'record-refused', missionId: accepted.id, requestId: 1, fault: fault('fenced', 'evil') })
          evil.send(node.peer, manager, { kind: 'recorded', missionId: accepted.id, requestId: 2, firstIndex: 1 })
          evil.send(node.peer, manager, { kind: 'attached', missionId: accepted.id, taskId, epoch, paused: true, limits: { leavesMax: 1, depthMax: 1, budgetUsd: 0, durationMs: 1 }, leavesLeft: 0, priority: 1, remainingMs: -1, events: [], last: true })
        }
      }
      evil.send(world.node('a').peer, actorNames.orchestrator(accepted.id), { kind: 'record', missionId: accepted.id, taskId, awardId, requestId: 77, events: [{ type: 'dead', atWallMs: 0, taskId, fault: fault('internal', 'evil') }] })
      evil.send(world.node('a').peer, actorNames.orchestrator(accepted.id), { kind: 'record', missionId: accepted.id, taskId: 'root' as TaskId, awardId, requestId: 78, events: [{ type: 'accepted', atWallMs: 0, taskId, awardId, result: { inline: 666 }, cites: [], tookMs: 1 }] })
      evil.send(world.node('a').peer, actorNames.orchestrator(accepted.id), { kind: 'progress', missionId: accepted.id, notes: [{ taskId, note: 'progress', text: 'evil text' }] })
      evil.send(world.node('a').peer, actorNames.missions, { kind: 'renew', round: 0, leases: [{ awardId }] })
    }
    await world.runFor(100)
    expect(JSON.stringify(await world.why('a', accepted.id))).not.toContain('evil')
    expect((await world.ended('a', accepted.id)).state).toBe('completed')
    expect(await world.result('a', accepted.id)).toBe(20)
    expect(runsByTask(world).size).toBe(4)
    for (const runs of runsByTask(world).values()) expect(runs, JSON.stringify((await world.events('a', accepted.id)).filter((event) => event.type === 'award-ended'))).toHaveLength(1)
    expect([...logProblems(await world.events('b', accepted.id)), ...failedActors(world)]).toEqual([])
  })

  it('calls, awards and adverts in another’s name are refused and written down', async () => {
    const world = missionWorld(4, () => [doubling(100)])
    await startNodes(world, ['a', 'b'])
    const evil = rogue(world)
    await world.runFor(50)
    const b = world.node('b')
    const a = world.node('a').peer
    const missionId = 'm-aaaaaaaa-aaaaaaaaaaaa' as MissionId
    const common = { callId: 'c?' as CallId, missionId, taskId: 'root/x' as TaskId, attempt: 1, kind: 'leaf' as const, capability: capability('number.double').name, effects: 'none' as const, priority: 5, effort: 1, remainingMs: 1_000 }
    evil.send(b.peer, 'participant', { kind: 'cfp', initiator: { peer: a, actor: 'x' }, principal: local, threshold: 1, expiresInMs: 1_000, calls: [{ ...common, inputBytes: 0, holders: [], excluded: [], budgetUsd: 1 }] })
    const { callId, taskId, attempt, effort, priority, ...shared } = common
    const terms = { ...shared, epoch: { lineage: 1, term: 1 }, manager: { peer: a, actor: 'x' }, orchestrator: { peer: a, actor: 'x' }, principal: local, version: '1.0', leaseMs: 1_000 }
    evil.send(b.peer, 'participant', { kind: 'accept-proposal', terms, tasks: [{ callId, taskId, attempt, effort, priority, input: { inline: { value: 1 } }, timeLimitMs: 1_000 }] })
    const signed = { advert: JSON.stringify({ peerId: a, sequence: 9e15, issuedAtWallMs: world.mesh.clock.wallMs(), expiresAtWallMs: world.mesh.clock.wallMs() + 60_000, name: 'evil', release: '0', duties: ['worker'], addrs: [], capabilities: [], gpus: [], environment: { os: 'x', arch: 'x', cores: 1, memoryBytes: 0, memoryFreeBytes: 0 }, load: { slots: 0, slotsBusy: 0, waiting: 0, missionsOwned: 0, managers: 0, cpu: 0, loopDelayMs: 0 }, leaving: true }), signature: new Uint8Array(64) }
    evil.send(b.peer, 'directory', { kind: 'advert', signed })
    evil.send(b.peer, 'directory', { kind: 'advert', signed: { ...signed, advert: 'not json' } })
    evil.send(b.peer, 'missions', { kind: 'watch', missionId, fromIndex: 0, subscriber: { peer: a, actor: 'x' } })
    await world.runFor(100)
    expect(world.runs).toEqual([])
    for (const name of ['cfp.forged', 'award.forged', 'advert.forged', 'advert.malformed', 'watch.forged']) expect(b.telemetry.named(name), name).toHaveLength(1)
    expect((await b.mesh.nodes()).some((node) => node.name === 'evil')).toBe(false)
    expect(failedActors(world)).toEqual([])
  })

  it('a result that is late or unknown is acknowledged, counted and kept as a dead letter', async () => {
    const world = missionWorld(4, () => [doubling(2_000)])
    await startNodes(world, ['a', 'b', 'c'])
    const accepted = await world.submit('a', { capability: 'number.double', input: { value: 1 } })
    await world.until(() => world.runs.length === 1, 'the run')
    const first = world.runs[0]?.node ?? ''
    // A lost connection ends the award; the worker finishes all the same, and delivers when it is connected again.
    world.mesh.network.closeConnection(world.node('a').peer, world.node(first).peer)
    await world.until(() => world.runs.length === 2, 'the second run', 20_000)
    world.mesh.network.connect(world.node('a').peer, world.node(first).peer)
    expect((await world.ended('a', accepted.id)).state).toBe('completed')
    await world.runFor(30_000)
    const letters = world.node('a').mesh.deadLetters()
    const late = letters.recent.filter((letter) => letter.messageKind === 'inform')
    expect(late[0]).toMatchObject({ from: expect.stringContaining(world.node(first).peer), reason: expect.stringContaining('it came late') })
    expect(letters.count).toBeGreaterThan(0)
    expect(await world.ask('a', { op: 'dead' })).toContainEqual(expect.objectContaining({ kind: 'message', reason: expect.stringContaining('it came late') }))
    expect(stillRunning(world)).toEqual([])
  })
})

describe('the same seed', () => {
  it('gives the same facts in the same order', async () => {
    const trace = async (seed: number) => {
      const world = missionWorld(seed, () => [doubling(70), summing()], { gossipLossFraction: 0.2 })
      await startNodes(world, ['a', 'b', 'c'])
      const accepted = await world.submit('a', { capability: 'number.sum', input: { values: [1, 2, 3, 4, 5, 6] } })
      await world.runFor(120)
      world.kill('b')
      await world.runFor(200)
      await world.restart('b')
      await world.ended('a', accepted.id)
      return world.live().map((node) => node.telemetry.facts)
    }
    for (const seed of seeds(5)) {
      const first = await trace(seed)
      expect(first.flat().length).toBeGreaterThan(15)
      expect(await trace(seed)).toEqual(first)
    }
    expect(await trace(1)).not.toEqual(await trace(2))
  })
})
