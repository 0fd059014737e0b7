/** `agent.work` and `agent.act`: one task, done by a model and the mesh's capabilities under a role. */
import { canonicalJson, digestOfText } from '../../../protocols/kernel/hashing.ts'
import type { ChatMessage } from '../../../protocols/models/schema.ts'
import type { SkillContext } from '../define-skill.ts'
import { chosenModel, requireBudget, requireModel } from './ask-model.ts'
import { driveLoop } from './drive-loop.ts'
import { checkOf } from './json-answer.ts'
import { agentLimits } from './limits.ts'
import { LoopState, type LoopRules, startOf } from './loop-state.ts'
import { workInstruction, workSystem, workVersion } from './prompts/work.ts'
import { shownInputs } from './results.ts'
import { roleOf } from './roles-here.ts'
import type { WorkInput, WorkOutput } from './schema.ts'
import { toolsFor } from './tools.ts'

export interface WorkOptions {
  /** Capabilities with effects outside may be called, where the role names them. */
  readonly mayAct: boolean
}

/** @throws MeshError `no-provider` (no model), `over-limit`, `bad-output`, `context-overflow`, `bad-input`; else as `SkillContext.call`. */
export async function work(input: WorkInput, context: SkillContext, { mayAct }: WorkOptions): Promise<WorkOutput> {
  const offered = await context.capabilities()
  requireModel(offered, 'an agent\'s task', input.part !== undefined)
  requireBudget(context, offered, 'an agent\'s task')
  const role = await roleOf(input.role)
  const tools = await toolsFor(context, offered, { patterns: role.skills, mayAct, goal: `${input.goal} ${role.summary}` })
  const shown = await shownInputs(context.blobs, input.context)
  const files = Object.keys(shown.files)
  const instruction = workInstruction(input.goal, Object.keys(input.context))
  const messages: ChatMessage[] = [
    { role: 'system', content: workSystem({ rolePrompt: role.prompt, hasFunctions: tools.length + files.length > 0, expects: input.expects }) },
    { role: 'user', content: `${instruction}${shown.text}` },
  ]
  const brief = digestOfText(canonicalJson([workVersion, input.goal, role.digest, input.context, input.expects ?? null]))
  const start = resumedState(context.resumed, brief) ?? startOf(brief, messages)
  const rules: LoopRules = {
    tools, files, instruction, given: input.context,
    // What an earlier attempt has spent is not in the budget any more, but in the state. Without money only what is free is asked.
    limits: limitsOf(input, role.limits, context.budgetUsd === undefined || context.budgetUsd <= 0 ? undefined : context.budgetUsd + start.usage.costUsd),
    ...(input.expects === undefined ? {} : { expects: { schema: input.expects, check: checkOf(input.expects, 'the schema under "expects"') } }),
  }
  const { state, result, text } = await driveLoop({
    context, rules, files: shown.files, goal: input.goal, state: start,
    model: chosenModel(offered, input.models?.write, role.model?.write),
  })
  return {
    result, text, steps: state.steps, calls: state.calls, usage: state.usage, condensed: state.condensedMessages.length,
    provenance: {
      model: state.model ?? 'unknown', node: state.node ?? 'unknown', role: role.name, roleDigest: role.digest,
      promptDigest: digestOfText(canonicalJson({ version: workVersion, messages, tools: tools.map((tool) => tool.spec) })),
    },
    ...(input.part === undefined ? {} : { part: input.part }),
  }
}

function resumedState(resumed: unknown, brief: string): LoopState | undefined {
  const state = LoopState.safeParse(resumed)
  return state.success && state.data.brief === brief && state.data.phase !== 'ended' ? state.data : undefined
}

type Limits = WorkInput['limits']

/** The narrowest of each. */
function limitsOf(input: WorkInput, role: Limits, budgetUsd: number | undefined): LoopRules['limits'] {
  const least = (name: 'steps' | 'calls' | 'tokens' | 'timeMs'): number => Math.min(input.limits?.[name] ?? Infinity, role?.[name] ?? agentLimits[name])
  const costs = [input.limits?.costUsd, role?.costUsd, budgetUsd].filter((cost): cost is number => cost !== undefined)
  return { steps: least('steps'), calls: least('calls'), tokens: least('tokens'), timeMs: least('timeMs'), ...(costs.length === 0 ? {} : { costUsd: Math.min(...costs) }) }
}
