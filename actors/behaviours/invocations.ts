/**
 * Runs the invocations that this node has taken (`participant` has found a place for each): the skill's pieces, pulses and end go to the
 * caller. Whoever calls and is gone waits for nothing: its runs are stopped.
 */
import type { CallId } from '../../protocols/kernel/ids.ts'
import { fault, type Fault } from '../../protocols/kernel/errors.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Json } from '../../protocols/kernel/payload.ts'
import type { Invoke } from '../../protocols/invoking/schema.ts'
import type { AwardId } from '../../protocols/kernel/ids.ts'
import { actorNames, at } from '../names.ts'
import type { SkillRunEvent } from '../ports/skill-runner.ts'
import type { ActorContext, Behaviour, Delivery } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'
import { byAddress, parts } from './batches.ts'
import { endCalls, newRunCalls, onCallAnswered, onSkillCall, runOfTag, withCallsOf, type RunCalls } from './skill-calls.ts'

interface Running {
  readonly invoke: Invoke
  readonly calls: RunCalls
  /** To be sent at the end of the turn, and how many were sent. */
  chunks: Json[]
  sent: number
  pulsed: boolean
}

interface State {
  readonly running: Map<string, Running>
}

export function invocations(): Behaviour<State> {
  return {
    kind: 'invocations',
    // The other runs go on, and their places are the participant's to know of.
    supervision: 'resume',
    start: (context) => ({ state: { running: new Map() }, effects: [tell(at(context.self.peer, actorNames.directory), { kind: 'watch-peers' }), nextTick()] }),
    receive,
    endTurn: (state) => [...state.running.values()].flatMap(flush),
    holds: ({ running }) => [...running.values()].map(({ invoke }) => invoke.input),
  }
}

function nextTick(): Effect {
  return { type: 'set-timer', key: 'tick', delayMs: limits.pulseMs, message: { kind: 'tick' } }
}

function receive(state: State, { message, from }: Delivery, context: ActorContext): readonly Effect[] {
  switch (message.kind) {
    case 'run-invocation':
      return begin(state, message.invoke)
    case 'invoke-cancel': {
      const running = state.running.get(message.callId)
      // The participant has seen to it that the caller itself says so.
      return running === undefined || from.peer !== context.self.peer ? [] : stop(state, running, message.reason, context)
    }
    case 'skill-event': {
      const running = state.running.get(message.runId)
      return running === undefined ? [] : onSkill(state, running, message.event, context)
    }
    case 'invoke-placed':
    case 'invoke-chunk':
    case 'invoke-done':
    case 'invoke-failed':
      return onCallAnswered(state.running.get(runOfTag(message.tag))?.calls, message)
    case 'peer-down':
      return [...state.running.values()].filter(({ invoke }) => invoke.caller.peer === message.peer).flatMap((running) => stop(state, running, 'its caller is gone', context))
    case 'tick':
      if (message.what === 'hand-back') return [...state.running.values()].flatMap((running) => [...stopSkill(running, fault('cancelled', 'the node is stopping')), ...finish(state, running, { fault: fault('lost-worker', 'the node is stopping') }, undefined, context)])
      return [nextTick(), ...pulses(state)]
    default:
      return []
  }
}

function begin(state: State, invoke: Invoke): Effect[] {
  const { call, input, principal, version, timeLimitMs, idempotencyKey, streams } = invoke
  if (state.running.has(call.callId)) return []
  const running: Running = { invoke, calls: newRunCalls({ runId: call.callId, missionId: call.missionId, taskId: call.taskId, principal, priority: call.priority, budgetUsd: call.budgetUsd < Number.MAX_SAFE_INTEGER ? call.budgetUsd : Infinity, timeLimitMs }), chunks: [], sent: 0, pulsed: false }
  state.running.set(call.callId, running)
  return [
    tell(invoke.caller, { kind: 'invoke-taken', callId: call.callId }, principal),
    {
      type: 'start-skill',
      run: {
        runId: call.callId, capability: call.capability, version, ...(call.attributes === undefined ? {} : { attributes: call.attributes }), step: 'run', input, principal, missionId: call.missionId, taskId: call.taskId, attempt: call.attempt,
        timeLimitMs, idempotencyKey, ...(Number.isFinite(call.budgetUsd) && call.budgetUsd < Number.MAX_SAFE_INTEGER ? { budgetUsd: call.budgetUsd } : {}), ...(streams ? { streams } : {}),
      },
    },
  ]
}

