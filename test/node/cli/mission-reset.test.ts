import picocolors from 'picocolors'
import { describe, expect, it } from 'vitest'
import { applyEvent, hasEnded, leafCounts, newProgress, type MissionProgress } from '../../../node/cli/view/mission-progress.ts'
import { resetProgress } from '../../../node/cli/view/mission-reset.ts'
import { treeLines } from '../../../node/cli/view/tree-lines.ts'
import { missionView, taskTree } from '../../../actors/behaviours/mission-views.ts'
import { applyEvent as fold, openMission } from '../../../protocols/tasking/mission-state.ts'
import type { MissionEvent } from '../../../protocols/tasking/schema.ts'
import { MissionView, TaskView } from '../../../protocols/tasking/views.ts'
import { goodStory, storyStartWallMs } from './mission-story.ts'

const story = goodStory()

/** What a bridge shows after so many events. */
function shownAfter(count: number): { mission: MissionView; tasks: TaskView } {
  const [first, ...rest] = story.slice(0, count)
  if (first?.type !== 'submitted') throw new Error('a story begins with its submission')
  const state = openMission(first, 1)
  rest.forEach((event, i) => fold(state, event, i + 2))
  return { mission: MissionView.parse(missionView(state, new Map(), 'node-a')), tasks: TaskView.parse(taskTree(state, new Map())) }
}

function rebuiltAfter(count: number): MissionProgress {
  const progress = newProgress()
  const { mission, tasks } = shownAfter(count)
  resetProgress(progress, mission, tasks)
  return progress
}

function goOn(progress: MissionProgress, events: readonly MissionEvent[], firstIndex: number): void {
  events.forEach((event, i) => applyEvent(progress, { index: firstIndex + i, event }, event.atWallMs))
}

const statesIn = (progress: MissionProgress): Record<string, string> => Object.fromEntries([...(progress.fold?.tasks.values() ?? [])].map((task) => [task.spec.taskId, task.state]))

describe('a progress rebuilt from the mission as it is', () => {
  // From every place in the story, the end is the same as for somebody who saw all of it.
  it.each(story.map((_, i) => i + 1))('after event %i ends like one that saw every event', (count) => {
    const whole = newProgress()
    goOn(whole, story, 1)
    const progress = rebuiltAfter(count)
    goOn(progress, story.slice(count), count + 1)
    expect(statesIn(progress)).toEqual(statesIn(whole))
    expect(leafCounts(progress)).toEqual(leafCounts(whole))
    expect(hasEnded(progress)).toBe(true)
    expect(progress.repeated).toBe(0)
  })

  it('shows the tree that it was given', () => {
    const lines = treeLines(rebuiltAfter(4), { columns: 110, rows: 40, nowWallMs: storyStartWallMs + 500, colours: picocolors.createColors(false) })
    expect(lines.join('\n')).toContain('report on geese')
    expect(lines.some((line) => line.includes('one') && line.includes('repo.measure'))).toBe(true)
  })

  it('takes what its tree shows already for seen', () => {
    const { mission, tasks } = shownAfter(6)
    const progress = newProgress()
    // The tree was asked after the view: it knows more.
    resetProgress(progress, { ...mission, lastIndex: 1 }, tasks)
    goOn(progress, story.slice(1), 2)
    expect(leafCounts(progress)).toMatchObject({ leaves: leafCounts(rebuiltAfter(story.length)).leaves, running: 0 })
    expect(hasEnded(progress)).toBe(true)
  })

  it('drops events of tasks that it does not know', () => {
    const progress = rebuiltAfter(1)
    const awarded = story.find((event) => event.type === 'awarded' && event.award.taskId !== 'root') as MissionEvent
    expect(applyEvent(progress, { index: 2, event: awarded }, 0)).toBe(false)
    expect(progress.fold?.lastIndex).toBe(2)
  })
})
