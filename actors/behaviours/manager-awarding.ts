/** How a task that is ready finds its worker: by a standing offer that has a place, or else by a call for proposals. */
import { bestOffer, hearOffer } from '../../protocols/bidding/offer-book.ts'
import type { TaskId } from '../../protocols/kernel/ids.ts'
import type { TaskNode } from '../../protocols/tasking/mission-state.ts'
import type { MessageOf } from '../../protocols/wire.ts'
import type { ActorContext } from '../runtime/actor.ts'
import type { Effect } from '../runtime/effects.ts'
import { noAssessment } from './calling.ts'
import { awardByOffer, closeCall, drive } from './manager-calls.ts'
import { placesNow, stopTendering, suitsOffers } from './manager-offers.ts'
import { lookUpProviders } from './manager-providers.ts'
import { endCall, taskIdOf, taskOf, type ManagerState } from './manager-state.ts'
import { needOf } from './needs.ts'

/** Tasks whose inputs are there. */
export function tender(state: ManagerState, tasks: readonly TaskNode[], context: ActorContext): Effect[] {
  if (tasks.length === 0 || state.offers.offers.size === 0) return lookUpProviders(state, tasks, context)
  const left: TaskNode[] = []
  for (const task of tasks) {
    if (awardNow(state, task, context)) endCall(state, task.spec.taskId)
    else left.push(task)
  }
  return lookUpProviders(state, left, context)
}

/** Places are offered, and no task waits for one but those that are called for: they are awarded, and their calls closed. */
export function awardOpenCalls(state: ManagerState, context: ActorContext): Effect[] {
  if (state.offers.offers.size === 0 || state.callOf.size === 0) return []
  const awarded: TaskId[] = []
  for (const taskId of state.callOf.keys()) {
    if (awardNow(state, taskOf(state, taskId), context)) awarded.push(taskId)
  }
  return awarded.flatMap((taskId) => closeCall(state, taskId, context))
}

function awardNow(state: ManagerState, task: TaskNode, context: ActorContext): boolean {
  const need = needOf(task.spec)
  if (task.state !== 'pending' || state.paused || state.unsettledOf.has(task.spec.taskId) || placesNow(state, need, context) === 0 || !suitsOffers(state, task)) return false
  const chosen = bestOffer(state.offers, need, state.places.taken, context.nowMs, (peer) => state.assessments.get(peer) ?? noAssessment)
  if (chosen === undefined || !context.connected(chosen.offer.peer)) return false
  awardByOffer(state, task, chosen, context)
  return true
}

/** Bids for calls, of which some may stand for further tasks. */
export function onProposal(state: ManagerState, { participant, name, bids }: MessageOf<'propose'>, context: ActorContext): Effect[] {
  const { peer } = participant
  let stands = false
  for (const bid of bids) {
    const taskId = bid.standing === undefined ? undefined : taskIdOf(bid.callId, state)
    // Of a call that is over, the offer is made again with the next.
    if (taskId === undefined || state.callOf.get(taskId) !== bid.callId) continue
    const { spec } = taskOf(state, taskId)
    hearOffer(state.offers, { peer, participant, name, need: needOf(spec), capability: spec.capability, bid }, context.nowMs)
    stands = true
  }
  if (stands) state.mayAdvance = true
  else if (state.offers.offers.size === 0) stopTendering(state, bids)
  return drive(state, { type: 'propose', peer, participant, name, bids }, context)
}
