/** What may be appended to a mission's log: the owner checks every event against the state it would change. See SPEC.md. */
import { fault, type Fault } from '../kernel/errors.ts'
import { awardIdOf, compareEpochs, parentTaskId, taskDepth, type AwardId, type TaskId } from '../kernel/ids.ts'
import { samePayload } from '../kernel/payload.ts'
import type { Membership } from '../membership/schema.ts'
import { balanceOf, isAffordable, purseOf, setAsideBy, type Purse } from './spending.ts'
import { isTerminal, liveAttempt, missionEnded, type MissionFold, type TaskNode } from './mission-state.ts'
import type { MissionEvent } from './schema.ts'

/**
 * `apply` it, drop it because the state holds it `already` (a repeated message), or refuse it: `cancelled` when the
 * mission is over, `fenced` when a newer owner has it, `wrong-state` when the writer's picture of it is out of date.
 */
export type Verdict = 'apply' | 'already' | Fault

/**
 * @param manager the composite task whose manager folds this, absent for the owner: a manager hears nothing of what
 *   other managers write, so it cannot tell what its children's results may cite, nor what is left of the mission's limits.
 * @param alsoHeld what events before this one in the same batch set aside.
 */
export function judgeEvent(fold: MissionFold, event: MissionEvent, manager?: TaskId, alsoHeld?: ReadonlyMap<Purse, number>): Verdict {
  // Who keeps a log may change as long as there is one.
  if (event.type === 'members') return sameMembers(fold.members, event.membership) ? 'already' : 'apply'
  if (event.type === 'archived') {
    if (!missionEnded(fold)) return fault('wrong-state', `the mission is ${fold.state}: only one that has ended is archived`)
    return fold.archive === undefined ? 'apply' : samePayload(fold.archive, event.archive) ? 'already' : fault('wrong-state', 'the mission has been archived already')
  }
  // A failed mission can be given other limits and tried again, and its dead be put away; of one that is over nothing else is written any more.
  const reopens = fold.state === 'failed' && (event.type === 'retried' || event.type === 'changed')
  if (missionEnded(fold) && (fold.archive !== undefined || !(reopens || event.type === 'dead-dropped'))) return fault('cancelled', `the mission is ${fold.state}`)
  switch (event.type) {
    case 'planned': {
      const task = fold.tasks.get(event.taskId)
      if (task === undefined) return unknownTask(event.taskId)
      const { round } = event
      if (round === undefined ? task.planned : round <= (task.rounds ?? 0)) return 'already'
      if (round !== undefined && (!task.planned || round !== (task.rounds ?? 0) + 1)) return fault('wrong-state', `the plan of ${event.taskId} has been added to ${task.rounds ?? 0} times`)
      const kept = event.givesUp?.find((taskId) => !task.children.includes(taskId) || fold.tasks.get(taskId)?.state !== 'dead')
      if (kept !== undefined) return fault('bad-plan', `${kept} is not a dead child of ${event.taskId}`)
      if (isTerminal(task.state)) return fault('wrong-state', `${event.taskId} is ${task.state}`)
      const names = new Set<TaskId>()
      for (const { taskId } of event.children) {
        if (parentTaskId(taskId) !== event.taskId || fold.tasks.has(taskId) || names.has(taskId)) return fault('bad-plan', `${taskId} is not a new child of ${event.taskId}`)
        names.add(taskId)
      }
      const leaves = event.children.filter((child) => child.kind === 'leaf').length
      if (manager === undefined && fold.leaves + leaves > fold.limits.leavesMax) {
        return fault('over-limit', `the plan of ${event.taskId} brings the mission to ${fold.leaves + leaves} leaves, ${fold.limits.leavesMax} are allowed`, { next: `raise the limit: --limit leaves=${fold.limits.leavesMax * 2}` })
      }
      const tooDeep = event.children.find((child) => taskDepth(child.taskId) > fold.limits.depthMax)
      if (tooDeep !== undefined) return fault('over-limit', `${tooDeep.taskId} is ${taskDepth(tooDeep.taskId)} levels deep, ${fold.limits.depthMax} are allowed`, { next: 'raise the limit: --limit depth=N' })
      return 'apply'
    }
    case 'awarded': {
      const task = fold.tasks.get(event.award.taskId)
      if (task === undefined) return unknownTask(event.award.taskId)
      if (task.attempts.some(({ award }) => award.awardId === event.award.awardId)) return 'already'
      if (event.award.taskId === 'root') return fault('wrong-state', 'the root is not awarded: it is its owner’s')
      if (isTerminal(task.state)) return fault('wrong-state', `${event.award.taskId} is ${task.state}`)
      if (fold.paused) return fault('wrong-state', 'the mission is paused')
      // S9: at most one live committed award per task.
      if (liveAttempt(task) !== undefined) return fault('wrong-state', `${event.award.taskId} already has a live award`)
      if (compareEpochs(event.award.epoch, fold.epoch) > 0) return fault('fenced', 'the award is of an epoch that does not exist yet')
      const purse = purseOf(fold, event.award.taskId)
      const setAsideUsd = setAsideBy(event.award)
      if ((manager === undefined || purse !== 'mission') && !isAffordable(fold, purse, setAsideUsd, alsoHeld?.get(purse))) {
        const { budgetUsd } = balanceOf(fold, purse)
        return fault('over-limit', `${setAsideUsd} USD for ${event.award.taskId} are over what is left of ${budgetUsd} USD`, { next: purse === 'mission' ? 'raise the limit: --limit budgetUsd=N' : `give ${purse} a larger budget: budgetUsd` })
      }
      return 'apply'
    }
    case 'award-ended': {
      const attempt = fold.tasks.get(event.taskId)?.attempts.find(({ award }) => award.awardId === event.awardId)
      if (attempt === undefined) return fault('wrong-state', `there is no award ${event.awardId}`)
      return attempt.outcome === 'running' ? 'apply' : 'already'
    }
    case 'checkpointed': {
      const task = fold.tasks.get(event.taskId)
      if (task === undefined) return unknownTask(event.taskId)
      if (task.checkpoint !== undefined && samePayload(task.checkpoint, event.checkpoint)) return 'already'
      // What was given up may be repeated elsewhere by now: only who runs the task says how far it has come.
      if (liveAttempt(task)?.award.awardId !== event.awardId) return fault('wrong-state', `${event.awardId} is not the live award of ${event.taskId}`)
      return 'apply'
    }
    case 'accepted': {
      const task = fold.tasks.get(event.taskId)
      if (task === undefined) return unknownTask(event.taskId)
      if (task.state === 'accepted') return task.acceptedAward === event.awardId ? 'already' : fault('wrong-state', `${event.taskId} has an accepted result already`)
      if (isTerminal(task.state)) return fault('wrong-state', `${event.taskId} is ${task.state}`)
      // S8: an accepted result matches a committed award, and nothing newer was committed. The root's award is its owner's epoch.
      if (event.taskId === 'root') {
        if (event.awardId !== awardIdOf(fold.missionId, event.taskId, 1, fold.epoch)) return fault('fenced', 'the mission has a newer owner')
      } else {
        const last = task.attempts.at(-1)
        if (last?.award.awardId !== event.awardId) return fault('wrong-state', `the newest award of ${event.taskId} is another`)
        // A lost worker's late result is welcome; one that was refused, or failed its checks, is not.
        if (last.outcome === 'refused' || last.outcome === 'failed') return fault('wrong-state', `${event.awardId} has ended: ${last.outcome}`)
      }
      return manager !== undefined && manager !== event.taskId ? 'apply' : miscited(fold, task, event.cites) ?? 'apply'
    }
    case 'reused': {
      const task = fold.tasks.get(event.taskId)
      if (task === undefined) return unknownTask(event.taskId)
      if (task.state === 'accepted') return task.acceptedAward === event.from.awardId ? 'already' : fault('wrong-state', `${event.taskId} has an accepted result already`)
      return task.state === 'pending' && task.attempts.length === 0 && !task.planned ? 'apply' : fault('wrong-state', `${event.taskId} has been begun: its result cannot be another mission's`)
    }
    case 'dead':
    case 'task-cancelled': {
      const task = fold.tasks.get(event.taskId)
      if (task === undefined) return unknownTask(event.taskId)
      return isTerminal(task.state) ? 'already' : 'apply'
    }
    case 'retried': {
      const task = fold.tasks.get(event.taskId)
      if (task === undefined) return unknownTask(event.taskId)
      if (task.state !== 'dead' && task.state !== 'cancelled') return fault('wrong-state', `${event.taskId} is ${task.state}; only dead and cancelled tasks can be retried`)
      for (let above = parentTaskId(event.taskId); above !== undefined; above = parentTaskId(above)) {
        if (fold.tasks.get(above)?.state === 'accepted') return fault('wrong-state', `${above} has been synthesised without ${event.taskId}`)
      }
      return 'apply'
    }
    case 'dead-dropped': {
      const task = fold.tasks.get(event.taskId)
      if (task === undefined) return unknownTask(event.taskId)
      if (task.state !== 'dead') return fault('wrong-state', `${event.taskId} is ${task.state}; only dead tasks can be dropped`)
      return task.droppedAtWallMs === undefined ? 'apply' : 'already'
    }
    case 'paused':
      return fold.paused ? 'already' : 'apply'
    case 'resumed':
      return fold.paused ? 'apply' : 'already'
    case 'cancel-requested':
      return fold.cancelling ? 'already' : 'apply'
    case 'submitted':
      return 'already'
    case 'took-over':
      return compareEpochs(event.epoch, fold.epoch) > 0 ? 'apply' : fault('fenced', 'a newer owner has taken over')
    case 'completed':
      return fold.tasks.get('root' as TaskId)?.state === 'accepted' ? 'apply' : fault('wrong-state', 'the mission has no result yet')
    case 'changed':
    case 'failed':
    case 'cancelled':
      return 'apply'
  }
}

