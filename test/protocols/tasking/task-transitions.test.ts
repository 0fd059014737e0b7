import { describe, expect, it } from 'vitest'
import type { AwardId, Digest, Incarnation, MissionId, PeerId, Principal } from '../../../protocols/kernel/ids.ts'
import { isWithin, judgeEvent } from '../../../protocols/tasking/append-rules.ts'
import { applyEvent, type MissionFold } from '../../../protocols/tasking/mission-state.ts'
import { taskStates, type MissionEvent, type TaskState } from '../../../protocols/tasking/schema.ts'
import { accepted, awarded, checkpointed, dead, ended, fold, planned, problem, root, spec, submitted, taskIn } from './histories.ts'

/** What the rules say of an event, and the task's state once it was applied; `already` and refusals leave the state as it is. */
type Expected = TaskState | 'already' | 'wrong-state' | 'fenced'
type EventType = MissionEvent['type']

const path = 'root/t'
const before = [planned('root', spec(path, 'composite'), spec('root/sibling'))]

/** The task in each of its states. Those that only watchers are shown (they never enter the log) are put there by hand. */
const given: Record<TaskState, () => MissionFold> = {
  pending: () => fold(...before),
  announced: () => shown('announced', fold(...before)),
  awarded: () => fold(...before, awarded(path)),
  running: () => shown('running', fold(...before, awarded(path))),
  validating: () => shown('validating', fold(...before, awarded(path))),
  accepted: () => fold(...before, awarded(path), accepted(path)),
  failed: () => shown('failed', fold(...before, awarded(path), ended(path, 'failed'))),
  dead: () => fold(...before, awarded(path), ended(path, 'failed'), dead(path)),
  cancelled: () => fold(...before, awarded(path), { type: 'task-cancelled', atWallMs: 6, taskId: taskIn(fold(...before), path).spec.taskId, reason: 'not needed' }),
}

function shown(state: TaskState, mission: MissionFold): MissionFold {
  taskIn(mission, path).state = state
  return mission
}

const taskId = taskIn(fold(...before), path).spec.taskId
const atWallMs = 9

/** One event of each type, about the task where it is about a task. `awarded` is the next attempt, the others speak of the first. */
const happening: Record<EventType, MissionEvent> = {
  submitted: submitted(),
  'took-over': { type: 'took-over', atWallMs, epoch: { lineage: 1, term: 2 }, owner: submitted().owner },
  planned: planned(path, spec(`${path}/x`)),
  awarded: awarded(path, 2),
  'award-ended': ended(path, 'lost'),
  accepted: accepted(path),
  reused: { type: 'reused', atWallMs, taskId, result: { inline: 1 }, from: { missionId: 'm-aaaaaaaa-cccccccccccc' as MissionId, awardId: 'elsewhere' as AwardId } },
  dead: dead(path),
  retried: { type: 'retried', atWallMs, taskId },
  'task-cancelled': { type: 'task-cancelled', atWallMs, taskId, reason: 'not needed' },
  paused: { type: 'paused', atWallMs },
  resumed: { type: 'resumed', atWallMs },
  changed: { type: 'changed', atWallMs, priority: 9 },
  'cancel-requested': { type: 'cancel-requested', atWallMs, by: 'local' as Principal, reason: 'enough' },
  completed: { type: 'completed', atWallMs, result: { inline: 1 } },
  failed: { type: 'failed', atWallMs, fault: problem },
  cancelled: { type: 'cancelled', atWallMs },
  members: { type: 'members', atWallMs, membership: { voters: [{ peer: submitted().owner, incarnation: 'aaaaaa' as Incarnation }], learners: [] } },
  checkpointed: checkpointed(path, 1),
  'dead-dropped': { type: 'dead-dropped', atWallMs, taskId, by: 'local' as Principal },
  archived: { type: 'archived', atWallMs, archive: { blob: { $blob: 'a'.repeat(64) as Digest, sizeBytes: 9 } } },
}

/** Of events that are about the mission: the task stays where it is, unless the mission ends without it. */
function aboutTheMission(state: TaskState, atTheEnd: TaskState): Pick<Record<EventType, Expected>, 'submitted' | 'took-over' | 'paused' | 'resumed' | 'changed' | 'cancel-requested' | 'completed' | 'failed' | 'cancelled' | 'members' | 'archived'> {
  return { members: state, archived: 'wrong-state', submitted: 'already', 'took-over': state, paused: state, resumed: 'already', changed: state, 'cancel-requested': state, completed: 'wrong-state', failed: atTheEnd, cancelled: atTheEnd }
}

