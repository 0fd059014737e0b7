/** A mission as lines that are only ever appended: for pipes, logs and screen readers. */
import type { MissionEvent } from '../../../protocols/tasking/schema.ts'
import { counted, printable, seconds, spent } from './format.ts'
import { type MissionProgress, lastAttempt } from './mission-progress.ts'
import { bidsLine } from './tree-lines.ts'

/** @returns the line for an event that was just folded, or undefined when it has nothing for people. */
export function plainLine(progress: MissionProgress, event: MissionEvent): string | undefined {
  const text = wording(progress, event)
  if (text === undefined) return undefined
  const at = progress.fold === undefined ? '' : seconds(event.atWallMs - progress.fold.submittedAtWallMs)
  return `${at.padStart(8)}  ${text}`
}

function wording(progress: MissionProgress, event: MissionEvent): string | undefined {
  switch (event.type) {
    case 'submitted':
      return `submitted  ${printable(event.name)}  ${event.missionId}  priority ${event.priority}`
    case 'took-over':
      return `owner      ${printable(progress.names.get(event.owner) ?? event.owner)} carries on (epoch ${event.epoch.lineage}.${event.epoch.term})`
    case 'planned':
      if (event.round !== undefined) return event.children.length === 0 ? undefined : `added      ${event.taskId}: ${counted(event.children.length, 'task')}, round ${event.round}${event.givesUp === undefined || event.givesUp.length === 0 ? '' : `; without ${event.givesUp.join(', ')}`}`
      return `planned    ${event.taskId}: ${counted(event.children.length, 'task')}`
    case 'reused':
      return `reused     ${event.taskId} of ${event.from.missionId}`
    case 'awarded': {
      const task = progress.fold?.tasks.get(event.award.taskId)
      const attempt = task === undefined ? undefined : lastAttempt(task)
      const again = event.award.attempt > 1 ? ` (attempt ${event.award.attempt})` : ''
      return `awarded    ${event.award.taskId} → ${printable(event.award.workerName)}${again}${attempt === undefined ? '' : `  ${bidsLine(attempt)}`}`
    }
    case 'award-ended': {
      const who = progress.fold?.tasks.get(event.taskId)?.attempts.find((attempt) => attempt.award.awardId === event.awardId)?.award.workerName ?? 'the worker'
      const retry = event.retryInMs === undefined || event.retryInMs === 0 ? '' : `; again in ${seconds(event.retryInMs)}`
      return `${event.outcome.padEnd(9)}  ${event.taskId} by ${printable(who)}: ${printable(event.fault.detail)}${retry}`
    }
    case 'accepted': {
      const task = progress.fold?.tasks.get(event.taskId)
      const who = task === undefined ? undefined : lastAttempt(task)?.award.workerName
      return `accepted   ${event.taskId}${who === undefined ? '' : ` from ${printable(who)}`}  ${seconds(event.tookMs)}${spent(event)}`
    }
    case 'dead':
      return `dead       ${event.taskId}: ${printable(event.fault.detail)}`
    case 'retried':
      return `retried    ${event.taskId}`
    case 'task-cancelled':
      return `cancelled  ${event.taskId}: ${printable(event.reason)}`
    case 'paused':
      return 'paused'
    case 'resumed':
      return 'resumed'
    case 'changed':
      return `changed    ${event.priority === undefined ? 'limits' : `priority ${event.priority}`}`
    case 'cancel-requested':
      return `cancelling by ${event.by}: ${printable(event.reason)}`
    case 'completed':
      return 'completed'
    case 'failed':
      return `failed     ${printable(event.fault.detail)}`
    case 'cancelled':
      return 'cancelled'
  }
}
