/** Runs skills in worker threads, declared programs in processes, and inline skills on the loop. */
import { tmpdir } from 'node:os'
import type { z } from 'zod'
import type { Capability } from '../../protocols/capability/schema.ts'
import { Capability as CapabilitySchema } from '../../protocols/capability/schema.ts'
import { MeshError, fault } from '../../protocols/kernel/errors.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { BlobStore } from '../../actors/ports/blob-store.ts'
import type { SkillRun, SkillRunner } from '../../actors/ports/skill-runner.ts'
import type { Telemetry } from '../../actors/ports/telemetry.ts'
import { createInlineSkills } from './inline-skills.ts'
import { compileSchema } from './program/declaration.ts'
import type { Program } from './program/declaration.ts'
import { startProgramRun } from './program/program-run.ts'
import type { SkillMesh } from './skill-mesh.ts'
import type { SkillDescription, SkillModule } from './skill-module.ts'
import { skillKey } from './skill-module.ts'
import { describeIssues } from './standard-schema.ts'
import { createThreadPool } from './thread-pool.ts'
import { startThreadRun } from './thread-run.ts'
import type { RunningSkill } from './thread-run.ts'

export interface ThreadSkillRunnerInit {
  readonly skills: readonly SkillModule[]
  readonly programs?: readonly Program[]
  readonly blobs: BlobStore
  readonly telemetry?: Telemetry
  /** Warm threads to keep. Default 2. */
  readonly threadsIdleMax?: number
  readonly pulseMs?: number
  /** An existing folder for the runs' working folders. Default: the system's temporary one. */
  readonly workRoot?: string
  /** The mesh that its skills may ask about, once there is one. */
  readonly mesh?: () => SkillMesh | undefined
}

export interface ThreadSkillRunner extends SkillRunner {
  /**
   * Puts a reloaded module in the place of the one with the same origin. Running skills finish as they are.
   * @throws MeshError `bad-request` when another module has one of its capabilities in the same version; the old one stays.
   */
  replaceModule(module: SkillModule): void
  /** Stops every run (`cancelled`), ends all threads and processes. */
  close(): Promise<void>
}

interface Offered {
  readonly skill: SkillDescription
  readonly origin: string
  readonly by: { readonly url: string } | { readonly program: Program }
  schema?: z.ZodType | 'none'
}

