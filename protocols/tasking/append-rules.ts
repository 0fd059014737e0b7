/** What may be appended to a mission's log: the owner checks every event against the state it would change. See SPEC.md. */
import { fault, type Fault } from '../kernel/errors.ts'
import { compareEpochs, taskDepth, type TaskId } from '../kernel/ids.ts'
import { isTerminal, liveAttempt, missionEnded, type MissionFold } from './mission-state.ts'
import type { MissionEvent } from './schema.ts'

/** `apply` it, drop it because the state holds it `already` (a repeated message), or refuse it. */
export type Verdict = 'apply' | 'already' | Fault

export function judgeEvent(fold: MissionFold, event: MissionEvent): Verdict {
  if (missionEnded(fold) && event.type !== 'retried') return fault('fenced', `the mission is ${fold.state}`)
  switch (event.type) {
    case 'planned': {
      const task = fold.tasks.get(event.taskId)
      if (task === undefined) return unknownTask(event.taskId)
      if (task.planned) return 'already'
      const leaves = event.children.filter((child) => child.kind === 'leaf').length
      if (fold.leaves + leaves > fold.limits.leavesMax) {
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
      if (isTerminal(task.state)) return fault('wrong-state', `${event.award.taskId} is ${task.state}`)
      // S9: at most one live committed award per task.
      if (liveAttempt(task) !== undefined) return fault('wrong-state', `${event.award.taskId} already has a live award`)
      if (compareEpochs(event.award.epoch, fold.epoch) > 0) return fault('fenced', 'the award is of an epoch that does not exist yet')
      if (fold.spentUsd + event.award.bid.priceUsd > fold.limits.budgetUsd) return fault('over-limit', `${event.award.bid.priceUsd} USD for ${event.award.taskId} are over what is left of ${fold.limits.budgetUsd} USD`, { next: 'raise the limit: --limit budgetUsd=N' })
      return 'apply'
    }
    case 'award-ended': {
      const attempt = fold.tasks.get(event.taskId)?.attempts.find(({ award }) => award.awardId === event.awardId)
      if (attempt === undefined) return fault('fenced', `there is no award ${event.awardId}`)
      return attempt.outcome === 'running' ? 'apply' : 'already'
    }
    case 'accepted': {
      const task = fold.tasks.get(event.taskId)
      if (task === undefined) return unknownTask(event.taskId)
      if (task.state === 'accepted') return task.acceptedAward === event.awardId ? 'already' : fault('fenced', `${event.taskId} has an accepted result already`)
      if (isTerminal(task.state)) return fault('wrong-state', `${event.taskId} is ${task.state}`)
      // S8: an accepted result matches a committed award, and nothing newer was committed. The root's award is its owner's epoch.
      if (event.taskId !== 'root') {
        const last = task.attempts.at(-1)
        if (last?.award.awardId !== event.awardId) return fault('fenced', `the newest award of ${event.taskId} is another`)
      }
      const uncited = task.children.find((child) => fold.tasks.get(child)?.state === 'accepted' && !event.cites.includes(fold.tasks.get(child)?.acceptedAward ?? ('' as never)))
      if (uncited !== undefined) return fault('wrong-state', `the synthesis of ${event.taskId} does not cite ${uncited}`)
      return 'apply'
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
      return task.state === 'dead' || task.state === 'cancelled' ? 'apply' : fault('wrong-state', `${event.taskId} is ${task.state}; only dead and cancelled tasks can be retried`)
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
    case 'changed':
    case 'completed':
    case 'failed':
    case 'cancelled':
      return 'apply'
  }
}

function unknownTask(taskId: TaskId): Fault {
  return fault('unknown-task', `there is no task ${taskId} in this mission`)
}

/** A manager may write about the tasks below the one it was awarded, and nothing else. */
export function isWithin(subtree: TaskId, event: MissionEvent): boolean {
  const taskId = event.type === 'awarded' ? event.award.taskId : 'taskId' in event ? event.taskId : undefined
  if (taskId === undefined) return false
  if (subtree === 'root') return true
  if (event.type === 'planned') return taskId === subtree
  return taskId.startsWith(`${subtree}/`)
}
