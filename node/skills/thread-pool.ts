/**
 * Skill threads. A thread serves one run at a time and is used again after a clean one; after a failure it is ended.
 *
 * Memory: V8's own heap limit ends the whole process, not the thread, when one big allocation meets it (tried: arrays of
 * 80 MB against a limit of 128 MiB). So it stands far above the skill's limit as a last resort, and what keeps the limit is the
 * node asking the thread's isolate for its heap and buffers every 50 ms, which works in the middle of a synchronous loop too. Of many
 * busy threads a few are asked at a time, each in its turn: all of them every 50 ms would be most of what the node does.
 */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { Bytes } from '../../protocols/kernel/units.ts'
import { siblingModule } from '../source-or-bundle.ts'
import { safeEnv } from './safe-env.ts'
import type { FromThread, ToThread } from './thread-messages.ts'

const MiB = 1024 * 1024
const memoryPollMs = 50
const threadsPolledAtOnce = 8
const hardLimitHeadroomMiB = 1024
/** What a thread uses before it runs anything. */
export const threadOwnBytes = 32 * MiB
const idleMs = 60_000
/** Threads that load what they need at the same time: more would only be up later, all of them. */
const startsPerProcessor = 8
const terminateMs = 1_000
const reapWaitMs = 5
const reapWaitsMax = 20

export type ThreadEnd =
  | { readonly type: 'exited'; readonly code: number }
  | { readonly type: 'out-of-memory' }
  | { readonly type: 'crashed'; readonly message: string }

export interface ThreadUser {
  onMessage(message: FromThread): void
  /** The thread ended by itself. Not called after `end()`. */
  onEnd(end: ThreadEnd): void
  onOutput?(stream: 'stdout' | 'stderr', text: string): void
  /** Called with heap and buffers together while the user holds the thread. */
  onMemory?(bytes: Bytes): void
}

export interface SkillThread {
  post(message: ToThread, transfer?: ArrayBuffer[]): void
  /** Terminates the thread and kills what it started. Resolves when it is gone, at the latest after a second. */
  end(): Promise<void>
}

export interface ThreadPool {
  /**
   * A warm thread or a new one. Loading what a thread needs takes a processor for a while, so that only a few for each processor
   * begin at a time: who comes in a burst waits for one of those, or for a thread that another gives back.
   * @param memoryBytes the limit of what it will run.
   * @param onThread called once there is one, in this call or later.
   * @returns gives up the place in the queue; of no effect once there is a thread.
   */
  acquire(memoryBytes: Bytes, user: ThreadUser, onThread: (thread: SkillThread) => void): () => void
  /** Gives back a thread that ended its run cleanly. */
  release(thread: SkillThread): void
  /** Threads that exist now are not used again: their modules are out of date. */
  retire(): void
  close(): Promise<void>
}

interface PooledThread extends SkillThread {
  readonly hardLimitMiB: number
  readonly generation: number
  readonly isBusy: boolean
  /** It has loaded what it needs. */
  readonly isUp: boolean
  use(user: ThreadUser | undefined): void
  readonly ended: boolean
  /** Tells its user how much memory it has, unless it is being asked already. */
  askMemory(): void
}

