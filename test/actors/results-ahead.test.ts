import { describe, expect, it } from 'vitest'
import type { MissionEvent } from '../../protocols/tasking/schema.ts'
import type { ScriptedSkill } from '../../sim/skill-runner-scripted-adapter.ts'
import { logProblems, missionWorld, startNodes, type MissionWorld } from './mission-world.ts'
import { capability } from './virtual-missions.ts'

const syncMs = 200
const names = ['a', 'b', 'c']

function leaf(name: string, effects: 'none' | 'external', output: (attempt: number) => number): ScriptedSkill {
  return { capability: { ...capability(name), effects }, run: (run) => ({ afterMs: 10, output: output(run.attempt) }) }
}

/** An owner that works for nobody, workers elsewhere, and disks that are slow. */
async function slowWorld(seed: number, skill: ScriptedSkill): Promise<MissionWorld> {
  const world = missionWorld(seed, () => [skill])
  await world.start('a', { skills: [] })
  await startNodes(world, ['b', 'c'])
  await world.grown()
  for (const name of names) world.mesh.disk(name).setSyncMs(syncMs)
  return world
}

/** By the clock of the owner: from the award to the acceptance. */
function tookMs(events: readonly MissionEvent[]): number[] {
  const awarded = new Map<string, number>()
  return events.flatMap((event) => {
    if (event.type === 'awarded') awarded.set(event.award.awardId, event.atWallMs)
    return event.type === 'accepted' && awarded.has(event.awardId) ? [event.atWallMs - (awarded.get(event.awardId) ?? Number.NaN)] : []
  })
}

const twice = (name: string, accept: unknown[] = []) => ({ plan: { tasks: { first: { capability: name, accept }, second: { capability: name, accept, after: ['first'] } } } })

describe('a result that comes before its award is in the log', () => {
  it('is accepted right behind it', async () => {
    const world = await slowWorld(41, leaf('number.seven', 'none', () => 7))
    const { id } = await world.submit('a', twice('number.seven', [{ path: '', equals: 7 }]))
    expect(await world.ended('a', id)).toMatchObject({ state: 'completed' })
    const events = await world.events('a', id)
    expect(tookMs(events)).toHaveLength(2)
    expect(Math.max(...tookMs(events)), 'not even one sync').toBeLessThan(syncMs)
    expect(logProblems(events)).toEqual([])
  })

  it('waits for it when it fails a check: that is a failed attempt', async () => {
    const world = await slowWorld(42, leaf('number.seven', 'none', (attempt) => (attempt === 1 ? 6 : 7)))
    const { id } = await world.submit('a', twice('number.seven', [{ path: '', equals: 7 }]))
    expect(await world.ended('a', id)).toMatchObject({ state: 'completed' })
    const events = await world.events('a', id)
    expect(events.flatMap((event) => (event.type === 'award-ended' ? [event.outcome] : []))).toEqual(['failed', 'failed'])
    expect(logProblems(events)).toEqual([])
  })

  it('cannot come when the task has effects outside: it begins after that', async () => {
    const world = await slowWorld(43, leaf('world.touch', 'external', () => 7))
    const { id } = await world.submit('a', twice('world.touch'))
    expect(await world.ended('a', id)).toMatchObject({ state: 'completed' })
    expect(Math.min(...tookMs(await world.events('a', id)))).toBeGreaterThanOrEqual(syncMs)
  })

  it('counts though its worker is gone when the award gets there', async () => {
    const world = await slowWorld(44, leaf('number.seven', 'none', () => 7))
    const { id } = await world.submit('a', { capability: 'number.seven', input: {} })
    await world.until(() => world.runs.length === 1, 'it runs', 10_000)
    await world.runFor(60)
    world.kill(world.runs[0]?.node ?? '')
    expect(await world.ended('a', id)).toMatchObject({ state: 'completed' })
    const events = await world.events('a', id)
    expect(events.filter(({ type }) => type === 'award-ended')).toEqual([])
    expect(world.runs).toHaveLength(1)
    expect(logProblems(events)).toEqual([])
  })

  it('ends the award when its content cannot be had, though that is not in the log either', async () => {
    const gone = { inline: { file: { $blob: '0'.repeat(64), sizeBytes: 5 } } } as never
    const skill: ScriptedSkill = { capability: { ...capability('number.seven'), effects: 'none' }, run: (run) => (run.attempt === 1 ? { afterMs: 10, payload: gone } : { afterMs: 10, output: 7 }) }
    const world = await slowWorld(45, skill)
    const { id } = await world.submit('a', { capability: 'number.seven', input: {} })
    expect(await world.ended('a', id)).toMatchObject({ state: 'completed' })
    const events = await world.events('a', id)
    expect(events.flatMap((event) => (event.type === 'award-ended' ? [event.outcome] : []))).toEqual(['failed'])
    expect(events.filter(({ type }) => type === 'awarded')).toHaveLength(2)
    expect(logProblems(events)).toEqual([])
  })
})
