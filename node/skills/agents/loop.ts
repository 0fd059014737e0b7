/**
 * An agent's loop as a pure machine: the model decides, functions are called, their results go back to the model, until it answers.
 * No clock and no I/O: `drive-loop.ts` does what it puts out and tells it what came of it. Every output `commit` comes before what
 * must not happen unless it is known what led to it; `begin` on a state from the log goes on with what was not finished.
 */
import { type Fault, fault, unreachable } from '../../../protocols/kernel/errors.ts'
import type { Json } from '../../../protocols/kernel/payload.ts'
import type { ChatMessage } from '../../../protocols/models/schema.ts'
import { withoutThoughts } from '../json-in-text.ts'
import { decideCalls } from './decide-calls.ts'
import { jsonIn } from './json-answer.ts'
import { agentLimits } from './limits.ts'
import { type LoopInput, type LoopOutput, type LoopRules, type LoopState, type LoopStep, startOf } from './loop-state.ts'
import { addUsage } from './usage.ts'

export { startOf }

/** @param nowMs time spent on the task so far, earlier attempts included. */
export function step(before: LoopState, input: LoopInput, rules: LoopRules, nowMs: number): LoopStep {
  const state: LoopState = { ...before, spentMs: Math.max(before.spentMs, nowMs) }
  if (state.phase === 'ended') return { state, outputs: [] }
  switch (input.type) {
    case 'begin':
      return goOn(state, rules)
    case 'decided':
      return state.phase === 'asking' ? decided(state, input, rules) : { state, outputs: [] }
    case 'refused':
      return state.phase === 'asking' ? refused(state, input.fault, rules) : { state, outputs: [] }
    case 'called':
      return called(state, input, rules)
    case 'condensed':
      return condensed(state, input, rules)
    case 'broken-off':
      return failed(state, input.fault)
    default:
      return unreachable(input)
  }
}

/** What is to be done in the state as it is, be it the first time or after the attempt before was lost. */
function goOn(state: LoopState, rules: LoopRules): LoopStep {
  switch (state.phase) {
    case 'asking': {
      const over = limitMet(state, rules)
      return over === undefined ? { state, outputs: [ask(state, rules)] } : failed(state, over)
    }
    case 'calling':
      return { state, outputs: openCalls(state) }
    case 'condensing':
      return { state, outputs: openCondensings(state, rules) }
    case 'ended':
      return { state, outputs: [] }
  }
}

function ask(state: LoopState, rules: LoopRules): LoopOutput {
  const isLast = state.steps + 1 >= rules.limits.steps
  const mayCall = rules.tools.length + rules.files.length + Object.keys(state.stored).length > 0 && state.closing === undefined && !isLast && state.repairs === 0
  const note: ChatMessage[] = isLast && state.steps > 0 && state.closing === undefined ? [{ role: 'user', content: 'This is your last step: give your answer now, with what you have. Say what is missing.' }] : []
  return {
    type: 'ask', key: `decide:${state.steps}${state.refusals === 0 ? '' : `.${state.refusals}`}`, messages: [...state.messages, ...note], mayCall, tools: mayCall ? offeredTools(state, rules) : 0,
    // With functions at hand not every provider can hold the model to a schema; without them it is held to it.
    ...(rules.expects === undefined || mayCall ? {} : { schema: rules.expects.schema }),
  }
}

function offeredTools(state: LoopState, rules: LoopRules): number {
  return Math.min(rules.tools.length, state.toolsOffered ?? rules.tools.length)
}

function decided(before: LoopState, { answer, model, node, usage }: Extract<LoopInput, { type: 'decided' }>, rules: LoopRules): LoopStep {
  const state: LoopState = { ...before, steps: before.steps + 1, usage: addUsage(before.usage, usage), model, node }
  if (answer.toolCalls.length === 0) return answered(state, withoutThoughts(answer.content ?? ''), answer.finish, rules)
  // It was told that this was its last step: what it would call could not be told to it any more.
  const over = state.steps >= rules.limits.steps ? limitMet(state, rules) : undefined
  if (over !== undefined) return failed(state, over)

  const { calls, asked, circling, isExhausted } = decideCalls(answer.toolCalls, state, state.steps, rules)
  if (circling !== undefined) {
    return failed({ ...state, asked }, fault('over-limit', `the model went round in circles: it asked ${circling.times} times for ${circling.name} with ${circling.arguments.slice(0, 500)}, although it was told`, {
      next: 'state the goal more exactly, give the task what it looks for, or use another model',
    }))
  }
  const next: LoopState = { ...state, phase: 'calling', asked, decision: [...calls], said: answer.content, ...(isExhausted ? { closing: `the limit of ${rules.limits.calls} calls is reached.` } : {}) }
  if (calls.every((call) => call.answer !== undefined)) return settled(next, rules)
  return { state: next, outputs: [{ type: 'commit' }, ...openCalls(next)] }
}

