/** Keeps one node running, as systemd would: a process that has ended is started again on the same data. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, type WriteStream } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import type { BridgeAddress } from './bridge.ts'
import { nowMs } from './machine.ts'

const ReadyLine = z.object({ event: z.literal('ready'), peerId: z.string(), http: z.string() })

export interface SupervisorInit {
  readonly name: string
  /** Program and arguments. Called for every start. */
  readonly command: (start: number) => readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly logFile: string
  readonly token: string
  /** systemd's RestartSec. */
  readonly restartMs: number
  readonly say: (line: string) => void
}

export interface NodeExit {
  readonly atMs: number
  readonly how: string
  /** The campaign killed it, or asked it to end, and it did, with 0. */
  readonly wanted: boolean
  /** It had been asked to end, and had to be killed. */
  readonly hung: boolean
  /** What it last wrote to standard error. */
  readonly lastWords: string
}

export interface SupervisedNode {
  readonly name: string
  readonly pid: number | undefined
  readonly isReady: boolean
  readonly bridge: BridgeAddress | undefined
  readonly peerId: string | undefined
  /** Also those of earlier lives, whose identity was wiped. */
  readonly peerIds: ReadonlySet<string>
  /** Every process it has had. */
  readonly pids: ReadonlySet<number>
  readonly exits: readonly NodeExit[]
  start(): void
  /** SIGSTOP and SIGCONT, for instance. */
  signal(signal: NodeJS.Signals): void
  /** kill -9; it is started again after a while, once `between` is done. @returns when the process is gone. */
  kill(restartMs: number, between?: () => void): Promise<void>
  /** SIGTERM; it is started again after a while. One that has not ended by `patienceMs` is killed. @returns when the process is gone. */
  end(restartMs: number, patienceMs: number): Promise<void>
  /** Fulfilled when it has printed its ready line; rejected when `patienceMs` is over. */
  ready(patienceMs: number): Promise<void>
  /** For good. */
  stop(): Promise<void>
}

export function superviseNode(init: SupervisorInit): SupervisedNode {
  const peerIds = new Set<string>()
  const pids = new Set<number>()
  const exits: NodeExit[] = []
  const log: WriteStream = createWriteStream(init.logFile, { flags: 'a' })
  let child: ChildProcess | undefined
  let gone: Promise<void> = Promise.resolve()
  let ready: z.infer<typeof ReadyLine> | undefined
  let starts = 0
  let stopped = false
  let timer: NodeJS.Timeout | undefined
  let next: { restartMs: number; between: (() => void) | undefined; how: 'killed' | 'asked' | 'asked in vain' } | undefined

  function start(): void {
    if (stopped || child !== undefined) return
    clearTimeout(timer)
    starts += 1
    const [file = '', ...args] = init.command(starts)
    // The pipe on standard input ends the node when this process ends, however that happens.
    const started = spawn(file, args, { cwd: init.cwd, env: { ...init.env }, stdio: ['pipe', 'pipe', 'pipe'], detached: true })
    child = started
    if (started.pid !== undefined) pids.add(started.pid)
    started.stdin.on('error', () => undefined)
    let lastWords = ''
    started.stderr.setEncoding('utf8').on('data', (text: string) => {
      log.write(text)
      lastWords = (lastWords + text).slice(-2_000)
    })
    let line = ''
    started.stdout.setEncoding('utf8').on('data', (text: string) => {
      line += text
      for (const whole of line.split('\n').slice(0, -1)) {
        const parsed = whole.startsWith('{') ? ReadyLine.safeParse(JSON.parse(whole)) : undefined
        if (parsed?.success !== true || child !== started) continue
        ready = parsed.data
        peerIds.add(ready.peerId)
      }
      line = line.slice(line.lastIndexOf('\n') + 1)
    })
    gone = new Promise((resolve) => {
      const ended = (how: string): void => {
        if (child !== started) return
        child = undefined
        ready = undefined
        const hung = next?.how === 'asked in vain'
        const wanted = stopped || next?.how === 'killed' || (next?.how === 'asked' && how === '0')
        exits.push({ atMs: nowMs(), how, wanted, hung, lastWords })
        const comment = hung ? ' (it had not ended when it was asked to)' : wanted ? '' : ' (by itself)'
        log.write(`--- ${init.name}, process ${started.pid ?? -1}, ended: ${how}${comment}\n`)
        if (!wanted) init.say(`${init.name} ended: ${how}${comment}`)
        const { restartMs, between } = next ?? { restartMs: init.restartMs, between: undefined }
        next = undefined
        resolve()
        if (stopped) return
        between?.()
        timer = setTimeout(start, restartMs)
      }
      started.once('error', (error) => ended(error.message))
      started.once('close', (code, signal) => ended(String(signal ?? code)))
    })
  }

  return {
    name: init.name,
    peerIds, pids, exits, start,
    get pid() { return child?.pid },
    get isReady() { return ready !== undefined },
    get peerId() { return ready?.peerId ?? [...peerIds].at(-1) },
    get bridge() { return ready === undefined ? undefined : { name: init.name, url: ready.http, token: init.token } },
    signal: (signal) => void child?.kill(signal),
    async kill(restartMs, between) {
      if (child === undefined) {
        // Between two lives: what is to be done to its data is done now.
        clearTimeout(timer)
        between?.()
        timer = setTimeout(start, restartMs)
        return
      }
      next = { restartMs, between, how: 'killed' }
      child.kill('SIGKILL')
      await gone
    },
    async end(restartMs, patienceMs) {
      if (child === undefined) return
      const asked = child
      const asking: NonNullable<typeof next> = { restartMs, between: undefined, how: 'asked' }
      next = asking
      child.kill('SIGTERM')
      const impatience = setTimeout(() => {
        asking.how = 'asked in vain'
        asked.kill('SIGKILL')
      }, patienceMs)
      await gone
      clearTimeout(impatience)
    },
    async ready(patienceMs) {
      const untilMs = nowMs() + patienceMs
      while (ready === undefined) {
        if (stopped) throw new Error(`${init.name} was stopped before it was ready`)
        if (nowMs() > untilMs) throw new Error(`${init.name} is not ready after ${Math.round(patienceMs / 1_000)} s; see ${init.logFile}`)
        await sleep(50)
      }
    },
    async stop() {
      stopped = true
      clearTimeout(timer)
      child?.kill('SIGKILL')
      await gone
      await new Promise<void>((resolve) => log.end(() => resolve()))
    },
  }
}
