/** What running tasks publish to go on from: into the mission's log, one at a time per award, so that the newest is the last there. */
import type { Fault } from '../../protocols/kernel/errors.ts'
import type { ActorAddress, AwardId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { samePayload, type Payload } from '../../protocols/kernel/payload.ts'
import { liveAttempt } from '../../protocols/tasking/mission-state.ts'
import type { MessageOf } from '../../protocols/wire.ts'
import type { ActorContext } from '../runtime/actor.ts'
import { tell, type Effect } from '../runtime/effects.ts'
import { record, taskIdOf, taskOf, type ManagerState } from './manager-state.ts'

/** Nothing is answered to what cannot be taken now: the worker says it again, or something newer. */
export function onCheckpoint(state: ManagerState, message: MessageOf<'checkpoint'>, from: ActorAddress, context: ActorContext): Effect[] {
  const { awardId, number, checkpoint } = message
  if (state.fold === undefined || state.phase === 'finished' || state.settling.has(awardId) || state.checkpoints.has(awardId)) return []
  const taskId = taskIdOf(awardId, state)
  const task = taskId === undefined ? undefined : taskOf(state, taskId)
  const attempt = task === undefined ? undefined : liveAttempt(task)
  if (task === undefined || attempt?.award.awardId !== awardId || attempt.award.worker !== from.peer) return []
  const heard = tell(from, { kind: 'checkpoint-heard', awardId, number })
  if (task.checkpoint !== undefined && samePayload(task.checkpoint, checkpoint)) return [heard]
  // An honest node has seen to it: whoever says this is not listened to.
  if (isTooLarge(checkpoint)) return [tell(from, { kind: 'checkpoint-heard', awardId, number, refused: true })]
  state.checkpoints.set(awardId, { worker: from, number })
  return record(state, [{ type: 'checkpointed', atWallMs: context.wallMs, taskId: task.spec.taskId, awardId, checkpoint }])
}

function isTooLarge(checkpoint: Payload): boolean {
  return 'blob' in checkpoint ? checkpoint.blob.sizeBytes > limits.checkpointBytesMax : JSON.stringify(checkpoint.inline).length > limits.payloadInlineBytesMax
}

export function onCheckpointCommitted(state: ManagerState, awardId: AwardId, refused = false): Effect[] {
  const waiting = state.checkpoints.get(awardId)
  state.checkpoints.delete(awardId)
  return waiting === undefined ? [] : [tell(waiting.worker, { kind: 'checkpoint-heard', awardId, number: waiting.number, ...(refused ? { refused } : {}) })]
}

/** Its attempt has ended in the meantime, or its content cannot be had: work is lost, and nothing else. */
export function onCheckpointRefused(state: ManagerState, awardId: AwardId, problem: Fault): Effect[] {
  if (!problem.retryable) return onCheckpointCommitted(state, awardId, true)
  state.checkpoints.delete(awardId)
  return []
}
