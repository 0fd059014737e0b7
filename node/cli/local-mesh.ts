/**
 * A mesh of real processes of this program on this machine, for `up` and `demo`.
 *
 * The children cannot outlive their parent: each holds the other end of a pipe on its standard input and stops when it
 * closes, however the parent ended. They have process groups of their own, so that Ctrl-C reaches the parent alone.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { MeshError, Fault } from '../../protocols/kernel/errors.ts'
import { modelVariables } from '../config/model-settings.ts'
import { adoptMeshKey, createInvite, createMeshKey, readMeshKey } from '../mesh-key.ts'
import { type Ready, parseReadyLine } from './ready-line.ts'
import { readRunFile } from './run-file.ts'

export interface LocalMeshOptions {
  readonly count: number
  /** Each node gets a folder in it, named after it. */
  readonly dataDir: string
  /** The program's own script. */
  readonly bin: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Where the nodes look for a configuration file; absent: their own data folder. */
  readonly cwd?: string
  /** Address the nodes listen on for other nodes. Default loopback. */
  readonly listenHost?: string
  /** Lets the first node have the default ports, if they are free. */
  readonly firstOnDefaultPorts?: boolean
  /** Further flags for every node. */
  readonly flags?: readonly string[]
  readonly readyTimeoutMs?: number
  /** Gives up starting. */
  readonly signal?: AbortSignal
  /** Every line of a node's log, as it was written. */
  readonly onLog?: (name: string, line: string) => void
}

export interface MeshMember {
  readonly name: string
  readonly pid: number
  readonly peerId: string
  readonly http: string
  readonly addrs: readonly string[]
  readonly dataDir: string
  /** Token for its bridge, when it demands one. */
  readonly token?: string
  /** Fulfilled when the process is gone. */
  readonly exited: Promise<{ readonly code: number | null; readonly signal: string | null }>
}

export interface LocalMesh {
  /** Each node's newest process, in the order of their names. */
  readonly members: readonly MeshMember[]
  /** The line that joins another node, by way of those that live now. */
  invite(): string
  /** kill -9. */
  kill(name: string): void
  /** Starts a node whose process has ended again: what its data folder holds is still there. @throws MeshError when it does not come up. */
  restart(name: string): Promise<MeshMember>
  isAlive(name: string): boolean
  /** Asks all to drain; those that have not gone after the grace are killed. Fulfilled when all are gone. */
  stop(graceMs?: number): Promise<void>
}

interface Started {
  readonly member: MeshMember
  readonly child: ChildProcess
}

const graceMsDefault = 15_000
const inviteAddrsMax = 8
const readyTimeoutMsDefault = 60_000

/** @returns `node-a`, `node-b`, … `node-z`, `node-27`, … */
export function memberName(index: number): string {
  return `node-${index < 26 ? String.fromCharCode(97 + index) : index + 1}`
}

/**
 * Starts the first node, then the others at once, joined to it.
 *
 * @throws MeshError with the reason of the node that could not start; all others have been stopped by then.
 */
export async function startLocalMesh(options: LocalMeshOptions): Promise<LocalMesh> {
  const children: ChildProcess[] = []
  const started: Started[] = []
  try {
    const first = await startMember(options, 0, children)
    started.push(first)
    const meshKey = await readMeshKey(first.member.dataDir)
    if (meshKey === undefined) throw new MeshError('internal', `${first.member.name} is ready, but has no mesh key in ${first.member.dataDir}`)
    const others = await Promise.allSettled(Array.from({ length: options.count - 1 }, async (_, index) => startMember(options, index + 1, children, first.member.addrs)))
    for (const other of others) {
      if (other.status === 'rejected') throw other.reason
      started.push(other.value)
    }
    const living = (): Started[] => started.filter(({ child }) => !hasEnded(child))
    return {
      get members() {
        return started.map(({ member }) => member)
      },
      invite: () => createInvite({ meshKey, addrs: living().flatMap(({ member }) => member.addrs).slice(0, inviteAddrsMax), name: living()[0]?.member.name ?? first.member.name }),
      kill(name) {
        started.find(({ member }) => member.name === name)?.child.kill('SIGKILL')
      },
      async restart(name) {
        const index = started.findIndex(({ member }) => member.name === name)
        const before = started[index]
        if (before === undefined) throw new MeshError('internal', `there is no ${name} in this mesh`)
        // Two processes on one data folder would be worse than none.
        await before.member.exited
        const again = await startMember(options, index, children, living().flatMap(({ member }) => member.addrs))
        started[index] = again
        return again.member
      },
      isAlive: (name) => living().some(({ member }) => member.name === name),
      stop: (graceMs = graceMsDefault) => stopAll(children, graceMs),
    }
  } catch (thrown) {
    await stopAll(children, 2_000)
    throw thrown
  }
}