/** @param threadsIdleMax warm threads to keep. */
export function createThreadPool(threadsIdleMax: number): ThreadPool {
  const idle: { thread: PooledThread; timer: NodeJS.Timeout }[] = []
  const all = new Set<PooledThread>()
  const waiting: { readonly hardLimitMiB: number; readonly user: ThreadUser; readonly onThread: (thread: SkillThread) => void }[] = []
  const startsMax = startsPerProcessor * availableParallelism()
  let generation = 0
  let closed = false
  let turn = 0
  /** Runs while there are threads: a node that runs no skill wakes up for none. */
  let polls: NodeJS.Timeout | undefined
  /** So many runs came at once lately. Who comes in bursts comes again: the threads that the next one needs are started when nobody waits. */
  let burst = 0

  function pollMemory(): void {
    const busy = [...all].filter((thread) => thread.isBusy)
    const count = Math.min(busy.length, threadsPolledAtOnce)
    for (let i = 0; i < count; i++) busy[(turn + i) % busy.length]?.askMemory()
    turn = busy.length === 0 ? 0 : (turn + count) % busy.length
  }

  function takeIdle(hardLimitMiB: number): PooledThread | undefined {
    for (let i = idle.length - 1; i >= 0; i--) {
      const entry = idle[i]
      if (entry === undefined || entry.thread.hardLimitMiB !== hardLimitMiB) continue
      idle.splice(i, 1)
      clearTimeout(entry.timer)
      if (!entry.thread.ended) return entry.thread
    }
    return undefined
  }

  function dropIdle(thread: PooledThread): void {
    const at = idle.findIndex((entry) => entry.thread === thread)
    if (at >= 0) clearTimeout(idle.splice(at, 1)[0]?.timer)
    void thread.end()
  }

  /** In the order in which they came, but that a warm thread goes to the first whom it fits. */
  function serve(): void {
    for (let i = 0; i < waiting.length && !closed; ) {
      const waiter = waiting[i]
      if (waiter === undefined) return
      const thread = takeIdle(waiter.hardLimitMiB) ?? (canStart() ? start(waiter.hardLimitMiB) : undefined)
      if (thread === undefined) {
        i += 1
        continue
      }
      waiting.splice(i, 1)
      thread.use(waiter.user)
      waiter.onThread(thread)
    }
  }

  function start(hardLimitMiB: number): PooledThread {
    const onUp = (): void => {
      serve()
      if (waiting.length === 0 && all.size < Math.min(burst, threadsIdleMax) && !closed && canStart()) rest(start(hardLimitMiB))
    }
    const thread = startThread(hardLimitMiB, generation, onUp, (gone) => {
      all.delete(gone)
      if (all.size === 0) {
        clearInterval(polls)
        polls = undefined
      }
      serve()
    })
    all.add(thread)
    polls ??= setInterval(pollMemory, memoryPollMs).unref()
    return thread
  }

  /** It is warm, and nobody's. */
  function rest(thread: PooledThread): void {
    thread.use(undefined)
    const timer = setTimeout(() => {
      burst = Math.min(burst, all.size - 1)
      dropIdle(thread)
    }, idleMs)
    timer.unref()
    idle.push({ thread, timer })
  }

  function canStart(): boolean {
    let starting = 0
    for (const thread of all) if (!thread.isUp) starting += 1
    return starting < startsMax
  }

  return {
    acquire(memoryBytes, user, onThread) {
      const waiter = { hardLimitMiB: Math.ceil(memoryBytes / MiB) + hardLimitHeadroomMiB, user, onThread }
      waiting.push(waiter)
      burst = Math.max(burst, waiting.length + all.size - idle.length)
      serve()
      return () => {
        const at = waiting.indexOf(waiter)
        if (at >= 0) waiting.splice(at, 1)
      }
    },
    release(released) {
      const thread = released as PooledThread
      thread.use(undefined)
      if (closed || thread.generation !== generation || thread.ended) {
        void thread.end()
        return
      }
      rest(thread)
      serve()
      const oldest = idle.length > threadsIdleMax ? idle[0] : undefined
      if (oldest !== undefined) dropIdle(oldest.thread)
    },
    retire() {
      generation++
      for (const { thread } of [...idle]) dropIdle(thread)
    },
    async close() {
      closed = true
      for (const { timer } of idle) clearTimeout(timer)
      idle.length = 0
      waiting.length = 0
      await Promise.all([...all].map((thread) => thread.end()))
    },
  }
}

function startThread(hardLimitMiB: number, generation: number, onUp: () => void, onGone: (thread: PooledThread) => void): PooledThread {
  const worker = new Worker(siblingModule(import.meta.url, './skill-thread.worker'), {
    name: 'skein-skill',
    env: safeEnv(),
    argv: [],
    execArgv: [],
    stdin: false,
    stdout: true,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: hardLimitMiB, maxYoungGenerationSizeMb: 32 },
  })
  const children = new Set<number>()
  let user: ThreadUser | undefined
  let over = false
  let ending: Promise<void> | undefined
  let asking = false
  let up = false

  /** Killed before their thread, so that it can still reap them: after it nobody would, and they would stay as zombies. */
  async function endChildren(): Promise<void> {
    for (const pid of children) killQuietly(pid)
    for (let waits = 0; children.size > 0 && !over && waits < reapWaitsMax; waits++) await wait(reapWaitMs)
  }

  const terminate = (): Promise<void> => Promise.race([worker.terminate().then(() => undefined), wait(terminateMs)])

  function gone(end: ThreadEnd): void {
    if (over) return
    over = true
    for (const pid of children) killQuietly(pid)
    onGone(thread)
    if (ending === undefined) user?.onEnd(end)
  }

  worker.on('message', (message: FromThread) => {
    if (message.type === 'up') {
      up = true
      onUp()
      return
    }
    if (message.type !== 'child-process') user?.onMessage(message)
    else if (message.alive) children.add(message.pid)
    else children.delete(message.pid)
  })
  worker.on('error', (thrown: unknown) => {
    const outOfMemory = thrown instanceof Error && 'code' in thrown && thrown.code === 'ERR_WORKER_OUT_OF_MEMORY'
    gone(outOfMemory ? { type: 'out-of-memory' } : { type: 'crashed', message: thrown instanceof Error ? thrown.message : String(thrown) })
  })
  worker.on('exit', (code) => gone({ type: 'exited', code }))
  for (const stream of ['stdout', 'stderr'] as const) {
    worker[stream].setEncoding('utf8').on('data', (text: string) => user?.onOutput?.(stream, text))
  }

  const thread: PooledThread = {
    hardLimitMiB,
    generation,
    get ended() {
      return over || ending !== undefined
    },
    get isUp() {
      return up
    },
    get isBusy() {
      return user?.onMemory !== undefined
    },
    askMemory() {
      if (asking) return
      asking = true
      worker.getHeapStatistics().then(
        (heap) => {
          asking = false
          user?.onMemory?.(heap.used_heap_size + heap.external_memory)
        },
        () => {
          asking = false
        },
      )
    },
    use(next) {
      user = next
      // An idle thread must not keep the node alive.
      if (next === undefined) worker.unref()
      else worker.ref()
    },
    post: (message, transfer = []) => worker.postMessage(message, transfer),
    end() {
      return (ending ??= endChildren().then(terminate).finally(() => gone({ type: 'exited', code: 1 })))
    },
  }
  return thread
}

function wait(durationMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, durationMs)
  })
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself.
  }
}
