/**
 * One run of a declared program: JSON on stdin, JSON on stdout, within its time and memory.
 *
 * A program cannot pulse. What is passed on as its pulse is the kernel's word that the process exists and is not stopped: it shows that
 * the program has not been lost or frozen, not that it gets anywhere. An endless loop is ended by the time limit.
 */
import { spawn } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import type { RunStats } from '../../../protocols/bidding/schema.ts'
import type { Fault } from '../../../protocols/kernel/errors.ts'
import { MeshError, fault, toFault } from '../../../protocols/kernel/errors.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import type { Json } from '../../../protocols/kernel/payload.ts'
import type { BlobStore } from '../../../actors/ports/blob-store.ts'
import type { SkillRun, SkillRunEvent } from '../../../actors/ports/skill-runner.ts'
import { payloadOf, readBlob } from '../payload-transfer.ts'
import { safeEnv } from '../safe-env.ts'
import { describeIssues } from '../standard-schema.ts'
import { idempotencyKeyOf } from '../thread-context.ts'
import type { RunningSkill } from '../thread-run.ts'
import { createCheckpointFile, type CheckpointFile } from './checkpoint-file.ts'
import { programOutputBytesMax } from './declaration.ts'
import type { Program } from './declaration.ts'
import { withBlobs, withFiles } from './program-files.ts'
import { killProcessTree, readProcessTree } from './process-tree.ts'

const stderrTailChars = 2_000
const inputBytesMax = limits.planBytesMax
/** How long output may stay open after the program has exited. */
const strayMs = 300

export interface ProgramRunInit {
  readonly run: SkillRun
  readonly program: Program
  readonly blobs: BlobStore
  readonly pulseMs: number
  /** Its working folder is made in here and removed when it ends. */
  readonly workRoot: string
  readonly listener: (event: SkillRunEvent) => void
  readonly onLog: (stream: 'stderr' | 'log', text: string) => void
}

