/** Missions of many like tasks: bidders offer their places once, and awards go against that without a call for each. */
import { expect, it, vi } from 'vitest'
import type { StandingOffer } from '../../protocols/bidding/schema.ts'
import { fault } from '../../protocols/kernel/errors.ts'
import type { MissionId, Principal } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { MissionEvent } from '../../protocols/tasking/schema.ts'
import type { Envelope, Message, MessageKind, MessageOf } from '../../protocols/wire.ts'
import type { ScriptedSkill } from '../../sim/skill-runner-scripted-adapter.ts'
import { failedActors, logProblems, missionWorld, repeatedAfterAcceptance, runsByTask, seeds, stillRunning, type MissionWorld } from './mission-world.ts'
import { doubling } from './virtual-missions.ts'

vi.setConfig({ testTimeout: 240_000 })

const many = 300
const slots = 4

function doubles(count: number, of: object = {}) {
  return { plan: { tasks: Object.fromEntries(Array.from({ length: count }, (_, i) => [`t${i}`, { capability: 'number.double', input: { value: i }, ...of }])) }, limits: { leavesMax: count } }
}

interface Overheard {
  readonly world: MissionWorld
  /** Every message of this kind that has left a node, on a stream or published. */
  said<Kind extends MessageKind>(kind: Kind): MessageOf<Kind>[]
}

/** One that submits and executes nothing, and two that do. */
async function meshOf(seed: number, skill: ScriptedSkill = doubling(50)): Promise<Overheard> {
  const messages: Message[] = []
  const hear = ({ message }: Envelope): void => {
    messages.push(message)
  }
  const world = missionWorld(seed, () => [skill], { observer: { sent: (_from, _to, envelope) => hear(envelope), published: (_from, _topic, envelope) => hear(envelope) } })
  await world.start('boss', { skills: [] })
  await world.start('b', { slots })
  await world.start('c', { slots })
  await world.runFor(2_000)
  messages.length = 0
  return { world, said: <Kind extends MessageKind>(kind: Kind) => messages.filter((message): message is MessageOf<Kind> => message.kind === kind) }
}

function awardsOf(events: readonly MissionEvent[]) {
  return events.flatMap((event) => (event.type === 'awarded' ? [event.award] : []))
}

function callsIn(announcements: readonly MessageOf<'cfp'>[]): Set<string> {
  return new Set(announcements.flatMap(({ calls }) => calls.map(({ callId }) => callId)))
}

function withdrawn(changes: readonly MessageOf<'offers-changed'>[]): StandingOffer[] {
  return changes.flatMap(({ offers }) => offers.filter(({ slots: left }) => left === 0))
}

async function expectSound(world: MissionWorld, id: MissionId): Promise<readonly MissionEvent[]> {
  const events = await world.events('boss', id)
  expect([...logProblems(events), ...failedActors(world), ...repeatedAfterAcceptance(world, events), ...stillRunning(world)]).toEqual([])
  return events
}

it('a mission of many like tasks calls for few of them, and each runs once', async () => {
  for (const seed of seeds(4)) {
    const { world, said } = await meshOf(seed)
    const startedMs = world.mesh.clock.nowMs()
    const { id } = await world.submit('boss', doubles(many))
    expect(await world.ended('boss', id)).toMatchObject({ state: 'completed', tasks: { accepted: many } })
    const tookMs = world.mesh.clock.nowMs() - startedMs
    const events = await expectSound(world, id)
    const byOffer = awardsOf(events).filter(({ offer }) => offer !== undefined)
    expect(byOffer.length, `seed ${seed}`).toBeGreaterThan(0.9 * many)
    const probes = Math.ceil(tookMs / limits.offerProbeMs)
    expect(callsIn(said('cfp')).size, `seed ${seed}`).toBeLessThanOrEqual(limits.callsBesideOffers + probes)
    expect([...runsByTask(world).values()].map((runs) => runs.length), `seed ${seed}`).toEqual(Array(many).fill(1))
    // Eight places, and no way to and fro between two tasks that would leave one idle for longer than a task takes.
    expect(tookMs, `seed ${seed}`).toBeLessThan(2 * (many / (2 * slots)) * 50)
    const executed = world.runs.filter(({ node }) => node === 'b').length
    expect(Math.abs(executed - many / 2), `b has executed ${executed}, seed ${seed}`).toBeLessThan(many / 6)
    // What was awarded against an offer needs no confirmation.
    expect(said('confirm').reduce((sum, { awardIds }) => sum + awardIds.length, 0)).toBeLessThanOrEqual(limits.callsBesideOffers + probes)
  }
})

