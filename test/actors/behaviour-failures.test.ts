import { describe, expect, it } from 'vitest'
import type { ActorMessage } from '../../actors/messages.ts'
import { actorNames } from '../../actors/names.ts'
import { missions } from '../../actors/behaviours/missions.ts'
import { participant } from '../../actors/behaviours/participant.ts'
import { logKeeper } from '../../actors/behaviours/replication/log-keeper.ts'
import type { ActorContext, Behaviour } from '../../actors/runtime/actor.ts'
import type { Effect } from '../../actors/runtime/effects.ts'
import { defaultTuning } from '../../actors/tuning.ts'
import { awardsIn, type Award, type AwardedTask, type AwardTerms } from '../../protocols/bidding/schema.ts'
import { fault } from '../../protocols/kernel/errors.ts'
import type { CallId, GroupId, Incarnation, MissionId, Principal, TaskId } from '../../protocols/kernel/ids.ts'
import { seededRandom } from '../../protocols/kernel/prng.ts'
import type { Membership } from '../../protocols/membership/schema.ts'
import { extend, logOrigin } from '../../protocols/replicated-log/chain.ts'
import type { MessageOf } from '../../protocols/wire.ts'
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

/** Drives one behaviour by hand, a turn for every message, and compares what it wants done. */
function driven<State>(behaviour: Behaviour<State>, actor: string) {
  const { state } = behaviour.start(contextOf(actor))
  return (message: ActorMessage, from = { peer: self, actor: 'test' }, alive: readonly string[] = []): readonly Effect[] => [...behaviour.receive(state, { message, from }, contextOf(actor, alive)), ...(behaviour.endTurn?.(state, contextOf(actor, alive)) ?? [])]
}

const incarnation = 'life' as Incarnation
const alone: Membership = { voters: [{ peer: self, incarnation }], learners: [] }
const firstEpoch = { lineage: 1, term: 1 }

describe('the missions desk', () => {
  const led = (): ActorMessage => {
    const entries = extend(logOrigin, firstEpoch, [{ type: 'members', atWallMs: 0, membership: alone }])
    // A snapshot stands for the mission that had begun.
    return { kind: 'group-led', group: missionId, epoch: firstEpoch, membership: alone, entries, commit: 1, snapshot: { at: logOrigin, membership: alone, version: 1, state: { inline: {} } } }
  }

  it('opens a mission whose orchestrator failed again from the log, a few times at most', () => {
    const desk = driven(missions({ nodeName: 'node', tuning: defaultTuning, replica: true }), actorNames.missions)
    desk({ kind: 'groups-opened', incarnation, lostEverything: false, groups: [{ group: missionId, membership: alone }] })
    expect(desk(led())).toMatchObject([{ type: 'spawn', name: actorNames.orchestrator(missionId) }])
    const failed: ActorMessage = { kind: 'child-failed', name: actorNames.orchestrator(missionId), reason: 'invariant broken' }
    for (let times = 1; times <= 3; times++) {
      expect(desk(failed)).toContainEqual({ type: 'tell', to: { peer: self, actor: actorNames.logKeeper }, message: { kind: 'lead-again', group: missionId } })
      expect(desk(led())).toMatchObject([{ type: 'spawn', name: actorNames.orchestrator(missionId) }])
    }
    expect(desk(failed).map(({ type }) => type)).toEqual(['fact'])
  })

  it('leaves a mission alone whose orchestrator failed when another node leads it by now', () => {
    const desk = driven(missions({ nodeName: 'node', tuning: defaultTuning, replica: true }), actorNames.missions)
    desk({ kind: 'groups-opened', incarnation, lostEverything: false, groups: [] })
    desk(led())
    desk({ kind: 'group-followed', group: missionId, leader: far })
    expect(desk({ kind: 'child-failed', name: actorNames.orchestrator(missionId), reason: 'invariant broken' }).map(({ type }) => type)).toEqual(['fact'])
  })
})

