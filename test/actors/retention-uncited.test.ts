import { describe, expect, it } from 'vitest'
import { manager } from '../../actors/behaviours/manager.ts'
import { heldBy, newManagerState } from '../../actors/behaviours/manager-state.ts'
import type { IdleBlob } from '../../actors/ports/blob-store.ts'
import type { Effect } from '../../actors/runtime/effects.ts'
import { defaultTuning } from '../../actors/tuning.ts'
import { fault } from '../../protocols/kernel/errors.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { AwardId, Digest, Principal } from '../../protocols/kernel/ids.ts'
import { blobRefsIn, type BlobRef, type Json } from '../../protocols/kernel/payload.ts'
import { createVirtualBlobStore, shelfOf } from '../../sim/blob-store-virtual-adapter.ts'
import type { ScriptedSkill } from '../../sim/skill-runner-scripted-adapter.ts'
import { missionWorld, startNodes, type MissionWorld } from './mission-world.ts'
import { here, inside, other, own, record, removedBy, shared, sweeping, toldBy } from './retention-sweeping.ts'
import { firstEpoch, missionId, root } from '../protocols/tasking/histories.ts'
import { capability } from './virtual-missions.ts'

const minuteMs = 60_000

describe('what nobody cites', () => {
  const tuning = { uncitedKeptMs: 20 * minuteMs, blobIdleMs: 2 * minuteMs, missionRestMs: 1_000 }
  const page = 'x'.repeat(40_000)
  const making: ScriptedSkill = { capability: capability('page.make'), run: () => ({ afterMs: 5, output: page }) }
  const plan = (input: unknown) => ({ plan: { tasks: { one: { capability: 'page.make', input } } } })

  const upload = async (world: MissionWorld, on: string, text: string): Promise<BlobRef> => createVirtualBlobStore({ self: world.node(on).peer, swarm: world.mesh.blobs }).put(new TextEncoder().encode(text))
  const shelf = (world: MissionWorld, on: string): ReadonlyMap<Digest, Uint8Array> => shelfOf(world.mesh.blobs, world.node(on).peer)
  const has = (world: MissionWorld, on: string, { $blob }: BlobRef): boolean => shelf(world, on).has($blob)

  /** Three that keep logs and do not work, and one that works and keeps none. */
  async function keepersAndWorker(seed: number, skill: ScriptedSkill, worker: { readonly quotaBytes?: number } = {}, uncitedKeptMs = tuning.uncitedKeptMs): Promise<MissionWorld> {
    const world = missionWorld(seed, () => [skill])
    await startNodes(world, ['a', 'b', 'c'], { skills: [], duties: ['replica', 'bridge'], tuning: { ...tuning, uncitedKeptMs } })
    await world.start('w', { duties: ['worker'], tuning: { ...tuning, uncitedKeptMs }, ...worker })
    await world.runFor(1_500)
    return world
  }

  it('is freed after a while where it is not cited, also across restarts, and stays where it is', async () => {
    const world = await keepersAndWorker(21, making)
    const input = await upload(world, 'a', `"${'y'.repeat(50_000)}"`)
    const stray = await upload(world, 'b', 'never submitted')
    const { id } = await world.submit('a', plan({ file: input, note: 'n'.repeat(100) }))
    await world.ended('a', id)
    expect(shelf(world, 'w').size).toBeGreaterThan(0)
    for (let time = 0; time < 4; time++) {
      await world.runFor(4 * minuteMs)
      expect(shelf(world, 'w').size).toBeGreaterThan(0)
      world.kill('w')
      await world.restart('w')
    }
    expect(has(world, 'b', stray)).toBe(true)
    await world.until(() => shelf(world, 'w').size === 0 && !has(world, 'b', stray), 'what only lay there is freed', 8 * minuteMs)
    await world.runFor(30 * minuteMs)
    expect(has(world, 'a', input)).toBe(true)
    expect(['a', 'b', 'c'].filter((name) => shelf(world, name).size >= 2).length).toBeGreaterThanOrEqual(2)
    expect((await world.result('b', id) as { one: Json })).toBeDefined()
  })

  it('is not what a live log cites, however long nobody uses it', async () => {
    let runs = 0
    // The second attempts are long in coming: meanwhile nobody asks for what the missions cite.
    const moody: ScriptedSkill = { capability: capability('page.make'), run: () => (++runs > 2 ? { afterMs: 5, output: 1 } : { afterMs: 5, fault: fault('skill-failed', 'not now', { retryable: true }) }) }
    const world = await keepersAndWorker(24, moody, {}, 3 * minuteMs)
    const [cited, within, stray] = [await upload(world, 'a', 'cited'), await upload(world, 'a', 'within'), await upload(world, 'a', 'stray')]
    const submit = (input: unknown) => world.submit('a', { plan: { tasks: { one: { capability: 'page.make', input, retry: { attemptsMax: 2, backoffMs: 10 * minuteMs } } } } })
    // What the second one cites stands in a value that is too large for the log.
    const missions = [await submit({ file: cited }), await submit({ file: within, text: 'n'.repeat(40_000) })]
    await world.runFor(9 * minuteMs)
    expect(runs).toBe(2)
    expect(has(world, 'a', stray)).toBe(false)
    expect(['a', 'b', 'c'].filter((name) => has(world, name, cited) && has(world, name, within)).length).toBeGreaterThanOrEqual(2)
    for (const { id } of missions) expect((await world.ended('a', id, 30 * minuteMs)).state).toBe('completed')
  })

  it('is not a result that was not acknowledged', async () => {
    const world = await keepersAndWorker(25, { ...making, run: () => ({ afterMs: 20_000, output: page }) })
    const { id } = await world.submit('a', plan(1))
    await world.until(() => world.node('w').skills.running().length === 1, 'the skill runs')
    for (const name of ['a', 'b', 'c']) world.kill(name)
    await world.runFor(50 * minuteMs)
    expect(shelf(world, 'w').size).toBe(1)
    for (const name of ['a', 'b', 'c']) await world.restart(name)
    expect((await world.ended('a', id, 10 * minuteMs)).state).toBe('completed')
    expect(world.runs).toHaveLength(1)
  })

  it('gives way at once, oldest first, to what does not fit, and no more than that', async () => {
    const world = await keepersAndWorker(22, making, { quotaBytes: 100_000 })
    const [older, newer] = [await upload(world, 'w', 'o'.repeat(45_000)), await upload(world, 'w', 'n'.repeat(30_000))]
    await world.runFor(3 * minuteMs)
    const { id } = await world.submit('a', plan(2))
    expect((await world.ended('a', id)).state).toBe('completed')
    expect([has(world, 'w', older), has(world, 'w', newer), shelf(world, 'w').size]).toEqual([false, true, 2])
  })

  it('is kept while a skill runs that began before it was used last', async () => {
    const slow: ScriptedSkill = { capability: capability('page.make'), run: () => ({ afterMs: 10 * minuteMs, output: 1 }) }
    const world = await keepersAndWorker(23, slow, { quotaBytes: 100_000 })
    const before = await upload(world, 'w', 'b'.repeat(30_000))
    await world.runFor(minuteMs)
    const { id } = await world.submit('a', plan(1))
    await world.until(() => world.node('w').skills.running().length === 1, 'the skill runs')
    await world.runFor(1_000)
    // As the skill itself does, which names it in its output at the end.
    const made = await upload(world, 'w', 'm'.repeat(40_000))
    await world.runFor(5 * minuteMs)
    // With the input of this one it is too much.
    await world.submit('a', plan({ text: 'z'.repeat(59_000) }))
    await world.until(() => !has(world, 'w', before) && shelf(world, 'w').size === 2, 'its input found room')
    expect(has(world, 'w', made)).toBe(true)
    await world.ended('a', id, 15 * minuteMs)
    await world.until(() => !has(world, 'w', made), 'it is freed when nobody runs any more', 60 * minuteMs)
  })
})