/** Keys are (step, index): the same call of a later attempt is the same call for its provider. */
function openCalls(state: LoopState): LoopOutput[] {
  return state.decision.flatMap(({ index, todo, answer }): LoopOutput[] => {
    if (todo === undefined || answer !== undefined) return []
    if (todo.kind === 'read') return [{ type: 'read', index, of: todo.of, from: todo.from, chars: todo.chars }]
    return [{ type: 'call', key: `${state.steps}:${index}`, index, capability: todo.capability, version: todo.version, input: todo.input as Json }]
  })
}

function called(before: LoopState, { index, ok, text, tookMs, stored }: Extract<LoopInput, { type: 'called' }>, rules: LoopRules): LoopStep {
  const call = before.decision.find((one) => one.index === index)
  if (before.phase !== 'calling' || call === undefined || call.answer !== undefined) return { state: before, outputs: [] }
  const state: LoopState = {
    ...before,
    decision: before.decision.map((one) => (one === call ? { ...one, answer: text } : one)),
    calls: call.todo?.kind === 'call' ? [...before.calls, { capability: call.todo.capability, ok, tookMs }] : before.calls,
    stored: stored === undefined ? before.stored : { ...before.stored, [stored.label]: stored.ref },
  }
  if (state.decision.every((one) => one.answer !== undefined)) return settled(state, rules)
  return { state, outputs: [{ type: 'commit' }] }
}

/** All calls of a decision are answered: the model hears of them. */
function settled(before: LoopState, rules: LoopRules): LoopStep {
  const messages: ChatMessage[] = [
    ...before.messages,
    { role: 'assistant', content: before.said, toolCalls: before.decision.map((call) => call.toolCall) },
    ...before.decision.map((call): ChatMessage => ({ role: 'tool', toolCallId: call.toolCall.id, content: call.answer ?? '' })),
  ]
  const state: LoopState = { ...before, phase: 'asking', messages, decision: [], said: null }
  const over = limitMet(state, rules)
  return over === undefined ? { state, outputs: [{ type: 'commit' }, ask(state, rules)] } : failed(state, over)
}

function answered(state: LoopState, content: string, finish: string, rules: LoopRules): LoopStep {
  if (finish === 'filter') return failed(state, fault('bad-output', 'the model\'s provider kept its answer back (content filter)', { retryable: false, next: 'state the goal in other words, or use another model' }))
  const result = resultIn(content, finish, rules)
  if ('value' in result) return { state: { ...state, phase: 'ended' }, outputs: [{ type: 'finish', result: result.value, text: content.trim() }] }
  return repaired({ ...state, messages: content === '' ? state.messages : [...state.messages, { role: 'assistant', content }] }, result.problem, rules)
}

function resultIn(content: string, finish: string, rules: LoopRules): { value: Json } | { problem: string } {
  if (finish === 'length') return { problem: 'the answer was cut off because it was too long: answer more briefly' }
  if (rules.expects === undefined) return content.trim() === '' ? { problem: 'the answer is empty' } : { value: content.trim() }
  const found = jsonIn(content)
  if ('problem' in found) return found
  const problem = rules.expects.check(found.value)
  return problem === undefined ? { value: found.value as Json } : { problem: `the answer does not fit its schema: ${problem}` }
}

function repaired(state: LoopState, problem: string, rules: LoopRules): LoopStep {
  if (state.repairs >= agentLimits.repairsMax) {
    return failed(state, fault('bad-output', `the model gave no answer that can be used, ${state.repairs + 1} times; at last: ${problem}`, { retryable: false, next: 'state the goal more exactly, ask for a simpler form, or use another model' }))
  }
  const hint = rules.expects === undefined ? 'Answer again, in full.' : `Answer again with the whole result, as JSON that fits this schema and nothing else:\n${JSON.stringify(rules.expects.schema)}`
  const next: LoopState = { ...state, repairs: state.repairs + 1, messages: [...state.messages, { role: 'user', content: `Your answer was refused: ${problem}. ${hint}` }] }
  const over = limitMet(next, rules)
  return over === undefined ? { state: next, outputs: [{ type: 'commit' }, ask(next, rules)] } : failed(next, over)
}

