import { describe, expect, it } from 'vitest'
import { chooseWorker, isOwnersMoment, leafStands } from '../../../node/cli/demo/caught-in-the-act.ts'
import { type OwnerDeath, type WorkerDeath, ownerDeath, ownerLine, repeatedWords, witnessOwner, witnessWorker, workerDeath, workerLine } from '../../../node/cli/demo/deaths.ts'
import { exampleOfAnAward } from '../../../node/cli/demo/example-award.ts'
import { watchWhatRan } from '../../../node/cli/demo/what-ran.ts'
import { type MissionProgress, applyEvent, applyNote, newProgress } from '../../../node/cli/view/mission-progress.ts'
import type { TaskId } from '../../../protocols/kernel/ids.ts'
import { MissionEvent } from '../../../protocols/tasking/schema.ts'
import { awardOf, goodStory, peers, storyStartWallMs, tell } from './mission-story.ts'

const others = [peers.b, peers.c]
const nameOf = (peer: string): string => Object.entries(peers).find(([, known]) => known === peer)?.map((part) => `node-${part}`)[0] ?? peer

/** Feeds a story in which every award is heard to run; whoever is chosen first dies `afterMs` after that event. */
function play(events: readonly MissionEvent[], afterMs = 0): { progress: MissionProgress; death: WorkerDeath | undefined } {
  const progress = newProgress()
  let death: WorkerDeath | undefined
  events.forEach((event, index) => {
    applyEvent(progress, { index: index + 1, event }, event.atWallMs)
    if (event.type === 'awarded') applyNote(progress, { taskId: event.award.taskId, note: 'running' })
    if (death !== undefined) witnessWorker(death, event, progress)
    const victim = death === undefined ? chooseWorker(progress, others) : undefined
    if (victim !== undefined) death = workerDeath(progress, { peer: victim, name: nameOf(victim), killedAtWallMs: event.atWallMs + afterMs })
  })
  return { progress, death }
}

describe('the demo kills a worker', () => {
  it('in the middle of a leaf, and measures who took over and when it is back', () => {
    const { progress, death } = play(goodStory(), 700)
    expect(death).toMatchObject({ peer: peers.b, killedAtWallMs: storyStartWallMs + 900 })
    expect([...(death?.lost ?? [])]).toEqual(['root/one'])
    expect(workerLine(progress, death)).toBe('killed node-b at 0.9 s · node-c took over after 0.2 s · node-b is being started again')
    if (death !== undefined) death.backAfterMs = 1_900
    expect(workerLine(progress, death)).toBe('killed node-b at 0.9 s · node-c took over after 0.2 s · node-b is back after 1.9 s')
    if (death !== undefined) Object.assign(death, { backAfterMs: undefined, notBack: 'its disk is full' })
    expect(workerLine(progress, death)).toContain('node-b did not come back: its disk is full')
  })

  it('never one that was not heard to run, and nobody who is no candidate', () => {
    const progress = newProgress()
    goodStory().slice(0, 5).forEach((event, index) => applyEvent(progress, { index: index + 1, event }, event.atWallMs))
    expect(chooseWorker(progress, others)).toBeUndefined()
    applyNote(progress, { taskId: 'root/two' as TaskId, note: 'running' })
    expect(chooseWorker(progress, others)).toBe(peers.c)
    expect(chooseWorker(progress, [peers.a])).toBeUndefined()
    const onlyA = [tell.submitted(), tell.planned(1, 'one', 'two'), tell.awarded(2, 'root/one', 1, 'a', { a: 1 }), tell.accepted(3, 'root/one', 1, 'a', 1), tell.awarded(4, 'root/two', 1, 'a', { a: 1 })]
    const { progress: seen, death } = play(onlyA)
    expect(death).toBeUndefined()
    expect(workerLine(seen, death)).toContain('no worker was killed')
  })

  it('rather one that manages nothing, unless time runs out', () => {
    const start = [tell.submitted(), tell.awarded(1, 'root', 1, 'b', { b: 1 }), tell.planned(2, 'one', 'two', 'three', 'four'), tell.awarded(3, 'root/one', 1, 'b', { b: 1 }), tell.awarded(3, 'root/two', 1, 'a', { a: 1 })]
    const firstDone = [...start, tell.accepted(4, 'root/two', 1, 'a', 1)]
    expect(play(firstDone).death).toBeUndefined()
    expect(play([...firstDone, tell.awarded(5, 'root/three', 1, 'c', { c: 1 })]).death?.name).toBe('node-c')
    expect(play([...firstDone, tell.awarded(5, 'root/three', 1, 'a', { a: 1 }), tell.accepted(6, 'root/three', 1, 'a', 1)]).death?.name).toBe('node-b')
  })

  it('and says so honestly when the moment was missed', () => {
    const missed = play([...goodStory().slice(0, 4), tell.accepted(950, 'root/one', 1, 'b', 700)])
    expect(workerLine(missed.progress, missed.death)).toBe('killed node-b at 0.2 s · its task had just ended, so nobody had to take over · node-b is being started again')
  })
})

