/** The brokers of the peers that have one: on a free port of loopback, with their data in the system's temporary folder. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { whenInterrupted } from '../interrupted.ts'
import { until } from '../replication/figures.ts'
import type { ServerProgram } from './folder.ts'

export interface RunningServer {
  readonly pid: number
  readonly port: number
  /** For questions over HTTP, where it has such a port. */
  readonly statusPort: number
  stop(): Promise<void>
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** @param sync when the append-only file is synced. */
export function startRedis(program: ServerProgram, sync: 'everysec' | 'always'): Promise<RunningServer> {
  return startServer(program, (folder, port) => ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--appendonly', 'yes', '--appendfsync', sync, '--save', '', '--maxmemory-policy', 'noeviction'])
}

export function startNats(program: ServerProgram): Promise<RunningServer> {
  return startServer(program, (folder, port, statusPort) => ['--addr', '127.0.0.1', '--port', String(port), '--http_port', String(statusPort), '--jetstream', '--store_dir', folder])
}

async function startServer(program: ServerProgram, argumentsOf: (folder: string, port: number, statusPort: number) => string[]): Promise<RunningServer> {
  const folder = mkdtempSync(join(tmpdir(), 'skein-bench-peer-'))
  const port = await freePort()
  const statusPort = await freePort()
  const child = spawn(program.path, argumentsOf(folder, port, statusPort), { env: program.env, cwd: folder, stdio: 'ignore' })
  const forget = whenInterrupted(() => {
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  })
  const stop = async (): Promise<void> => {
    await ended(child)
    rmSync(folder, { recursive: true, force: true })
    forget()
  }
  try {
    await until(`that ${program.path} listens`, async () => {
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`)
      return await listens(port) ? true : undefined
    }, 10_000)
  } catch (thrown) {
    await stop()
    throw thrown
  }
  return { pid: child.pid ?? 0, port, statusPort, stop }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const over = new Promise((done) => child.once('exit', done))
  child.kill('SIGTERM')
  const force = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await over
  clearTimeout(force)
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** What JetStream says of how often it syncs; servers before 2.10 do not say. */
export async function jetStreamSync({ statusPort }: RunningServer): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${statusPort}/jsz?config=true`)
  const { config } = await answer.json() as { config?: { sync_interval?: number; sync_always?: boolean } }
  if (config?.sync_always === true) return 'syncs every write'
  if (config?.sync_interval !== undefined) return `syncs every ${config.sync_interval / 1e9} s, not before it acknowledges`
  return 'does not say how often it syncs (its documentation: every 2 minutes unless told otherwise), and does not before it acknowledges'
}
