import { describe, expect, it } from 'vitest'
import { manager } from '../../actors/behaviours/manager.ts'
import type { ManagerState } from '../../actors/behaviours/manager-state.ts'
import { worker } from '../../actors/behaviours/worker.ts'
import type { ActorMessage } from '../../actors/messages.ts'
import type { ActorContext, Delivery } from '../../actors/runtime/actor.ts'
import type { Effect } from '../../actors/runtime/effects.ts'
import { defaultTuning } from '../../actors/tuning.ts'
import type { Award } from '../../protocols/bidding/schema.ts'
import { fault } from '../../protocols/kernel/errors.ts'
import { awardIdOf, type ActorAddress, type PeerId, type Principal } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { foldSlice } from '../../protocols/tasking/fold-snapshot.ts'
import { applyEvent } from '../../protocols/tasking/mission-state.ts'
import type { MissionEvent } from '../../protocols/tasking/schema.ts'
import type { MessageOf } from '../../protocols/wire.ts'
import { awarded, checkpointed, ended, firstEpoch, fold, id, missionId, planned, spec } from '../protocols/tasking/histories.ts'

const here = 'owner' as PeerId
const there = 'worker-1' as PeerId
const managerAt: ActorAddress = { peer: here, actor: 'manager' }
const workerAt: ActorAddress = { peer: there, actor: 'worker' }
const awardId = awardIdOf(missionId, id('root/t'), 1, firstEpoch)
const award: Award = {
  awardId, callId: `${awardId}?` as Award['callId'], missionId, taskId: id('root/t'), attempt: 1, epoch: firstEpoch, kind: 'leaf', manager: managerAt, orchestrator: { peer: here, actor: 'mission' }, principal: 'local' as Principal,
  capability: spec('root/t').capability, version: '1.0', effects: 'none', effort: 1, input: { inline: {} }, priority: 5, timeLimitMs: 60_000, leaseMs: 6_000, remainingMs: 60_000,
}

/** An actor by itself: what it is told, and what it says. */
function alone<S>(behaviour: { start(context: ActorContext): { state: S; effects: readonly Effect[] }; receive(state: S, delivery: Delivery, context: ActorContext): readonly Effect[]; endTurn?(state: S, context: ActorContext): readonly Effect[] }, self: ActorAddress) {
  let nowMs = 0
  const context = (): ActorContext => ({ self, nowMs, wallMs: 1_000 + nowMs, connected: () => true, exists: () => true, random: { next: () => 0.5 } }) as unknown as ActorContext
  const started = behaviour.start(context())
  // A turn for every message.
  const effectsOf = (from: ActorAddress, message: ActorMessage) => [...behaviour.receive(started.state, { message, from } as Delivery, context()), ...(behaviour.endTurn?.(started.state, context()) ?? [])]
  const said = (effects: readonly Effect[]) => effects.flatMap((effect) => (effect.type === 'tell' ? [effect.message] : []))
  return {
    state: started.state, started: started.effects,
    later: (ms: number) => {
      nowMs += ms
    },
    hear: (from: ActorAddress, message: ActorMessage) => said(effectsOf(from, message)),
    effectsOf,
  }
}

/** A worker of the mission that was given this award, and what it did at that. */
function working(given: Award = award) {
  const actor = alone(worker(missionId), workerAt)
  return { ...actor, begun: actor.effectsOf({ peer: there, actor: 'participant' }, { kind: 'run-awards', awards: [given] }) }
}

const stats = { queueMs: 0, transferMs: 0, runMs: 1, costUsd: 0 }
const published = (step: number): ActorMessage => ({ kind: 'skill-event', runId: awardId, event: { type: 'checkpoint', value: { inline: step } } })
const told = (step: number, number: number) => ({ kind: 'checkpoint', awardId, number, checkpoint: { inline: step } })
const kinds = (messages: readonly ActorMessage[]) => messages.map(({ kind }) => kind)

