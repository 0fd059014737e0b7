import { describe, expect, it } from 'vitest'
import type { ActorMessage } from '../../actors/messages.ts'
import { actorNames } from '../../actors/names.ts'
import { logKeeper } from '../../actors/behaviours/log-keeper.ts'
import { missions } from '../../actors/behaviours/missions.ts'
import { participant } from '../../actors/behaviours/participant.ts'
import type { ActorContext, Behaviour } from '../../actors/runtime/actor.ts'
import type { Effect } from '../../actors/runtime/effects.ts'
import { defaultTuning } from '../../actors/tuning.ts'
import type { Award } from '../../protocols/bidding/schema.ts'
import { fault } from '../../protocols/kernel/errors.ts'
import type { AwardId, CallId, MissionId, Principal, TaskId } from '../../protocols/kernel/ids.ts'
import { seededRandom } from '../../protocols/kernel/prng.ts'
import type { LogHead } from '../../protocols/replicated-log/schema.ts'
import { virtualPeerId } from '../../sim/identity-virtual-adapter.ts'
import { capability } from './virtual-missions.ts'

const self = virtualPeerId('node')
const far = virtualPeerId('far')
const missionId = 'm-aaaaaaaa-bbbbbbbbbbbb' as MissionId

function contextOf(actor: string, alive: readonly string[] = []): ActorContext {
  return {
    self: { peer: self, actor }, nowMs: 1_000, wallMs: 1_000_000, random: seededRandom([1, 1]), sign: () => new Uint8Array(64), verify: () => true,
    exists: (name) => alive.includes(name), connected: () => true,
  }
}

/** Drives one behaviour by hand and compares what it wants done. */
function driven<State>(behaviour: Behaviour<State>, actor: string) {
  const { state } = behaviour.start(contextOf(actor))
  return (message: ActorMessage, from = { peer: self, actor: 'test' }, alive: readonly string[] = []): readonly Effect[] => behaviour.receive(state, { message, from }, contextOf(actor, alive))
}

describe('the missions desk', () => {
  const head: LogHead = { missionId, index: 7, chain: 'c'.repeat(64), epoch: { lineage: 1, term: 1 }, sealed: false }

  it('opens a mission whose orchestrator failed again from the log, a few times at most', () => {
    const desk = driven(missions({ nodeName: 'node', tuning: defaultTuning, replica: true }), actorNames.missions)
    desk({ kind: 'log-opened', tag: 'open', heads: [], claims: [] })
    const failed: ActorMessage = { kind: 'child-failed', name: actorNames.orchestrator(missionId), reason: 'invariant broken' }
    for (let times = 1; times <= 3; times++) {
      expect(desk(failed)).toContainEqual({ type: 'open-log', tag: missionId })
      expect(desk({ kind: 'log-opened', tag: missionId, heads: [head], claims: [] })).toMatchObject([{ type: 'spawn', name: actorNames.orchestrator(missionId) }])
    }
    expect(desk(failed).map(({ type }) => type)).toEqual(['fact'])
  })

  it('gives the node up when its log cannot be opened', () => {
    const desk = driven(missions({ nodeName: 'node', tuning: defaultTuning, replica: true }), actorNames.missions)
    expect(desk({ kind: 'log-opened', tag: 'open', heads: [], claims: [], fault: fault('storage-failed', 'rotten') })).toMatchObject([{ type: 'give-up' }])
  })
})

