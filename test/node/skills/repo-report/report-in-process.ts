/** Runs `repo.report` in this process: plan → leaves → synthesise, with blobs in memory and inputs and outputs checked as a node does it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packFolder } from '../../../../node/folders/pack-folder.ts'
import type { PackOptions } from '../../../../node/folders/pack-folder.ts'
import type { CompositeSkill, Skill, SkillChild, SkillContext } from '../../../../node/skills/define-skill.ts'
import { createMemoryBlobs } from '../../../../node/skills/memory-blobs.ts'
import type { MemoryBlobs } from '../../../../node/skills/memory-blobs.ts'
import { RepoReport } from '../../../../node/skills/repo-report/report-model.ts'
import { ReportOutput } from '../../../../node/skills/repo-report/declarations.ts'
import { repoReportSkills } from '../../../../node/skills/repo-report/skills.ts'
import { toFault } from '../../../../protocols/kernel/errors.ts'
import type { Json } from '../../../../protocols/kernel/payload.ts'
import { Plan } from '../../../../protocols/tasking/schema.ts'

export interface ReportRun {
  readonly blobs?: MemoryBlobs
  readonly pack?: Partial<PackOptions>
  readonly options?: Record<string, unknown>
  readonly limits?: { readonly leavesLeft: number; readonly depthLeft: number }
  /** Makes the leaves for which it returns true fail for good. */
  readonly fails?: (capability: string, taskPath: string) => boolean
}

export interface RanTask {
  readonly taskPath: string
  readonly capability: string
  readonly input: unknown
}

export interface BuiltReport {
  readonly output: ReportOutput
  readonly report: RepoReport
  readonly markdown: string
  readonly html: string
  readonly tasks: readonly RanTask[]
  readonly blobs: MemoryBlobs
  /** How often a skill said that it is alive. */
  readonly pulses: number
  /** Every output and every blob that a skill wrote, as one text. */
  readonly everythingSaid: string
}

/** Packs a folder and reports on it. */
export async function buildReport(folderPath: string, run: ReportRun = {}): Promise<BuiltReport> {
  const blobs = run.blobs ?? createMemoryBlobs()
  const folder = await packFolder(folderPath, { ...run.pack, put: (bytes, about) => blobs.put(bytes, about) })
  return runReport({ folder, ...run.options }, { ...run, blobs })
}

/** Runs `repo.report` on an input of its own. */
export async function runReport(input: unknown, run: ReportRun = {}): Promise<BuiltReport> {
  const blobs = run.blobs ?? createMemoryBlobs()
  const tasks: RanTask[] = []
  const said: string[] = []
  let pulses = 0
  const decoder = new TextDecoder('latin1')
  const contextFor = (taskPath: string, folders: string[]): SkillContext => ({
    signal: new AbortController().signal,
    progress: (_fraction, text) => {
      pulses++
      said.push(text ?? '')
    },
    call: () => Promise.reject(new Error('a report calls nobody')),
    capabilities: () => Promise.resolve([]),
    inputSchema: () => Promise.resolve(undefined),
    blobs: {
      read: async (ref) => {
        await blobs.fetch(ref)
        return (await blobs.get(ref.$blob)) ?? new Uint8Array(0)
      },
      write: (content, about) => {
        const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content
        if (!about?.name?.startsWith('pack-')) said.push(decoder.decode(bytes))
        return blobs.put(bytes, about)
      },
    },
    checkpoint: () => Promise.resolve(), resumed: undefined,
    missionId: 'm-test0000-000000000000', taskId: taskPath, attempt: 1, principal: 'local', idempotencyKey: taskPath,
    log: (text) => said.push(text),
    planLimits: run.limits ?? { leavesLeft: 30, depthLeft: 3 },
    workFolder: async () => {
      const made = await mkdtemp(join(tmpdir(), 'skein-report-test-'))
      folders.push(made)
      return made
    },
  })

  async function perform(skill: Skill, given: unknown, taskPath: string): Promise<Json> {
    tasks.push({ taskPath, capability: skill.capability, input: given })
    const folders: string[] = []
    const context = contextFor(taskPath, folders)
    try {
      const checked = await validate(skill.input, given)
      const output = skill.kind === 'leaf' ? await skill.run(checked, context) : await performComposite(skill, checked, taskPath, context)
      const json = JSON.parse(JSON.stringify(await validate(skill.output, output))) as Json
      said.push(JSON.stringify(json))
      return json
    } finally {
      for (const folder of folders) await rm(folder, { recursive: true, force: true })
    }
  }

  async function performComposite(skill: CompositeSkill, input: unknown, taskPath: string, context: SkillContext): Promise<unknown> {
    const plan = Plan.parse(await skill.plan(input, context))
    const children: SkillChild[] = []
    for (const [name, task] of Object.entries(plan.tasks)) {
      const inner = repoReportSkills.find((each) => each.capability === task.capability)
      if (inner === undefined) throw new Error(`the plan asks for ${task.capability}`)
      const innerPath = `${taskPath}/${name}`
      try {
        if (run.fails?.(inner.capability, innerPath) === true) throw new Error('this task was made to fail')
        children.push({ name, capability: inner.capability, state: 'accepted', output: await perform(inner, JSON.parse(JSON.stringify(task.input)), innerPath) })
      } catch (thrown) {
        if (!task.optional) throw thrown
        children.push({ name, capability: inner.capability, state: 'dead', fault: toFault(thrown, 'skill-failed') })
      }
    }
    return skill.synthesise({ input, children }, context)
  }

  const root = repoReportSkills.find((each) => each.capability === 'repo.report')
  if (root === undefined) throw new Error('there is no repo.report')
  const output = ReportOutput.parse(await perform(root, input, 'root'))
  const read = async (ref: { $blob: string }) => new TextDecoder().decode(await blobs.get(ref.$blob as never))
  return {
    output,
    report: RepoReport.parse(JSON.parse(await read(output.json))),
    markdown: await read(output.markdown),
    html: await read(output.html),
    tasks, blobs, pulses,
    everythingSaid: said.join('\n'),
  }
}

async function validate(schema: Skill['input'], value: unknown): Promise<unknown> {
  const result = await schema['~standard'].validate(value)
  if (result.issues !== undefined) throw new Error(`does not fit the schema: ${JSON.stringify(result.issues).slice(0, 500)}`)
  return result.value
}
