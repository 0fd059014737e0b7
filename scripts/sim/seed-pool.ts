/**
 * Runs simulations in processes of their own, as many at a time as there are cores. Each process is given one seed after
 * the other, so that all stay busy whatever a seed takes. One that dies, or takes too long, fails its seed and is replaced.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { siblingModule } from '../../node/source-or-bundle.ts'
import type { ScenarioNews, SeedAnswer, SeedJob, SeedResult } from './seed-job.ts'
import type { LoadedScenario } from './scenario-file.ts'

export interface SeedPoolInit {
  readonly scenarios: readonly LoadedScenario[]
  readonly jobs: number
  /** Of real time, for one seed: a run that never ends must not keep a sweep from ending. */
  readonly seedMsMax: number
  /** Ends all processes; runs that were under way are not reported. */
  readonly signal?: AbortSignal
  /** Another program to run seeds with, for tests. */
  readonly worker?: URL
}

export interface SeedPool {
  /** Resolves with what became of the job; never rejects but when the pool was stopped. */
  run(job: Omit<SeedJob, 'type'>): Promise<SeedResult>
  stop(): void
}

interface Waiting {
  readonly job: Omit<SeedJob, 'type'>
  readonly resolve: (result: SeedResult) => void
  readonly reject: (error: Error) => void
}

/** What a dying process says last is kept up to here. */
const stderrCharsMax = 4_000

export class SweepStopped extends Error {
  constructor() {
    super('the sweep was stopped')
  }
}

export function startSeedPool(init: SeedPoolInit): SeedPool {
  const worker = init.worker ?? siblingModule(import.meta.url, './seeds.worker')
  const queue: Waiting[] = []
  const busy = new Set<{ readonly child: ChildProcess; readonly current: Waiting | undefined }>()
  const idle: ((next: Waiting) => void)[] = []
  let processes = 0
  let stopped = false

  init.signal?.addEventListener('abort', stop, { once: true })
  return { run, stop }

  function run(job: Omit<SeedJob, 'type'>): Promise<SeedResult> {
    return new Promise((resolve, reject) => {
      if (stopped) {
        reject(new SweepStopped())
        return
      }
      const waiting = { job, resolve, reject }
      const take = idle.pop()
      if (take !== undefined) take(waiting)
      else queue.push(waiting)
      if (queue.length > 0 && processes < init.jobs) startProcess()
    })
  }

  function stop(): void {
    if (stopped) return
    stopped = true
    for (const { reject } of queue.splice(0)) reject(new SweepStopped())
    for (const { child, current } of busy) {
      current?.reject(new SweepStopped())
      child.kill('SIGKILL')
    }
    busy.clear()
  }

  function startProcess(): void {
    processes += 1
    const child = fork(worker, [], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], serialization: 'advanced' })
    const told = new Set<number>()
    let stderr = ''
    let startedAtMs = performance.now()
    let timer: NodeJS.Timeout | undefined
    let timedOut = false
    const state: { readonly child: ChildProcess; current: Waiting | undefined } = { child, current: undefined }
    busy.add(state)

    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-stderrCharsMax)
    })
    child.on('message', (answer: SeedAnswer) => {
      if (answer.type === 'ended') finish({ report: answer.report })
      if (answer.type === 'threw') finish({ crash: { message: answer.message, stack: answer.stack } })
      giveNext()
    })
    child.on('error', (error) => {
      stderr += error.message
    })
    // Once its output has been read to the end, too.
    child.on('close', (code, signal) => {
      busy.delete(state)
      processes -= 1
      if (idle.includes(give)) idle.splice(idle.indexOf(give), 1)
      const end = timedOut ? `the run took longer than ${Math.round(init.seedMsMax / 1_000)} s and was stopped` : `the process ended ${signal === null ? `with exit code ${String(code)}` : `by ${signal}`} in the middle of the run`
      if (state.current === undefined && queue.length > 0 && !stopped) {
        // It died before its first seed: the seed that it would have been given tells of it, and the others do not wait for ever.
        state.current = queue.shift()
      }
      finish({ crash: { message: `${end}${lastWords(stderr)}`, ...(stderr === '' ? {} : { stack: stderr }), ...(timedOut ? { timedOut } : {}) } })
      if (!stopped && queue.length > 0) startProcess()
    })

    function giveNext(): void {
      stderr = ''
      const next = queue.shift()
      if (next === undefined) idle.push(give)
      else give(next)
    }
    function give(next: Waiting): void {
      state.current = next
      const { scenarioIndex } = next.job
      const loaded = init.scenarios[scenarioIndex]
      if (!told.has(scenarioIndex) && loaded !== undefined) {
        told.add(scenarioIndex)
        child.send({ type: 'scenario', index: scenarioIndex, scenario: loaded.scenario, traces: [...loaded.traces] } satisfies ScenarioNews)
      }
      startedAtMs = performance.now()
      timer = setTimeout(() => {
        timedOut = true
        child.kill('SIGKILL')
      }, init.seedMsMax)
      child.send({ type: 'run', ...next.job } satisfies SeedJob)
    }
    function finish(end: Pick<SeedResult, 'report' | 'crash'>): void {
      clearTimeout(timer)
      const { current } = state
      state.current = undefined
      current?.resolve({ ...current.job, ...end, wallMs: performance.now() - startedAtMs })
    }
  }
}

function lastWords(stderr: string): string {
  const line = stderr.split('\n').map((text) => text.trim()).find((text) => /error|fatal|abort/i.test(text))
  return line === undefined ? '' : `: ${line}`
}
