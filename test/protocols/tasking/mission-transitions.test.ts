import { describe, expect, it } from 'vitest'
import type { AwardId, Digest, Incarnation, MissionId, PeerId, Principal } from '../../../protocols/kernel/ids.ts'
import type { Payload } from '../../../protocols/kernel/payload.ts'
import type { Membership } from '../../../protocols/membership/schema.ts'
import { judgeEvent } from '../../../protocols/tasking/append-rules.ts'
import { applyEvent, foldEvents, missionEnded, type MissionFold } from '../../../protocols/tasking/mission-state.ts'
import { missionStates, type MissionEvent, type MissionState } from '../../../protocols/tasking/schema.ts'
import { accepted, awarded, checkpointed, dead, ended, fold, planned, problem, spec, submitted, taskIn } from './histories.ts'

type EventType = MissionEvent['type']
/** The mission's state once the event was applied; `already` and refusals leave it as it is. */
type Expected = MissionState | 'already' | 'wrong-state' | 'unknown-task' | 'over'

const atWallMs = 9
const path = 'root/t'
const dyingPath = 'root/d'
const running = () => fold(planned('root', spec(path), spec('root/u'), spec('root/c', 'composite'), spec(dyingPath)), awarded(path), awarded(dyingPath), dead(dyingPath))
const membership: Membership = { voters: [{ peer: 'worker-1' as PeerId, incarnation: 'aaaaaa' as Incarnation }], learners: [] }
const blob = { $blob: 'a'.repeat(64) as Digest, sizeBytes: 9 }
const archive: Payload = { blob }
const event = {
  paused: { type: 'paused', atWallMs }, resumed: { type: 'resumed', atWallMs }, cancelled: { type: 'cancelled', atWallMs },
  failed: { type: 'failed', atWallMs, fault: problem }, completed: { type: 'completed', atWallMs, result: { inline: 1 } },
} as const satisfies Partial<Record<EventType, MissionEvent>>

function then(mission: MissionFold, ...events: MissionEvent[]): MissionFold {
  for (const next of events) applyEvent(mission, next, mission.lastIndex + 1)
  return mission
}

function shown(state: MissionState, mission: MissionFold): MissionFold {
  mission.state = state
  return mission
}

/** The mission in each of its states. Those that only watchers are shown are put there by hand. */
const given: Record<MissionState, () => MissionFold> = {
  accepted: () => fold(),
  planning: () => fold(planned('root', spec('root/c', 'composite'))),
  running,
  waiting: () => shown('waiting', running()),
  paused: () => then(running(), event.paused),
  synthesising: () => shown('synthesising', running()),
  completed: () => fold(planned('root', spec(path)), awarded(path), accepted(path), accepted('root', 1, [path]), event.completed),
  failed: () => then(running(), dead('root'), event.failed),
  cancelled: () => then(running(), { type: 'cancel-requested', atWallMs, by: 'local' as Principal, reason: 'enough' }, event.cancelled),
  orphaned: () => shown('orphaned', running()),
}

/** One event of each type, about what `running` holds. */
const happening: Record<EventType, MissionEvent> = {
  ...event,
  submitted: submitted(),
  'took-over': { type: 'took-over', atWallMs, epoch: { lineage: 1, term: 2 }, owner: 'another' as PeerId },
  planned: planned('root/c', spec('root/c/x')),
  awarded: awarded('root/u'),
  'award-ended': ended(path, 'lost'),
  accepted: accepted(path),
  reused: { type: 'reused', atWallMs, taskId: taskIn(running(), 'root/u').spec.taskId, result: { inline: 1 }, from: { missionId: 'm-aaaaaaaa-cccccccccccc' as MissionId, awardId: 'elsewhere' as AwardId } },
  dead: dead(path),
  retried: { type: 'retried', atWallMs, taskId: taskIn(running(), dyingPath).spec.taskId },
  'task-cancelled': { type: 'task-cancelled', atWallMs, taskId: taskIn(running(), path).spec.taskId, reason: 'not needed' },
  changed: { type: 'changed', atWallMs, limits: { leavesMax: 60 } },
  'cancel-requested': { type: 'cancel-requested', atWallMs, by: 'local' as Principal, reason: 'enough' },
  members: { type: 'members', atWallMs, membership },
  checkpointed: checkpointed(path, { step: 3 }),
  'dead-dropped': { type: 'dead-dropped', atWallMs, taskId: taskIn(running(), dyingPath).spec.taskId, by: 'local' as Principal },
  archived: { type: 'archived', atWallMs, archive },
}

