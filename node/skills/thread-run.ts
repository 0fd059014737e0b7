/** One run of a skill in a thread, from the input's blobs to the output's payload. */
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { RunStats } from '../../protocols/bidding/schema.ts'
import type { Fault } from '../../protocols/kernel/errors.ts'
import { fault, toFault } from '../../protocols/kernel/errors.ts'
import type { BlobStore } from '../../actors/ports/blob-store.ts'
import type { SkillCallEvent, SkillRun, SkillRunEvent } from '../../actors/ports/skill-runner.ts'
import { checkpointOf, copyInSlices, parcelOf, payloadOf, readBlob, transferable } from './payload-transfer.ts'
import { answerAboutMesh, type SkillMesh } from './skill-mesh.ts'
import type { SkillDescription } from './skill-module.ts'
import { threadOwnBytes } from './thread-pool.ts'
import type { SkillThread, ThreadEnd, ThreadPool } from './thread-pool.ts'
import type { ChildParcel, FromThread } from './thread-messages.ts'

/** Time that importing a skill's module may take before its own time limit starts. */
const importMs = 30_000
const outputCharsMax = 16 * 1024

export interface RunningSkill {
  /** Ends it with `failed` and this fault, unless it has ended. */
  stop(why: Fault): void
  /** Resolves when nothing of it is left. */
  readonly gone: Promise<void>
  /** What has become of one of its calls. */
  answerCall?(callNumber: number, event: SkillCallEvent): void
  /** A checkpoint of this number is in the mission's log, or never will be. */
  checkpointCommitted?(number: number, problem?: Fault): void
}

export interface ThreadRunInit {
  readonly run: SkillRun
  readonly skill: SkillDescription
  readonly url: string
  readonly pool: ThreadPool
  readonly blobs: BlobStore
  readonly pulseMs: number
  /** Its working folder is made in here and removed when it ends. */
  readonly workRoot: string
  readonly listener: (event: SkillRunEvent) => void
  /** A line the skill logged or printed. */
  readonly onLog: (stream: 'log' | 'stdout' | 'stderr', text: string) => void
  /** For questions about the mesh; absent where there is none. */
  readonly mesh?: SkillMesh | undefined
}