const waiting = (state: TaskState): Record<EventType, Expected> => ({
  ...aboutTheMission(state, 'cancelled'),
  checkpointed: 'wrong-state', 'dead-dropped': 'wrong-state', reused: 'wrong-state', planned: state, awarded: 'awarded', 'award-ended': 'wrong-state', accepted: 'wrong-state', dead: 'dead', retried: 'wrong-state', 'task-cancelled': 'cancelled',
})
const underAward = (state: TaskState): Record<EventType, Expected> => ({
  ...aboutTheMission(state, 'cancelled'),
  checkpointed: state, 'dead-dropped': 'wrong-state', reused: 'wrong-state', planned: state, awarded: 'wrong-state', 'award-ended': 'pending', accepted: 'accepted', dead: 'dead', retried: 'wrong-state', 'task-cancelled': 'cancelled',
})
const over = (state: TaskState): Record<EventType, Expected> => ({
  ...aboutTheMission(state, state),
  checkpointed: 'wrong-state', 'dead-dropped': 'wrong-state', reused: 'wrong-state', planned: 'wrong-state', awarded: 'wrong-state', 'award-ended': 'already', accepted: 'wrong-state', dead: 'already', retried: 'pending', 'task-cancelled': 'already',
})

const transitions: Record<TaskState, Record<EventType, Expected>> = {
  pending: { ...waiting('pending'), reused: 'accepted' },
  announced: waiting('announced'),
  awarded: underAward('awarded'),
  running: underAward('running'),
  validating: underAward('validating'),
  accepted: { ...over('accepted'), accepted: 'already', retried: 'wrong-state' },
  // Its attempt has ended, but nothing was decided yet.
  failed: { ...waiting('failed'), 'award-ended': 'already' },
  dead: { ...over('dead'), 'dead-dropped': 'dead' },
  cancelled: over('cancelled'),
}

describe('every state of a task meets every event', () => {
  for (const state of taskStates) {
    it.each(Object.keys(happening) as EventType[])(`${state} × %s`, (type) => {
      const mission = given[state]()
      expect(taskIn(mission, path).state).toBe(state)
      const expected = transitions[state][type]
      const verdict = judgeEvent(mission, happening[type])
      if (expected === 'already') return expect(verdict).toBe('already')
      if (expected === 'wrong-state' || expected === 'fenced') return expect(verdict).toMatchObject({ code: expected })
      expect(verdict).toBe('apply')
      applyEvent(mission, happening[type], 100)
      expect(taskIn(mission, path).state).toBe(expected)
      expect(mission.lastIndex).toBe(100)
      return undefined
    })
  }

  it('and has been in all of them that the log can tell', () => {
    const told = new Set<Expected>(Object.values(transitions).flatMap((row) => Object.values(row)))
    for (const state of ['pending', 'awarded', 'accepted', 'dead', 'cancelled'] as const) expect(told).toContain(state)
    expect(Object.keys(transitions).sort()).toEqual([...taskStates].sort())
  })
})