export function startProgramRun(init: ProgramRunInit): RunningSkill {
  const { run, program, blobs, listener } = init
  const { capability, limits: { memoryBytes: memoryBytesLimit } } = program.description
  const finished = Promise.withResolvers<undefined>()
  let child: ChildProcessByStdio<Writable, Readable, Readable> | undefined
  let root: string | undefined
  let checkpoints: CheckpointFile | undefined
  let transferMs = 0
  let spawnedAtMs: number | undefined
  let memoryBytesMax = 0
  let limitTimer: NodeJS.Timeout | undefined
  let polls: NodeJS.Timeout | undefined
  let stderrTail = ''
  let over = false

  const stats = (): RunStats => ({
    queueMs: 0, transferMs, costUsd: 0,
    runMs: spawnedAtMs === undefined ? 0 : performance.now() - spawnedAtMs,
    ...(memoryBytesMax === 0 ? {} : { memoryBytesMax }),
  })

  async function end(event: (final: RunStats) => SkillRunEvent): Promise<void> {
    if (over) return
    over = true
    clearTimeout(limitTimer)
    clearInterval(polls)
    const final = stats()
    // Even after a good exit: what it left running in the background ends with it.
    if (child?.pid !== undefined) await killProcessTree(child.pid)
    const ended = event(final)
    // However it was ended: what it has written by then is there for the next attempt.
    if (ended.type === 'failed') await checkpoints?.take()
    checkpoints?.close()
    listener(ended)
    if (root !== undefined) await rm(root, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined)
    finished.resolve(undefined)
  }
  const fail = (why: Fault): void => void end((final) => ({ type: 'failed', fault: why, stats: final }))

  function tail(): string {
    const text = stderrTail.trim()
    return text === '' ? ' and printed nothing on stderr' : `; the end of its stderr:\n${text}`
  }

  async function poll(pid: number): Promise<void> {
    void checkpoints?.take()
    const tree = await readProcessTree(pid)
    if (over) return
    const memoryBytes = tree.reduce((sum, reading) => sum + reading.memoryBytes, 0)
    memoryBytesMax = Math.max(memoryBytesMax, memoryBytes)
    if (memoryBytes > memoryBytesLimit) {
      fail(fault('skill-out-of-memory', `${capability} used more than its ${Math.ceil(memoryBytesLimit / 1024 / 1024)} MiB${tail()}`, { next: 'raise memoryBytes of the program, or give it less work' }))
      return
    }
    const leader = tree.find((reading) => reading.pid === pid)
    // Without /proc and ps nothing is known of its state; that it has not exited is then all there is.
    const alive = tree.length === 0 ? child?.exitCode === null : leader !== undefined && !'TtZX'.includes(leader.state)
    if (alive) listener({ type: 'pulse' })
  }

  async function prepare(): Promise<{ input: string; folder: string }> {
    const atMs = performance.now()
    if ('blob' in run.input && run.input.blob.sizeBytes > inputBytesMax) {
      throw new MeshError('too-large', `an input of ${run.input.blob.sizeBytes} bytes is too large for a program`, { next: 'put big content into blobs and refer to them in the input' })
    }
    const raw = 'inline' in run.input ? run.input.inline : (JSON.parse(new TextDecoder().decode(await readBlob(blobs, run.input.blob))) as Json)
    const checked = program.input?.safeParse(raw)
    if (checked?.success === false) {
      throw new MeshError('bad-input', `the input does not fit ${capability}: ${describeIssues(checked.error.issues)}`, { next: 'correct the input' })
    }
    root = await mkdtemp(join(init.workRoot, 'skein-program-'))
    const folder = program.cwd ?? join(root, 'work')
    if (program.cwd === undefined) await mkdir(folder, { mode: 0o700 })
    const input = JSON.stringify(await withFiles(raw, blobs, join(root, 'blobs')))
    checkpoints = await createCheckpointFile({ path: join(root, 'checkpoint.json'), resumed: run.checkpoint, blobs, onCheckpoint: (value) => listener({ type: 'checkpoint', value }), onLog: (text) => init.onLog('log', text) })
    transferMs = performance.now() - atMs
    return { input, folder }
  }

  async function finish(stdout: Buffer, folder: string): Promise<void> {
    const next = 'print exactly one JSON value on stdout and everything else on stderr'
    let value: Json
    try {
      value = JSON.parse(stdout.toString('utf8')) as Json
    } catch {
      throw new MeshError('bad-output', `${capability} did not print JSON on stdout but: ${stdout.toString('utf8').slice(0, 200) || 'nothing'}${tail()}`, { next })
    }
    const checked = program.output?.safeParse(value)
    if (checked?.success === false) {
      throw new MeshError('bad-output', `the output does not fit ${capability}: ${describeIssues(checked.error.issues)}`, { next: 'correct the program, or its output schema' })
    }
    const output = await payloadOf(blobs, new TextEncoder().encode(JSON.stringify(await withBlobs(value, blobs, folder))))
    await end((final) => ({ type: 'done', output, stats: final }))
  }

  function launch(input: string, folder: string): void {
    const started = spawn(program.command, program.args, {
      cwd: folder,
      // A group of its own, so that all of it can be killed at once.
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: {
        ...safeEnv(), ...program.env,
        SKEIN_MISSION: run.missionId, SKEIN_TASK: run.taskId, SKEIN_ATTEMPT: String(run.attempt),
        SKEIN_IDEMPOTENCY_KEY: idempotencyKeyOf(run), SKEIN_WORK_FOLDER: folder,
        ...(checkpoints === undefined ? {} : { SKEIN_CHECKPOINT: checkpoints.path }),
      },
    })
    child = started
    spawnedAtMs = performance.now()
    limitTimer = setTimeout(() => {
      fail(fault('skill-timeout', `${capability} ran longer than ${run.timeLimitMs} ms${tail()}`, { next: 'give it less work, or a longer time limit: timeLimitMs of the task, timeMs of the program' }))
    }, run.timeLimitMs)

    const stdout: Buffer[] = []
    let stdoutBytes = 0
    started.stdout.on('data', (chunk: Buffer) => {
      stdoutBytes += chunk.byteLength
      if (stdoutBytes <= programOutputBytesMax) stdout.push(chunk)
      else fail(fault('bad-output', `${capability} printed more than ${programOutputBytesMax} bytes`, { next: 'write big results to a file and print {"$file": "name"}' }))
    })
    started.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderrTail = (stderrTail + text).slice(-stderrTailChars)
      init.onLog('stderr', text)
    })
    started.on('error', (thrown: NodeJS.ErrnoException) => {
      const missing = thrown.code === 'ENOENT' || thrown.code === 'EACCES'
      fail(fault('skill-failed', `${program.command} could not be started: ${thrown.message}`, {
        ...(missing ? { retryable: false, next: `install ${program.command} on this node or correct "command" and "cwd" of ${capability}` } : {}),
      }))
    })
    started.on('spawn', () => {
      if (over) return
      listener({ type: 'started' })
      let polling = false
      polls = setInterval(() => {
        if (polling || started.pid === undefined) return
        polling = true
        void poll(started.pid).finally(() => {
          polling = false
        })
      }, init.pulseMs)
    })
    // A program may end without reading its input.
    started.stdin.on('error', () => undefined)
    started.stdin.end(input)

    started.on('exit', () => {
      // What it left in the background may hold its output open for ever.
      const strays = setTimeout(() => {
        if (started.pid !== undefined) void killProcessTree(started.pid)
      }, strayMs)
      const deaf = setTimeout(() => {
        started.stdout.destroy()
        started.stderr.destroy()
      }, strayMs * 3)
      started.once('close', () => {
        clearTimeout(strays)
        clearTimeout(deaf)
      })
    })
    started.on('close', (code, signal) => {
      if (over || started.pid === undefined) return
      if (code === 0) finish(Buffer.concat(stdout), folder).catch((thrown: unknown) => fail(toFault(thrown, 'bad-output')))
      else tell(code, signal)
    })
  }

  function tell(code: number | null, signal: NodeJS.Signals | null): void {
    if (code === null) fail(fault('skill-exited', `${capability} was killed by ${signal ?? 'a signal'}${tail()}`))
    else fail(fault('skill-failed', `${capability} ended with exit code ${code}${tail()}`))
  }

  prepare().then(
    ({ input, folder }) => {
      if (over) return void rm(root ?? '', { recursive: true, force: true }).catch(() => undefined)
      launch(input, folder)
    },
    (thrown: unknown) => fail(toFault(thrown, 'skill-failed')),
  )
  return { stop: fail, gone: finished.promise }
}
