/** Runs `docs.answer` in this process: plan → leaves → synthesise, with blobs in memory, inputs and outputs checked as a node does it, and calls answered by the test. */
import { packFolder } from '../../../../node/folders/pack-folder.ts'
import type { PackOptions } from '../../../../node/folders/pack-folder.ts'
import type { CallOptions, CallResult, OfferedCapability, Skill, SkillChild, SkillContext } from '../../../../node/skills/define-skill.ts'
import { AnswerOutput } from '../../../../node/skills/docs-answer/declarations.ts'
import { docsAnswer, docsSearch } from '../../../../node/skills/docs-answer/skills.ts'
import { createMemoryBlobs } from '../../../../node/skills/memory-blobs.ts'
import { MeshError, toFault } from '../../../../protocols/kernel/errors.ts'
import type { Json } from '../../../../protocols/kernel/payload.ts'
import { Plan } from '../../../../protocols/tasking/schema.ts'

export interface AnswerRun {
  readonly options?: Record<string, unknown>
  readonly pack?: Partial<PackOptions>
  readonly limits?: { readonly leavesLeft: number; readonly depthLeft: number }
  readonly offered?: readonly OfferedCapability[]
  readonly call?: (capability: string, input: Json, options?: CallOptions) => Promise<CallResult>
  /** Makes parts fail for good. */
  readonly fails?: (part: string) => boolean
  /** Gives `synthesise` what the parts found in another order. */
  readonly reversed?: boolean
}

export interface GivenAnswer {
  readonly output: AnswerOutput
  readonly markdown: string
  readonly parts: number
}

export async function answerFrom(folderPath: string, question: string, run: AnswerRun = {}): Promise<GivenAnswer> {
  const blobs = createMemoryBlobs()
  const folder = await packFolder(folderPath, { ...run.pack, put: (bytes, about) => blobs.put(bytes, about) })
  const context: SkillContext = {
    signal: new AbortController().signal,
    progress: () => undefined,
    blobs: {
      read: async (ref) => {
        await blobs.fetch(ref)
        return (await blobs.get(ref.$blob)) ?? new Uint8Array(0)
      },
      write: (content, about) => blobs.put(typeof content === 'string' ? new TextEncoder().encode(content) : content, about),
    },
    checkpoint: () => Promise.resolve(), resumed: undefined,
    missionId: 'm-test0000-000000000000', taskId: 'root', attempt: 1, principal: 'local', idempotencyKey: 'root',
    log: () => undefined,
    planLimits: run.limits ?? { leavesLeft: 30, depthLeft: 3 },
    capabilities: () => Promise.resolve(run.offered ?? []),
    inputSchema: () => Promise.resolve(undefined),
    call: run.call ?? ((capability) => Promise.reject(new MeshError('no-provider', `no live node offers ${capability}`))),
    workFolder: () => Promise.reject(new Error('no folder is needed')),
  }
  const input = await validate(docsAnswer.input, { folder, question, ...run.options })
  const plan = Plan.parse(await docsAnswer.plan(input, context))
  const children: SkillChild[] = []
  for (const [name, task] of Object.entries(plan.tasks)) {
    try {
      if (run.fails?.(name) === true) throw new Error('this task was made to fail')
      children.push({ name, capability: task.capability, state: 'accepted', output: await search(JSON.parse(JSON.stringify(task.input)), context) })
    } catch (thrown) {
      if (!task.optional) throw thrown
      children.push({ name, capability: task.capability, state: 'dead', fault: toFault(thrown, 'skill-failed') })
    }
  }
  if (run.reversed === true) children.reverse()
  const output = AnswerOutput.parse(JSON.parse(JSON.stringify(await validate(docsAnswer.output, await docsAnswer.synthesise({ input, children }, context)))))
  return { output, markdown: new TextDecoder().decode(await blobs.get(output.markdown.$blob)), parts: children.length }
}

async function search(input: unknown, context: SkillContext): Promise<Json> {
  const output = await docsSearch.run(await validate(docsSearch.input, input), context)
  return JSON.parse(JSON.stringify(await validate(docsSearch.output, output))) as Json
}

async function validate(schema: Skill['input'], value: unknown): Promise<unknown> {
  const result = await schema['~standard'].validate(value)
  if (result.issues !== undefined) throw new Error(`does not fit the schema: ${JSON.stringify(result.issues).slice(0, 500)}`)
  return result.value
}

/** As `context.capabilities()` lists a capability. */
export function offer(name: string, ...attributes: readonly Readonly<Record<string, string | number>>[]): OfferedCapability {
  return { name, version: '1.0', kind: 'leaf', effects: 'none', summary: '', attributes, providers: Math.max(1, attributes.length) }
}