/** @throws MeshError `bad-request` when two of them offer the same capability in the same version, or all of them more than a node can offer. */
export function createThreadSkillRunner(init: ThreadSkillRunnerInit): ThreadSkillRunner {
  const { blobs, telemetry, pulseMs = limits.pulseMs, workRoot = tmpdir() } = init
  const pool = createThreadPool(init.threadsIdleMax ?? 2)
  const programs = init.programs ?? []
  const listeners = new Set<() => void>()
  const running = new Map<string, RunningSkill>()
  const inline = createInlineSkills(blobs, (skill, why) => telemetry?.record({ name: 'skill.not-inline', level: 'warn', fields: { skill, why } }))
  let modules = [...init.skills]
  let offered = offer(modules, programs)
  let closed = false
  for (const module of modules) inline.load(module)

  /** The skill in this very version, else one of the same major version that only adds to it. */
  function find(capability: string, version: string | undefined): Offered | undefined {
    if (version !== undefined) {
      const exact = offered.get(skillKey(capability, version))
      if (exact !== undefined) return exact
    }
    const fits = [...offered.values()].filter(({ skill }) => skill.capability === capability && (version === undefined || satisfies(skill.version, version)))
    return fits.sort((left, right) => compareVersions(right.skill.version, left.skill.version))[0]
  }

  function launch(asked: SkillRun, found: Offered, listener: Parameters<SkillRunner['start']>[1]): RunningSkill {
    const { skill, by } = found
    // A task may ask for less time than the skill allows itself, never for more: a runaway ends by its own limit.
    const run = { ...asked, timeLimitMs: Math.min(asked.timeLimitMs, skill.limits.timeMs) }
    const onLog = (stream: string, text: string): void => {
      telemetry?.record({ name: 'skill.output', level: 'info', fields: { skill: skill.capability, mission: run.missionId, task: run.taskId, stream, text } })
    }
    if ('program' in by) return startProgramRun({ run, program: by.program, blobs, pulseMs, workRoot, listener, onLog })
    return inline.start(run, skill.version, listener) ?? startThreadRun({ run, skill, url: by.url, pool, blobs, pulseMs, workRoot, listener, onLog, mesh: init.mesh?.() })
  }

  return {
    capabilities: () => [...offered.values()].map(({ skill }) => capabilityOf(skill)),
    onCapabilitiesChanged(listener) {
      listeners.add(listener)
    },
    timeLimitMs: (capability, version) => find(capability, version)?.skill.limits.timeMs ?? limits.skillTimeMsDefault,
    checkInput(capability, version, input) {
      const found = find(capability, version)
      if (found === undefined) return undefined
      const schema = (found.schema ??= schemaOf(found.skill))
      if (schema === 'none') return undefined
      const checked = schema.safeParse(input)
      if (checked.success) return undefined
      return fault('bad-input', `the input does not fit ${capability} ${found.skill.version}: ${describeIssues(checked.error.issues)}`, { next: 'correct the input' })
    },
    start(run, listener) {
      const refuse = (why: ReturnType<typeof fault>): void => queueMicrotask(() => {
        listener({ type: 'failed', fault: why, stats: { queueMs: 0, transferMs: 0, runMs: 0, costUsd: 0 } })
      })
      const found = find(run.capability, run.version)
      if (closed) return refuse(fault('cancelled', 'the node is stopping'))
      if (running.has(run.runId)) return refuse(fault('internal', `the run ${run.runId} is already running`))
      if (found === undefined) return refuse(fault('unknown-capability', `this node has no skill ${run.capability} ${run.version}`, { next: 'load it with --skill' }))
      // Most composite skills never add to their plans: no thread is asked.
      if (run.step === 'revise' && found.skill.revises !== true) {
        return queueMicrotask(() => {
          listener({ type: 'done', output: { inline: null }, stats: { queueMs: 0, transferMs: 0, runMs: 0, costUsd: 0 } })
        })
      }
      const started = launch(run, found, listener)
      running.set(run.runId, started)
      void started.gone.then(() => running.delete(run.runId))
    },
    inputSchema: (capability, version) => find(capability, version)?.skill.inputSchema,
    answerCall(runId, callNumber, event) {
      running.get(runId)?.answerCall?.(callNumber, event)
    },
    checkpointCommitted(runId, number, problem) {
      running.get(runId)?.checkpointCommitted?.(number, problem)
    },
    // How long runs take is measured by whoever bids for them.
    onMeasured: () => undefined,
    stop(runId, why) {
      running.get(runId)?.stop(why)
    },
    replaceModule(module) {
      const next = [...modules.filter((other) => other.origin !== module.origin), module]
      offered = offer(next, programs)
      modules = next
      pool.retire()
      inline.load(module)
      for (const listener of listeners) listener()
    },
    async close() {
      closed = true
      const all = [...running.values()]
      for (const one of all) one.stop(fault('cancelled', 'the node is stopping'))
      await Promise.all(all.map((one) => one.gone))
      await pool.close()
    },
  }
}

function offer(modules: readonly SkillModule[], programs: readonly Program[]): Map<string, Offered> {
  const offered = new Map<string, Offered>()
  const add = (one: Offered): void => {
    const key = skillKey(one.skill.capability, one.skill.version)
    const other = offered.get(key)
    if (other !== undefined) {
      throw new MeshError('bad-request', `${key} is defined twice: by ${other.origin} and by ${one.origin}`, { next: 'load only one of them, or give one another version' })
    }
    offered.set(key, one)
  }
  for (const { origin, url, skills } of modules) for (const skill of skills) add({ skill, origin, by: { url } })
  for (const program of programs) add({ skill: program.description, origin: 'the configuration (programs)', by: { program } })
  if (offered.size > limits.advertCapabilitiesMax) {
    throw new MeshError('bad-request', `${offered.size} capabilities are loaded, those that come with Skein among them; one node offers ${limits.advertCapabilitiesMax} at most`, { next: 'load fewer, or divide them among several nodes' })
  }
  return offered
}

function capabilityOf({ capability, version, kind, effects, attributes, summary, slots }: SkillDescription): Capability {
  return CapabilitySchema.parse({ name: capability, version, kind, effects, attributes, summary, ...(slots === undefined ? {} : { slots }) })
}

function schemaOf(skill: SkillDescription): z.ZodType | 'none' {
  if (skill.inputSchema === undefined) return 'none'
  try {
    return compileSchema(skill.inputSchema, `the input schema of ${skill.capability}`)
  } catch {
    // The skill's own schema checks the input in its thread.
    return 'none'
  }
}

function compareVersions(left: string, right: string): number {
  const [leftMajor = 0, leftMinor = 0] = left.split('.').map(Number)
  const [rightMajor = 0, rightMinor = 0] = right.split('.').map(Number)
  return leftMajor - rightMajor || leftMinor - rightMinor
}

/** Same major, and no older. */
function satisfies(version: string, wanted: string): boolean {
  return version.split('.')[0] === wanted.split('.')[0] && compareVersions(version, wanted) >= 0
}