it('a manager holds what it has made or been given and not brought into the log', () => {
  const blobOf = (digest: Digest) => ({ blob: { $blob: digest, sizeBytes: 40_000 } })
  const state = newManagerState({ missionId, taskId: root, awardId: 'x' as AwardId, epoch: firstEpoch, orchestrator: { peer: here, actor: 'o' }, principal: 'local' as Principal, tuning: defaultTuning }, undefined, 0)
  expect(blobRefsIn(heldBy(state))).toEqual([])
  state.inputs.set(root, blobOf(own))
  state.records.set(1, { groups: [[{ type: 'accepted', atWallMs: 1, taskId: root, awardId: 'x' as AwardId, result: blobOf(shared), cites: [], tookMs: 1 }]], sentAtMs: 0 })
  state.draft = { plan: { tasks: {} } as never, inputs: new Map([['one', blobOf(inside)]]) }
  state.attachBase = blobOf(other)
  expect(blobRefsIn(heldBy(state)).map(({ $blob }) => $blob).sort()).toEqual([own, shared, inside, other].sort())
  expect(manager(state.init).holds).toBe(heldBy)
})

describe('a sweep of what nobody cites', () => {
  const blob = (digest: Digest, usedAtMs: number, sizeBytes = 10): IdleBlob => ({ digest, sizeBytes, usedAtMs })
  const ref = ($blob: Digest): BlobRef => ({ $blob, sizeBytes: 10 })
  const idleAsked = (effects: readonly Effect[]) => effects.find((effect) => effect.type === 'find-idle-blobs')
  const hourMs = 60 * minuteMs

  it('frees what neither actors, nor logs, nor archives hold, and no archive of which is over', () => {
    const sweep = sweeping()
    const idle = [blob(own, 1), blob(shared, 2), blob(inside, 3), blob(other, 4)]
    const asked = sweep.beginWith({ held: [ref(shared)], idle }, record(1, [other]))
    expect(asked.at(-1)).toMatchObject({ type: 'tell', message: { kind: 'find-citations', digests: new Set([other, own, inside]) } })
    const kept = sweep.hear({ kind: 'citations-found', tag: sweep.tagOf(asked), cited: [inside], within: [] })
    const freed = sweep.hear({ kind: 'ended-read', tag: sweep.tagOf(kept), ended: [record(1, [other])] })
    expect(removedBy(freed)).toMatchObject({ digests: [other, own], idleForMs: limits.blobIdleMsMin })
    expect(sweep.hear({ kind: 'blobs-removed', tag: sweep.tagOf(freed), kept: [] }).filter(({ type }) => type === 'fact')).toMatchObject([{ fact: { name: 'archives.forgotten', fields: { missions: 1, blobs: 1 } } }, { fact: { name: 'blobs.freed', fields: { blobs: 1, bytes: 10 } } }])
  })

  it('looks into the large values that actors hold, and into those that they name', () => {
    const sweep = sweeping()
    const asked = sweep.beginWith({ held: [{ ...ref(shared), mediaType: 'application/json' }], idle: [blob(own, 1), blob(other, 2)] })
    const first = sweep.hear({ kind: 'citations-found', tag: sweep.tagOf(asked), cited: [], within: [] })
    expect(first).toMatchObject([{ type: 'load-value', payload: { blob: { $blob: shared } } }])
    const second = sweep.hear({ kind: 'value-loaded', tag: sweep.tagOf(first), value: { nested: { $blob: inside, sizeBytes: 10, mediaType: 'application/json' } } })
    expect(second).toMatchObject([{ type: 'load-value', payload: { blob: { $blob: inside } } }])
    const kept = sweep.hear({ kind: 'value-loaded', tag: sweep.tagOf(second), value: [{ $blob: own, sizeBytes: 10 }] })
    expect(removedBy(sweep.hear({ kind: 'ended-read', tag: sweep.tagOf(kept), ended: [] }))).toMatchObject({ digests: [other] })
  })

  it('asks for what has been idle for its time, and for all the time that a skill has run', () => {
    const plain = sweeping({}, 100 * hourMs)
    const held = plain.begin()
    expect(held.find(({ type }) => type === 'find-held')).toBeDefined()
    for (const [runningSinceMs, idleForMs] of [[undefined, limits.uncitedKeptMs], [99 * hourMs, limits.uncitedKeptMs], [50 * hourMs, 50 * hourMs]] as const) {
      const sweep = sweeping({}, 100 * hourMs)
      const question = sweep.hear({ kind: 'ended-read', tag: sweep.tagOf(sweep.hear({ kind: 'tick', what: 'sweep' })), ended: [] })
      expect(idleAsked(sweep.hear({ kind: 'held-found', tag: sweep.tagOf(question), refs: [], ...(runningSinceMs === undefined ? {} : { runningSinceMs }) }))).toMatchObject({ idleForMs, max: limits.blobsSweptAtOnce })
    }
  })

  it('leaves everything that no archive has cited while a log here has no leader', () => {
    const sweep = sweeping()
    const alone = sweep.beginWith({ idle: [blob(own, 1)] })
    expect(sweep.hear({ kind: 'citations-found', tag: sweep.tagOf(alone), cited: [], within: [], leaderless: record(1, []).missionId })).toMatchObject([{ type: 'fact', fact: { name: 'archives.sweep-put-off' } }])
    const second = sweeping()
    const asked = second.beginWith({ idle: [blob(own, 1)] }, record(1, [shared]))
    const kept = second.hear({ kind: 'citations-found', tag: second.tagOf(asked), cited: [], within: [], leaderless: record(2, []).missionId })
    expect(removedBy(second.hear({ kind: 'ended-read', tag: second.tagOf(kept), ended: [] }))).toMatchObject({ digests: [shared] })
  })

  it('goes on where the last one stopped, and begins anew at the end', () => {
    const sweep = sweeping()
    const page = Array.from({ length: limits.blobsSweptAtOnce }, (_, i) => blob(String(i).padStart(64, '0') as Digest, i))
    const first = sweep.rest(sweep.beginWith({ idle: page }))
    expect(removedBy(first)).toMatchObject({ digests: page.map(({ digest }) => digest) })
    sweep.hear({ kind: 'blobs-removed', tag: sweep.tagOf(first), kept: [] })
    const next = (): Effect[] => sweep.hear({ kind: 'held-found', tag: sweep.tagOf(sweep.hear({ kind: 'ended-read', tag: sweep.tagOf(sweep.hear({ kind: 'tick', what: 'sweep' })), ended: [] })), refs: [] })
    const second = next()
    expect(idleAsked(second)).toMatchObject({ after: page.at(-1) })
    sweep.hear({ kind: 'idle-blobs-found', tag: sweep.tagOf(second), blobs: [] })
    expect(idleAsked(next())).not.toHaveProperty('after')
  })

  it('frees as much as is demanded, unused for longest first, and says when it has done what it could', () => {
    const sweep = sweeping()
    sweep.begin()
    const asker = { peer: here, actor: 'client/1' }
    const held = sweep.hear({ kind: 'room-wanted', bytes: 15, replyTo: asker })
    const idle = [blob(own, 1), blob(shared, 2), blob(other, 3)]
    const freed = sweep.rest(sweep.found(held, { idle }))
    expect(removedBy(freed)).toMatchObject({ digests: [own, shared], idleForMs: limits.blobIdleMsMin })
    expect(toldBy(sweep.hear({ kind: 'blobs-removed', tag: sweep.tagOf(freed), kept: [] }))).toEqual(['client/1: room-made'])

    const again = sweep.rest(sweep.found(sweep.hear({ kind: 'room-wanted', bytes: 15, replyTo: asker }), { idle: [blob(other, 3)] }))
    expect(toldBy(sweep.hear({ kind: 'blobs-removed', tag: sweep.tagOf(again), kept: [other] }))).toEqual(['client/1: room-made'])
    // There was not enough: who asks again at once is answered at once.
    expect(toldBy(sweep.hear({ kind: 'room-wanted', bytes: 1, replyTo: asker }))).toEqual(['client/1: room-made'])
    sweep.pass(limits.roomAgainMs)
    expect(sweep.hear({ kind: 'room-wanted', bytes: 1, replyTo: asker })).toMatchObject([{ type: 'find-held' }])
  })

  it('lets a demand wait for the sweep that is under way, and answers it also when that is put off', () => {
    const sweep = sweeping()
    const asked = sweep.beginWith({ idle: [blob(own, 1)] })
    expect(sweep.hear({ kind: 'room-wanted', bytes: 5, replyTo: { peer: here, actor: 'client/1' } })).toEqual([])
    const held = sweep.hear({ kind: 'citations-found', tag: sweep.tagOf(asked), cited: [], within: [], doubt: 'damaged' })
    expect(held.at(-1)).toMatchObject({ type: 'find-held' })
    const logs = sweep.found(held, { idle: [blob(own, 1)] })
    expect(toldBy(sweep.hear({ kind: 'citations-found', tag: sweep.tagOf(logs), cited: [], within: [], doubt: 'damaged' }))).toEqual(['client/1: room-made'])
  })

  it('frees when the disk runs low, and does not look for more in vain', () => {
    const sweep = sweeping()
    sweep.begin()
    const look = (): Effect[] => sweep.hear({ kind: 'tick', what: 'look' })
    expect(look()).toMatchObject([{ type: 'set-timer', key: 'look' }, { type: 'look-for-room' }])
    expect(sweep.hear({ kind: 'room-looked', tag: 'look', room: 'enough' })).toEqual([])
    const freed = sweep.rest(sweep.found(sweep.hear({ kind: 'room-looked', tag: 'look', room: 'low' }), { idle: [blob(own, 1)] }))
    expect(removedBy(freed)).toMatchObject({ digests: [own] })
    sweep.hear({ kind: 'blobs-removed', tag: sweep.tagOf(freed), kept: [] })
    expect(look()).toMatchObject([{ type: 'set-timer', key: 'look' }])
    sweep.hear({ kind: 'tick', what: 'sweep' })
    expect(look()).toMatchObject([{ type: 'set-timer' }, { type: 'look-for-room' }])
  })
})
