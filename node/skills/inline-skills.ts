/**
 * Skills that say they are pure and take under a millisecond may run on the node's own loop. They are believed until they are
 * measured: three slow ones among the last twenty runs, or one that gives a promise, and the skill goes to the threads.
 */
import { MeshError, fault, toFault } from '../../protocols/kernel/errors.ts'
import type { BlobStore } from '../../actors/ports/blob-store.ts'
import type { SkillRun, SkillRunEvent } from '../../actors/ports/skill-runner.ts'
import type { LeafSkill, SkillContext } from './define-skill.ts'
import { executeStep, faultOfThrown } from './execute-step.ts'
import { skillsIn } from './module-contents.ts'
import { registerSkillImports } from './module-hooks.ts'
import { payloadOf } from './payload-transfer.ts'
import type { SkillModule } from './skill-module.ts'
import { skillKey } from './skill-module.ts'
import { idempotencyKeyOf } from './thread-context.ts'
import type { RunningSkill } from './thread-run.ts'

const slowMs = 1
const runsRemembered = 20
const slowRunsMax = 3

export interface InlineSkills {
  /** Imports the inline skills of a module; until that is done they run in threads. */
  load(module: SkillModule): void
  /** Undefined when the skill is not, or no longer, run inline. */
  start(run: SkillRun, version: string, listener: (event: SkillRunEvent) => void): RunningSkill | undefined
}

interface InlineSkill {
  readonly skill: LeafSkill
  readonly slow: boolean[]
}

/** @param onDemoted told once for every skill that goes to the threads, with the reason. */
export function createInlineSkills(blobs: BlobStore, onDemoted: (key: string, why: string) => void): InlineSkills {
  const skills = new Map<string, InlineSkill>()
  const loads = new Map<string, number>()

  async function load(module: SkillModule): Promise<void> {
    const keys = module.skills.map((skill) => skillKey(skill.capability, skill.version))
    for (const key of keys) skills.delete(key)
    if (!module.skills.some((skill) => skill.inline)) return
    registerSkillImports()
    const load = (loads.get(module.url) ?? 0) + 1
    loads.set(module.url, load)
    // A reloaded module is another module: the query makes the import see its new text.
    for (const skill of await skillsIn(load === 1 ? module.url : `${module.url}?load=${load}`)) {
      if (skill.kind === 'leaf' && skill.inline) skills.set(skillKey(skill.capability, skill.version), { skill, slow: [] })
    }
  }

  function demote(key: string, why: string): void {
    if (skills.delete(key)) onDemoted(key, why)
  }

  function judge(key: string, inline: InlineSkill, tookMs: number): void {
    inline.slow.push(tookMs > slowMs)
    if (inline.slow.length > runsRemembered) inline.slow.shift()
    const slowRuns = inline.slow.filter(Boolean).length
    if (slowRuns >= slowRunsMax) demote(key, `${slowRuns} of its last ${inline.slow.length} runs took over ${slowMs} ms`)
  }

  return {
    load(module) {
      load(module).catch((thrown: unknown) => onDemoted(module.origin, toFault(thrown).detail))
    },
    start(run, version, listener) {
      const key = skillKey(run.capability, version)
      const inline = skills.get(key)
      if (inline === undefined || run.step !== 'run' || !('inline' in run.input)) return undefined
      const { input } = run
      const finished = Promise.withResolvers<undefined>()
      let over = false
      let tookMs = 0

      const timed: LeafSkill = {
        ...inline.skill,
        run(checked, context) {
          const atMs = performance.now()
          const value = inline.skill.run(checked, context)
          tookMs = performance.now() - atMs
          judge(key, inline, tookMs)
          if (value instanceof Promise) demote(key, 'it gives a promise')
          return value
        },
      }
      const end = (event: SkillRunEvent): void => {
        if (over) return
        over = true
        listener(event)
        finished.resolve(undefined)
      }
      const stats = () => ({ queueMs: 0, transferMs: 0, runMs: tookMs, costUsd: 0 })
      const limit = setTimeout(() => {
        demote(key, 'it ran into its time limit')
        end({ type: 'failed', fault: fault('skill-timeout', `${run.capability} ran longer than ${run.timeLimitMs} ms`), stats: stats() })
      }, run.timeLimitMs)

      queueMicrotask(() => {
        if (over) return
        executeStep({ skill: timed, step: 'run', input: input.inline, children: [], context: inlineContext(run) })
          .then(async (value) => end({ type: 'done', output: await payloadOf(blobs, new TextEncoder().encode(JSON.stringify(value))), stats: stats() }))
          .catch((thrown: unknown) => end({ type: 'failed', fault: faultOfThrown(thrown), stats: stats() }))
          .finally(() => clearTimeout(limit))
      })
      return { stop: (why) => end({ type: 'failed', fault: why, stats: stats() }), gone: finished.promise }
    },
  }
}

function inlineContext(run: SkillRun): SkillContext {
  const refuse = (): Promise<never> => Promise.reject(new MeshError('not-available', 'an inline skill has no blobs, no folder, no checkpoints and no calls', { next: 'remove inline: true from the skill' }))
  return {
    signal: new AbortController().signal,
    progress: () => undefined,
    blobs: { read: refuse, write: refuse },
    checkpoint: () => {
      const refused = refuse()
      // Here a promise that nobody waits for would end the node.
      refused.catch(() => undefined)
      return refused
    },
    resumed: undefined,
    missionId: run.missionId,
    taskId: run.taskId,
    attempt: run.attempt,
    principal: run.principal,
    idempotencyKey: idempotencyKeyOf(run),
    log: () => undefined,
    call: refuse,
    capabilities: refuse,
    inputSchema: refuse,
    workFolder: refuse,
  }
}
