import { describe, expect, it } from 'vitest'
import { retention, sweepMs } from '../../actors/behaviours/replication/retention.ts'
import type { ActorContext, Delivery } from '../../actors/runtime/actor.ts'
import type { Effect } from '../../actors/runtime/effects.ts'
import { defaultTuning } from '../../actors/tuning.ts'
import { fault } from '../../protocols/kernel/errors.ts'
import { digestOf } from '../../protocols/kernel/hashing.ts'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { BlobRef } from '../../protocols/kernel/payload.ts'
import type { EndedMission } from '../../protocols/replicated-log/schema.ts'
import { createVirtualBlobStore, shelfOf } from '../../sim/blob-store-virtual-adapter.ts'
import type { ScriptedSkill } from '../../sim/skill-runner-scripted-adapter.ts'
import { capability, doubling } from './virtual-missions.ts'
import { missionWorld, startNodes, type MissionWorld } from './mission-world.ts'
import { forgottenBy, here, inside, own, record, removedBy, shared, sweeping } from './retention-sweeping.ts'

const minuteMs = 60_000

describe('on a mesh', () => {
  const tuning = { archiveKeptMs: 2 * minuteMs, blobIdleMs: 2 * minuteMs, missionRestMs: 1_000 }

  async function upload(world: MissionWorld, on: string, text: string): Promise<BlobRef> {
    const { peer } = world.node(on)
    return createVirtualBlobStore({ self: peer, swarm: world.mesh.blobs }).put(new TextEncoder().encode(text))
  }
  const holders = (world: MissionWorld, { $blob }: BlobRef): string[] => world.live().filter(({ peer }) => shelfOf(world.mesh.blobs, peer).has($blob)).map(({ name }) => name)
  const forgotten = (world: MissionWorld, name: string): number => world.node(name).telemetry.facts.filter((fact) => fact.name === 'archives.forgotten').reduce((sum, { fields }) => sum + Number(fields['missions']), 0)
  const answers = (world: MissionWorld, id: MissionId): Promise<string> => world.ask('a', { op: 'view', missionId: id }).then(() => 'the mission', (thrown: { fault?: { code: string } }) => thrown.fault?.code ?? String(thrown))

  it('what only an expired archive cited is freed at every member, what others cite stays until they are gone too', async () => {
    let failed = false
    // Waits long for its second attempt. While a skill runs, nothing is freed that was used since it began.
    const moody: ScriptedSkill = { capability: capability('number.moody'), run: () => (failed ? { afterMs: 5, output: 1 } : ((failed = true), { afterMs: 5, fault: fault('skill-failed', 'not now', { retryable: true }) })) }
    const world = missionWorld(7, () => [doubling(5), moody])
    await startNodes(world, ['a', 'b'], { tuning })
    const [own, shared, live] = [await upload(world, 'a', 'own'), await upload(world, 'a', 'shared'), await upload(world, 'a', 'live')]
    const first = await world.submit('a', { capability: 'number.double', input: { value: 1, files: [own, shared, live] } })
    await world.ended('a', first.id)
    const running = await world.submit('a', { plan: { tasks: { one: { capability: 'number.moody', input: { file: live }, retry: { attemptsMax: 2, backoffMs: 5 * minuteMs } } } } })
    await world.runFor(1.5 * minuteMs)
    for (const ref of [own, shared, live]) expect(holders(world, ref)).toContain('a')

    const second = await world.submit('a', { capability: 'number.double', input: { value: 2, file: shared } })
    await world.ended('a', second.id)
    await world.until(() => holders(world, own).length === 0, 'the blob of the expired archive is freed', 4 * minuteMs)
    await world.until(() => forgotten(world, 'a') === 1 && forgotten(world, 'b') === 1, 'its record is forgotten at both')
    expect(holders(world, shared)).toContain('a')
    expect(holders(world, live)).toContain('a')
    await world.runFor(1_000)
    expect(await answers(world, first.id)).toBe('unknown-mission')

    await world.ended('a', running.id, 10 * minuteMs)
    await world.until(() => holders(world, shared).length === 0 && holders(world, live).length === 0, 'both are freed when nobody cites them any more', 10 * minuteMs)
    await world.until(() => forgotten(world, 'a') === 3 && forgotten(world, 'b') === 3, 'all records are forgotten')
  })
})

