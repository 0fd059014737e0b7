/** Asking a model of the mesh: one call, or until its JSON fits. */
import { MeshError, toFault } from '../../../protocols/kernel/errors.ts'
import { ChatOutput, chatCapability } from '../../../protocols/models/schema.ts'
import type { ChatInput, ChatMessage, JsonSchema } from '../../../protocols/models/schema.ts'
import type { OfferedCapability, SkillContext } from '../define-skill.ts'
import { describeIssues } from '../standard-schema.ts'
import { jsonIn } from './json-answer.ts'
import { agentLimits } from './limits.ts'
import type { AgentUsage } from './schema.ts'
import { isPartOfAnother } from './tools.ts'
import { addUsage, nothingUsed } from './usage.ts'

/** What these functions need of a skill's context. */
export type Mesh = Pick<SkillContext, 'call'>

export interface Asked {
  readonly answer: ChatOutput
  readonly node: string
  readonly usage: AgentUsage
}

export interface Question extends Omit<ChatInput, 'model' | 'messages'> {
  /** Unique within the task, the same in a later attempt. */
  readonly key: string
  readonly messages: readonly ChatMessage[]
  /** One that the mesh has (`chosenModel`). */
  readonly model?: string | undefined
  readonly timeLimitMs?: number
  readonly signal?: AbortSignal
}

/** @throws MeshError as `SkillContext.call`; `bad-output` when the provider's answer is none. */
export async function askModel(mesh: Mesh, question: Question): Promise<Asked> {
  const { key, model, timeLimitMs = agentLimits.modelCallMs, signal, messages, ...rest } = question
  const input: ChatInput = { ...rest, messages: [...messages], ...(model === undefined ? {} : { model }) }
  const { output, by, costUsd } = await mesh.call(chatCapability, JSON.parse(JSON.stringify(input)) as never, {
    key, timeLimitMs, ...(model === undefined ? {} : { attributes: { model } }), ...(signal === undefined ? {} : { signal }),
  })
  const answer = ChatOutput.safeParse(output)
  if (!answer.success) throw new MeshError('bad-output', `${by.name} gave something for ${chatCapability} that is no answer: ${describeIssues(answer.error.issues)}`, { next: 'look at the release of that node' })
  const { promptTokens, completionTokens } = answer.data.usage
  return { answer: answer.data, node: by.name, usage: { promptTokens, completionTokens, costUsd, modelCalls: 1 } }
}

/** Names of the chat models that the mesh has, sorted. */
export function chatModels(offered: readonly OfferedCapability[]): string[] {
  const names = offered.filter((one) => one.name === chatCapability).flatMap((one) => one.attributes.map((attributes) => attributes['model']))
  return [...new Set(names.filter((name): name is string => typeof name === 'string'))].sort()
}

/** The first of the wishes that the mesh has; undefined leaves the choice to the mesh. */
export function chosenModel(offered: readonly OfferedCapability[], ...wishes: readonly (string | undefined)[]): string | undefined {
  const models = chatModels(offered)
  return wishes.find((wish) => wish !== undefined && models.includes(wish))
}

/**
 * @param retryable whether there was one when the mission began: a node that has just joined may not have heard of it yet, and one that left may come back.
 * @throws MeshError `no-provider` that says what to start, and what the mesh can do without a model.
 */
export function requireModel(offered: readonly OfferedCapability[], what: string, retryable: boolean): void {
  if (offered.some((one) => one.name === chatCapability && one.providers > 0)) return
  const others = [...new Set(offered.filter((one) => !one.name.startsWith('agent.') && !one.name.startsWith('llm.') && !isPartOfAnother(one)).map((one) => one.name))].sort()
  const meanwhile = others.length === 0 ? 'nothing else is offered now' : `these work meanwhile: ${others.slice(0, 12).join(', ')}${others.length > 12 ? `, and ${others.length - 12} more ("skein capabilities")` : ''}`
  throw new MeshError('no-provider', `${what} needs a language model, and no node of the mesh offers one (${chatCapability})`, {
    retryable,
    next: `start a node with one: "skein node start --model file.gguf", or with OPENAI_API_KEY or SKEIN_LLM_URL set; ${meanwhile}`,
  })
}