describe('the demo kills the owner', () => {
  const start = [tell.submitted(), tell.planned(1, 'one', 'two', 'three', 'four'), tell.awarded(2, 'root/one', 1, 'b', { b: 1 }), tell.awarded(2, 'root/two', 1, 'a', { a: 1 })]
  const tookOver = (atMs: number, letter: keyof typeof peers): MissionEvent => MissionEvent.parse({ type: 'took-over', atWallMs: storyStartWallMs + atMs, epoch: { lineage: 1, term: 2 }, owner: peers[letter] })

  it('when tasks are accepted, running and waiting, and the worker is back', () => {
    expect(isOwnersMoment(play(start).progress, true)).toBe(false)
    const { progress } = play([...start, tell.accepted(3, 'root/one', 1, 'b', 1)])
    expect(leafStands(progress)).toEqual({ accepted: 1, running: 1, waiting: 2 })
    expect(isOwnersMoment(progress, true)).toBe(true)
    // It had better be back: there is still time.
    expect(isOwnersMoment(progress, false)).toBe(false)
    const nothingRuns = play([...start, tell.accepted(3, 'root/one', 1, 'b', 1), tell.accepted(4, 'root/two', 1, 'a', 1)]).progress
    expect(isOwnersMoment(nothingRuns, true)).toBe(false)
  })

  it('before the last waiting task is taken, even if the worker is not back', () => {
    const { progress } = play([...start, tell.accepted(3, 'root/one', 1, 'b', 1), tell.awarded(4, 'root/three', 1, 'a', { a: 1 })])
    expect(leafStands(progress)).toEqual({ accepted: 1, running: 2, waiting: 1 })
    expect(isOwnersMoment(progress, false)).toBe(true)
  })

  it('and tells who leads the mission then', () => {
    const { progress } = play([...start, tell.accepted(3, 'root/one', 1, 'b', 1)])
    const death: OwnerDeath = ownerDeath(progress, { peer: peers.a, name: 'node-a', killedAtWallMs: storyStartWallMs + 7_100 })
    expect(ownerLine(progress, death)).toBe('killed the owner node-a at 7.1 s · nobody leads the mission yet')
    // One that had led before it died is no successor.
    expect(witnessOwner(death, tookOver(7_000, 'a'), nameOf)).toBe(false)
    expect(witnessOwner(death, tookOver(8_000, 'b'), nameOf)).toBe(true)
    expect(witnessOwner(death, tookOver(9_000, 'c'), nameOf)).toBe(false)
    expect(ownerLine(progress, death)).toBe('killed the owner node-a at 7.1 s · node-b leads the mission after 0.9 s')
    expect(ownerLine(progress, undefined)).toContain('the owner was not killed')
  })
})

describe('what was repeated', () => {
  const taken = (task: string, attempt: number, atMs: number): string => JSON.stringify({ level: 'info', time: storyStartWallMs + atMs, award: awardOf(task, attempt, 'c', {}).awardId, msg: 'award.taken' })

  it('is what skills ran again after it was accepted, by the logs of the nodes', () => {
    const { progress } = play(goodStory())
    const ran = watchWhatRan()
    for (const line of [taken('root/one', 1, 210), taken('root/two', 1, 220), taken('root/one', 2, 1_110), 'node-b is ready', '{"msg":"award.taken', taken('root/last', 1, 1_960)]) ran.hear(line)
    expect(repeatedWords(ran.repeated(progress))).toBe('0 finished tasks repeated')
    // No log of a mission tells of this run.
    ran.hear(taken('root/two', 2, 1_200))
    expect(repeatedWords(ran.repeated(progress))).toBe('1 finished task repeated')
  })

  it('and what the mission itself awarded again', () => {
    const { progress } = play([...goodStory().slice(0, 8), tell.awarded(1_200, 'root/two', 2, 'a', { a: 1 })])
    expect(watchWhatRan().repeated(progress)).toBe(1)
  })
})

it('explains one award', () => {
  expect(exampleOfAnAward(play(goodStory()).progress)).toBe('For example one: node-b bid 0.8 s, node-c 0.9 s, node-a 1.2 s; node-b won: earliest finish')
  expect(exampleOfAnAward(newProgress())).toBeUndefined()
})