describe('the participant', () => {
  const from = { peer: far, actor: 'manager' }
  const terms: AwardTerms = {
    missionId, epoch: { lineage: 1, term: 1 }, kind: 'leaf', manager: from, orchestrator: { peer: far, actor: 'orchestrator' },
    principal: 'local' as Principal, capability: capability('work.do').name, version: '1.0', effects: 'none', leaseMs: 6_000, remainingMs: 1_000,
  }
  const taskOf = (name: string): AwardedTask => ({ taskId: `root/${name}` as TaskId, attempt: 1, callId: `call-${name}` as CallId, effort: 1, input: { inline: {} }, priority: 5, timeLimitMs: 1_000 })
  const accepting = (...names: string[]): MessageOf<'accept-proposal'> => ({ kind: 'accept-proposal', terms, tasks: names.map(taskOf) })
  const awardOf = (name: string): Award => awardsIn(accepting(name))[0] as Award
  const workerName = actorNames.worker(missionId, 0)
  const bidding = (slots: number) => driven(participant({
    name: 'node', slots, capabilities: [capability('work.do')], refuseOnBattery: false, nodesExpected: 10, tuning: defaultTuning, managerOf: () => ({ kind: 'manager' }), workerOf: (id) => ({ kind: `worker of ${id}` }),
  }), actorNames.participant)
  const { awardId } = awardOf('one')

  it('stops the skills of a worker that failed, tells its manager, and bids with the free slot for what it had to refuse', () => {
    const bidder = bidding(1)
    expect(bidder(accepting('one'), from)).toMatchObject([
      { type: 'tell', message: { kind: 'confirm', awardIds: [awardId] } }, { type: 'fact' }, { type: 'spawn', name: workerName, behaviour: { kind: `worker of ${missionId}` } },
      { type: 'tell', to: { peer: self, actor: workerName }, message: { kind: 'run-awards', awards: [awardOf('one')] } },
    ])
    expect(bidder(accepting('two'), from)).toMatchObject([{ message: { kind: 'refuse-award', awardId: awardOf('two').awardId, refusal: { callId: 'call-two', reason: 'no-free-slot' } } }])
    const effects = bidder({ kind: 'child-failed', name: workerName, reason: 'invariant broken' })
    expect(effects).toMatchObject([{ type: 'stop-skill', runId: awardId }, { type: 'tell', to: { peer: far }, message: { kind: 'failure', awardId, fault: { code: 'internal', retryable: true } } }, { type: 'tell', to: { actor: actorNames.invoker }, message: { kind: 'askers-gone', actor: workerName } }, { type: 'tell', message: { kind: 'propose', bids: [{ callId: 'call-two' }] } }, { type: 'set-timer', key: 'bid' }])
    expect(bidder(accepting('three'), from), 'another worker, under another name').toMatchObject([{ message: { kind: 'confirm' } }, { type: 'fact' }, { type: 'spawn', name: actorNames.worker(missionId, 1) }, { to: { actor: actorNames.worker(missionId, 1) }, message: { kind: 'run-awards' } }])
  })

  it('takes of many awards what it has places for, confirms those together and gives them to one worker; the rest it refuses', () => {
    const bidder = bidding(2)
    const effects = bidder(accepting('one', 'two', 'three'), from)
    const told = effects.flatMap((effect) => (effect.type === 'tell' ? [effect.message] : []))
    expect(told).toMatchObject([
      { kind: 'confirm', awardIds: [awardId, awardOf('two').awardId] }, { kind: 'refuse-award', awardId: awardOf('three').awardId, refusal: { reason: 'no-free-slot' } }, { kind: 'run-awards', awards: [awardOf('one'), awardOf('two')] },
    ])
    expect(effects.filter(({ type }) => type === 'spawn')).toHaveLength(1)
    const lost = bidder({ kind: 'child-failed', name: workerName, reason: 'invariant broken' })
    expect(lost.flatMap((effect) => (effect.type === 'stop-skill' ? [effect.runId] : []))).toEqual([awardId, awardOf('two').awardId])
    expect(lost.flatMap((effect) => (effect.type === 'tell' && effect.message.kind === 'failure' ? [effect.message.awardId] : []))).toEqual([awardId, awardOf('two').awardId])
  })

  it('an award by a standing offer is not confirmed, and refused by the name of the call that there was none of', () => {
    const { callId: _, ...uncalled } = taskOf('one')
    const byOffer: ActorMessage = { kind: 'accept-proposal', terms, tasks: [uncalled] }
    expect(bidding(1)(byOffer, from)).toMatchObject([{ type: 'fact' }, { type: 'spawn' }, { message: { kind: 'run-awards', awards: [{ awardId }] } }])
    expect(bidding(0)(byOffer, from)).toMatchObject([{ message: { kind: 'refuse-award', awardId, refusal: { reason: 'no-free-slot' } } }])
  })

  it('confirms an award that comes twice and runs it once', () => {
    const bidder = bidding(2)
    bidder(accepting('one'), from)
    expect(bidder(accepting('one'), from)).toMatchObject([{ type: 'tell', message: { kind: 'confirm', awardIds: [awardId] } }])
  })

  it('a worker ends when it has nothing to do and nothing is on its way to it', () => {
    const bidder = bidding(2)
    const worker = { peer: self, actor: workerName }
    bidder(accepting('one'), from)
    expect(bidder({ kind: 'worker-idle', missionId }, worker), 'it has not heard of its award yet').toEqual([])
    bidder({ kind: 'awards-finished', awards: [{ awardId, effort: 1, capability: terms.capability, version: terms.version }] }, worker)
    expect(bidder({ kind: 'worker-idle', missionId }, worker), 'the result is not acknowledged').toEqual([])
    bidder({ kind: 'awards-forgotten', awardIds: [awardId] }, worker)
    expect(bidder({ kind: 'worker-idle', missionId }, { peer: self, actor: 'worker/other/0' })).toEqual([])
    expect(bidder({ kind: 'worker-idle', missionId }, worker)).toEqual([{ type: 'tell', to: worker, message: { kind: 'worker-ends' } }])
    expect(bidder(accepting('two'), from)).toContainEqual(expect.objectContaining({ type: 'spawn', name: actorNames.worker(missionId, 1) }))
  })

  it('passes a cancel on in the order in which the award came, with its sender', () => {
    const bidder = bidding(1)
    const message = { kind: 'cancel', awardId, reason: 'enough' } as const
    expect(bidder(message, from)).toEqual([])
    bidder(accepting('one'), from)
    expect(bidder(message, from), 'its worker is gone').toEqual([])
    expect(bidder(message, from, [workerName])).toEqual([{ type: 'tell', to: { peer: self, actor: workerName }, message: { kind: 'passed-on', message, from } }])
  })
})