const endings = { failed: 'failed', cancelled: 'cancelled', completed: 'wrong-state' } as const

/** Anything that moves a task says what the mission does now; what is shown only (waiting, synthesising) gives way to it. */
const live = (state: MissionState): Record<EventType, Expected> => ({
  ...endings, members: state, archived: 'wrong-state', checkpointed: state, 'dead-dropped': state, submitted: 'already', 'took-over': state, changed: state, 'cancel-requested': state, paused: 'paused', resumed: 'already',
  planned: 'running', awarded: 'running', 'award-ended': 'running', accepted: 'running', reused: 'running', dead: 'running', retried: 'running', 'task-cancelled': 'running',
})
const over: Record<EventType, Expected> = {
  checkpointed: 'over', 'dead-dropped': 'over', members: 'over', archived: 'over',
  submitted: 'over', 'took-over': 'over', planned: 'over', awarded: 'over', 'award-ended': 'over', accepted: 'over', reused: 'over', dead: 'over', retried: 'over', 'task-cancelled': 'over', paused: 'over', resumed: 'over', changed: 'over',
  'cancel-requested': 'over', completed: 'over', failed: 'over', cancelled: 'over',
}

const transitions: Record<MissionState, Record<EventType, Expected>> = {
  accepted: {
    ...live('accepted'), checkpointed: 'unknown-task', 'dead-dropped': 'unknown-task', planned: 'unknown-task', awarded: 'unknown-task', 'award-ended': 'wrong-state', accepted: 'unknown-task', reused: 'unknown-task', dead: 'unknown-task', retried: 'unknown-task', 'task-cancelled': 'unknown-task',
  },
  planning: {
    ...live('planning'), checkpointed: 'unknown-task', 'dead-dropped': 'unknown-task', awarded: 'unknown-task', 'award-ended': 'wrong-state', accepted: 'unknown-task', reused: 'unknown-task', dead: 'unknown-task', retried: 'unknown-task', 'task-cancelled': 'unknown-task',
  },
  running: live('running'),
  waiting: live('waiting'),
  paused: {
    ...live('paused'), paused: 'already', resumed: 'running', awarded: 'wrong-state', planned: 'paused', 'award-ended': 'paused', accepted: 'paused', reused: 'paused', dead: 'paused', retried: 'paused', 'task-cancelled': 'paused',
  },
  synthesising: live('synthesising'),
  // Of one that is over it is still said who keeps its log, that its dead were looked at, and where it was put in the end.
  completed: { ...over, members: 'completed', archived: 'completed', 'dead-dropped': 'unknown-task' },
  // A failed mission may be given other limits and another try.
  failed: { ...over, changed: 'failed', retried: 'running', members: 'failed', archived: 'failed', 'dead-dropped': 'failed' },
  cancelled: { ...over, members: 'cancelled', archived: 'cancelled', 'dead-dropped': 'cancelled' },
  // Sealed tails of older lineages; no event of this release leads there.
  orphaned: live('orphaned'),
}

describe('every state of a mission meets every event', () => {
  for (const state of missionStates) {
    it.each(Object.keys(happening) as EventType[])(`${state} × %s`, (type) => {
      const mission = given[state]()
      expect(mission.state).toBe(state)
      const expected = transitions[state][type]
      const verdict = judgeEvent(mission, happening[type])
      if (expected === 'already') return expect(verdict).toBe('already')
      if (expected === 'over') return expect(verdict).toMatchObject({ code: 'cancelled', detail: `the mission is ${state}` })
      if (expected === 'wrong-state' || expected === 'unknown-task') return expect(verdict).toMatchObject({ code: expected })
      expect(verdict).toBe('apply')
      applyEvent(mission, happening[type], mission.lastIndex + 1)
      expect(mission.state).toBe(expected)
      return undefined
    })
  }
})

