/** Results as agents give them, for what comes after them. */
import type { SkillChild } from '../../../../node/skills/define-skill.ts'
import type { Conflict, Part, ReviewOutput, Verdict, WorkOutput } from '../../../../node/skills/agents/schema.ts'
import { fault } from '../../../../protocols/kernel/errors.ts'
import type { Json } from '../../../../protocols/kernel/payload.ts'

const usage = { promptTokens: 10, completionTokens: 1, costUsd: 0.001, modelCalls: 1 }

export function workOutput(result: Json, more: { readonly model?: string; readonly node?: string; readonly part?: Partial<Part> } = {}): WorkOutput {
  return {
    result, text: typeof result === 'string' ? result : JSON.stringify(result), steps: 1, calls: [], usage, condensed: 0,
    provenance: { model: more.model ?? 'alpha', node: more.node ?? 'node-1', promptDigest: 'd', role: 'analyst', roleDigest: 'r' },
    ...(more.part === undefined ? {} : { part: { goal: 'g', criteria: [], uses: [], settles: [], ...more.part } }),
  }
}

export function worked(name: string, result: Json, part: Partial<Part> = {}): SkillChild {
  return { name, capability: 'agent.work', state: 'accepted', output: workOutput(result, { part: { goal: `Do ${name}.`, ...part } }) as unknown as Json }
}

export function reviewed(name: string, verdicts: readonly (Omit<Verdict, 'reasons'> & { readonly reasons?: string[] })[], conflicts: readonly Conflict[] = []): SkillChild {
  const output: ReviewOutput = {
    verdicts: verdicts.map((verdict) => ({ reasons: verdict.accept ? [] : [`${verdict.of} is wrong`], ...verdict })), conflicts: [...conflicts], usage, condensed: 0, independent: { model: true, node: true },
    provenance: { model: 'beta', node: 'node-2', promptDigest: 'd', role: 'reviewer', roleDigest: 'r' },
  }
  return { name, capability: 'agent.review', state: 'accepted', output: output as unknown as Json }
}

export function dead(name: string, capability = 'agent.work'): SkillChild {
  return { name, capability, state: 'dead', fault: fault('over-limit', `${name} went round in circles`) }
}
