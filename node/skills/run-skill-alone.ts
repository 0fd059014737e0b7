/** Runs a skill by itself in a real skill thread, without a mesh: `skein skill test FILE`. */
import { fault, MeshError } from '../../protocols/kernel/errors.ts'
import type { Fault } from '../../protocols/kernel/errors.ts'
import type { RunStats } from '../../protocols/bidding/schema.ts'
import type { Principal } from '../../protocols/kernel/ids.ts'
import type { Json, Payload } from '../../protocols/kernel/payload.ts'
import type { SkillRunEvent } from '../../actors/ports/skill-runner.ts'
import { loadSkill } from './loader.ts'
import { createMemoryBlobs } from './memory-blobs.ts'
import type { MemoryBlobs } from './memory-blobs.ts'
import { createThreadSkillRunner } from './skill-runner-thread-adapter.ts'
import type { SkillDescription } from './skill-module.ts'

export interface RunSkillAloneInit {
  /** A file or a package, as for `--skill`. */
  readonly skill: string
  readonly from: string
  readonly input: Json
  /** Which of the module's skills; needed when it has several. */
  readonly capability?: string
  /** Default 1. */
  readonly attempt?: number
  /** Default: the skill's own. */
  readonly timeLimitMs?: number
  readonly onProgress?: (fraction: number | undefined, text: string | undefined) => void
  /** What the skill printed or logged. */
  readonly onOutput?: (stream: string, text: string) => void
}

export type AloneOutcome = {
  readonly skill: SkillDescription
  /** A composite skill cannot be synthesised without a mesh: it is planned, and `output` is its Plan. */
  readonly step: 'run' | 'plan'
  readonly stats: RunStats
  /** What the skill wrote, by digest. */
  readonly blobs: MemoryBlobs['contents']
} & ({ readonly state: 'done'; readonly output: Json } | { readonly state: 'failed'; readonly fault: Fault })

/** @throws MeshError `bad-request` when the module cannot be loaded, `unknown-capability` when it has no such skill. A failing skill does not throw. */
export async function runSkillAlone(init: RunSkillAloneInit): Promise<AloneOutcome> {
  const module = await loadSkill(init.skill, init.from)
  const skill = choose(module.skills, init)
  const step = skill.kind === 'leaf' ? 'run' : 'plan'
  const blobs = createMemoryBlobs()
  const runner = createThreadSkillRunner({
    skills: [module], blobs, threadsIdleMax: 0,
    telemetry: { record: ({ name, fields }) => name === 'skill.output' && init.onOutput?.(String(fields.stream), String(fields.text)) },
  })
  try {
    const ended = await new Promise<Extract<SkillRunEvent, { type: 'done' | 'failed' }>>((resolve) => {
      runner.start({
        runId: 'alone', capability: skill.capability, version: skill.version, step, input: { inline: init.input },
        principal: 'local' as Principal, missionId: 'm-alone000-000000000000', taskId: 'root', attempt: init.attempt ?? 1,
        timeLimitMs: init.timeLimitMs ?? skill.limits.timeMs,
        ...(step === 'plan' ? { planLimits: { leavesLeft: 30, depthLeft: 3 } } : {}),
      }, (event) => {
        if (event.type === 'done' || event.type === 'failed') resolve(event)
        // There is no log that a skill could wait for, and nobody whom it could call.
        else if (event.type === 'checkpoint' && event.number !== undefined) runner.checkpointCommitted('alone', event.number)
        else if (event.type === 'call') runner.answerCall('alone', event.callNumber, { type: 'failed', fault: fault('not-available', `${event.call.capability} cannot be called: this skill runs outside of a mesh`, { next: `run it on a node: skein start --skill FILE, then skein run ${skill.capability}` }), stats: { queueMs: 0, transferMs: 0, runMs: 0, costUsd: 0 } })
        else if (event.type === 'pulse' && (event.fraction !== undefined || event.text !== undefined)) init.onProgress?.(event.fraction, event.text)
      })
    })
    const about = { skill, step, stats: ended.stats, blobs: blobs.contents } as const
    return ended.type === 'failed' ? { ...about, state: 'failed', fault: ended.fault } : { ...about, state: 'done', output: await read(blobs, ended.output) }
  } finally {
    await runner.close()
  }
}

function choose(skills: readonly SkillDescription[], { skill: name, capability }: RunSkillAloneInit): SkillDescription {
  const names = skills.map((one) => one.capability).join(', ')
  const found = capability === undefined && skills.length === 1 ? skills[0] : skills.find((one) => one.capability === capability)
  if (found !== undefined) return found
  if (capability === undefined) throw new MeshError('bad-request', `${name} has several skills`, { next: `say which one: ${names}` })
  throw new MeshError('unknown-capability', `${name} has no skill ${capability}`, { next: `it has: ${names}` })
}

async function read(blobs: MemoryBlobs, payload: Payload): Promise<Json> {
  if ('inline' in payload) return payload.inline
  return JSON.parse(new TextDecoder().decode(await blobs.get(payload.blob.$blob))) as Json
}
