/** The SkillRunner port with skills whose course is written down: they take virtual time and end as their script says. */
import type { BlobStore } from '../actors/ports/blob-store.ts'
import type { Clock } from '../actors/ports/clock.ts'
import type { ChildOutcome, SkillCallEvent, SkillRun, SkillRunEvent, SkillRunner } from '../actors/ports/skill-runner.ts'
import type { RunStats, RunUnits } from '../protocols/bidding/schema.ts'
import type { Capability } from '../protocols/capability/schema.ts'
import { fault, MeshError, toFault, type Fault } from '../protocols/kernel/errors.ts'
import { limits } from '../protocols/kernel/limits.ts'
import { Json, type Payload } from '../protocols/kernel/payload.ts'
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
  /**
   * What it publishes on its way, each at a fraction of the course; default `{ fraction }`. A course with any that is given a checkpoint
   * with a `fraction` begins there: it takes the time that is left, and publishes what comes after.
   */
  readonly checkpoints?: readonly { readonly at: number; readonly value?: Json }[]
  /** Text of the pulses. */
  readonly text?: string
  readonly costUsd?: number
  readonly memoryBytesMax?: number
  /** Calls of other capabilities, one after the other, before the course begins. One that fails ends the run, with its fault. */
  readonly calls?: readonly { readonly capability: string; readonly input?: Json; readonly key?: string }[]
  /** Pieces of its output, spread over the course; said only when somebody waits for them. */
  readonly chunks?: readonly Json[]
  readonly tokens?: RunUnits
}

export interface ScriptedSkill {
  readonly capability: Capability
  readonly run?: (run: SkillRun) => ScriptedCourse
  readonly plan?: (run: SkillRun) => ScriptedCourse
  /** Without it nothing is ever added to a plan. */
  readonly revise?: (run: SkillRun) => ScriptedCourse
  readonly synthesise?: (run: SkillRun) => ScriptedCourse
  readonly checkInput?: (input: Json) => Fault | undefined
  readonly timeLimitMs?: DurationMs
}

export interface ScriptedSkillRunnerInit {
  readonly clock: Clock
  readonly skills: readonly ScriptedSkill[]
  /** With a store, scripts see the content of blobs as inline inputs, and outputs too big to be inline become blobs, as on a real node. */
  readonly blobs?: BlobStore
  /** Between `start` and `started`; default 1 ms. */
  readonly startMs?: DurationMs
  /** Divides every course's time; a slow node has less than 1. */
  readonly speed?: number
  /** Called when a promise is about to be resolved from an event. */
  readonly stir?: () => void
}

export interface ScriptedSkillRunner extends SkillRunner {
  /** Every run that was started, in order. */
  readonly started: readonly SkillRun[]
  running(): readonly SkillRun[]
  /** The same, each with when it was accepted by the node's clock. */
  runningSince(): readonly { readonly run: SkillRun; readonly sinceMs: number }[]
  /** Replaces what this node can do. Runs that are under way go on. */
  setSkills(skills: readonly ScriptedSkill[]): void
}

