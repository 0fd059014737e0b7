/** Small missions for the tests of the log: specifications, awards and events with as little as the rules look at. */
import type { BidSummary } from '../../../protocols/bidding/schema.ts'
import { fault } from '../../../protocols/kernel/errors.ts'
import { awardIdOf, type CapabilityName, type Epoch, type MissionId, type PeerId, type Principal, type TaskId } from '../../../protocols/kernel/ids.ts'
import type { Json } from '../../../protocols/kernel/payload.ts'
import { applyEvent, openMission, type MissionFold, type TaskNode } from '../../../protocols/tasking/mission-state.ts'
import type { AwardRecord, MissionEvent, MissionLimits, TaskSpec } from '../../../protocols/tasking/schema.ts'

export const missionId = 'm-aaaaaaaa-bbbbbbbbbbbb' as MissionId
export const root = 'root' as TaskId
export const firstEpoch: Epoch = { lineage: 1, term: 1 }
export const worker = 'worker-1' as PeerId
export const problem = fault('skill-failed', 'it broke')

export type EventOf<Type extends MissionEvent['type']> = Extract<MissionEvent, { type: Type }>

export function id(path: string): TaskId {
  return path as TaskId
}

export function spec(taskId: string, kind: 'leaf' | 'composite' = 'leaf', optional = false): TaskSpec {
  return {
    taskId: id(taskId), kind, capability: 'number.double' as CapabilityName, effects: 'none', input: { inline: {} }, after: [], priority: 5, effort: 1, accept: [],
    retry: { attemptsMax: 4, backoffMs: 1_000 }, timeLimitMs: 60_000, optional,
  }
}

export function submitted(limits: Partial<MissionLimits> = {}): EventOf<'submitted'> {
  return {
    type: 'submitted', atWallMs: 1, missionId, principal: 'local' as Principal, owner: worker, name: 'test', request: { inline: {} }, rootSpec: spec('root', 'composite'), priority: 5,
    limits: { leavesMax: 30, depthMax: 3, budgetUsd: 1, durationMs: 3_600_000, ...limits }, acknowledgement: 'local', requestDigest: '0'.repeat(64),
  }
}

export function planned(taskId: string, ...children: TaskSpec[]): EventOf<'planned'> {
  return { type: 'planned', atWallMs: 2, taskId: id(taskId), children }
}

export function awarded(taskId: string, attempt = 1, given: { epoch?: Epoch; priceUsd?: number; worker?: PeerId } = {}): EventOf<'awarded'> {
  const epoch = given.epoch ?? firstEpoch
  const bid: BidSummary = {
    peer: given.worker ?? worker, name: 'w', version: '1.0', estimatedFinishMs: 1, calibratedFinishMs: 1, priceUsd: given.priceUsd ?? 0, slotsFree: 1,
    breakdown: { queueMs: 0, warmUpMs: 0, transferMs: 0, runMs: 1, samples: 1 }, terms: { finish: 1, price: 1, reliability: 1, headroom: 1, spread: 1 }, total: 1,
  }
  const award: AwardRecord = {
    awardId: awardIdOf(missionId, id(taskId), attempt, epoch), taskId: id(taskId), attempt, epoch, worker: bid.peer, workerName: 'w', capability: 'number.double' as CapabilityName, version: '1.0',
    bid, bids: [bid], refusals: [], why: 'the only bid',
  }
  return { type: 'awarded', atWallMs: 3, award }
}

export function ended(taskId: string, outcome: 'refused' | 'lost' | 'failed', attempt = 1, retryInMs?: number): EventOf<'award-ended'> {
  return { type: 'award-ended', atWallMs: 4, awardId: awardIdOf(missionId, id(taskId), attempt, firstEpoch), taskId: id(taskId), outcome, fault: problem, ...(retryInMs === undefined ? {} : { retryInMs }) }
}

export function accepted(taskId: string, attempt = 1, cites: readonly string[] = []): EventOf<'accepted'> {
  return { type: 'accepted', atWallMs: 5, taskId: id(taskId), awardId: awardIdOf(missionId, id(taskId), attempt, firstEpoch), result: { inline: taskId }, cites: cites.map((path) => awardIdOf(missionId, id(path), 1, firstEpoch)), tookMs: 1 }
}

export function checkpointed(taskId: string, value: Json, attempt = 1): EventOf<'checkpointed'> {
  return { type: 'checkpointed', atWallMs: 4, taskId: id(taskId), awardId: awardIdOf(missionId, id(taskId), attempt, firstEpoch), checkpoint: { inline: value } }
}

export function dead(taskId: string): EventOf<'dead'> {
  return { type: 'dead', atWallMs: 6, taskId: id(taskId), fault: problem }
}

export function fold(...events: MissionEvent[]): MissionFold {
  const state = openMission(submitted(), 1)
  events.forEach((event, i) => applyEvent(state, event, i + 2))
  return state
}

export function taskIn(state: MissionFold, path: string): TaskNode {
  const task = state.tasks.get(id(path))
  if (task === undefined) throw new Error(`there is no ${path}`)
  return task
}