describe('a worker', () => {
  it('gives the skill what the attempt before has left', () => {
    const start = (given: Award) => working(given).begun.find((effect) => effect.type === 'start-skill')
    expect(start({ ...award, checkpoint: { inline: 7 } })).toMatchObject({ run: { checkpoint: { inline: 7 } } })
    expect(start(award)?.run).not.toHaveProperty('checkpoint')
  })

  it('hands its newest checkpoint on until it is heard, to whoever manages it by then', () => {
    const actor = working()
    const tick = (): ActorMessage[] => {
      actor.later(limits.checkpointGapMs)
      return actor.hear(workerAt, { kind: 'tick' }).filter(({ kind }) => kind === 'checkpoint')
    }
    expect(actor.hear(workerAt, published(1))).toEqual([told(1, 1)])
    expect(actor.hear(workerAt, published(2)), 'not before its time').toEqual([])
    expect(tick()).toEqual([told(2, 2)])
    actor.hear(managerAt, { kind: 'checkpoint-heard', awardId, number: 1 })
    expect(tick()).toEqual([told(2, 2)])
    const another: ActorAddress = { peer: 'heir' as PeerId, actor: 'manager' }
    expect(actor.hear(another, { kind: 'adopt', awardId, epoch: { lineage: 1, term: 2 }, manager: another, orchestrator: another, leaseMs: 6_000 })).toContainEqual(told(2, 2))
    actor.hear(managerAt, { kind: 'checkpoint-heard', awardId, number: 2 })
    expect(tick(), 'the old manager is not listened to').toEqual([told(2, 2)])
    actor.hear(another, { kind: 'checkpoint-heard', awardId, number: 2 })
    expect(tick()).toEqual([])
  })

  it('sends the newest before a failure and before it hands back, and none with a result', () => {
    const after = (last: ActorMessage) => {
      const actor = working()
      for (const step of [1, 2]) actor.hear(workerAt, published(step))
      return actor.hear(workerAt, last).filter(({ kind }) => ['checkpoint', 'failure', 'inform', 'hand-back'].includes(kind))
    }
    const failed = after({ kind: 'skill-event', runId: awardId, event: { type: 'failed', fault: fault('skill-failed', 'broke'), stats } })
    expect([kinds(failed), failed[0]]).toEqual([['checkpoint', 'failure'], told(2, 2)])
    expect(kinds(after({ kind: 'tick', what: 'hand-back' }))).toEqual(['checkpoint', 'hand-back'])
    expect(kinds(after({ kind: 'skill-event', runId: awardId, event: { type: 'done', output: { inline: 1 }, stats } }))).toEqual(['inform'])
  })
})