function onSkill(state: State, running: Running, event: SkillRunEvent, context: ActorContext): Effect[] {
  switch (event.type) {
    case 'started':
    case 'pulse':
      running.pulsed = true
      return []
    case 'chunk':
      running.pulsed = true
      running.chunks.push(event.value)
      return []
    case 'call':
    case 'call-cancelled':
      return onSkillCall(running.calls, event, context)
    case 'checkpoint':
      // Nobody goes on with it: there is nothing to keep it for.
      return event.number === undefined ? [] : [{ type: 'tell-committed', runId: running.invoke.call.callId, number: event.number }]
    case 'done':
      return finish(state, running, { output: event.output }, event, context)
    case 'failed':
      return finish(state, running, { fault: event.fault }, event, context)
  }
}

function finish(state: State, running: Running, outcome: { readonly output: Extract<SkillRunEvent, { type: 'done' }>['output'] } | { readonly fault: Fault }, event: Extract<SkillRunEvent, { type: 'done' | 'failed' }> | undefined, context: ActorContext): Effect[] {
  const { invoke, calls } = running
  const { call, principal, caller, version } = invoke
  const ended = endCalls(calls, context)
  const stats = withCallsOf(calls, event?.stats ?? { queueMs: 0, transferMs: 0, runMs: 0, costUsd: 0 })
  const pieces = flush(running)
  state.running.delete(call.callId)
  return [
    ...ended, ...pieces,
    tell(caller, { kind: 'invoke-ended', callId: call.callId, ...outcome, stats }, principal),
    ...freePlace(call.callId, { effort: call.effort, capability: call.capability, version, ...('output' in outcome ? { runMs: stats.runMs } : {}) }, context),
    fact('info', 'output' in outcome ? 'invocation.done' : 'invocation.failed', { invocation: call.callId, capability: call.capability, runMs: Math.round(stats.runMs), ...('fault' in outcome ? { code: outcome.fault.code, detail: outcome.fault.detail } : {}) }),
  ]
}

/** Nobody waits for it: its place is free at once. */
function stop(state: State, running: Running, reason: string, context: ActorContext): Effect[] {
  const { call, version } = running.invoke
  state.running.delete(call.callId)
  return [...endCalls(running.calls, context), ...stopSkill(running, fault('cancelled', reason)), ...freePlace(call.callId, { effort: call.effort, capability: call.capability, version }, context)]
}

function stopSkill({ invoke }: Running, why: Fault): Effect[] {
  return [{ type: 'stop-skill', runId: invoke.call.callId, why }]
}

function freePlace(callId: CallId, about: { readonly effort: number; readonly capability: string; readonly version: string; readonly runMs?: number }, context: ActorContext): Effect[] {
  const participant = at(context.self.peer, actorNames.participant)
  const awardId = callId as string as AwardId
  return [tell(participant, { kind: 'awards-finished', awards: [{ awardId, ...about }] }), tell(participant, { kind: 'awards-forgotten', awardIds: [awardId] })]
}

/** What a turn has brought of one stream leaves together. */
function flush(running: Running): Effect[] {
  const { invoke, chunks } = running
  if (chunks.length === 0) return []
  running.chunks = []
  return parts(chunks, limits.chunksPerMessageMax).map((part): Effect => {
    const at = running.sent
    running.sent += part.length
    return tell(invoke.caller, { kind: 'invoke-chunks', callId: invoke.call.callId, at, chunks: part })
  })
}

/** A run whose thread is silent is not vouched for. */
function pulses(state: State): Effect[] {
  const alive = [...state.running.values()].filter((running) => running.pulsed)
  for (const running of alive) running.pulsed = false
  return byAddress(alive, ({ invoke }) => invoke.caller).flatMap(({ to, items }) => parts(items, 4_096).map((part) => tell(to, { kind: 'invoke-pulse', callIds: part.map(({ invoke }) => invoke.call.callId) })))
}
