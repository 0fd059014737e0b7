import { describe, expect, it, vi } from 'vitest'
import { MeshError, type Fault } from '../../protocols/kernel/errors.ts'
import type { GroupId, MissionId, Principal } from '../../protocols/kernel/ids.ts'
import { registrarShardOf, shardGroup } from '../../protocols/membership/placement.ts'
import { MissionRequest } from '../../protocols/tasking/schema.ts'
import { MissionView } from '../../protocols/tasking/views.ts'
import { failedActors, logProblems, missionWorld, repeatedAfterAcceptance, startNodes, worldShards, type MissionWorld } from './mission-world.ts'
import { doubling, local } from './virtual-missions.ts'

// Many lives of virtual nodes: how long they take on a busy machine says nothing.
vi.setConfig({ testTimeout: 240_000 })

const request = { plan: { tasks: { one: { capability: 'number.double', input: { value: 21 } } } } }

type Answer = { readonly id: MissionId } | { readonly fault: Fault }

/** Handed in, and not waited for. */
function handIn(world: MissionWorld, on: string, key: string, what: unknown = request, principal: Principal = local): { answer: Answer | undefined } {
  const asked: { answer: Answer | undefined } = { answer: undefined }
  world.node(on).mesh.ask({ op: 'submit', request: MissionRequest.parse(what), key }, principal).then(
    (view) => (asked.answer = { id: MissionView.parse(view).id }),
    (thrown: unknown) => {
      if (!(thrown instanceof MeshError)) throw thrown
      asked.answer = { fault: thrown.fault }
    },
  )
  return asked
}

/** The log in which the key is claimed, in a mesh of so few shards. */
const shardOf = (key: string): GroupId => shardGroup(registrarShardOf(local, key) % worldShards)

/** A key whose shard is led by that node. */
function keyLedBy(world: MissionWorld, name: string): string | undefined {
  return Array.from({ length: 50 }, (_, i) => `key ${i}`).find((key) => world.leader(shardOf(key)) === name)
}

async function untilTaken(world: MissionWorld, on: string, key: string): Promise<MissionId> {
  for (let tries = 0; tries < 40; tries++) {
    const asked = handIn(world, on, key)
    await world.until(() => asked.answer !== undefined, 'an answer')
    if (asked.answer !== undefined && 'id' in asked.answer) return asked.answer.id
    expect(asked.answer?.fault, 'a refusal that names a way out').toMatchObject({ retryable: true })
    await world.runFor(1_000)
  }
  throw new Error(`${key} is never taken at ${on}`)
}

/** Missions that have begun: their first events are on a majority of the disks. */
function begun(world: MissionWorld, keepers: readonly string[]): () => MissionId[] {
  const on = new Map<MissionId, Set<string>>()
  for (const name of keepers) world.mesh.disk(name).onSynced((group, entries) => {
    if (entries.some(({ event }) => event.type === 'submitted')) on.set(group as MissionId, (on.get(group as MissionId) ?? new Set()).add(name))
  })
  return () => [...on].filter(([, names]) => names.size > keepers.length / 2).map(([missionId]) => missionId)
}

interface Course {
  readonly bridges: readonly [string, string]
  readonly killAtMs: number
  readonly comesBack: boolean
}

/** One key at two bridges at once, while the leader of its shard is killed. @returns how many had their answer by then; undefined when a bridge leads every shard. */
async function twice(seed: number, { bridges, killAtMs, comesBack }: Course): Promise<number | undefined> {
  const world = missionWorld(seed, () => [doubling(100)])
  await startNodes(world, ['a', 'b', 'c'])
  for (const name of ['d', 'e']) await world.start(name, { duties: ['worker', 'bridge'] })
  await world.runFor(1_500)
  const missions = begun(world, ['a', 'b', 'c'])
  const victim = ['a', 'b', 'c'].find((name) => !bridges.includes(name) && keyLedBy(world, name) !== undefined)
  const key = victim === undefined ? undefined : keyLedBy(world, victim)
  if (victim === undefined || key === undefined) return undefined
  const where = `${bridges.join(' and ')}, ${victim} killed at ${killAtMs} ms`

  const asked = bridges.map((on) => handIn(world, on, key))
  await world.runFor(killAtMs)
  const before = asked.filter(({ answer }) => answer !== undefined).length
  world.kill(victim)
  await world.until(() => asked.every(({ answer }) => answer !== undefined), `two answers: ${where}`, 60_000)
  if (comesBack) await world.restart(victim)
  const given = asked.flatMap(({ answer }) => (answer !== undefined && 'id' in answer ? [answer.id] : []))
  for (const { answer } of asked) if (answer !== undefined && 'fault' in answer) expect(answer.fault, where).toMatchObject({ retryable: true })
  // Whoever was told that it is unknown asks again, at any bridge, until it is known.
  for (const on of [...bridges, comesBack ? victim : 'd', 'e']) given.push(await untilTaken(world, on, key))
  expect(new Set(given).size, `${where}: ${given.join(', ')}`).toBe(1)
  const [id] = given as [MissionId]
  expect(await world.ended('e', id), where).toMatchObject({ state: 'completed' })
  expect(missions(), where).toEqual([id])
  const events = await world.events(bridges[0], id)
  expect([...logProblems(events), ...repeatedAfterAcceptance(world, events), ...failedActors(world)], where).toEqual([])
  // The key means this request, whoever leads its shard now.
  const other = handIn(world, 'd', key, { ...request, priority: 9 })
  await world.until(() => other.answer !== undefined, 'an answer to another request')
  expect(other.answer, where).toMatchObject({ fault: { code: 'key-conflict' } })
  return before
}

/** From before anything was heard to after everything was said. */
async function everyInstant(from: number, bridges: readonly [string, string], comesBack: boolean): Promise<void> {
  const before: (number | undefined)[] = []
  for (const killAtMs of [...Array.from({ length: 16 }, (_, i) => i * 1.5), 26, 30, 35, 40, 60, 80]) before.push(await twice(from + killAtMs * 2, { bridges, killAtMs, comesBack }))
  for (const count of [0, 2]) expect(before.filter((answered) => answered === count).length, `kills at ${count} answers`).toBeGreaterThanOrEqual(1)
}

describe('one key at two bridges at once, while the leader of its shard is killed at any instant', () => {
  it('is one mission, at two that keep logs themselves', () => everyInstant(7_000, ['b', 'c'], false))

  it('is one mission, at two that pass it on', () => everyInstant(8_000, ['d', 'e'], false))

  it('is one mission, at one of each, and the leader comes back', () => everyInstant(9_000, ['c', 'd'], true))
})