/** Whether there is something to ask a model with: money, or a model that costs none. */
export function canAsk({ budgetUsd }: Pick<SkillContext, 'budgetUsd'>, offered: readonly OfferedCapability[]): boolean {
  return budgetUsd === undefined || budgetUsd > 0 || offered.some((one) => one.name === chatCapability && one.attributes.some((attributes) => attributes['inputUsdPerMillion'] === 0 && attributes['outputUsdPerMillion'] === 0))
}

/** @throws MeshError `over-limit` when nothing may be spent and every model has a price, before anything is asked. */
export function requireBudget(context: Pick<SkillContext, 'budgetUsd'>, offered: readonly OfferedCapability[], what: string): void {
  if (canAsk(context, offered)) return
  throw new MeshError('over-limit', `${what} asks a language model, its budget is ${context.budgetUsd} USD, and no model of the mesh is free`, { next: 'give the mission a budget (limits.budgetUsd), or start a node with a model of its own: skein node start --model FILE.gguf' })
}

export type Fitted<T> = { readonly value: T } | { readonly problems: readonly string[] }

export interface JsonQuestion<T> extends Omit<Question, 'messages' | 'schema' | 'key'> {
  /** Calls are named `key:1`, `key:2`, … */
  readonly key: string
  readonly schema: JsonSchema
  /** Shorter at every level; undefined when it cannot be shorter. Level 0 first. */
  messagesAt(level: number): Promise<readonly ChatMessage[] | undefined> | readonly ChatMessage[] | undefined
  /** What the JSON comes to, or why it is refused. */
  fit(value: unknown): Promise<Fitted<T>> | Fitted<T>
  /** The error after the last refused answer. */
  refusedFor(causes: readonly string[]): MeshError
}

export interface JsonAnswer<T> {
  readonly value: T
  /** Answers of the model, the good one included. */
  readonly attempts: number
  /** Why the others were refused. */
  readonly causes: readonly string[]
  readonly usage: AgentUsage
  readonly model: string
  readonly node: string
  /** How often what it was shown had to be made shorter. */
  readonly level: number
  /** Those of its first question, at this level. */
  readonly messages: readonly ChatMessage[]
}

/**
 * Asks for JSON, and again with the reasons while it does not fit, at most twice. What is too long for the model's context is made shorter.
 * @throws MeshError `refusedFor` after the last refusal; `context-overflow` when nothing can be made shorter; else as `askModel`.
 */
export async function askForJson<T>(mesh: Mesh, question: JsonQuestion<T>): Promise<JsonAnswer<T>> {
  const { key, messagesAt, fit, refusedFor, ...rest } = question
  const causes: string[] = []
  let usage = nothingUsed
  let level = 0
  let calls = 0
  let messages = (await messagesAt(0)) ?? []
  let turns: ChatMessage[] = []
  for (;;) {
    let problems: readonly string[]
    let said: string | null = null
    try {
      const asked = await askModel(mesh, { ...rest, key: `${key}:${++calls}`, messages: [...messages, ...turns] })
      usage = addUsage(usage, asked.usage)
      said = asked.answer.content
      const found = asked.answer.finish === 'length' ? { problem: 'the answer was cut off because it was too long: answer more briefly' } : jsonIn(said ?? '')
      const fitted: Fitted<T> = 'problem' in found ? { problems: [found.problem] } : await fit(found.value)
      if ('value' in fitted) return { value: fitted.value, attempts: causes.length + 1, causes, usage, model: asked.answer.model, node: asked.node, level, messages }
      problems = fitted.problems
    } catch (thrown) {
      const why = toFault(thrown)
      if (why.code === 'context-overflow') {
        level += 1
        const shorter = await messagesAt(level)
        if (shorter === undefined && turns.length === 0) throw thrown
        // What was refused before is the first to go.
        if (turns.length > 0) turns = turns.slice(-1)
        if (shorter !== undefined) messages = shorter
        else turns = []
        if (level > agentLimits.condenseHalvingsMax) throw thrown
        continue
      }
      if (why.code !== 'bad-output') throw thrown
      problems = [why.detail]
    }
    causes.push(problems.join('; ').slice(0, 1_000))
    if (causes.length > agentLimits.repairsMax) throw refusedFor(causes)
    turns = [
      ...(said === null || said === '' ? [] : [{ role: 'assistant' as const, content: said }]),
      { role: 'user', content: `Your answer was refused:\n${problems.map((problem) => `- ${problem}`).join('\n')}\nAnswer again, with the whole corrected JSON and nothing else.` },
    ]
  }
}