it('a failed mission can be tried again long after a completed one would be archived, also after a restart', async () => {
  let fails = true
  const moody = { capability: capability('number.moody'), run: () => fails ? { afterMs: 5, fault: fault('skill-failed', 'not today') } : { afterMs: 5, output: 1 } }
  const world = missionWorld(8, () => [moody])
  await startNodes(world, ['a'], { tuning: { missionRestMs: 1_000 } })
  const { id } = await world.submit('a', { plan: { tasks: { one: { capability: 'number.moody', retry: { attemptsMax: 1, backoffMs: 0 } } } } })
  expect((await world.ended('a', id)).state).toBe('failed')
  world.kill('a')
  await world.restart('a')
  await world.runFor(10 * minuteMs)
  fails = false
  await world.ask('a', { op: 'retry', missionId: id })
  expect((await world.ended('a', id)).state).toBe('completed')
})

describe('a sweep', () => {
  const largeValue = { $blob: inside, sizeBytes: 40_000, mediaType: 'application/json' } as BlobRef

  it('frees what neither logs, nor large values in them, nor kept archives cite', () => {
    const { hear, tagOf, begin } = sweeping()
    const nested = digestOf(Uint8Array.of(4))
    const expired = record(1, [own, shared, nested])
    const asked = begin(expired)
    const look = hear({ kind: 'citations-found', tag: tagOf(asked), cited: [], within: [largeValue] })
    expect(look).toMatchObject([{ type: 'load-value', payload: { blob: largeValue } }])
    const kept = hear({ kind: 'value-loaded', tag: tagOf(look), value: { deep: [{ $blob: nested, sizeBytes: 1 }] } })
    const freed = hear({ kind: 'ended-read', tag: tagOf(kept), ended: [record(2, [shared]), expired] })
    expect(removedBy(freed)).toMatchObject({ digests: [own], idleForMs: limits.blobIdleMsMin })
    expect(forgottenBy(hear({ kind: 'blobs-removed', tag: tagOf(freed), kept: [] }))).toEqual([expired])
  })

  it('asks for the logs until it has seen all of them', () => {
    const { hear, tagOf, begin } = sweeping()
    const asked = begin(record(1, [own]))
    const more = hear({ kind: 'citations-found', tag: tagOf(asked), cited: [], within: [], next: 'roster' })
    expect(more).toMatchObject([{ type: 'tell', message: { kind: 'find-citations', after: 'roster' } }])
    const kept = hear({ kind: 'citations-found', tag: tagOf(more), cited: [own], within: [] })
    expect(removedBy(kept)).toBeUndefined()
    // Nothing is left to free: the record goes.
    expect(forgottenBy(hear({ kind: 'ended-read', tag: tagOf(kept), ended: [] }))).toHaveLength(1)
  })

  it('keeps a record as long as one of its blobs was in use lately', () => {
    const { hear, tagOf, begin } = sweeping()
    const [young, old] = [record(1, [own]), record(2, [shared])]
    const kept = hear({ kind: 'citations-found', tag: tagOf(begin(young, old)), cited: [], within: [] })
    const freed = hear({ kind: 'ended-read', tag: tagOf(kept), ended: [] })
    expect(forgottenBy(hear({ kind: 'blobs-removed', tag: tagOf(freed), kept: [own] }))).toEqual([old])
  })

  it('forgets at once what has no blobs', () => {
    const bare = record(1, [])
    expect(forgottenBy(sweeping().begin(bare))).toEqual([bare])
  })

  it.each<[string, (sweep: ReturnType<typeof sweeping>) => Effect[]]>([
    ['a log that cannot be read', ({ hear, tagOf, begin }) => hear({ kind: 'citations-found', tag: tagOf(begin(record(1, [own]))), cited: [], within: [], doubt: 'damaged' })],
    ['a large value that cannot be looked into', ({ hear, tagOf, begin }) => hear({ kind: 'value-loaded', tag: tagOf(hear({ kind: 'citations-found', tag: tagOf(begin(record(1, [own]))), cited: [], within: [largeValue] })), fault: fault('unknown-blob', 'gone') })],
    ['a value that is too large to look into', ({ hear, tagOf, begin }) => hear({ kind: 'citations-found', tag: tagOf(begin(record(1, [own]))), cited: [], within: [{ ...largeValue, sizeBytes: limits.valueLookedIntoBytesMax + 1 }] })],
    ['a list that cannot be read', ({ hear, tagOf, begin }) => hear({ kind: 'ended-read', tag: tagOf(hear({ kind: 'citations-found', tag: tagOf(begin(record(1, [own]))), cited: [], within: [] })), ended: [], fault: fault('storage-failed', 'io') })],
    ['a disk that does not free', ({ hear, tagOf, begin }) => hear({ kind: 'blobs-removed', tag: tagOf(hear({ kind: 'ended-read', tag: tagOf(hear({ kind: 'citations-found', tag: tagOf(begin(record(1, [own]))), cited: [], within: [] })), ended: [] })), kept: [], fault: fault('storage-failed', 'io') })],
  ])('is put off by %s: nothing is freed, nothing forgotten', (_what, course) => {
    const effects = course(sweeping())
    expect(effects).toMatchObject([{ type: 'fact', fact: { name: 'archives.sweep-put-off' } }])
  })

  it('reads every page of kept archives, and believes none that shows nothing new', () => {
    const { hear, tagOf, begin } = sweeping()
    const page = (from: number): EndedMission[] => Array.from({ length: limits.archivesSweptAtOnce }, (_, i) => record(from + i, [], 500))
    let asked = hear({ kind: 'citations-found', tag: tagOf(begin(record(1, [own]))), cited: [], within: [] })
    asked = hear({ kind: 'ended-read', tag: tagOf(asked), ended: page(100) })
    expect(asked).toMatchObject([{ type: 'read-ended', which: { beforeWallMs: 501 } }])
    expect(hear({ kind: 'ended-read', tag: tagOf(asked), ended: page(100) })).toMatchObject([{ type: 'fact', fact: { name: 'archives.sweep-put-off' } }])
  })

  it('takes no answer that was meant for an earlier one', () => {
    const { hear, tagOf, begin } = sweeping()
    const early = tagOf(begin(record(1, [own])))
    hear({ kind: 'tick', what: 'sweep' })
    begin(record(2, [shared]))
    expect(hear({ kind: 'citations-found', tag: early, cited: [], within: [] })).toEqual([])
  })

  it('is put off by a clock that was set, until it has run for a whole interval', () => {
    const actor = retention({ tuning: defaultTuning })
    let context = { self: { peer: here, actor: 'retention' }, nowMs: 0, wallMs: 1_000_000 } as unknown as ActorContext
    const { state } = actor.start(context)
    const kinds = (passedMs: number, jumpMs: number): string[] => {
      context = { ...context, nowMs: context.nowMs + passedMs, wallMs: context.wallMs + passedMs + jumpMs }
      return actor.receive(state, { message: { kind: 'tick', what: 'sweep' }, from: { peer: here, actor: 'retention' } } as Delivery, context).map((effect) => (effect.type === 'fact' ? effect.fact.name : effect.type))
    }
    const dayMs = 24 * 60 * minuteMs
    expect(kinds(60 * minuteMs, 900)).toEqual(['set-timer', 'read-ended'])
    expect(kinds(60 * minuteMs, 8 * dayMs)).toEqual(['set-timer', 'clock.jumped'])
    expect(kinds(60 * minuteMs, -8 * dayMs)).toEqual(['set-timer', 'clock.jumped'])
    expect(kinds(60 * minuteMs, 0)).toEqual(['set-timer', 'read-ended'])
  })

  it('comes as seldom as the retention allows', () => {
    expect(sweepMs(defaultTuning)).toBe(limits.archiveSweepMsMax)
    expect(sweepMs({ ...defaultTuning, archiveKeptMs: 1_000 })).toBe(limits.archiveSweepMsMin)
    expect(sweepMs({ ...defaultTuning, uncitedKeptMs: 1_000 })).toBe(limits.archiveSweepMsMin)
  })
})
