/** Does what an agent's loop puts out, and tells it what came of it. */
import { MeshError, toFault, unreachable } from '../../../protocols/kernel/errors.ts'
import type { BlobRef, Json } from '../../../protocols/kernel/payload.ts'
import type { SkillContext } from '../define-skill.ts'
import { askModel } from './ask-model.ts'
import { condense } from './condense.ts'
import { agentLimits } from './limits.ts'
import type { LoopInput, LoopOutput, LoopRules, LoopState } from './loop-state.ts'
import { step } from './loop.ts'
import { partOf, shownResult } from './results.ts'
import { readMoreSpec } from './tools.ts'

export interface DriveInit {
  readonly context: SkillContext
  readonly rules: LoopRules
  /** A new one, or that of an earlier attempt. */
  readonly state: LoopState
  readonly goal: string
  /** One that the mesh has; undefined: any. */
  readonly model: string | undefined
  /** Those of `rules.files`. */
  readonly files: Readonly<Record<string, BlobRef>>
}

export interface Driven {
  readonly state: LoopState
  readonly result: Json
  readonly text: string
}

/** @throws MeshError with the fault that the loop ended with; `fenced` when another has the task by now. */
export async function driveLoop({ context, rules, state: first, goal, model, files }: DriveInit): Promise<Driven> {
  const startMs = performance.now()
  const given = new AbortController()
  const signal = AbortSignal.any([context.signal, given.signal])
  const inbox: LoopInput[] = [{ type: 'begin' }]
  let wake: () => void = () => undefined
  const tell = (input: LoopInput): void => {
    inbox.push(input)
    wake()
  }
  const spentMs = (): number => first.spentMs + (performance.now() - startMs)
  const leftMs = (): number => Math.max(1, Math.min(agentLimits.modelCallMs, Math.ceil(rules.limits.timeMs - spentMs())))
  let state = first

  async function perform(output: Extract<LoopOutput, { type: 'ask' | 'call' | 'read' | 'condense' }>): Promise<LoopInput> {
    switch (output.type) {
      case 'ask': {
        context.progress(undefined, `step ${state.steps + 1}: thinking`)
        const functions = [...rules.tools.slice(0, output.tools).map((tool) => tool.spec), ...(rules.files.length > 0 || Object.keys(state.stored).length > 0 ? [readMoreSpec] : [])]
        try {
          const { answer, node, usage } = await askModel(context, {
            key: output.key, messages: output.messages, model, timeLimitMs: leftMs(), signal,
            ...(output.mayCall ? { tools: functions, toolChoice: 'auto' as const } : {}),
            ...(output.schema === undefined ? {} : { schema: output.schema }),
          })
          return { type: 'decided', answer: { content: answer.content, toolCalls: answer.toolCalls, finish: answer.finish }, model: answer.model, node, usage }
        } catch (thrown) {
          return { type: 'refused', fault: toFault(thrown) }
        }
      }
      case 'call': {
        const label = output.key
        context.progress(undefined, `step ${state.steps}: ${output.capability}`)
        const atMs = performance.now()
        try {
          const { output: value } = await context.call(output.capability, output.input, { version: output.version, key: output.key, timeLimitMs: leftMs(), signal })
          const { text, stored } = await shownResult(context.blobs, label, output.capability, value)
          return { type: 'called', index: output.index, ok: true, text, tookMs: performance.now() - atMs, ...(stored === undefined ? {} : { stored }) }
        } catch (thrown) {
          const why = toFault(thrown)
          const text = `The call of ${output.capability} failed (${why.code}): ${(await shownResult(context.blobs, label, output.capability, why.detail)).text}${why.next === undefined ? '' : `\nWhat may help: ${why.next}`}`
          return { type: 'called', index: output.index, ok: false, text, tookMs: performance.now() - atMs }
        }
      }
      case 'read': {
        const ref = state.stored[output.of] ?? files[output.of]
        try {
          if (ref === undefined) throw new MeshError('unknown-blob', `nothing is stored as "${output.of}"`)
          return { type: 'called', index: output.index, ok: true, text: await partOf(context.blobs, ref, output.of, output.from, output.chars), tookMs: 0 }
        } catch (thrown) {
          return { type: 'called', index: output.index, ok: false, text: `It could not be read: ${toFault(thrown).detail}`, tookMs: 0 }
        }
      }
      case 'condense':
        context.progress(undefined, 'condensing earlier results')
        try {
          return { type: 'condensed', message: output.message, ...(await condense(context, { key: output.key, goal, text: output.text, model, signal })) }
        } catch (thrown) {
          return { type: 'broken-off', fault: toFault(thrown) }
        }
      default:
        return unreachable(output)
    }
  }

  try {
    for (;;) {
      const input = inbox.shift()
      if (input === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve
          if (inbox.length > 0) resolve()
        })
        continue
      }
      const stepped = step(state, input, rules, spentMs())
      state = stepped.state
      for (const output of stepped.outputs) {
        if (output.type === 'commit') await context.checkpoint(state as unknown as Json, { committed: true })
        else if (output.type === 'finish') return { state, result: output.result, text: output.text }
        else if (output.type === 'fail') throw MeshError.from(output.fault)
        else void perform(output).then(tell, (thrown: unknown) => tell({ type: 'broken-off', fault: toFault(thrown) }))
      }
    }
  } finally {
    // Nothing that is still under way is of use any more.
    given.abort()
  }
}