function refused(before: LoopState, why: Fault, rules: LoopRules): LoopStep {
  const state: LoopState = { ...before, refusals: before.refusals + 1 }
  if (why.code === 'bad-output') return repaired(state, why.detail, rules)
  if (why.code !== 'context-overflow') return failed(state, why)
  const found = condensable(state, rules)
  const tools = offeredTools(state, rules)
  if ((found.length === 0 || found[0] === 1) && tools > agentLimits.toolsMin) {
    // Those that are likely to matter least go before what the task was given is touched.
    const fewer: LoopState = { ...state, toolsOffered: Math.max(agentLimits.toolsMin, Math.floor(tools / 2)) }
    return { state: fewer, outputs: [{ type: 'commit' }, ask(fewer, rules)] }
  }
  if (found.length === 0) return failed(state, { ...why, detail: `${why.detail}; ${state.condensedMessages.length === 0 ? 'nothing of the conversation can be condensed' : `${state.condensedMessages.length} parts of the conversation were condensed already`}`.slice(0, 4_000) })
  const next: LoopState = { ...state, phase: 'condensing', condensing: found.map((message) => ({ message })) }
  return { state: next, outputs: [{ type: 'commit' }, ...openCondensings(next, rules)] }
}

/** Older results first; then the newest ones; then what the task was given. */
function condensable(state: LoopState, rules: LoopRules): number[] {
  const lastDecision = state.messages.findLastIndex((message) => message.role === 'assistant')
  const results = state.messages.flatMap((message, index) => (message.role === 'tool' && message.content.length >= agentLimits.condenseCharsMin && !state.condensedMessages.includes(index) ? [index] : []))
  const older = results.filter((index) => index < lastDecision)
  if (older.length > 0) return older
  if (results.length > 0) return results
  return !state.condensedMessages.includes(1) && partToCondense(state, 1, rules).length >= agentLimits.condenseCharsMin ? [1] : []
}

function partToCondense(state: LoopState, message: number, rules: LoopRules): string {
  const content = state.messages[message]?.content ?? ''
  return message === 1 && content.startsWith(rules.instruction) ? content.slice(rules.instruction.length) : content
}

function openCondensings(state: LoopState, rules: LoopRules): LoopOutput[] {
  return state.condensing.flatMap(({ message, text }): LoopOutput[] => (text === undefined ? [{ type: 'condense', key: `condense:${state.refusals}:${message}`, message, text: partToCondense(state, message, rules) }] : []))
}

function condensed(before: LoopState, { message, text, usage }: Extract<LoopInput, { type: 'condensed' }>, rules: LoopRules): LoopStep {
  if (before.phase !== 'condensing') return { state: before, outputs: [] }
  const state: LoopState = { ...before, usage: addUsage(before.usage, usage), condensing: before.condensing.map((one) => (one.message === message ? { message, text } : one)) }
  if (state.condensing.some((one) => one.text === undefined)) return { state, outputs: [{ type: 'commit' }] }
  const texts = new Map(state.condensing.map((one) => [one.message, one.text ?? '']))
  const next: LoopState = {
    ...state, phase: 'asking', condensing: [], condensedMessages: [...state.condensedMessages, ...texts.keys()],
    messages: state.messages.map((one, index): ChatMessage => {
      const short = texts.get(index)
      if (short === undefined) return one
      return { ...one, content: index === 1 ? `${rules.instruction}${short}` : short }
    }),
  }
  const over = limitMet(next, rules)
  return over === undefined ? { state: next, outputs: [{ type: 'commit' }, ask(next, rules)] } : failed(next, over)
}

function limitMet(state: LoopState, { limits }: LoopRules): Fault | undefined {
  const tokens = state.usage.promptTokens + state.usage.completionTokens
  const over = state.steps >= limits.steps ? `${limits.steps} steps` : tokens >= limits.tokens ? `${limits.tokens} tokens (${tokens} used)` : limits.costUsd !== undefined && state.usage.costUsd >= limits.costUsd ? `${limits.costUsd} USD (${state.usage.costUsd} spent)` : state.spentMs >= limits.timeMs ? `${limits.timeMs} ms` : undefined
  if (over === undefined) return undefined
  const last = state.calls.slice(-5).map((call) => `${call.capability} ${call.ok ? 'ok' : 'failed'}`).join(', ')
  return fault('over-limit', `the task's limit of ${over} was reached before there was an answer; ${state.steps} steps and ${state.calls.length} calls were made${last === '' ? '' : `, at last ${last}`}`, { next: 'raise the limits of the task or its role, or split the goal' })
}

function failed(state: LoopState, why: Fault): LoopStep {
  return { state: { ...state, phase: 'ended' }, outputs: [{ type: 'fail', fault: why }] }
}