describe('the log-keeper', () => {
  const writes = (effects: readonly Effect[]) => effects.filter(({ type }) => type === 'write-log')
  const answers = (effects: readonly Effect[]) => effects.flatMap((effect) => (effect.type === 'tell' && effect.message.kind === 'appended' ? [effect.message] : []))
  const written: ActorMessage = { kind: 'log-written', tag: 'batch' }
  const groups = ['one', 'two', 'three'].map((name) => `m-${name.padEnd(8, 'a')}-bbbbbbbbbbbb` as MissionId)

  /** With three groups of this node alone, each of them founded and on the disk. */
  function founded() {
    const keeper = driven(logKeeper({ tuning: defaultTuning, likesToLead: true }), actorNames.logKeeper)
    keeper({ kind: 'log-opened', tag: 'open', found: { incarnation, lostEverything: false, groups: [] } })
    const heads = new Map<GroupId, ReturnType<typeof extend>>()
    for (const group of groups) {
      const effects = keeper({ kind: 'found-group', group, membership: alone, durable: true, aimed: 1 })
      const all = [...effects, ...keeper(written), ...keeper(written)]
      const led = all.flatMap((effect) => (effect.type === 'tell' && effect.message.kind === 'group-led' ? [effect.message] : [])).at(-1)
      heads.set(group, [...(led?.entries ?? [])])
    }
    const append = (group: MissionId, tag: string): ActorMessage => {
      const last = heads.get(group)?.at(-1)
      if (last === undefined) throw new Error(`${group} is not led`)
      return { kind: 'append', tag, group, entries: extend({ index: last.index, chain: last.chain }, firstEpoch, [{ type: 'paused', atWallMs: 1 }]) }
    }
    return { keeper, append }
  }

  it('writes what was asked during one sync together in the next, and answers only after it', () => {
    const { keeper, append } = founded()
    const [one, two, three] = groups as [MissionId, MissionId, MissionId]
    const first = keeper(append(one, 'one'))
    expect([writes(first).length, answers(first)]).toEqual([1, []])
    const meanwhile = [...keeper(append(two, 'two')), ...keeper(append(three, 'three'))]
    expect([writes(meanwhile), answers(meanwhile)]).toEqual([[], []])
    const after = keeper(written)
    expect(answers(after)).toEqual([{ kind: 'appended', tag: 'one' }])
    const [next] = writes(after)
    expect(next?.type === 'write-log' ? next.batch.writes.filter(({ entries }) => entries.length > 0).map(({ head }) => head.group) : []).toEqual([two, three])
    expect(answers(keeper(written)).map(({ tag }) => tag)).toEqual(['two', 'three'])
  })

  it('after a failed write refuses everything and gives the node up', () => {
    const { keeper, append } = founded()
    const [one, two, three] = groups as [MissionId, MissionId, MissionId]
    keeper(append(one, 'one'))
    keeper(append(two, 'two'))
    const failed = keeper({ kind: 'log-written', tag: 'batch', fault: fault('storage-failed', 'disk full') })
    expect(answers(failed)).toMatchObject([{ tag: 'one', fault: { code: 'storage-failed' } }, { tag: 'two', fault: { code: 'storage-failed' } }])
    expect(failed.at(-1)).toMatchObject({ type: 'give-up' })
    const after = keeper(append(three, 'three'))
    expect([writes(after), answers(after)], 'nothing is written or promised any more').toEqual([[], []])
  })

  it('gives the node up when its log cannot be opened', () => {
    const keeper = driven(logKeeper({ tuning: defaultTuning, likesToLead: true }), actorNames.logKeeper)
    expect(keeper({ kind: 'log-opened', tag: 'open', fault: fault('storage-failed', 'rotten') })).toMatchObject([{ type: 'give-up' }])
  })
})
