/** Calls and bids for the tests of the contract net, with as little as the rules look at. */
import type { InitiatorOutput } from '../../../protocols/bidding/initiator.ts'
import type { Award, Bid, Call, Cfp } from '../../../protocols/bidding/schema.ts'
import type { ActorAddress, AwardId, CallId, CapabilityName, MissionId, PeerId, Principal, TaskId } from '../../../protocols/kernel/ids.ts'

export const trusted = { ratio: 1, reliability: 1, breakerOpen: false }

export function peer(name: string): PeerId {
  return name as PeerId
}

export function at(name: string): ActorAddress {
  return { peer: peer(name), actor: 'participant' }
}

export function call(name: string, given: Partial<Call> = {}): Call {
  return {
    callId: name as CallId, missionId: 'm-aaaaaaaa-bbbbbbbbbbbb' as MissionId, taskId: `root/${name}` as TaskId, attempt: 1, kind: 'leaf', capability: 'number.double' as CapabilityName, effects: 'none',
    priority: 5, effort: 1, inputBytes: 0, holders: [], excluded: [], budgetUsd: 1, remainingMs: 60_000, ...given,
  }
}

export function bid(callName: string, given: Partial<Bid> = {}): Bid {
  return {
    callId: callName as CallId, version: '1.0', estimatedFinishMs: 1_000, breakdown: { queueMs: 0, warmUpMs: 0, transferMs: 0, runMs: 1_000, samples: 5 }, priceUsd: 0, slotsFree: 1, slots: 1, locality: 1,
    hostsOrchestrator: false, expiresInMs: 5_000, ...given,
  }
}

export function cfp(initiator: string, principal: string, calls: readonly Call[], given: Partial<Cfp> = {}): Cfp {
  return { kind: 'cfp', initiator: { peer: peer(initiator), actor: 'manager' }, principal: principal as Principal, threshold: 1, expiresInMs: 20_000, calls: [...calls], ...given }
}

export function award(name: string, given: Partial<Award> = {}): Award {
  const manager = { peer: peer('manager'), actor: 'manager' }
  return {
    awardId: `award-${name}` as AwardId, callId: name as CallId, missionId: 'm-aaaaaaaa-bbbbbbbbbbbb' as MissionId, taskId: `root/${name}` as TaskId, attempt: 1, epoch: { lineage: 1, term: 1 }, kind: 'leaf', manager,
    orchestrator: manager, principal: 'local' as Principal, capability: 'number.double' as CapabilityName, version: '1.0', effects: 'none', effort: 1, input: { inline: {} }, priority: 5, timeLimitMs: 60_000, leaseMs: 6_000,
    remainingMs: 60_000, ...given,
  }
}

export type AwardOutput = Extract<InitiatorOutput, { type: 'award' }>

export function awardsIn(outputs: readonly InitiatorOutput[]): AwardOutput[] {
  return outputs.filter((output) => output.type === 'award')
}

/** `call→winner` for every award. */
export function winners(outputs: readonly InitiatorOutput[]): string[] {
  return awardsIn(outputs).map((output) => `${output.call.callId}→${output.winner.peer}`)
}