describe('what an event leaves behind', () => {
  it('an award is one more attempt, with what was bid and why it won', () => {
    const task = taskIn(given.awarded(), path)
    expect(task.attempts).toMatchObject([{ outcome: 'running', award: { attempt: 1, why: 'the only bid' } }])
  })

  it('an ended attempt keeps its outcome and fault, and says when the next may start', () => {
    const task = taskIn(fold(...before, awarded(path), ended(path, 'failed', 1, 2_000)), path)
    expect(task).toMatchObject({ state: 'pending', failures: 1, losses: 0, fault: problem, notBeforeWallMs: 4 + 2_000 })
    expect(task.attempts).toMatchObject([{ outcome: 'failed', fault: problem, endedAtWallMs: 4 }])
  })

  it('failures, losses and refusals are counted apart', () => {
    const task = taskIn(fold(...before, awarded(path), ended(path, 'refused'), awarded(path, 2), ended(path, 'lost', 2), awarded(path, 3), ended(path, 'lost', 3), awarded(path, 4), ended(path, 'failed', 4)), path)
    expect(task).toMatchObject({ failures: 1, losses: 2 })
    expect(task.attempts.map(({ outcome }) => outcome)).toEqual(['refused', 'lost', 'lost', 'failed'])
  })

  it('a result takes the fault of earlier attempts away', () => {
    const task = taskIn(fold(...before, awarded(path), ended(path, 'failed'), awarded(path, 2), accepted(path, 2)), path)
    expect(task).toMatchObject({ state: 'accepted', result: { inline: path }, tookMs: 1 })
    expect(task.fault).toBeUndefined()
  })

  it('the newest checkpoint outlives its attempt and the death of the task, and goes with the result', () => {
    const mission = fold(...before, awarded(path), checkpointed(path, 1), checkpointed(path, 2))
    expect(taskIn(mission, path)).toMatchObject({ state: 'awarded', checkpoint: { inline: 2 } })
    expect(judgeEvent(mission, checkpointed(path, 2))).toBe('already')
    expect(judgeEvent(mission, checkpointed(path, 3))).toBe('apply')
    const events: MissionEvent[] = [ended(path, 'lost'), dead(path), { type: 'retried', atWallMs, taskId }, awarded(path, 2)]
    for (const event of events) {
      applyEvent(mission, event, mission.lastIndex + 1)
      expect(taskIn(mission, path).checkpoint, event.type).toEqual({ inline: 2 })
      // Whoever lost the award may still be at work, without the one who has it now.
      expect(judgeEvent(mission, checkpointed(path, 9)), event.type).toMatchObject({ code: 'wrong-state' })
    }
    applyEvent(mission, accepted(path, 2), 50)
    expect(taskIn(mission, path).checkpoint).toBeUndefined()
  })

  it('the same content is the same checkpoint, whoever holds it', () => {
    const blob = (holder: string, digit = 'a') => ({ blob: { $blob: digit.repeat(64) as Digest, sizeBytes: 40_000, holders: [holder as PeerId] } })
    const mission = fold(...before, awarded(path), { ...checkpointed(path, 1), checkpoint: blob('one') })
    expect(judgeEvent(mission, { ...checkpointed(path, 1), checkpoint: blob('two') })).toBe('already')
    expect(judgeEvent(mission, { ...checkpointed(path, 1), checkpoint: blob('one', 'b') })).toBe('apply')
  })

  it('what was dropped is not dropped twice; tried again and dead again, it is a dead letter again', () => {
    const mission = given.dead()
    const { 'dead-dropped': dropped, retried } = happening
    applyEvent(mission, dropped, 20)
    expect(taskIn(mission, path)).toMatchObject({ state: 'dead', droppedAtWallMs: atWallMs })
    expect(judgeEvent(mission, dropped)).toBe('already')
    applyEvent(mission, retried, 21)
    applyEvent(mission, dead(path), 22)
    expect(taskIn(mission, path).droppedAtWallMs).toBeUndefined()
    expect(judgeEvent(mission, dropped)).toBe('apply')
    expect([isWithin(root, dropped), isWithin(root, dead(path))], 'no manager drops its dead').toEqual([false, true])
  })

  it('the death of a composite task ends all that is open below it, and nothing beside it', () => {
    const mission = fold(...before, awarded(path), planned(path, spec(`${path}/x`), spec(`${path}/y`)), awarded(`${path}/x`), accepted(`${path}/x`), awarded(`${path}/y`), awarded('root/sibling'), dead(path))
    expect(taskIn(mission, `${path}/x`).state).toBe('accepted')
    expect(taskIn(mission, `${path}/y`)).toMatchObject({ state: 'cancelled', attempts: [{ outcome: 'cancelled' }] })
    expect(taskIn(mission, 'root/sibling').state).toBe('awarded')
  })

  it('a retry starts the dead task and what was given up for it, and keeps what was accepted', () => {
    const mission = fold(...before, awarded('root/sibling'), accepted('root/sibling'), awarded(path), planned(path, spec(`${path}/x`), spec(`${path}/y`)), awarded(`${path}/x`), dead(`${path}/x`), dead(path), dead('root'), { type: 'failed', atWallMs, fault: problem })
    expect(taskIn(mission, `${path}/y`).state).toBe('cancelled')
    const retried: MissionEvent = { type: 'retried', atWallMs, taskId: taskIn(mission, `${path}/x`).spec.taskId }
    expect(judgeEvent(mission, retried)).toBe('apply')
    applyEvent(mission, retried, 50)
    expect(mission).toMatchObject({ state: 'running' })
    expect(mission.fault).toBeUndefined()
    for (const revived of ['root', path, `${path}/x`, `${path}/y`]) expect(taskIn(mission, revived), revived).toMatchObject({ state: 'pending', failures: 0, losses: 0, notBeforeWallMs: 0 })
    expect(taskIn(mission, 'root/sibling').state).toBe('accepted')
  })

  it('a retry leaves alone what lies below another task that stays ended', () => {
    const mission = fold(
      planned('root', spec('root/a'), spec('root/b', 'composite', true), spec('root/c', 'composite')), awarded('root/b'), planned('root/b', spec('root/b/x')), dead('root/b'),
      awarded('root/c'), planned('root/c', spec('root/c/x', 'composite', true)), awarded('root/c/x'), planned('root/c/x', spec('root/c/x/y')), dead('root/c/x'), accepted('root/c'), dead('root/a'), dead('root'),
    )
    applyEvent(mission, { type: 'retried', atWallMs, taskId: taskIn(mission, 'root/a').spec.taskId }, 50)
    expect([root, 'root/a', 'root/b', 'root/b/x', 'root/c', 'root/c/x', 'root/c/x/y'].map((one) => taskIn(mission, one).state)).toEqual(['pending', 'pending', 'dead', 'cancelled', 'accepted', 'dead', 'cancelled'])
  })

  it('what was synthesised without a task is not undone by retrying it', () => {
    const mission = fold(planned('root', spec('root/c', 'composite'), spec('root/d')), awarded('root/c'), planned('root/c', spec('root/c/x', 'leaf', true)), dead('root/c/x'), accepted('root/c'))
    expect(judgeEvent(mission, { type: 'retried', atWallMs, taskId: taskIn(mission, 'root/c/x').spec.taskId })).toMatchObject({ code: 'wrong-state', detail: expect.stringContaining('root/c has been synthesised') })
  })
})
