/** A skill's context without a mesh: its model answers by a script, its capabilities are functions, and everything asked of it is written down. */
import { MeshError } from '../../../../protocols/kernel/errors.ts'
import type { BlobRef, Json } from '../../../../protocols/kernel/payload.ts'
import type { ChatInput } from '../../../../protocols/models/schema.ts'
import type { CallOptions, OfferedCapability, SkillContext } from '../../../../node/skills/define-skill.ts'
import { createMemoryBlobs } from '../../../../node/skills/memory-blobs.ts'

/** Text is an answer; a list are function calls; JSON is an answer as text. */
export type Reply = string | { readonly calls: readonly (readonly [name: string, args: Json | string])[]; readonly content?: string } | { readonly json: Json } | { readonly finish: 'length' | 'filter'; readonly content: string | null } | MeshError

export interface ScriptedSkill {
  readonly summary?: string
  readonly effects?: 'none' | 'external'
  readonly kind?: 'leaf' | 'composite'
  readonly version?: string
  readonly schema?: Json
  run?(input: Json, options: CallOptions): Json | Promise<Json>
}

export interface Script {
  /** One reply per question, in order; or what to say to each. */
  readonly model?: readonly Reply[] | ((input: ChatInput, question: number) => Reply)
  /** Default: `alpha` alone. Empty: the mesh has no model. */
  readonly models?: readonly string[]
  readonly skills?: Readonly<Record<string, ScriptedSkill>>
  readonly resumed?: Json
  readonly budgetUsd?: number
  readonly planLimits?: { readonly leavesLeft: number; readonly depthLeft: number }
  readonly costUsdEach?: number
  /** The models say that they cost nothing. */
  readonly isFree?: boolean
}

export interface Scripted {
  readonly context: SkillContext
  /** Questions to the model, in order, with the keys of their calls. */
  readonly asked: (ChatInput & { readonly key: string })[]
  /** `commit`, `ask KEY`, `call CAPABILITY KEY`, `done KEY`, in the order in which they happened. */
  readonly happened: string[]
  readonly committed: Json[]
  readonly logged: string[]
  readonly blobs: ReturnType<typeof createMemoryBlobs>
}

export const agentCapabilities: Readonly<Record<string, ScriptedSkill>> = {
  'agent.plan': { kind: 'composite', summary: 'plans' },
  'agent.work': { summary: 'works' },
  'agent.act': { summary: 'acts', effects: 'external' },
  'agent.review': { summary: 'reviews' },
}

export function scripted(script: Script): Scripted {
  const { models = ['alpha'], skills = {}, costUsdEach = 0.001 } = script
  const asked: (ChatInput & { key: string })[] = []
  const happened: string[] = []
  const committed: Json[] = []
  const logged: string[] = []
  const blobs = createMemoryBlobs()

  function answer(input: ChatInput): Reply {
    const { model } = script
    if (typeof model === 'function') return model(input, asked.length)
    const reply = model?.[asked.length - 1]
    if (reply === undefined) throw new Error(`the script has no answer to question ${asked.length}:\n${input.messages.map((message) => `${message.role}: ${message.content ?? ''}`).join('\n')}`)
    return reply
  }

  const context: SkillContext = {
    signal: new AbortController().signal,
    progress: () => undefined,
    blobs: {
      async read(ref) {
        const bytes = await blobs.get(ref.$blob)
        if (bytes === undefined) throw new MeshError('unknown-blob', `no reachable node has ${ref.$blob}`)
        return bytes
      },
      write: async (content, about = {}) => await blobs.put(typeof content === 'string' ? new TextEncoder().encode(content) : content, about),
    },
    missionId: 'm-00000000-000000000000', taskId: 'root', attempt: 1, principal: 'local', idempotencyKey: 'm-00000000-000000000000:root',
    async call(capability, input, options = {}) {
      const key = options.key ?? '?'
      if (capability === 'llm.chat') {
        happened.push(`ask ${key}`)
        const chat = structuredClone(input) as unknown as ChatInput
        asked.push({ ...chat, key })
        const reply = answer(chat)
        if (reply instanceof MeshError) throw reply
        const usage = { promptTokens: 100, cachedTokens: 0, completionTokens: 10, costUsd: costUsdEach }
        const said = typeof reply === 'string' ? { content: reply, finish: 'stop' } : 'json' in reply ? { content: JSON.stringify(reply.json), finish: 'stop' } : 'finish' in reply ? reply
          : { content: reply.content ?? null, finish: 'tool-calls', toolCalls: reply.calls.map(([name, args], index) => ({ id: `id-${index}`, name, arguments: typeof args === 'string' ? args : JSON.stringify(args) })) }
        return { output: { model: chat.model ?? models[0] ?? 'alpha', usage, ...said } as unknown as Json, by: { peer: 'p1', name: 'node-1' }, costUsd: costUsdEach }
      }
      happened.push(`call ${capability} ${key}`)
      const skill = skills[capability]
      if (skill?.run === undefined) throw new MeshError('no-provider', `nobody offers ${capability}`)
      try {
        return { output: await skill.run(input, options), by: { peer: 'p2', name: 'node-2' }, costUsd: 0 }
      } finally {
        happened.push(`done ${key}`)
      }
    },
    capabilities: () => Promise.resolve([
      ...Object.entries(skills).map(([name, { summary = name, effects = 'none', kind = 'leaf', version = '1.0' }]): OfferedCapability => ({ name, version, kind, effects, summary, attributes: [{}], providers: 1 })),
      ...(models.length === 0 ? [] : [{ name: 'llm.chat', version: '1.0', kind: 'leaf' as const, effects: 'none' as const, summary: 'chat', attributes: models.map((model) => ({ model, ...(script.isFree === true ? { inputUsdPerMillion: 0, outputUsdPerMillion: 0 } : {}) })), providers: models.length }]),
    ]),
    inputSchema: (capability) => Promise.resolve(skills[capability]?.schema),
    ...(script.planLimits === undefined ? {} : { planLimits: script.planLimits }),
    ...(script.budgetUsd === undefined ? {} : { budgetUsd: script.budgetUsd }),
    checkpoint(value, options) {
      happened.push(options?.committed === true ? 'commit' : 'checkpoint')
      committed.push(structuredClone(value))
      return Promise.resolve()
    },
    resumed: script.resumed,
    log: (text) => logged.push(text),
    workFolder: () => Promise.reject(new Error('no agent needs a folder')),
  }
  return { context, asked, happened, committed, logged, blobs }
}

/** Everything that a question says, as one text. */
export function textOf(question: ChatInput | undefined): string {
  return question?.messages.map((message) => message.content ?? '').join('\n') ?? ''
}

export async function faultOf(run: () => unknown): Promise<MeshError['fault']> {
  try {
    await run()
  } catch (thrown) {
    if (thrown instanceof MeshError) return thrown.fault
    throw thrown
  }
  throw new Error('it was expected to fail')
}

export async function textBlob(scriptedContext: Scripted, text: string, name: string): Promise<BlobRef> {
  return await scriptedContext.context.blobs.write(text, { name, mediaType: 'text/plain' })
}