export function startThreadRun(init: ThreadRunInit): RunningSkill {
  const { run, skill, pool, blobs, listener } = init
  const atMs = performance.now()
  let queueMs = 0
  let transferMs = 0
  let executingAtMs: number | undefined
  let memoryBytesMax = 0
  let printedChars = 0
  let over = false
  let limitTimer: NodeJS.Timeout | undefined
  let root: string | undefined
  const finished = Promise.withResolvers<undefined>()

  const stats = (runMs?: number): RunStats => ({
    queueMs, transferMs, costUsd: 0,
    runMs: runMs ?? (executingAtMs === undefined ? 0 : performance.now() - executingAtMs),
    ...(memoryBytesMax === 0 ? {} : { memoryBytesMax }),
  })

  /** Exactly one of the two ends: nothing of the run is heard after it. */
  function close(): boolean {
    if (over) return false
    over = true
    clearTimeout(limitTimer)
    return true
  }

  async function cleanUp(): Promise<void> {
    if (root !== undefined) await rm(root, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined)
    finished.resolve(undefined)
  }

  function failNow(why: Fault, runMs?: number): void {
    if (!close()) return
    const final = stats(runMs)
    stopVouching()
    giveUpWaiting()
    void (thread?.end() ?? Promise.resolve()).then(() => {
      listener({ type: 'failed', fault: why, stats: final })
      return cleanUp()
    })
  }

  async function succeed(message: Extract<FromThread, { type: 'done' }>): Promise<void> {
    if (over || thread === undefined) return
    clearTimeout(limitTimer)
    try {
      const output = await payloadOf(blobs, message.output)
      if (!close()) return
      if (message.clean) pool.release(thread)
      else void thread.end()
      listener({ type: 'done', output, stats: stats(message.runMs) })
      await cleanUp()
    } catch (thrown) {
      failNow(toFault(thrown, 'storage-failed'), message.runMs)
    }
  }

  function limitTime(limitMs: number): void {
    clearTimeout(limitTimer)
    limitTimer = setTimeout(() => {
      failNow(fault('skill-timeout', `${skill.capability} ran longer than ${run.timeLimitMs} ms`, { next: 'give it less work, or a longer time limit: timeLimitMs of the task, limits.timeMs of the skill' }))
    }, limitMs)
  }

  async function answerBlob(message: Extract<FromThread, { type: 'read-blob' | 'write-blob' }>): Promise<void> {
    const { requestId } = message
    try {
      if (message.type === 'read-blob') {
        const bytes = await copyInSlices(await readBlob(blobs, message.ref))
        if (!over) thread?.post({ type: 'answer', requestId, bytes }, [bytes.buffer])
      } else {
        const { name, mediaType } = message
        const ref = await blobs.put(message.bytes, { ...(name === undefined ? {} : { name }), ...(mediaType === undefined ? {} : { mediaType }) })
        if (!over) thread?.post({ type: 'answer', requestId, ref })
      }
    } catch (thrown) {
      if (!over) thread?.post({ type: 'answer', requestId, fault: toFault(thrown, 'storage-failed') })
    }
  }

  /** One after the other: each is told once it is stored, and what comes after them waits for them. */
  let checkpoints: Promise<void> = Promise.resolve()
  async function takeCheckpoint({ requestId, value, committed }: Extract<FromThread, { type: 'checkpoint' }>): Promise<void> {
    try {
      const stored = await payloadOf(blobs, value)
      if (over) return
      if (committed === true) committing.add(requestId)
      listener({ type: 'checkpoint', value: stored, ...(committed === true ? { number: requestId } : {}) })
      if (committed !== true) thread?.post({ type: 'answer', requestId })
    } catch (thrown) {
      if (!over) thread?.post({ type: 'answer', requestId, fault: toFault(thrown, 'storage-failed') })
    }
  }

  /** Checkpoints that the skill waits to hear are in the log. */
  const committing = new Set<number>()
  function checkpointCommitted(number: number, problem?: Fault): void {
    for (const requestId of committing) {
      if (requestId > number) continue
      committing.delete(requestId)
      if (!over) thread?.post({ type: 'answer', requestId, ...(problem === undefined ? {} : { fault: problem }) })
    }
  }

  async function makeCall({ callNumber, capability, input, options }: Extract<FromThread, { type: 'call' }>): Promise<void> {
    try {
      const payload = await payloadOf(blobs, input)
      if (!over) listener({ type: 'call', callNumber, call: { capability, input: payload, ...options } })
    } catch (thrown) {
      if (!over) thread?.post({ type: 'called', callNumber, fault: toFault(thrown, 'storage-failed') })
    }
  }

  /** One after the other: a large output is fetched before what comes after it is told. */
  let answers: Promise<void> = Promise.resolve()
  function answerCall(callNumber: number, event: SkillCallEvent): void {
    answers = answers.then(async () => {
      if (over) return
      try {
        if (event.type === 'chunk') thread?.post({ type: 'called', callNumber, chunk: event.value })
        else if (event.type === 'failed') thread?.post({ type: 'called', callNumber, fault: event.fault })
        else {
          const output = await parcelOf(blobs, event.output)
          thread?.post({ type: 'called', callNumber, output, by: event.by, costUsd: event.stats.costUsd }, transferable([output]))
        }
      } catch (thrown) {
        thread?.post({ type: 'called', callNumber, fault: toFault(thrown, 'unknown-blob') })
      }
    })
  }

  async function askMesh({ requestId, about }: Extract<FromThread, { type: 'ask-mesh' }>): Promise<void> {
    const answer = await answerAboutMesh(init.mesh, about)
    if (!over) thread?.post({ type: 'mesh-answer', requestId, ...answer })
  }

  let failing = false

  function onMessage(message: FromThread): void {
    if (over || !('runId' in message) || message.runId !== run.runId) return
    switch (message.type) {
      case 'started':
        queueMs = performance.now() - atMs
        stopVouching()
        listener({ type: 'started' })
        break
      case 'executing':
        executingAtMs = performance.now()
        limitTime(run.timeLimitMs)
        break
      case 'pulse':
        listener({
          type: 'pulse',
          ...(message.fraction === undefined ? {} : { fraction: message.fraction }),
          ...(message.text === undefined ? {} : { text: message.text }),
        })
        break
      case 'log':
        init.onLog('log', message.text)
        break
      case 'call':
        void makeCall(message)
        break
      case 'call-cancelled':
        listener({ type: 'call-cancelled', callNumber: message.callNumber })
        break
      case 'ask-mesh':
        void askMesh(message)
        break
      case 'read-blob':
      case 'write-blob':
        void answerBlob(message)
        break
      case 'checkpoint':
        checkpoints = checkpoints.then(() => takeCheckpoint(message))
        break
      case 'done':
        void succeed(message)
        break
      case 'failed':
        failing = true
        void checkpoints.then(() => failNow(message.fault, message.runMs))
        break
    }
  }

  function onEnd(end: ThreadEnd): void {
    // It has said why, and ends only after that.
    if (failing) return
    if (end.type === 'out-of-memory') failNow(outOfMemory())
    else if (end.type === 'exited') failNow(fault('skill-exited', `${skill.capability} ended its thread with exit code ${end.code} and no result`, { next: 'return a value instead of calling process.exit()' }))
    else failNow(fault('skill-failed', `the thread of ${skill.capability} crashed: ${end.message}`))
  }

  function outOfMemory(): Fault {
    const limitMiB = Math.ceil(skill.limits.memoryBytes / 1024 / 1024)
    return fault('skill-out-of-memory', `${skill.capability} used more than its ${limitMiB} MiB`, { next: `raise limits.memoryBytes of the skill, or give it less work` })
  }

  // While it waits for a thread nothing of it can hang: the node itself says that it is alive, until the thread has loaded what it needs.
  let importLimit: NodeJS.Timeout | undefined
  const vouching = setInterval(() => listener({ type: 'pulse' }), init.pulseMs)
  let thread: SkillThread | undefined
  const giveUpWaiting = pool.acquire(skill.limits.memoryBytes, {
    onMessage,
    onEnd,
    onOutput(stream, text) {
      if (printedChars >= outputCharsMax) return
      printedChars += text.length
      init.onLog(stream, text.slice(0, outputCharsMax))
    },
    onMemory(bytes) {
      memoryBytesMax = Math.max(memoryBytesMax, bytes)
      if (bytes > skill.limits.memoryBytes + threadOwnBytes) failNow(outOfMemory())
    },
  }, (given) => {
    thread = given
    importLimit = setTimeout(stopVouching, importMs)
    importLimit.unref()
    given.post({ type: 'begin', runId: run.runId, pulseMs: init.pulseMs })
    hand(given).catch((thrown: unknown) => failNow(toFault(thrown, 'storage-failed')))
  })

  function stopVouching(): void {
    clearInterval(vouching)
    clearTimeout(importLimit)
  }

  async function hand(given: SkillThread): Promise<void> {
    const transferAtMs = performance.now()
    const input = await parcelOf(blobs, run.input)
    const children: ChildParcel[] = await Promise.all((run.children ?? []).map(async ({ output, ...child }) => (
      output === undefined ? child : { ...child, output: await parcelOf(blobs, output) }
    )))
    const resumed = run.checkpoint === undefined ? undefined : await checkpointOf(blobs, run.checkpoint, (text) => init.onLog('log', text))
    transferMs = performance.now() - transferAtMs
    root = await mkdtemp(join(init.workRoot, 'skein-run-'))
    if (over) return cleanUp()
    const { missionId, taskId, attempt, principal, planLimits, budgetUsd, idempotencyKey, round } = run
    limitTime(run.timeLimitMs + importMs)
    given.post({
      type: 'run', runId: run.runId, url: init.url, capability: skill.capability, version: skill.version, step: run.step, ...(round === undefined ? {} : { round }), input, ...(resumed === undefined ? {} : { resumed }), children,
      about: { missionId, taskId, attempt, principal, ...(planLimits === undefined ? {} : { planLimits }), ...(budgetUsd === undefined ? {} : { budgetUsd }), ...(idempotencyKey === undefined ? {} : { idempotencyKey }) },
      workFolder: join(root, 'work'),
    }, transferable([input, resumed, ...children.map((child) => child.output)]))
  }
  return { stop: (why) => failNow(why), gone: finished.promise, answerCall, checkpointCommitted }
}