async function startMember(options: LocalMeshOptions, index: number, children: ChildProcess[], joinAddrs: readonly string[] = []): Promise<Started> {
  const name = memberName(index)
  const dataDir = join(options.dataDir, name)
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  // The key goes by the disk: a command line can be read by every user of the machine.
  const key = (await readMeshKey(join(options.dataDir, memberName(0)))) ?? createMeshKey()
  await adoptMeshKey(dataDir, key)
  const ports = index === 0 && options.firstOnDefaultPorts === true ? [] : ['--listen-port', '0', '--http-port', '0']
  const argv = [
    options.bin, 'node', 'start', '--json', '--with-parent', '--data', dataDir, '--name', name,
    '--listen-host', options.listenHost ?? '127.0.0.1', '--no-mdns', ...ports,
    ...joinAddrs.flatMap((addr) => ['--join', addr]), ...(options.flags ?? []),
  ]
  const child = spawn(process.execPath, argv, {
    cwd: options.cwd ?? dataDir,
    // Settings of the one that started them are not theirs; the models it may use are.
    env: Object.fromEntries(Object.entries(options.env).filter(([variable]) => !variable.startsWith('SKEIN_') || modelVariables.some((name) => name === variable))),
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  })
  children.push(child)
  // A pipe to a child that is gone must not end this program.
  child.stdin?.on('error', () => undefined)
  const exited = new Promise<{ code: number | null; signal: string | null }>((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })))
  const ready = await awaitReady(name, child, options)
  const run = await readRunFile(dataDir)
  if (child.pid === undefined || ready.http === undefined) throw new MeshError('internal', `${name} started without a bridge`, { next: 'let the nodes of a local mesh serve HTTP (http.enabled)' })
  return {
    child,
    member: { name, pid: child.pid, peerId: ready.peerId, http: ready.http, addrs: ready.addrs, dataDir, exited, ...(run?.token === undefined ? {} : { token: run.token }) },
  }
}

function awaitReady(name: string, child: ChildProcess, { readyTimeoutMs: timeoutMs = readyTimeoutMsDefault, signal, onLog }: LocalMeshOptions): Promise<Ready> {
  const complaints: string[] = []
  return new Promise((resolve, reject) => {
    const fail = (error: MeshError): void => {
      clearTimeout(timer)
      reject(error)
    }
    const timer = setTimeout(() => fail(new MeshError('timeout', `${name} was not ready after ${timeoutMs / 1_000} s${lastWords(complaints)}`, { next: 'look whether the machine is very busy, then try again' })), timeoutMs)
    const giveUp = (): void => fail(new MeshError('cancelled', `stopped before ${name} was ready`))
    if (signal?.aborted === true) return giveUp()
    signal?.addEventListener('abort', giveUp, { once: true })
    child.once('error', (error) => fail(new MeshError('internal', `${name} could not be started: ${error.message}`)))
    child.once('close', (code, signal) => fail(startFailure(name, code, signal, complaints)))
    // Both streams are read to the end: a child whose pipe is full would stand still.
    readLines(child.stderr, (line) => {
      complaints.push(line)
      if (complaints.length > 20) complaints.shift()
      onLog?.(name, line)
    })
    readLines(child.stdout, (line) => {
      const ready = parseReadyLine(line)
      if (ready === undefined) return
      clearTimeout(timer)
      resolve(ready)
    })
  })
}

function readLines(stream: Readable | null, listener: (line: string) => void): void {
  if (stream !== null) createInterface({ input: stream }).on('line', listener)
}

function startFailure(name: string, code: number | null, signal: string | null, complaints: readonly string[]): MeshError {
  for (const line of complaints) {
    try {
      const { error } = JSON.parse(line) as { error?: unknown }
      const parsed = Fault.safeParse(error)
      if (parsed.success) return MeshError.from({ ...parsed.data, detail: `${name} could not start: ${parsed.data.detail}` })
    } catch {
      // Not an error of ours: one of the last words below.
    }
  }
  return new MeshError('internal', `${name} ended before it was ready (${signal ?? `exit code ${String(code)}`})${lastWords(complaints)}`)
}

function lastWords(complaints: readonly string[]): string {
  return complaints.length === 0 ? '' : `; it said: ${complaints.slice(-3).join(' | ')}`
}

async function stopAll(children: readonly ChildProcess[], graceMs: number): Promise<void> {
  await Promise.all(children.map((child) => new Promise<void>((resolve) => {
    if (hasEnded(child)) return resolve()
    const force = setTimeout(() => child.kill('SIGKILL'), graceMs)
    child.once('exit', () => {
      clearTimeout(force)
      resolve()
    })
    child.kill('SIGTERM')
  })))
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined
}
