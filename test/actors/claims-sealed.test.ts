import { describe, expect, it, vi } from 'vitest'
import { MeshError, type Fault } from '../../protocols/kernel/errors.ts'
import { seededRandom } from '../../protocols/kernel/prng.ts'
import type { MissionClaim } from '../../protocols/membership/schema.ts'
import { MissionRequest } from '../../protocols/tasking/schema.ts'
import type { MissionView } from '../../protocols/tasking/views.ts'
import { failedActors, logProblems, missionWorld, repeatedAfterAcceptance, seeds, startNodes, type MissionWorld } from './mission-world.ts'
import { doubling, local, summing } from './virtual-missions.ts'

// Many seeds of virtual time: how long they take on a busy machine says nothing.
vi.setConfig({ testTimeout: 400_000 })

type Acknowledgement = MissionRequest['acknowledgement']

const request = { capability: 'number.sum', input: { values: [1, 2, 3, 4] } }

async function meshOf(seed: number, names: readonly string[], network: Parameters<typeof missionWorld>[2] = {}): Promise<MissionWorld> {
  const world = missionWorld(seed, () => [doubling(100), summing()], network)
  await startNodes(world, names)
  return world
}

interface Asked {
  answer: MissionView | undefined
  refused: Fault | undefined
}

function hand(world: MissionWorld, on: string, acknowledgement: Acknowledgement = 'quorum'): Asked {
  const asked: Asked = { answer: undefined, refused: undefined }
  world.node(on).mesh.ask({ op: 'submit', request: MissionRequest.parse({ ...request, acknowledgement }), key: 'k' }, local).then(
    (value) => (asked.answer = value as unknown as MissionView),
    (thrown: unknown) => {
      if (!(thrown instanceof MeshError)) throw thrown
      asked.refused = thrown.fault
    },
  )
  return asked
}

const isOver = ({ answer, refused }: Asked): boolean => answer !== undefined || refused !== undefined

/** Missions that came to their end, by every disk there is. */
function watchDisks(world: MissionWorld, names: readonly string[]): { readonly completed: ReadonlySet<string>; readonly claims: readonly MissionClaim[] } {
  const completed = new Set<string>()
  const claims: MissionClaim[] = []
  for (const name of names) {
    world.mesh.disk(name).onSynced((group, entries) => {
      if (entries.some(({ event }) => event.type === 'completed')) completed.add(group)
      for (const { event } of entries) if (event.type === 'claimed') claims.push(event.claim)
    })
  }
  return { completed, claims }
}

/** As a client does: again and again with the same key, at this bridge. */
async function insist(world: MissionWorld, on: string, withinMs: number, acknowledgement?: Acknowledgement): Promise<MissionView> {
  const untilMs = world.mesh.clock.nowMs() + withinMs
  for (;;) {
    const asked = hand(world, on, acknowledgement)
    await world.until(() => isOver(asked), `an answer at ${on}`, 30_000)
    if (asked.answer !== undefined) return asked.answer
    expect(asked.refused?.retryable, JSON.stringify(asked.refused)).toBe(true)
    if (world.mesh.clock.nowMs() > untilMs) throw new Error(`refused for ${withinMs} ms: ${JSON.stringify(asked.refused)}`)
    await world.runFor(200)
  }
}

/** Of all that was answered under the key, and of all that ran, there is one mission. */
async function expectOne(world: MissionWorld, completed: ReadonlySet<string>, on: string, answered: readonly (MissionView | undefined)[], acknowledgement?: Acknowledgement): Promise<void> {
  const { id } = await insist(world, on, 30_000, acknowledgement)
  for (const view of answered) if (view !== undefined) expect(view.id).toBe(id)
  expect(await world.ended(on, id)).toMatchObject({ state: 'completed' })
  expect(await world.result(on, id)).toBe(20)
  const events = await world.events(on, id)
  expect([...logProblems(events), ...repeatedAfterAcceptance(world, events), ...failedActors(world)]).toEqual([])
  await world.runFor(20_000)
  expect([...completed], 'missions that completed').toEqual([id])
  expect(world.runs.filter(({ step }) => step === 'synthesise').length).toBeGreaterThan(0)
  expect((await world.ask(on, { op: 'list', limit: 100 }) as unknown as MissionView[]).map((view) => view.id)).toEqual([id])
}

const names = ['a', 'b', 'c', 'd'] as const
/** From when a submission is handed in until it is accepted. */
const instants = Array.from({ length: 17 }, (_, i) => i * 0.3)
const claimedAnew = (world: MissionWorld): number => world.live().reduce((sum, node) => sum + node.telemetry.named('mission.claimed-anew').length, 0)