describe('the participant', () => {
  const award: Award = {
    awardId: 'award-1' as AwardId, callId: 'call-1' as CallId, missionId, taskId: 'root/x' as TaskId, attempt: 1, epoch: { lineage: 1, term: 1 }, kind: 'leaf', manager: { peer: far, actor: 'manager' }, orchestrator: { peer: far, actor: 'orchestrator' },
    principal: 'local' as Principal, capability: capability('work.do').name, version: '1.0', effects: 'none', effort: 1, input: { inline: {} }, priority: 5, timeLimitMs: 1_000, leaseMs: 6_000, remainingMs: 1_000,
  }

  it('stops the skill of a worker that failed, tells its manager, and bids with the free slot for what it had to refuse', () => {
    const bidder = driven(participant({ name: 'node', slots: 1, capabilities: [capability('work.do')], refuseOnBattery: false, nodesExpected: 10, tuning: defaultTuning, runnerOf: () => ({ kind: 'worker' }) }), actorNames.participant)
    const from = { peer: far, actor: 'manager' }
    expect(bidder({ kind: 'accept-proposal', award }, from)).toMatchObject([{ type: 'tell', message: { kind: 'confirm' } }, { type: 'spawn', name: actorNames.award(award.awardId) }, { type: 'fact' }])
    expect(bidder({ kind: 'accept-proposal', award: { ...award, awardId: 'award-2' as AwardId } }, from)).toMatchObject([{ message: { kind: 'refuse-award', refusal: { reason: 'no-free-slot' } } }])
    const effects = bidder({ kind: 'child-failed', name: actorNames.award(award.awardId), reason: 'invariant broken' })
    expect(effects).toMatchObject([{ type: 'stop-skill', runId: award.awardId }, { type: 'tell', to: { peer: far }, message: { kind: 'failure', awardId: award.awardId, fault: { code: 'internal', retryable: true } } }, { type: 'tell', message: { kind: 'propose', bids: [{ callId: 'call-1' }] } }, { type: 'set-timer', key: 'bid' }])
    expect(bidder({ kind: 'accept-proposal', award: { ...award, awardId: 'award-3' as AwardId } }, from)).toMatchObject([{ message: { kind: 'confirm' } }, { type: 'spawn' }, { type: 'fact' }])
  })

  it('confirms an award that comes twice and runs it once', () => {
    const bidder = driven(participant({ name: 'node', slots: 2, capabilities: [capability('work.do')], refuseOnBattery: false, nodesExpected: 10, tuning: defaultTuning, runnerOf: () => ({ kind: 'worker' }) }), actorNames.participant)
    const from = { peer: far, actor: 'manager' }
    bidder({ kind: 'accept-proposal', award }, from)
    expect(bidder({ kind: 'accept-proposal', award }, from)).toMatchObject([{ type: 'tell', message: { kind: 'confirm' } }])
  })

  it('passes a cancel on in the order in which the award came, with its sender', () => {
    const bidder = driven(participant({ name: 'node', slots: 1, capabilities: [capability('work.do')], refuseOnBattery: false, nodesExpected: 10, tuning: defaultTuning, runnerOf: () => ({ kind: 'worker' }) }), actorNames.participant)
    const from = { peer: far, actor: 'manager' }
    const message = { kind: 'cancel', awardId: award.awardId, reason: 'enough' } as const
    expect(bidder(message, from)).toEqual([])
    expect(bidder(message, from, [actorNames.award(award.awardId)])).toEqual([{ type: 'tell', to: { peer: self, actor: actorNames.award(award.awardId) }, message: { kind: 'passed-on', message, from } }])
  })
})

describe('the log-keeper', () => {
  const append = (tag: string): ActorMessage => ({ kind: 'append', tag, entries: [], head: { missionId, index: 0, chain: '0'.repeat(64), epoch: { lineage: 1, term: 1 }, sealed: false } })
  const writes = (effects: readonly Effect[]) => effects.filter(({ type }) => type === 'write-log')

  it('writes what was asked during one sync together in the next, and answers only after it', () => {
    const keeper = driven(logKeeper(), actorNames.logKeeper)
    expect(writes(keeper(append('one')))).toHaveLength(1)
    expect([...keeper(append('two')), ...keeper(append('three'))]).toEqual([])
    const after = keeper({ kind: 'log-written', tag: 'batch' })
    expect(after).toMatchObject([{ message: { kind: 'appended', tag: 'one' } }, { type: 'write-log' }])
    expect(keeper({ kind: 'log-written', tag: 'batch' })).toMatchObject([{ message: { kind: 'appended', tag: 'two' } }, { message: { kind: 'appended', tag: 'three' } }])
  })

  it('after a failed write refuses everything and gives the node up', () => {
    const keeper = driven(logKeeper(), actorNames.logKeeper)
    keeper(append('one'))
    keeper(append('two'))
    const failed = keeper({ kind: 'log-written', tag: 'batch', fault: fault('storage-failed', 'disk full') })
    expect(failed.filter(({ type }) => type === 'tell')).toMatchObject([{ message: { tag: 'one', fault: { code: 'storage-failed' } } }, { message: { tag: 'two', fault: { code: 'storage-failed' } } }])
    expect(failed.at(-1)).toMatchObject({ type: 'give-up' })
    expect(keeper(append('three'))).toMatchObject([{ message: { kind: 'appended', tag: 'three', fault: { code: 'storage-failed' } } }])
  })
})
