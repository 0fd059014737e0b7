import type { JsonSchema } from '../../../../protocols/models/schema.ts'
import type { RoleProfile } from '../../../roles/schema.ts'
import type { OfferedCapability } from '../../define-skill.ts'
import { dataBlock, dataRule } from '../data-block.ts'

export const planVersion = 'plan/1'

export function planSystem(): string {
  return [
    `You plan work for a mesh of agents. Given a goal, decide who does what, and answer with a plan as JSON.

Prefer to let one agent do it: {"doItYourself": true, "role": …, "why": …}. Splitting pays only when parts are independent of one another and each is large (several sources, files, alternatives), or when they need different capabilities. Steps that follow one another in one train of thought are ONE task: every hand-over costs money, time and meaning, and separate agents multiply errors.

A plan has the fewest tasks that do it, usually 2 to 6. Each task:
- "name": lower-case letters, digits, dashes; it says what comes out (it is cited by this name).
- "capability": agent.work for thinking, reading and writing under a role; agent.plan only for a part so large that it must be planned by itself; any other capability of the list where it does exactly what is needed.
- For agent.…: "role"; "goal": complete and exact, for somebody who knows nothing of this plan, with the form of the result; "uses": names of tasks whose results it needs, "input" for all that was given or "input.NAME" for one thing of it (without "uses" it gets all of the input); "criteria": what a reviewer can check, in words, where a wrong result would do harm; "expects": JSON Schema of its result, only where other capabilities need one.
- For other capabilities: "input", fitting the capability's schema. {"$from": "task", "path": "a.b"} stands for (part of) another task's output (of agent.… the text or JSON is at path "result"); {"$input": "NAME.path"} for (part of) what was given, which you must not copy.
- "after": tasks to wait for beyond those that it uses. "optional": true when the goal can be met without it.
- "accept": checks by machine of its output ({"path", and one of "exists", "equals", "matches", "atLeast", "atMost"}). "effort": work in comparison to the others, 1 is usual. "budgetUsd": its share, where one must be kept.

Do not plan a task that puts the results together: that is done afterwards. Do not plan reviews: they follow from "criteria".`,
    dataRule,
    'Answer with JSON of the given schema and nothing else.',
  ].join('\n\n')
}

export interface PlanQuestionInit {
  readonly goal: string
  readonly criteria: readonly string[]
  /** Excerpts of what was given, as blocks. */
  readonly given: string
  readonly roles: readonly RoleProfile[]
  /** Roles by their names only. */
  readonly isBrief: boolean
  readonly planner: RoleProfile
  /** The likeliest, in order; schemas of some. */
  readonly capabilities: readonly OfferedCapability[]
  readonly schemas: ReadonlyMap<string, unknown>
  /** Offered, but not likely to be needed. */
  readonly otherNames: readonly string[]
  readonly tasksMax: number
  readonly depthLeft: number
  readonly budgetUsd: number | undefined
  /** Of a plan that has failed in part. */
  readonly evidence?: string
}

export function planQuestion(init: PlanQuestionInit): string {
  const { goal, criteria, given, roles, isBrief, planner, capabilities, schemas, otherNames, tasksMax, depthLeft, budgetUsd, evidence } = init
  return [
    `Goal:\n${goal}`,
    criteria.length === 0 ? '' : `The whole result is to be:\n${criteria.map((one) => `- ${one}`).join('\n')}`,
    given === '' ? 'Nothing was given beside the goal.' : `What was given:\n${given}`,
    `Limits: at most ${tasksMax} tasks${depthLeft < 2 ? '; no composite ones (agent.plan), there is no level left below this plan' : `; ${depthLeft - 1} more levels below this plan`}${budgetUsd === undefined ? '' : `; ${budgetUsd} USD for everything`}.`,
    `Your own role is ${planner.name}. Roles for agent.…:${isBrief ? ` ${roles.map((role) => role.name).join(', ')}` : `\n${roles.map((role) => `- ${role.name}: ${role.summary}${role.hints.length === 0 ? '' : ` (${role.hints.join(', ')})`}`).join('\n')}`}`,
    `Capabilities:\n${capabilities.map((one) => describeCapability(one, schemas.get(one.name))).join('\n')}`,
    otherNames.length === 0 ? '' : `Offered, too: ${otherNames.join(', ')}.`,
    evidence ?? '',
  ].filter((part) => part !== '').join('\n\n')
}

function describeCapability(one: OfferedCapability, schema: unknown): string {
  return `- ${one.name}${one.kind === 'composite' ? ' (composite)' : ''}${one.effects === 'external' ? ' (acts on the world outside)' : ''}: ${one.summary}${schema === undefined ? '' : `\n  input: ${JSON.stringify(schema)}`}`
}

export interface EvidenceInit {
  readonly finished: readonly { readonly name: string; readonly capability: string; readonly text: string }[]
  readonly failures: readonly { readonly name: string; readonly capability: string; readonly state: string; readonly why: string }[]
}

export function planEvidence({ finished, failures }: EvidenceInit): string {
  return [
    'An earlier plan for this goal has failed in part. Plan only what is still needed, another way than what failed. What is finished stays: use it by its name, never do it again. If the goal cannot be reached any more, answer {"giveUp": true, "why": …}.',
    finished.length === 0 ? 'Nothing is finished.' : `Finished:\n${finished.map(({ name, capability, text }) => `${name} (${capability})\n${dataBlock(`beginning of ${name}`, text)}`).join('\n')}`,
    `Failed:\n${failures.map(({ name, capability, state, why }) => `${name} (${capability}, ${state})\n${dataBlock(`why ${name} failed`, why)}`).join('\n')}`,
  ].join('\n\n')
}

/** Names are lists of their own, so that a model held to the schema cannot invent any. */
export function draftSchema(capabilities: readonly string[], roles: readonly string[], mayGiveUp: boolean): JsonSchema {
  const text = { type: 'string' }
  const texts = { type: 'array', items: text }
  return {
    type: 'object',
    properties: {
      doItYourself: { type: 'boolean' },
      ...(mayGiveUp ? { giveUp: { type: 'boolean' } } : {}),
      why: text,
      role: { type: 'string', enum: [...roles] },
      criteria: texts,
      tasks: {
        type: 'array',
        items: {
          type: 'object',
          properties: {
            name: text,
            capability: { type: 'string', enum: [...capabilities] },
            role: { type: 'string', enum: [...roles] },
            goal: text,
            uses: texts,
            input: { type: 'object', additionalProperties: true },
            after: texts,
            criteria: texts,
            accept: { type: 'array', items: { type: 'object', additionalProperties: true } },
            expects: { type: 'object', additionalProperties: true },
            effort: { type: 'number' },
            budgetUsd: { type: 'number' },
            optional: { type: 'boolean' },
          },
          required: ['name', 'capability'],
        },
      },
    },
    required: ['why'],
  }
}