it('its records say which bid won, and once for each offer what that was made of', async () => {
  const { world } = await meshOf(5)
  const { id } = await world.submit('boss', doubles(60))
  await world.ended('boss', id)
  const awards = awardsOf(await expectSound(world, id))
  const byOffer = awards.filter(({ offer }) => offer !== undefined)
  for (const { bid, worker } of byOffer) expect(bid.peer).toBe(worker)
  const full = byOffer.filter(({ bid }) => bid.breakdown !== undefined && bid.terms !== undefined)
  // Those that it was chosen among are told with it, and only there.
  for (const award of byOffer) expect(award.bids.some(({ peer }) => peer === award.worker)).toBe(full.includes(award))
  expect(full.map(({ worker, offer }) => `${worker} ${offer}`).sort()).toEqual([...new Set(byOffer.map(({ worker, offer }) => `${worker} ${offer}`))].sort())
})

it('when it ends, whoever has offered places is told', async () => {
  for (const seed of seeds(3)) {
    const { world, said } = await meshOf(seed)
    const { id } = await world.submit('boss', doubles(40))
    await world.ended('boss', id)
    await world.runFor(500)
    const offered = new Set(said('propose').flatMap(({ bids }) => bids.flatMap(({ standing }) => (standing === undefined ? [] : [standing.offerId]))))
    expect(offered.size).toBeGreaterThan(0)
    expect(new Set(said('offers-released').flatMap(({ offerIds }) => offerIds)), `seed ${seed}`).toEqual(offered)
  }
})

it('a mission of one task asks for no standing offer', async () => {
  for (const seed of seeds(3)) {
    const { world, said } = await meshOf(seed)
    const { id } = await world.submit('boss', doubles(1))
    expect((await world.ended('boss', id)).state).toBe('completed')
    expect(said('cfp').length).toBeGreaterThan(0)
    for (const call of said('cfp')) expect(call.standing, `seed ${seed}`).toBeUndefined()
    for (const { bids } of said('propose')) for (const bid of bids) expect(bid.standing).toBeUndefined()
    expect(awardsOf(await expectSound(world, id)).filter(({ offer }) => offer !== undefined)).toEqual([])
  }
})

it('a worker that dies in the middle loses nothing', async () => {
  for (const seed of seeds(4)) {
    const { world } = await meshOf(seed)
    const { id } = await world.submit('boss', doubles(many))
    await world.until(() => world.runs.length >= 100, 'a third of it')
    const ranAtDeath = new Set(world.node('c').skills.running().map(({ taskId }) => taskId))
    world.kill('c')
    expect(await world.ended('boss', id), `seed ${seed}`).toMatchObject({ state: 'completed', tasks: { accepted: many } })
    const events = await expectSound(world, id)
    // Again ran only what was on the dead node: it ran there, or its result had not arrived.
    for (const [taskId, runs] of runsByTask(world)) {
      if (runs.length === 1) continue
      expect([runs.length, runs[0]?.node, runs[1]?.node], `${taskId}, seed ${seed}`).toEqual([2, 'c', 'b'])
    }
    for (const taskId of ranAtDeath) expect(runsByTask(world).get(taskId)?.length, `${taskId} is done again, seed ${seed}`).toBe(2)
    // Nothing is awarded to it when that is known.
    const lostAt = events.findIndex((event) => event.type === 'award-ended' && event.outcome === 'lost')
    expect(awardsOf(events.slice(lostAt)).filter(({ workerName }) => workerName === 'c').length, `seed ${seed}`).toBeLessThanOrEqual(2 * slots)
  }
})

it('a worker that comes in the middle gets its share', async () => {
  for (const seed of seeds(3)) {
    const { world } = await meshOf(seed)
    const { id } = await world.submit('boss', doubles(2 * many))
    await world.until(() => world.runs.length >= 60, 'a part of it')
    await world.start('d', { slots })
    const before = world.runs.length
    await world.ended('boss', id)
    const rest = world.runs.slice(before)
    const share = rest.filter(({ node }) => node === 'd').length / rest.length
    expect(share, `seed ${seed}`).toBeGreaterThan(0.1)
    await expectSound(world, id)
  }
})

it('the mission of another principal that comes meanwhile gets its share: offers are withdrawn', async () => {
  for (const seed of seeds(4)) {
    const { world, said } = await meshOf(seed, doubling(100))
    const greedy = await world.submit('boss', doubles(many), undefined, 'greedy' as Principal)
    await world.until(() => world.runs.length >= 40, 'it has taken every place')
    const sinceMs = world.mesh.clock.nowMs()
    const modest = await world.submit('boss', doubles(30), undefined, 'modest' as Principal)
    await world.until(() => world.runs.filter(({ principal }) => principal === 'modest').length >= 30, 'all of the small one')
    expect(withdrawn(said('offers-changed')).length, `seed ${seed}`).toBeGreaterThan(0)
    const during = world.runs.filter(({ atMs }) => atMs >= sinceMs)
    const share = during.filter(({ principal }) => principal === 'modest').length / during.length
    expect(share, `seed ${seed}`).toBeGreaterThan(0.25)
    for (const { id } of [modest, greedy]) expect((await world.ended('boss', id)).state, `seed ${seed}`).toBe('completed')
    expect([...runsByTask(world).values()].every((runs) => new Set(runs.map(({ principal }) => principal)).size === runs.length)).toBe(true)
    for (const { id } of [modest, greedy]) expect(logProblems(await world.events('boss', id))).toEqual([])
    expect(failedActors(world)).toEqual([])
  }
})