describe('a founder that dies for good between its claim and its answer', () => {
  it.each([[['a', 'b', 'c']], [names]])('the key is good at another bridge: %s', async (nodes) => {
    let freed = 0
    for (const killAtMs of instants) {
      const world = await meshOf(3_000 + 10 * killAtMs, nodes)
      const { completed } = watchDisks(world, nodes)
      const first = hand(world, 'a')
      await world.runFor(killAtMs)
      world.kill('a')
      const killedMs = world.mesh.clock.nowMs()
      const again = hand(world, 'b')
      await world.until(() => isOver(again), 'an answer', 12_000)
      expect(again.answer, `killed at ${killAtMs} ms: ${JSON.stringify(again.refused)}`).toBeDefined()
      expect(world.mesh.clock.nowMs() - killedMs).toBeLessThan(12_000)
      freed += claimedAnew(world)
      await expectOne(world, completed, 'c', [first.answer, again.answer])
    }
    expect(freed, 'keys that were stuck').toBeGreaterThan(2)
  })

  it('at two bridges and more at once: they end with one mission', async () => {
    let freed = 0
    for (const killAtMs of instants) {
      const world = await meshOf(4_000 + 10 * killAtMs, names)
      const { completed } = watchDisks(world, names)
      const first = hand(world, 'd')
      await world.runFor(killAtMs)
      world.kill('d')
      const asked: Asked[] = []
      for (const name of ['a', 'b', 'c']) {
        asked.push(hand(world, name))
        await world.runFor(0.4)
      }
      await world.until(() => asked.every(isOver), 'all answers', 15_000)
      freed = Math.max(freed, claimedAnew(world))
      await expectOne(world, completed, 'c', [first.answer, ...asked.map(({ answer }) => answer)])
    }
    expect(freed, 'bridges that claimed one key anew').toBeGreaterThan(1)
  })

  it('and comes back: in the middle of it, or later, what it has of the mission goes', async () => {
    const left: number[] = []
    // Its log is founded and on its disk alone for a fraction of a millisecond: those that come back later are tried in small steps.
    const soon = instants.filter((_, i) => i % 2 === 0).map((killAtMs) => ({ killAtMs, backs: [0, 1.5, 3] }))
    const late = Array.from({ length: 24 }, (_, i) => ({ killAtMs: 0.9 + 0.1 * i, backs: [2_000] }))
    for (const { killAtMs, backs } of [...soon, ...late]) {
      for (const backMs of backs) {
        const world = await meshOf(5_000 + 10 * killAtMs, names)
        const { completed } = watchDisks(world, names)
        const first = hand(world, 'a')
        await world.runFor(killAtMs)
        world.kill('a')
        const again = hand(world, 'b')
        await world.runFor(backMs)
        const back = await world.restart('a')
        await world.until(() => isOver(again), 'an answer', 15_000)
        await expectOne(world, completed, 'a', [first.answer, again.answer])
        left.push(back.telemetry.named('group.left').length)
      }
    }
    expect(left.some((count) => count > 0), 'a copy that was given up').toBe(true)
  })
})

describe('a founder that is cut off between its claim and its answer', () => {
  it.each([['from the bridge', ['b']], ['from everybody', ['a', 'b', 'c']]])('%s: one mission, and its own submitter hears of no other', async (_what, from) => {
    let freed = 0
    for (const cutAtMs of instants) {
      // Not the node that leads the registrar: that would keep the bridge from asking at all.
      const world = await meshOf(6_000 + 10 * cutAtMs, names)
      const { completed } = watchDisks(world, names)
      const first = hand(world, 'd')
      await world.runFor(cutAtMs)
      for (const name of from) world.mesh.network.disconnect(world.node('d').peer, world.node(name).peer)
      const again = hand(world, 'b')
      await world.until(() => isOver(again), 'an answer', 30_000)
      for (const name of from) world.mesh.network.connect(world.node('d').peer, world.node(name).peer)
      await world.until(() => isOver(first), 'an answer of its own', 30_000)
      for (const { refused } of [first, again]) if (refused !== undefined) expect(refused).toMatchObject({ retryable: true })
      freed += claimedAnew(world)
      await expectOne(world, completed, 'd', [first.answer, again.answer])
    }
    // Whom only the bridge misses founds its mission: the others have it before they are asked.
    if (from.length > 1) expect(freed).toBeGreaterThan(0)
  })
})