interface LiveRun {
  readonly run: SkillRun
  readonly listener: (event: SkillRunEvent) => void
  readonly acceptedMs: number
  queueMs: DurationMs
  transferMs: DurationMs
  startedMs: number | undefined
  timers: (() => void)[]
  /** Of the checkpoints that are still to come. */
  milestones: (() => void)[]
  /** How the calls that wait for an answer go on. */
  readonly calls: Map<number, (event: SkillCallEvent) => void>
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
      queueMs: one.queueMs,
      transferMs: one.transferMs,
      runMs: one.startedMs === undefined ? 0 : now - one.startedMs,
      costUsd: course?.costUsd ?? 0,
      ...(course?.tokens === undefined ? {} : { tokens: course.tokens }),
      ...(course?.memoryBytesMax === undefined ? {} : { memoryBytesMax: course.memoryBytesMax }),
    }
  }

  const isLive = (one: LiveRun): boolean => live.get(one.run.runId) === one

  function end(one: LiveRun, event: SkillRunEvent): void {
    if (!isLive(one)) return
    live.delete(one.run.runId)
    silence(one)
    one.listener(event)
  }

  function silence(one: LiveRun): void {
    for (const cancel of [...one.timers, ...one.milestones]) cancel()
  }

  function pulse(one: LiveRun, course: ScriptedCourse, lengthMs: DurationMs, begin: number): void {
    one.timers.push(
      clock.schedule(limits.pulseMs, () => {
        const fraction = Math.min(1, begin + (1 - begin) * ((clock.monotonicMs() - (one.startedMs ?? 0)) / lengthMs))
        one.timers = one.timers.slice(0, 2)
        pulse(one, course, lengthMs, begin)
        one.listener({ type: 'pulse', fraction, ...(course.text === undefined ? {} : { text: course.text }) })
      }),
    )
  }

  /** The content of a blob that holds JSON, as an inline payload. */
  async function resolved(payload: Payload): Promise<Payload> {
    if (init.blobs === undefined || 'inline' in payload) return payload
    await init.blobs.fetch(payload.blob)
    const bytes = await init.blobs.get(payload.blob.$blob)
    if (bytes === undefined) throw new MeshError('unknown-blob', `the content ${payload.blob.$blob} is not here`)
    return { inline: Json.parse(JSON.parse(new TextDecoder().decode(bytes))) }
  }

  async function resolvedRun(run: SkillRun): Promise<SkillRun> {
    const input = await resolved(run.input)
    // A checkpoint that cannot be had is as good as none.
    const checkpoint = run.checkpoint === undefined ? undefined : await resolved(run.checkpoint).catch(() => undefined)
    const { checkpoint: _, ...rest } = run
    const given: SkillRun = { ...rest, input, ...(checkpoint === undefined ? {} : { checkpoint }) }
    if (run.children === undefined) return given
    const children: ChildOutcome[] = []
    for (const child of run.children) children.push(child.output === undefined ? child : { ...child, output: await resolved(child.output) })
    return { ...given, children }
  }

  async function outputOf(course: ScriptedCourse): Promise<Payload> {
    return course.payload ?? stored(course.output ?? null)
  }

  async function stored(value: Json): Promise<Payload> {
    const text = JSON.stringify(value)
    const bytes = new TextEncoder().encode(text)
    // As from a real thread: what JSON cannot say is not said.
    if (init.blobs === undefined || bytes.byteLength <= limits.payloadInlineBytesMax) return { inline: JSON.parse(text) as Json }
    return { blob: await init.blobs.put(bytes, { mediaType: 'application/json' }) }
  }

  /** What is wrong with a run before its script is asked. */
  function refusal(run: SkillRun, skill: ScriptedSkill | undefined): Fault | undefined {
    if (skill === undefined) return fault('unknown-capability', `${run.capability} ${run.version} is not offered by this node`)
    if (skill[run.step] === undefined) return fault('skill-failed', `${run.capability} ${run.version} has no '${run.step}' step on this node`, { retryable: false })
    return run.step === 'run' && 'inline' in run.input ? skill.checkInput?.(run.input.inline) : undefined
  }

  function courseOf(run: SkillRun): ScriptedCourse {
    const skill = skillFor(run.capability, run.version)
    const refused = refusal(run, skill)
    if (refused !== undefined) return { afterMs: 0, fault: refused }
    try {
      return skill?.[run.step]?.(run) ?? { afterMs: 0 }
    } catch (error) {
      return { afterMs: 0, fault: toFault(error, 'skill-failed') }
    }
  }

  /** How far the attempt before it had come. */
  function beginningOf(run: SkillRun, course: ScriptedCourse): number {
    const value = course.checkpoints !== undefined && run.checkpoint !== undefined && 'inline' in run.checkpoint ? run.checkpoint.inline : undefined
    const fraction = typeof value === 'object' && value !== null && !Array.isArray(value) ? value.fraction : undefined
    return typeof fraction === 'number' && fraction > 0 && fraction < 1 ? fraction : 0
  }

  async function publish(one: LiveRun, value: Json): Promise<void> {
    init.stir?.()
    const payload = await stored(value)
    if (isLive(one)) one.listener({ type: 'checkpoint', value: payload })
  }

  async function begin(one: LiveRun): Promise<void> {
    init.stir?.()
    const beganMs = clock.monotonicMs()
    one.queueMs = beganMs - one.acceptedMs
    let run: SkillRun
    try {
      run = await resolvedRun(one.run)
    } catch (error) {
      end(one, { type: 'failed', fault: toFault(error, 'bad-input'), stats: statsOf(one) })
      return
    }
    if (!isLive(one)) return
    one.startedMs = clock.monotonicMs()
    one.transferMs = one.startedMs - beganMs
    const course = courseOf(run)
    one.listener({ type: 'started' })
    if (course.calls === undefined) return follow(one, run, course)
    one.timers = [clock.schedule(run.timeLimitMs, () => end(one, { type: 'failed', fault: fault('skill-timeout', `${run.capability} ran longer than its limit of ${run.timeLimitMs} ms`), stats: statsOf(one, course) }))]
    call(one, run, course, 0)
  }

  /** The next of its calls; after the last the course begins. */
  function call(one: LiveRun, run: SkillRun, course: ScriptedCourse, number: number): void {
    const next = course.calls?.[number]
    if (next === undefined) {
      silence(one)
      follow(one, run, course)
      return
    }
    one.calls.set(number, (event) => {
      if (event.type === 'chunk' || !isLive(one)) return
      one.calls.delete(number)
      if (event.type === 'failed') end(one, { type: 'failed', fault: event.fault, stats: statsOf(one, course) })
      else call(one, run, course, number + 1)
    })
    one.listener({ type: 'call', callNumber: number, call: { capability: next.capability, input: { inline: next.input ?? {} }, key: next.key ?? String(number) } })
  }

  function follow(one: LiveRun, run: SkillRun, course: ScriptedCourse): void {
    const beginning = beginningOf(run, course)
    const lengthMs = (course.afterMs / speed) * (1 - beginning)
    one.timers = [
      clock.schedule(lengthMs, () => {
        if (course.fault !== undefined) end(one, { type: 'failed', fault: course.fault, stats: statsOf(one, course) })
        else void deliver(one, course)
      }),
      clock.schedule(run.timeLimitMs, () => end(one, { type: 'failed', fault: fault('skill-timeout', `${run.capability} ran longer than its limit of ${run.timeLimitMs} ms`), stats: statsOf(one, course) })),
    ]
    one.milestones = (course.checkpoints ?? []).filter(({ at }) => at > beginning).map(({ at, value }) => clock.schedule((lengthMs * (at - beginning)) / (1 - beginning), () => void publish(one, value ?? { fraction: at })))
    if (run.streams === true) one.milestones.push(...(course.chunks ?? []).map((value, i, all) => clock.schedule((lengthMs * (i + 1)) / (all.length + 1), () => one.listener({ type: 'chunk', value }))))
    if (course.pulses !== false) pulse(one, course, lengthMs, beginning)
  }

  async function deliver(one: LiveRun, course: ScriptedCourse): Promise<void> {
    const stats = statsOf(one, course)
    init.stir?.()
    try {
      end(one, { type: 'done', output: await outputOf(course), stats })
    } catch (error) {
      end(one, { type: 'failed', fault: toFault(error, 'storage-failed'), stats })
    }
  }

  return {
    started,
    running: () => [...live.values()].map((one) => one.run),
    runningSince: () => [...live.values()].map(({ run, acceptedMs }) => ({ run, sinceMs: acceptedMs })),
    setSkills(replacement) {
      skills = replacement
      for (const listener of listeners) listener()
    },
    capabilities: () => skills.map((skill) => skill.capability),
    onCapabilitiesChanged: (listener) => void listeners.push(listener),
    timeLimitMs: (capability, version) => skillFor(capability, version)?.timeLimitMs ?? limits.skillTimeMsDefault,
    checkInput: (capability, version, input) => skillFor(capability, version)?.checkInput?.(input),
    start(run, listener) {
      if (run.step === 'revise' && skillFor(run.capability, run.version)?.revise === undefined) {
        clock.schedule(0, () => listener({ type: 'done', output: { inline: null }, stats: { queueMs: 0, transferMs: 0, runMs: 0, costUsd: 0 } }))
        return
      }
      if (live.has(run.runId)) throw new Error(`run ${run.runId} is already running`)
      const one: LiveRun = { run, listener, acceptedMs: clock.monotonicMs(), queueMs: 0, transferMs: 0, startedMs: undefined, timers: [], milestones: [], calls: new Map() }
      live.set(run.runId, one)
      started.push(run)
      one.timers = [clock.schedule(init.startMs ?? 1, () => void begin(one))]
    },
    inputSchema: () => undefined,
    answerCall(runId, callNumber, event) {
      live.get(runId)?.calls.get(callNumber)?.(event)
    },
    checkpointCommitted: () => undefined,
    onMeasured: (listener) => listener([]),
    stop(runId, why) {
      const one = live.get(runId)
      if (one === undefined) return
      // Removed at once, told later: a caller is not called back from inside its own call.
      live.delete(runId)
      silence(one)
      clock.schedule(0, () => one.listener({ type: 'failed', fault: why, stats: statsOf(one) }))
    },
  }
}