describe('what an event leaves behind', () => {
  it('starts as accepted, with its root, in its first epoch', () => {
    const mission = fold()
    expect(mission).toMatchObject({ state: 'accepted', paused: false, cancelling: false, epoch: { lineage: 1, term: 1 }, leaves: 0, spentUsd: 0, lastIndex: 1, submittedAtWallMs: 1 })
    expect([...mission.tasks.keys()]).toEqual(['root'])
  })

  it('completes once its root has a result, and not before', () => {
    const mission = fold(planned('root', spec(path)), awarded(path), accepted(path))
    expect(judgeEvent(mission, event.completed)).toMatchObject({ code: 'wrong-state' })
    then(mission, accepted('root', 1, [path]))
    expect(judgeEvent(mission, event.completed)).toBe('apply')
    expect(then(mission, event.completed)).toMatchObject({ state: 'completed', result: { inline: 1 }, endedAtWallMs: atWallMs })
  })

  it('gives up every open task when it fails or is cancelled: nothing stays open in a mission that has ended', () => {
    for (const end of [event.failed, event.cancelled]) {
      const mission = then(running(), end)
      expect(missionEnded(mission)).toBe(true)
      expect([...mission.tasks.values()].map((task) => task.state)).toEqual(['cancelled', 'cancelled', 'cancelled', 'cancelled', 'dead'])
      expect(taskIn(mission, path).attempts[0]).toMatchObject({ outcome: 'cancelled', endedAtWallMs: atWallMs })
    }
  })

  it('changes only the limits that are named', () => {
    const mission = then(running(), { type: 'changed', atWallMs, limits: { leavesMax: 60 } })
    expect(mission.limits).toEqual({ ...submitted().limits, leavesMax: 60 })
    expect(mission.priority).toBe(5)
    const loose = { type: 'changed', atWallMs, priority: 9, limits: { budgetUsd: undefined } } as unknown as MissionEvent
    expect(then(mission, loose)).toMatchObject({ priority: 9, limits: { leavesMax: 60, budgetUsd: 1 } })
  })

  it('a takeover raises the epoch and names the owner; open awards stay open', () => {
    const mission = then(running(), happening['took-over'])
    expect(mission).toMatchObject({ epoch: { lineage: 1, term: 2 }, owner: 'another' })
    expect(taskIn(mission, path).state).toBe('awarded')
  })

  it('keeps who keeps its log and where it was archived, and says nothing twice', () => {
    const mission = then(running(), happening.members)
    expect(mission.members).toEqual(membership)
    const another: MissionEvent = { type: 'members', atWallMs, membership: { ...membership, learners: [{ peer: 'worker-2' as PeerId, incarnation: 'bbbbbb' as Incarnation }] } }
    expect([judgeEvent(mission, happening.members), judgeEvent(mission, another)]).toEqual(['already', 'apply'])
    then(mission, event.failed, another, happening.archived)
    expect(mission).toMatchObject({ state: 'failed', archive, members: another.membership })
    expect(judgeEvent(mission, { type: 'archived', atWallMs, archive: { blob: { ...blob, holders: ['worker-1' as PeerId] } } })).toBe('already')
    expect(judgeEvent(mission, { type: 'archived', atWallMs, archive: { blob: { ...blob, $blob: 'b'.repeat(64) as Digest } } })).toMatchObject({ code: 'wrong-state' })
    // Put away, it cannot be opened again; its group may still have to change its members.
    for (const type of ['retried', 'changed', 'dead-dropped'] as const) expect(judgeEvent(mission, happening[type]), type).toMatchObject({ code: 'cancelled' })
    expect(judgeEvent(mission, happening.members)).toBe('apply')
  })

  it('what a log says of itself may come before the mission', () => {
    const mission = foldEvents([happening.members, happening['took-over'], submitted(), event.paused].map((each, i) => ({ index: i + 1, event: each })))
    expect(mission).toMatchObject({ state: 'paused', lastIndex: 4, members: membership, epoch: { lineage: 1, term: 2 }, owner: 'another' })
    expect(() => foldEvents([{ index: 1, event: happening.members }])).toThrow('starts with "submitted"')
  })

  it('a log that does not start with "submitted" is not folded', () => {
    expect(() => foldEvents([])).toThrow('starts with "submitted"')
    expect(() => foldEvents([{ index: 1, event: event.paused }])).toThrow('starts with "submitted"')
    expect(foldEvents([{ index: 1, event: submitted() }, { index: 2, event: event.paused }])).toMatchObject({ state: 'paused', lastIndex: 2 })
  })
})
