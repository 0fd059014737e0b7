/** The SkillRunner port with skills whose course is written down: they take virtual time and end as their script says. */
import type { Clock } from '../actors/ports/clock.ts'
import type { SkillRun, SkillRunEvent, SkillRunner } from '../actors/ports/skill-runner.ts'
import type { RunStats } from '../protocols/bidding/schema.ts'
import type { Capability } from '../protocols/capability/schema.ts'
import { fault, type Fault } from '../protocols/kernel/errors.ts'
import { limits } from '../protocols/kernel/limits.ts'
import type { Json, Payload } from '../protocols/kernel/payload.ts'
import type { DurationMs } from '../protocols/kernel/units.ts'

/** How one run goes: after `afterMs` (Infinity: never by itself) it ends with the output, the payload or the fault, whichever is given (else with `null`). */
export interface ScriptedCourse {
  readonly afterMs: DurationMs
  readonly output?: Json
  /** An output that is not inline. */
  readonly payload?: Payload
  readonly fault?: Fault
  /** False: the thread gives no sign of life between its start and its end. Default true. */
  readonly pulses?: boolean
  /** Text of the pulses. */
  readonly text?: string
  readonly costUsd?: number
  readonly memoryBytesMax?: number
}

export interface ScriptedSkill {
  readonly capability: Capability
  readonly run?: (run: SkillRun) => ScriptedCourse
  readonly plan?: (run: SkillRun) => ScriptedCourse
  readonly synthesise?: (run: SkillRun) => ScriptedCourse
  readonly checkInput?: (input: Json) => Fault | undefined
  readonly timeLimitMs?: DurationMs
}

export interface ScriptedSkillRunnerInit {
  readonly clock: Clock
  readonly skills: readonly ScriptedSkill[]
  /** Between `start` and `started`; default 1 ms. */
  readonly startMs?: DurationMs
  /** Divides every course's time; a slow node has less than 1. */
  readonly speed?: number
}

export interface ScriptedSkillRunner extends SkillRunner {
  /** Every run that was started, in order. */
  readonly started: readonly SkillRun[]
  running(): readonly SkillRun[]
  /** Replaces what this node can do. Runs that are under way go on. */
  setSkills(skills: readonly ScriptedSkill[]): void
}

interface LiveRun {
  readonly run: SkillRun
  readonly listener: (event: SkillRunEvent) => void
  readonly acceptedMs: number
  startedMs: number | undefined
  timers: (() => void)[]
}

export function createScriptedSkillRunner(init: ScriptedSkillRunnerInit): ScriptedSkillRunner {
  const { clock } = init
  const speed = init.speed ?? 1
  let skills = init.skills
  const started: SkillRun[] = []
  const live = new Map<string, LiveRun>()
  const listeners: (() => void)[] = []

  const major = (version: string): string => version.split('.')[0] ?? version

  function skillFor(capability: string, version: string | undefined): ScriptedSkill | undefined {
    return skills.find((skill) => skill.capability.name === capability && (version === undefined || major(skill.capability.version) === major(version)))
  }

  function statsOf(one: LiveRun, course?: ScriptedCourse): RunStats {
    const now = clock.monotonicMs()
    return {
      queueMs: (one.startedMs ?? now) - one.acceptedMs,
      transferMs: 0,
      runMs: one.startedMs === undefined ? 0 : now - one.startedMs,
      costUsd: course?.costUsd ?? 0,
      ...(course?.memoryBytesMax === undefined ? {} : { memoryBytesMax: course.memoryBytesMax }),
    }
  }

  function end(one: LiveRun, event: SkillRunEvent): void {
    if (live.get(one.run.runId) !== one) return
    live.delete(one.run.runId)
    for (const cancel of one.timers) cancel()
    one.listener(event)
  }

  function pulse(one: LiveRun, course: ScriptedCourse, lengthMs: DurationMs): void {
    one.timers.push(
      clock.schedule(limits.pulseMs, () => {
        const fraction = Math.min(1, (clock.monotonicMs() - (one.startedMs ?? 0)) / lengthMs)
        one.timers = one.timers.slice(0, 2)
        pulse(one, course, lengthMs)
        one.listener({ type: 'pulse', fraction, ...(course.text === undefined ? {} : { text: course.text }) })
      }),
    )
  }

  function begin(one: LiveRun): void {
    one.startedMs = clock.monotonicMs()
    const { run } = one
    const skill = skillFor(run.capability, run.version)
    const script = skill?.[run.step]
    let course: ScriptedCourse
    try {
      course = script === undefined ? { afterMs: 0, fault: fault('skill-failed', `${run.capability} ${run.version} has no '${run.step}' step on this node`, { retryable: false }) } : script(run)
    } catch (error) {
      course = { afterMs: 0, fault: fault('skill-failed', error instanceof Error ? error.message : String(error)) }
    }
    const lengthMs = course.afterMs / speed
    one.timers = [
      clock.schedule(lengthMs, () => {
        if (course.fault !== undefined) end(one, { type: 'failed', fault: course.fault, stats: statsOf(one, course) })
        else end(one, { type: 'done', output: course.payload ?? { inline: course.output ?? null }, stats: statsOf(one, course) })
      }),
      clock.schedule(run.timeLimitMs, () => end(one, { type: 'failed', fault: fault('skill-timeout', `${run.capability} ran longer than its limit of ${run.timeLimitMs} ms`), stats: statsOf(one, course) })),
    ]
    if (course.pulses !== false) pulse(one, course, lengthMs)
    one.listener({ type: 'started' })
  }

  return {
    started,
    running: () => [...live.values()].map((one) => one.run),
    setSkills(replacement) {
      skills = replacement
      for (const listener of listeners) listener()
    },
    capabilities: () => skills.map((skill) => skill.capability),
    onCapabilitiesChanged: (listener) => void listeners.push(listener),
    timeLimitMs: (capability, version) => skillFor(capability, version)?.timeLimitMs ?? limits.skillTimeMsDefault,
    checkInput: (capability, version, input) => skillFor(capability, version)?.checkInput?.(input),
    start(run, listener) {
      if (live.has(run.runId)) throw new Error(`run ${run.runId} is already running`)
      const one: LiveRun = { run, listener, acceptedMs: clock.monotonicMs(), startedMs: undefined, timers: [] }
      live.set(run.runId, one)
      started.push(run)
      one.timers = [clock.schedule(init.startMs ?? 1, () => begin(one))]
    },
    stop(runId, why) {
      const one = live.get(runId)
      if (one === undefined) return
      // Removed at once, told later: a caller is not called back from inside its own call.
      live.delete(runId)
      for (const cancel of one.timers) cancel()
      clock.schedule(0, () => one.listener({ type: 'failed', fault: why, stats: statsOf(one) }))
    },
  }
}
