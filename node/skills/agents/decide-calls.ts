/** What a model's function calls come to: calls of capabilities, or answers that say why not. Pure. */
import { canonicalJson, digestOfText } from '../../../protocols/kernel/hashing.ts'
import type { Json } from '../../../protocols/kernel/payload.ts'
import type { ToolCall } from '../../../protocols/models/schema.ts'
import { valueAt } from '../../../protocols/tasking/plan.ts'
import { nearest } from '../../config/nearest.ts'
import { agentLimits } from './limits.ts'
import type { DecidedCall, LoopRules, LoopState } from './loop-state.ts'
import { readMoreName } from './tools.ts'

export interface Decided {
  readonly calls: readonly DecidedCall[]
  readonly asked: Readonly<Record<string, number>>
  /** A call that was asked for again after the model had been told: the task goes round in circles. */
  readonly circling?: { readonly name: string; readonly arguments: string; readonly times: number }
  /** The limit of calls was met. */
  readonly isExhausted: boolean
}

/** @param wanted of one answer of the model; `state` is that before it, `step` the number of the answer. */
export function decideCalls(wanted: readonly ToolCall[], state: LoopState, step: number, rules: LoopRules): Decided {
  const asked = { ...state.asked }
  let left = rules.limits.calls - state.calls.length
  let isExhausted = false
  let circling: Decided['circling']
  const calls = wanted.map((raw, index): DecidedCall => {
    const args = argumentsOf(raw)
    // A provider that is shown its own broken arguments again may refuse the whole conversation.
    const toolCall: ToolCall = { id: `call_${step}_${index}`, name: /^[A-Za-z0-9_-]{1,64}$/.test(raw.name) ? raw.name : 'unknown', arguments: 'problem' in args ? '{}' : JSON.stringify(args.value) }
    const answered = (answer: string): DecidedCall => ({ index, toolCall, answer })
    if (state.closing !== undefined) return answered(`Not done: ${state.closing} Answer now with what you have.`)
    if (index >= agentLimits.callsPerStepMax) return answered(`Not done: at most ${agentLimits.callsPerStepMax} calls at a time.`)

    const digest = digestOfText(`${raw.name}\n${'problem' in args ? raw.arguments : canonicalJson(args.value)}`).slice(0, 24)
    const times = (asked[digest] ?? 0) + 1
    asked[digest] = times
    if (times > agentLimits.sameCallsMax + 1) {
      circling ??= { name: raw.name, arguments: raw.arguments, times }
      return answered('Not done.')
    }
    if (times === agentLimits.sameCallsMax + 1) return answered(`Not done: you have asked for exactly this ${agentLimits.sameCallsMax} times before, and the answers are above. Do something else, or answer with what you have. If you ask for it once more, the task ends as failed.`)
    if ('problem' in args) return answered(`Not done: ${args.problem}`)

    const todo = raw.name === readMoreName ? readingOf(args.value, state, rules) : callOf(raw.name, args.value, rules)
    if (typeof todo === 'string') return answered(`Not done: ${todo}`)
    if (todo.kind === 'call') {
      if (left <= 0) {
        isExhausted = true
        return answered(`Not done: the limit of ${rules.limits.calls} calls is reached.`)
      }
      left -= 1
    }
    return { index, toolCall, todo }
  })
  return { calls, asked, isExhausted, ...(circling === undefined ? {} : { circling }) }
}

function argumentsOf(call: ToolCall): { value: Record<string, unknown> } | { problem: string } {
  const text = call.arguments.trim()
  if (text === '') return { value: {} }
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { value: value as Record<string, unknown> }
    return { problem: `the arguments of ${call.name} are not a JSON object: ${text.slice(0, 200)}` }
  } catch (thrown) {
    return { problem: `the arguments of ${call.name} are not JSON (${thrown instanceof Error ? thrown.message : String(thrown)}): ${text.slice(0, 200)}` }
  }
}

function callOf(name: string, args: Readonly<Record<string, unknown>>, rules: LoopRules): NonNullable<DecidedCall['todo']> | string {
  const tool = rules.tools.find((one) => one.spec.name === name)
  if (tool === undefined) {
    const names = rules.tools.map((one) => one.spec.name)
    const close = nearest(name, names)
    return `there is no function ${JSON.stringify(name.slice(0, 100))}${close === undefined ? '' : `; did you mean ${close}?`}${names.length === 0 ? '; there are none at all' : ` The functions are: ${names.join(', ')}.`}`
  }
  const resolved = withInputs(tool.isWrapped ? args['input'] : args, rules.given)
  if ('missing' in resolved) return `{"$input": ${JSON.stringify(resolved.missing)}} refers to nothing that you were given; you were given: ${Object.keys(rules.given).join(', ') || 'nothing'}`
  const problem = tool.check?.(resolved.value)
  if (problem !== undefined) return `the arguments do not fit ${name}: ${problem}. Correct them.`
  return { kind: 'call', capability: tool.capability, version: tool.version, input: resolved.value }
}

function readingOf(args: Readonly<Record<string, unknown>>, state: LoopState, rules: LoopRules): NonNullable<DecidedCall['todo']> | string {
  const { of, from, chars } = args
  const labels = [...rules.files, ...Object.keys(state.stored)]
  if (typeof of !== 'string' || !labels.includes(of)) return `there is nothing stored as ${JSON.stringify(of ?? null)}; there is: ${labels.join(', ') || 'nothing'}`
  if (typeof from !== 'number' || !Number.isInteger(from) || from < 0) return '"from" is to be a whole number, the first character wanted, counted from 0'
  const wanted = typeof chars === 'number' && Number.isInteger(chars) && chars > 0 ? chars : agentLimits.readCharsMax
  return { kind: 'read', of, from, chars: Math.min(wanted, agentLimits.readCharsMax) }
}

/** The value with every `{ "$input": "path" }` replaced by what was given there: a model need not copy what it cannot read. */
export function withInputs(value: unknown, given: Readonly<Record<string, unknown>>): { readonly value: Json } | { readonly missing: string } {
  let missing: string | undefined
  const resolve = (inner: unknown): Json => {
    if (Array.isArray(inner)) return inner.map(resolve)
    if (typeof inner !== 'object' || inner === null) return (inner ?? null) as Json
    if ('$input' in inner && typeof inner.$input === 'string' && Object.keys(inner).length === 1) {
      const found = inner.$input === '' ? given : (given[inner.$input] ?? valueAt(given, inner.$input))
      if (found === undefined) missing ??= inner.$input
      return (found ?? null) as Json
    }
    return Object.fromEntries(Object.entries(inner).map(([key, deeper]) => [key, resolve(deeper)]))
  }
  const resolved = resolve(value)
  return missing === undefined ? { value: resolved } : { missing }
}
