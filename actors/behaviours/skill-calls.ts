/**
 * The calls that a running skill makes of other capabilities: handed to this node's invoker, on the account of the run, and answered through
 * the skill runner. Whoever started the run (a worker, a manager, the invocations) keeps one of these beside it.
 */
import type { RunStats } from '../../protocols/bidding/schema.ts'
import type { MissionId, Principal, TaskId } from '../../protocols/kernel/ids.ts'
import { CapabilityName } from '../../protocols/kernel/ids.ts'
import { fault } from '../../protocols/kernel/errors.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { attributesOf } from '../../protocols/models/schema.ts'
import type { InvocationAnswer } from '../messages.ts'
import { actorNames, at } from '../names.ts'
import type { SkillRunEvent } from '../ports/skill-runner.ts'
import type { ActorContext } from '../runtime/actor.ts'
import { tell, type Effect } from '../runtime/effects.ts'

export interface RunAccount {
  readonly runId: string
  readonly missionId: MissionId
  readonly taskId: TaskId
  readonly principal: Principal
  readonly priority: number
  /** What all calls together may cost; Infinity: no limit. */
  readonly budgetUsd: number
  /** The run's own: no call takes longer. */
  readonly timeLimitMs: number
}

export interface RunCalls {
  readonly account: RunAccount
  /** By the tag that the invoker knows them by. */
  readonly open: Map<string, number>
  /** What each of these may have cost by now, and which were withdrawn. */
  readonly held: Map<string, number>
  readonly withdrawn: Set<string>
  used: boolean
  costUsd: number
  inputTokens: number
  outputTokens: number
}

export function newRunCalls(account: RunAccount): RunCalls {
  return { account, open: new Map(), held: new Map(), withdrawn: new Set(), used: false, costUsd: 0, inputTokens: 0, outputTokens: 0 }
}

/** The run that an answer of the invoker is for. */
export function runOfTag(tag: string): string {
  return tag.slice(0, tag.lastIndexOf(' '))
}

function tagOf({ account }: RunCalls, callNumber: number): string {
  return `${account.runId} ${callNumber}`
}

export function onSkillCall(calls: RunCalls, event: Extract<SkillRunEvent, { type: 'call' | 'call-cancelled' }>, context: ActorContext): Effect[] {
  const tag = tagOf(calls, event.callNumber)
  const invoker = at(context.self.peer, actorNames.invoker)
  if (event.type === 'call-cancelled') {
    if (!calls.open.delete(tag)) return []
    calls.withdrawn.add(tag)
    giveUp(calls, tag)
    return [tell(invoker, { kind: 'invoke-withdrawn', tag, reason: 'its caller has no use for it any more' })]
  }
  const { runId, missionId, taskId, principal, priority, budgetUsd, timeLimitMs } = calls.account
  const { call } = event
  const refuse = (detail: string, next: string): Effect[] => [{ type: 'answer-call', runId, callNumber: event.callNumber, event: { type: 'failed', fault: fault('bad-request', detail, { next }), stats: { queueMs: 0, transferMs: 0, runMs: 0, costUsd: 0 } } }]
  const capability = CapabilityName.safeParse(call.capability)
  if (!capability.success) return refuse(`"${call.capability}" is not a capability name`, 'name it like llm.chat')
  if (calls.open.size >= limits.invocationsPerCallerMax) return refuse(`${calls.open.size} calls of this run are under way already`, 'wait for some of them')
  calls.open.set(tag, event.callNumber)
  calls.used = true
  const { units, prefixes } = call
  const attributes = attributesOf(call.capability, 'inline' in call.input ? call.input.inline : undefined, call.attributes)
  return [tell(invoker, {
    kind: 'invoke-asked', tag,
    invocation: {
      tag, capability: capability.data, ...(call.version === undefined ? {} : { version: call.version }), ...(attributes === undefined ? {} : { attributes }), ...(units === undefined ? {} : { units }), ...(prefixes === undefined ? {} : { prefixes }), input: call.input, missionId, taskId, principal, priority,
      timeLimitMs: Math.max(1, Math.min(call.timeLimitMs ?? limits.invocationTimeMsDefault, timeLimitMs)), budgetUsd, account: runId, key: `${missionId}:${taskId}:${call.key}`, streams: call.streams ?? false,
    },
  })]
}

/** What it has cost by then nobody will say: it counts as all of it. */
function giveUp(calls: RunCalls, tag: string): void {
  calls.costUsd += calls.held.get(tag) ?? 0
  calls.held.delete(tag)
}

/** The invoker's answer, when it is to a call of this run. */
export function onCallAnswered(calls: RunCalls | undefined, answer: InvocationAnswer): Effect[] {
  if (calls === undefined) return []
  if (answer.kind === 'invoke-placed') {
    if (calls.open.has(answer.tag)) calls.held.set(answer.tag, answer.heldUsd)
    // The two have crossed.
    else if (calls.withdrawn.delete(answer.tag)) calls.costUsd += answer.heldUsd
    return []
  }
  const callNumber = calls.open.get(answer.tag)
  if (callNumber === undefined) {
    if (answer.kind !== 'invoke-chunk') calls.withdrawn.delete(answer.tag)
    return []
  }
  const { runId } = calls.account
  if (answer.kind === 'invoke-chunk') return answer.chunks.map((value) => ({ type: 'answer-call', runId, callNumber, event: { type: 'chunk', value } }))
  calls.open.delete(answer.tag)
  calls.held.delete(answer.tag)
  const { costUsd, tokens } = answer.stats
  calls.costUsd += costUsd
  calls.inputTokens += tokens?.input ?? 0
  calls.outputTokens += tokens?.output ?? 0
  return [{ type: 'answer-call', runId, callNumber, event: answer.kind === 'invoke-done' ? { type: 'done', output: answer.output, by: answer.by, stats: answer.stats } : { type: 'failed', fault: answer.fault, stats: answer.stats } }]
}

/** The run is over: what it still waits for is withdrawn. Before `withCallsOf`: that counts it. */
export function endCalls(calls: RunCalls, context: ActorContext): Effect[] {
  if (!calls.used) return []
  const invoker = at(context.self.peer, actorNames.invoker)
  const withdrawn = [...calls.open.keys()].map((tag) => tell(invoker, { kind: 'invoke-withdrawn', tag, reason: 'the run that made it is over' }))
  for (const tag of calls.open.keys()) giveUp(calls, tag)
  calls.open.clear()
  return [...withdrawn, tell(invoker, { kind: 'account-closed', account: calls.account.runId })]
}

/** What a run has cost together with what it has called. */
export function withCallsOf({ costUsd, inputTokens, outputTokens, used }: RunCalls, stats: RunStats): RunStats {
  if (!used) return stats
  const tokens = { input: (stats.tokens?.input ?? 0) + inputTokens, output: (stats.tokens?.output ?? 0) + outputTokens }
  return { ...stats, costUsd: stats.costUsd + costUsd, ...(tokens.input + tokens.output > 0 ? { tokens } : {}) }
}