describe('a manager', () => {
  const root = id('root')
  const rootAward = awardIdOf(missionId, root, 1, firstEpoch)
  const owner: ActorAddress = { peer: here, actor: 'mission' }

  /** A root manager that has folded this, by itself or after a base. */
  function attachedTo(events: readonly MissionEvent[], since: readonly MissionEvent[] = []) {
    const mission = fold(...events)
    const actor = alone<ManagerState>(manager({ missionId, taskId: root, awardId: rootAward, epoch: firstEpoch, orchestrator: owner, principal: 'local' as Principal, tuning: defaultTuning }), managerAt)
    const frame: MessageOf<'attached'> = {
      kind: 'attached', missionId, taskId: root, epoch: firstEpoch, paused: false, limits: mission.limits, leavesLeft: 20, priority: 5, remainingMs: 1_000_000,
      base: { inline: foldSlice(mission, root) }, events: since.map((event, i) => ({ index: mission.lastIndex + 1 + i, event })), last: true,
    }
    actor.hear(owner, frame)
    return actor
  }
  const running = () => attachedTo([planned('root', spec('root/t'))], [awarded('root/t')])
  const recordIn = (messages: readonly ActorMessage[]) => messages.find((message): message is MessageOf<'record'> => message.kind === 'record')
  const checkpoint = (step: number, number: number) => told(step, number) as ActorMessage

  it('goes on from a base and the events after it', () => {
    const { state } = running()
    const whole = fold(planned('root', spec('root/t')))
    applyEvent(whole, awarded('root/t'), 3)
    expect(state.fold?.tasks).toEqual(whole.tasks)
    expect(state).toMatchObject({ phase: 'running', attachBase: undefined, attached: undefined })
  })

  it('fetches a base that is not inline, and folds once it is there', () => {
    const mission = fold(planned('root', spec('root/t')))
    const actor = alone<ManagerState>(manager({ missionId, taskId: root, awardId: rootAward, epoch: firstEpoch, orchestrator: owner, principal: 'local' as Principal, tuning: defaultTuning }), managerAt)
    const blob = { $blob: 'a'.repeat(64) as never, sizeBytes: 50_000 }
    const effects = actor.effectsOf(owner, { kind: 'attached', missionId, taskId: root, epoch: firstEpoch, paused: true, limits: mission.limits, leavesLeft: 20, priority: 5, remainingMs: 1_000_000, base: { blob }, events: [{ index: 3, event: awarded('root/t') }], last: true })
    expect(effects).toEqual([{ type: 'load-value', payload: { blob }, alsoTry: [here], tag: 'base' }])
    actor.hear(managerAt, { kind: 'value-loaded', tag: 'base', fault: fault('unknown-blob', 'gone') })
    expect(actor.state.phase).toBe('attaching')
    actor.hear(managerAt, { kind: 'value-loaded', tag: 'base', value: foldSlice(mission, root) })
    expect(actor.state).toMatchObject({ phase: 'running', fold: { lastIndex: 3 } })
  })

  it('puts a checkpoint into the log, one at a time, and tells the worker once it is there', () => {
    const actor = running()
    const record = recordIn(actor.hear(workerAt, checkpoint(1, 1)))
    expect(record?.events).toMatchObject([{ type: 'checkpointed', taskId: 'root/t', awardId, checkpoint: { inline: 1 } }])
    expect(actor.hear(workerAt, checkpoint(2, 2)), 'the one before is on its way').toEqual([])
    const heard = actor.hear(owner, { kind: 'recorded', missionId, requestId: record?.requestId ?? 0, firstIndex: 4 })
    expect(heard).toEqual([{ kind: 'checkpoint-heard', awardId, number: 1 }])
    expect(actor.hear(workerAt, checkpoint(1, 1)), 'said again').toEqual([{ kind: 'checkpoint-heard', awardId, number: 1 }])
    expect(recordIn(actor.hear(workerAt, checkpoint(2, 2)))).toBeDefined()
  })

  it('takes it from the one who runs the task, and from nobody else', () => {
    expect(running().hear({ peer: 'stranger' as PeerId, actor: 'award' }, checkpoint(1, 1))).toEqual([])
    expect(attachedTo([planned('root', spec('root/t')), awarded('root/t')], [ended('root/t', 'lost')]).hear(workerAt, checkpoint(1, 1))).toEqual([])
    expect(running().hear(workerAt, { kind: 'checkpoint', awardId, number: 1, checkpoint: { blob: { $blob: 'a'.repeat(64) as never, sizeBytes: limits.checkpointBytesMax + 1 } } })).toEqual([{ kind: 'checkpoint-heard', awardId, number: 1, refused: true }])
  })

  it('lives on when it is refused: what can be had later is asked for again, what cannot is forgotten', () => {
    const refusing = (retryable: boolean) => {
      const actor = running()
      const record = recordIn(actor.hear(workerAt, checkpoint(1, 1)))
      const answer = actor.hear(owner, { kind: 'record-refused', missionId, requestId: record?.requestId ?? 0, fault: fault('unknown-blob', 'not there', { retryable }) })
      return { answer, again: recordIn(actor.hear(workerAt, checkpoint(1, 1))), phase: actor.state.phase }
    }
    expect(refusing(true)).toMatchObject({ answer: [], again: { kind: 'record' }, phase: 'running' })
    expect(refusing(false)).toMatchObject({ answer: [{ kind: 'checkpoint-heard', number: 1 }], phase: 'running' })
  })

  it('is not kept from ending the attempt by a checkpoint on its way', () => {
    const actor = running()
    actor.hear(workerAt, checkpoint(1, 1))
    const record = recordIn(actor.hear(workerAt, { kind: 'failure', awardId, fault: fault('skill-failed', 'broke'), stats }))
    expect(record?.events).toMatchObject([{ type: 'award-ended' }])
    actor.hear(owner, { kind: 'recorded', missionId, requestId: record?.requestId ?? 0, firstIndex: 4 })
    actor.later(10_000)
    expect(actor.hear(managerAt, { kind: 'tick' }).map(({ kind }) => kind), 'the task is put out to tender again').toContain('who-offers')
  })

  it('knows the newest checkpoint of the attempt before', () => {
    expect(attachedTo([planned('root', spec('root/t')), awarded('root/t'), checkpointed('root/t', 4), ended('root/t', 'lost')]).state.fold?.tasks.get(id('root/t'))?.checkpoint).toEqual({ inline: 4 })
  })
})