it('a paused mission releases its offers, and goes on with new ones', async () => {
  for (const seed of seeds(3)) {
    const { world, said } = await meshOf(seed)
    const { id } = await world.submit('boss', doubles(120))
    await world.until(() => world.runs.length >= 40, 'a third of it')
    await world.ask('boss', { op: 'pause', missionId: id })
    await world.runFor(1_000)
    const ran = world.runs.length
    expect(said('offers-released').length, `seed ${seed}`).toBeGreaterThanOrEqual(2)
    await world.runFor(5_000)
    expect(world.runs.length, `seed ${seed}`).toBe(ran)
    await world.ask('boss', { op: 'resume', missionId: id })
    expect(await world.ended('boss', id), `seed ${seed}`).toMatchObject({ state: 'completed', tasks: { accepted: 120 } })
    const events = await expectSound(world, id)
    expect([...runsByTask(world).values()].map((runs) => runs.length)).toEqual(Array(120).fill(1))
    const pausedAt = events.findIndex(({ type }) => type === 'paused')
    const later = awardsOf(events.slice(pausedAt)).filter(({ offer }) => offer !== undefined)
    expect(later.length, `seed ${seed}`).toBeGreaterThan(0.8 * awardsOf(events.slice(pausedAt)).length)
  }
})

it('a cancelled mission releases its offers, and nothing of it begins any more', async () => {
  for (const seed of seeds(3)) {
    const { world, said } = await meshOf(seed)
    const { id } = await world.submit('boss', doubles(120))
    await world.until(() => world.runs.length >= 40, 'a third of it')
    await world.ask('boss', { op: 'cancel', missionId: id, reason: 'enough' })
    expect((await world.ended('boss', id)).state).toBe('cancelled')
    await world.runFor(500)
    const ran = world.runs.length
    expect(said('offers-released').length, `seed ${seed}`).toBeGreaterThanOrEqual(2)
    await world.runFor(5_000)
    expect([world.runs.length, stillRunning(world), failedActors(world)], `seed ${seed}`).toEqual([ran, [], []])
    // The places are free again: a mission that comes now has all of them.
    const startedMs = world.mesh.clock.nowMs()
    const next = await world.submit('boss', doubles(80))
    expect((await world.ended('boss', next.id)).state).toBe('completed')
    expect(world.mesh.clock.nowMs() - startedMs, `seed ${seed}`).toBeLessThan(2 * (80 / (2 * slots)) * 50 + 500)
  }
})

it('what has failed is called for again, at once, and not awarded by an offer', async () => {
  for (const seed of seeds(4)) {
    const failed = new Set<string>()
    const fragile: ScriptedSkill = {
      ...doubling(50),
      run: (run) => {
        const fails = Number(run.taskId.slice('root/t'.length)) % 30 === 0 && !failed.has(run.taskId)
        if (!fails) return doubling(50).run?.(run) ?? { afterMs: 0, output: null }
        failed.add(run.taskId)
        return { afterMs: 50, fault: fault('skill-failed', 'not this time', { retryable: true }) }
      },
    }
    const { world } = await meshOf(seed, fragile)
    const { id } = await world.submit('boss', doubles(many, { retry: { attemptsMax: 4, backoffMs: 10 } }))
    expect(await world.ended('boss', id), `seed ${seed}`).toMatchObject({ state: 'completed', tasks: { accepted: many } })
    const events = await expectSound(world, id)
    const again = events.flatMap((event, i) => (event.type === 'awarded' && failed.has(event.award.taskId) && event.award.attempt > 1 ? [{ at: i, award: event.award }] : []))
    expect(new Set(again.map(({ award }) => award.taskId))).toEqual(failed)
    for (const { at, award } of again) {
      const isFailed = events.slice(0, at).some((event) => event.type === 'award-ended' && event.taskId === award.taskId && event.outcome === 'failed')
      if (isFailed) expect(award.offer, `${award.taskId}, seed ${seed}`).toBeUndefined()
    }
    // It has waited already: what was never begun does not keep it waiting to the end.
    const first = again.find(({ award }) => award.taskId === 'root/t0')
    const afterwards = awardsOf(events.slice(first?.at ?? events.length)).filter(({ taskId }) => !failed.has(taskId))
    expect(afterwards.length, `seed ${seed}: of ${many} so many are awarded after the first that failed`).toBeGreaterThan(many / 2)
  }
})