/** S11: a synthesis comes after all of its children have ended, and cites exactly those that were accepted. */
function miscited(fold: MissionFold, task: TaskNode, cites: readonly AwardId[]): Fault | undefined {
  const accepted = new Set<AwardId>()
  for (const childId of task.children) {
    const child = fold.tasks.get(childId)
    if (child === undefined || !isTerminal(child.state)) return fault('wrong-state', `${childId} has not ended, so ${task.spec.taskId} cannot be synthesised`)
    if (child.state === 'accepted' && child.acceptedAward !== undefined) accepted.add(child.acceptedAward)
  }
  const cited = new Set(cites)
  for (const award of accepted) if (!cited.has(award)) return fault('wrong-state', `the synthesis of ${task.spec.taskId} does not cite ${award}`)
  const foreign = cites.find((award) => !accepted.has(award))
  return foreign === undefined ? undefined : fault('wrong-state', `the synthesis of ${task.spec.taskId} cites ${foreign}, which is not an accepted child`)
}

function sameMembers(left: Membership | undefined, right: Membership): boolean {
  return left !== undefined && JSON.stringify(parts(left)) === JSON.stringify(parts(right))
}

function parts({ voters, outgoing, learners }: Membership): (readonly string[] | undefined)[] {
  return [voters, outgoing, learners].map((members) => members?.map(({ peer, incarnation }) => `${peer} ${incarnation}`).sort())
}

function unknownTask(taskId: TaskId): Fault {
  return fault('unknown-task', `there is no task ${taskId} in this mission`)
}

/** A manager may write about the tasks below the one it was awarded, and nothing else. */
export function isWithin(subtree: TaskId, event: MissionEvent): boolean {
  const taskId = event.type === 'awarded' ? event.award.taskId : 'taskId' in event ? event.taskId : undefined
  // Dead letters are put away by people, through the owner.
  if (taskId === undefined || event.type === 'dead-dropped' || event.type === 'reused') return false
  if (subtree === 'root') return true
  if (event.type === 'planned') return taskId === subtree
  return taskId.startsWith(`${subtree}/`)
}
