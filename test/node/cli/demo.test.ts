import { describe, expect, it } from 'vitest'
import { type Death, chooseVictim, deathLine, deathOf, witness } from '../../../node/cli/demo/caught-in-the-act.ts'
import { exampleOfAnAward } from '../../../node/cli/demo/example-award.ts'
import { type MissionProgress, applyEvent, newProgress } from '../../../node/cli/view/mission-progress.ts'
import type { MissionEvent } from '../../../protocols/tasking/schema.ts'
import { goodStory, peers, storyStartWallMs, tell } from './mission-story.ts'

const others = [peers.b, peers.c]

/** Feeds a story; whoever is chosen first dies `afterMs` after that event. */
function play(events: readonly MissionEvent[], afterMs = 0): { progress: MissionProgress; death: Death | undefined } {
  const progress = newProgress()
  let death: Death | undefined
  events.forEach((event, index) => {
    applyEvent(progress, { index: index + 1, event }, event.atWallMs)
    if (death !== undefined) witness(death, event, progress)
    const victim = death === undefined ? chooseVictim(progress, others) : undefined
    if (victim !== undefined) death = deathOf(progress, victim, victim === peers.b ? 'node-b' : 'node-c', event.atWallMs + afterMs)
  })
  return { progress, death }
}

describe('the demo kills a worker', () => {
  it('in the middle of a leaf, once another is finished, and measures who took over', () => {
    const { progress, death } = play(goodStory(), 100)
    expect(death).toMatchObject({ peer: peers.b, killedAtWallMs: storyStartWallMs + 1_000 })
    expect([...(death?.lost ?? [])]).toEqual(['root/one'])
    expect(deathLine(progress, death)).toBe('killed node-b at 1.0 s · node-c took over after 0.1 s · 0 finished tasks repeated')
  })

  it('never the node that answers, and nobody before something is finished', () => {
    expect(play(goodStory().slice(0, 5)).death).toBeUndefined()
    const onlyA = [tell.submitted(), tell.planned(1, 'one', 'two'), tell.awarded(2, 'root/one', 1, 'a', { a: 1 }), tell.accepted(3, 'root/one', 1, 'a', 1), tell.awarded(4, 'root/two', 1, 'a', { a: 1 })]
    const { progress, death } = play(onlyA)
    expect(death).toBeUndefined()
    expect(deathLine(progress, death)).toContain('no node was killed')
  })

  it('rather one that manages nothing, unless time runs out', () => {
    const start = [tell.submitted(), tell.awarded(1, 'root', 1, 'b', { b: 1 }), tell.planned(2, 'one', 'two', 'three', 'four'), tell.awarded(3, 'root/one', 1, 'b', { b: 1 }), tell.awarded(3, 'root/two', 1, 'a', { a: 1 })]
    const firstDone = [...start, tell.accepted(4, 'root/two', 1, 'a', 1)]
    expect(play(firstDone).death).toBeUndefined()
    expect(play([...firstDone, tell.awarded(5, 'root/three', 1, 'c', { c: 1 })]).death?.name).toBe('node-c')
    expect(play([...firstDone, tell.awarded(5, 'root/three', 1, 'a', { a: 1 }), tell.accepted(6, 'root/three', 1, 'a', 1)]).death?.name).toBe('node-b')
  })

  it('and says so honestly when the moment was missed, or a finished task was repeated', () => {
    const missed = play([...goodStory().slice(0, 6), tell.accepted(950, 'root/one', 1, 'b', 700)])
    expect(deathLine(missed.progress, missed.death)).toBe('killed node-b at 0.9 s · its task had just ended, so nobody had to take over · 0 finished tasks repeated')
    const repeated = play([...goodStory().slice(0, 8), tell.awarded(1_200, 'root/two', 2, 'a', { a: 1 })])
    expect(deathLine(repeated.progress, repeated.death)).toContain('1 finished task repeated')
  })
})

it('explains one award', () => {
  expect(exampleOfAnAward(play(goodStory()).progress)).toBe('For example one: node-b bid 0.8 s, node-c 0.9 s, node-a 1.2 s; node-b won: earliest finish')
  expect(exampleOfAnAward(newProgress())).toBeUndefined()
})