it('a mission that its founder decides alone waits for it, and says so', async () => {
  let waited = 0
  for (const killAtMs of instants) {
    const world = await meshOf(7_000 + 10 * killAtMs, ['a', 'b', 'c', 'd'])
    const { completed } = watchDisks(world, ['a', 'b', 'c', 'd'])
    const first = hand(world, 'd', 'local')
    await world.runFor(killAtMs)
    world.kill('d')
    const again = hand(world, 'b', 'local')
    await world.until(() => isOver(again), 'an answer', 30_000)
    if (again.refused !== undefined) {
      waited += 1
      expect(again.refused).toMatchObject({ code: 'owner-unreachable', retryable: true, next: 'the node that took it, d, must come back; then try again with the same key' })
      await world.restart('d')
    }
    await expectOne(world, completed, 'b', [first.answer, again.answer], 'local')
  }
  expect(waited).toBeGreaterThan(2)
})

it('a founder that comes back founds what it claimed with the members that it claimed, whoever is there by then', async () => {
  let founded = 0
  for (const killAtMs of instants) {
    const five = ['a', 'b', 'c', 'd', 'e']
    const world = await meshOf(8_000 + 10 * killAtMs, five)
    const { claims, completed } = watchDisks(world, five)
    hand(world, 'a')
    await world.runFor(killAtMs)
    world.kill('a')
    await world.runFor(20)
    const claim = claims[0]
    const missing = world.live().find(({ peer }) => claim?.members.includes(peer))
    if (claim === undefined || missing === undefined) continue
    world.kill(missing.name)
    await world.restart('a')
    const { id } = await insist(world, 'a', 30_000)
    if (claim.missionId === id) {
      founded += 1
      expect(new Set(world.voters(id)).has(missing.name), `killed at ${killAtMs} ms`).toBe(true)
    }
    await world.ended('a', id)
    expect([...completed]).toEqual([id])
  }
  expect(founded).toBeGreaterThan(0)
})

/** A founder is lost between its claim and its answer; then others are killed, cut off and come back, while the key is named everywhere. */
async function upheaval(seed: number): Promise<{ readonly claimedAnew: number }> {
  const random = seededRandom([seed, 77])
  const pick = (from: readonly string[]): string => from[random.below(from.length)] as string
  const all = ['a', 'b', 'c', 'd', 'e'].slice(0, 3 + random.below(3))
  const world = await meshOf(90_000 + seed, all, { cutDetectionMs: 1 + (seed % 3) * 5, latencyMsMin: 0.2, latencyMsMax: 1 + (seed % 4) * 2 })
  const { completed } = watchDisks(world, all)
  const dead = new Set<string>()
  const cut: (readonly [string, string])[] = []
  const sever = (one: string, other: string): void => {
    if (one === other || dead.has(one) || dead.has(other)) return
    world.mesh.network.disconnect(world.node(one).peer, world.node(other).peer)
    cut.push([one, other])
  }
  const kill = (name: string): void => {
    world.kill(name)
    dead.add(name)
  }
  const founder = pick(all)
  const asked = [hand(world, founder)]
  await world.runFor(0.6 + random.next() * 3.6)
  if (random.below(3) > 0) kill(founder)
  else for (const name of all) sever(founder, name)
  asked.push(hand(world, pick(all.filter((name) => name !== founder))))
  for (let step = 6 + random.below(14); step > 0; step--) {
    await world.runFor(random.next() * (random.below(4) === 0 ? 2_000 : 1.2))
    const alive = all.filter((name) => !dead.has(name))
    const what = random.below(9)
    if (what < 4) asked.push(hand(world, pick(alive)))
    else if (what < 6 && alive.length > 1) kill(pick(alive))
    else if (what < 7 && dead.size > 0) {
      const name = pick([...dead])
      dead.delete(name)
      await world.restart(name)
    } else sever(pick(alive), pick(alive))
  }
  await world.runFor(random.below(4) * 3_000)
  if (dead.has(founder) && random.below(3) === 0) world.mesh.disk(founder).wipe()
  let freed = claimedAnew(world)
  for (const name of dead) await world.restart(name)
  for (const [one, other] of cut) world.mesh.network.connect(world.node(one).peer, world.node(other).peer)
  await world.runFor(2_000)
  freed = Math.max(freed, claimedAnew(world))
  await expectOne(world, completed, pick(all), asked.map(({ answer }) => answer))
  return { claimedAnew: freed }
}

it('whatever happens around it, one key is one mission', async () => {
  let freed = 0
  for (const seed of seeds(30)) freed += (await upheaval(seed)).claimedAnew
  expect(freed).toBeGreaterThan(2)
})
