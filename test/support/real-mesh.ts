/**
 * Meshes of real node processes for tests: start, join, kill, restart, look into the logs, stop, and prove that nothing is left.
 *
 * ```ts
 * const mesh = await startRealMesh([{ name: 'a' }, { name: 'b', flags: ['--slots', '1'] }])
 * try { … mesh.node('a').client … } finally { await mesh.stop() }
 * ```
 */
import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Ready, parseReadyLine } from '../../node/cli/ready-line.ts'
import { type MeshClient, createMeshClient } from '../../node/http/client.ts'
import { createInvite, readMeshKey } from '../../node/mesh-key.ts'
import type { NodeView } from '../../protocols/capability/views.ts'
import { leftovers, markVariable } from './leftovers.ts'
import { type CommandOptions, type CommandResult, type RunningCommand, runSkein, skeinJson, startSkein } from './skein-command.ts'
import { until } from './until.ts'

export interface RealNodeSpec {
  /** Also the name of its data folder. */
  readonly name: string
  /** Further flags of `node start`, like `['--slots', '1']`. */
  readonly flags?: readonly string[]
  /** Flags of Node itself. */
  readonly execArgv?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Command before the command, like `['ip', 'netns', 'exec', 'NAME']`. */
  readonly prefix?: readonly string[]
  /** Command before a command that is run where the node with this process id runs, and sees what it sees. */
  readonly shell?: (pid: number) => readonly string[]
  /** Default 127.0.0.1. */
  readonly listenHost?: string
  /** Invites or addresses; default: the invite of the first node that was started. `[]` starts a mesh of its own. */
  readonly join?: readonly string[]
  readonly cwd?: string
  /** What flags cannot say: the configuration file in its data folder. */
  readonly settings?: Readonly<Record<string, unknown>>
}

/** A line of a node's log, as it was written to standard error. */
export interface LoggedFact {
  readonly level: string
  readonly msg: string
  readonly time: number
  readonly [field: string]: unknown
}

export interface RealNode {
  readonly spec: RealNodeSpec
  readonly name: string
  readonly pid: number
  readonly peerId: string
  readonly http: string
  readonly addrs: readonly string[]
  readonly dataDir: string
  readonly client: MeshClient
  readonly exited: Promise<CommandResult>
  /** From the call of spawn to the ready line. */
  readonly readyAfterMs: number
  isRunning(): boolean
  signal(signal: NodeJS.Signals): void
  /** Standard error of this process. */
  stderr(): string
  /** Facts of this process, oldest first; all of them or those of one name. */
  facts(name?: string): LoggedFact[]
  /** A command on this node's machine against this node: parsed output of `--json`. */
  skein<T>(argv: readonly string[], options?: CommandOptions & { readonly code?: number }): Promise<T>
}

export interface RealMesh {
  /** Temporary folder of the mesh; each node's data is in a folder of its own in it. */
  readonly folder: string
  /** Living and dead, in the order in which they were started first. */
  readonly nodes: readonly RealNode[]
  node(name: string): RealNode
  /** The line that joins another node. */
  invite(): Promise<string>
  start(spec: RealNodeSpec): Promise<RealNode>
  /** kill -9, and waits until the process is gone. */
  kill(name: string): Promise<void>
  /** Starts a node that has ended again, on its data folder. */
  restart(name: string, change?: Partial<RealNodeSpec>): Promise<RealNode>
  /** Fulfilled when all living nodes are connected to one another and know one another's adverts. */
  joined(): Promise<void>
  /** What every node said last, for the message of a failed test. */
  lastWords(): string
  /** The environment that commands of this test should carry, so that they are found when they stay. */
  readonly env: Readonly<Record<string, string>>
  /** Asks all to stop, kills what does not, removes the folder. @throws Error when a node had to be killed or a process is left. */
  stop(): Promise<void>
}

const stopPatienceMs = 40_000

export function namedNodes(count: number, about: Omit<RealNodeSpec, 'name'> = {}): RealNodeSpec[] {
  return Array.from({ length: count }, (_, index) => ({ ...about, name: `node-${String.fromCharCode(97 + index)}` }))
}

/** Starts the first, then the others at once, and waits until all see all. Nothing is left running when it throws. */
export async function startRealMesh(specs: readonly RealNodeSpec[]): Promise<RealMesh> {
  const mesh = createMesh()
  try {
    const [first, ...others] = specs
    if (first !== undefined) await mesh.start(first)
    const outcomes = await Promise.allSettled(others.map((spec) => mesh.start(spec)))
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
    await mesh.joined()
    return mesh
  } catch (thrown) {
    await mesh.stop().catch(() => undefined)
    throw thrown
  }
}

function createMesh(): RealMesh {
  const folder = mkdtempSync(join(tmpdir(), 'skein-mesh-test-'))
  const env = { [markVariable]: randomUUID() }
  const nodes: RealNode[] = []
  const commands: RunningCommand[] = []
  // Retired processes of restarted nodes keep their logs for `lastWords`.
  let stopped = false

  async function invite(): Promise<string> {
    const [first] = nodes
    if (first === undefined) throw new Error('no node has been started yet')
    // What is on another machine's disk is known to commands on that machine only.
    if (first.spec.shell !== undefined) return (await first.skein<{ invite: string }>(['invite'])).invite
    const meshKey = await readMeshKey(first.dataDir)
    if (meshKey === undefined) throw new Error(`${first.name} has no mesh key`)
    const addrs = nodes.filter((node) => node.isRunning()).flatMap((node) => node.addrs)
    return createInvite({ meshKey, addrs: addrs.slice(0, 8), name: first.name })
  }

  async function launch(spec: RealNodeSpec): Promise<RealNode> {
    const dataDir = join(folder, spec.name)
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    if (spec.settings !== undefined) writeFileSync(join(dataDir, 'skein.config.json'), JSON.stringify(spec.settings))
    const joins = spec.join ?? (nodes.length === 0 ? [] : [await invite()])
    const startedAtMs = performance.now()
    const command = startSkein([
      'node', 'start', '--json', '--with-parent', '--no-mdns', '--data', dataDir, '--name', spec.name, '--listen-host', spec.listenHost ?? '127.0.0.1', '--listen-port', '0', '--http-port', '0',
      ...joins.flatMap((line) => ['--join', line]), ...(spec.flags ?? []),
    ], {
      cwd: spec.cwd ?? dataDir, env: { ...env, ...spec.env }, stdin: 'pipe',
      ...(spec.prefix === undefined ? {} : { prefix: spec.prefix }), ...(spec.execArgv === undefined ? {} : { execArgv: spec.execArgv }),
    })
    commands.push(command)
    const ready = await readyLine(spec.name, command)
    return nodeOf(spec, dataDir, command, ready, performance.now() - startedAtMs)
  }

  function place(node: RealNode): RealNode {
    const known = nodes.findIndex((other) => other.name === node.name)
    if (known >= 0) nodes[known] = node
    else nodes.push(node)
    return node
  }

  const mesh: RealMesh = {
    folder,
    nodes,
    env,
    invite,
    node(name) {
      const found = nodes.find((node) => node.name === name)
      if (found === undefined) throw new Error(`there is no ${name} in this mesh of ${nodes.map((node) => node.name).join(', ')}`)
      return found
    },
    start: async (spec) => place(await launch(spec)),
    async kill(name) {
      const node = mesh.node(name)
      node.signal('SIGKILL')
      await node.exited
    },
    async restart(name, change = {}) {
      const before = mesh.node(name)
      if (before.isRunning()) throw new Error(`${name} is still running`)
      const others = nodes.filter((node) => node.isRunning()).flatMap((node) => node.addrs)
      return place(await launch({ ...before.spec, ...change, join: change.join ?? others.slice(0, 8) }))
    },
    async joined() {
      const living = nodes.filter((node) => node.isRunning())
      await until(async () => {
        const lacks = (await Promise.all(living.map((node) => lacking(node, living)))).flat()
        if (lacks.length > 0) throw new Error(lacks.join('; '))
        return true
      }, { what: 'the nodes to find one another', context: mesh.lastWords })
    },
    lastWords: () => nodes.map((node) => `${node.name} (${node.isRunning() ? 'running' : 'ended'}):\n${node.stderr().split('\n').slice(-12).join('\n')}`).join('\n'),
    async stop() {
      if (stopped) return
      stopped = true
      const stubborn: string[] = []
      await Promise.all(commands.map(async (command) => {
        if (command.child.exitCode !== null || command.child.signalCode !== null) return
        const force = setTimeout(() => {
          stubborn.push(`process ${command.pid} did not stop: ${command.err().slice(-500)}`)
          command.child.kill('SIGKILL')
        }, stopPatienceMs)
        command.child.kill('SIGTERM')
        // One that is stopped by a signal cannot act on another.
        command.child.kill('SIGCONT')
        await command.ended
        clearTimeout(force)
      }))
      const left = await until(() => (leftovers(env[markVariable] ?? '', commands.map(({ pid }) => pid)).length === 0 ? 'nothing' : false), { what: 'every process to be gone', timeoutMs: 10_000 })
        .then(() => [], () => leftovers(env[markVariable] ?? '', commands.map(({ pid }) => pid)))
      rmSync(folder, { recursive: true, force: true })
      if (stubborn.length + left.length > 0) throw new Error(`left after the test: ${[...stubborn, ...left].join('; ')}`)
    },
  }
  return mesh

  function nodeOf(spec: RealNodeSpec, dataDir: string, command: RunningCommand, ready: Ready, readyAfterMs: number): RealNode {
    return {
      spec, dataDir, readyAfterMs, name: spec.name, pid: command.pid, peerId: ready.peerId, http: ready.http ?? '', addrs: ready.addrs, client: createMeshClient(ready.http ?? 'http://127.0.0.1:9'), exited: command.ended,
      isRunning: () => command.child.exitCode === null && command.child.signalCode === null,
      signal: (signal) => { command.child.kill(signal) },
      stderr: command.err,
      facts: (name) => factsIn(command.err()).filter((fact) => name === undefined || fact.msg === name),
      skein: (argv, options = {}) => skeinJson([...argv, '--data', dataDir], { env, ...(spec.shell === undefined ? {} : { prefix: spec.shell(command.pid) }), ...options }),
    }
  }
}

/** A node behind its own loopback is asked by a command on its machine, any other over HTTP. */
async function lacking(node: RealNode, expected: readonly RealNode[]): Promise<string[]> {
  const seen = node.spec.shell === undefined ? await node.client.nodes() : await node.skein<NodeView[]>(['nodes'])
  const known = new Set(seen.filter((other) => (other.self || other.state === 'connected') && other.advert !== undefined).map((other) => other.peerId as string))
  return expected.filter((other) => !known.has(other.peerId)).map((other) => `${node.name} does not see ${other.name}`)
}

function readyLine(name: string, command: RunningCommand): Promise<Ready> {
  return new Promise((resolve, reject) => {
    command.onLine((line) => {
      const ready = parseReadyLine(line)
      if (ready !== undefined) resolve(ready)
    })
    command.ended.then(({ code, signal, err }) => reject(new Error(`${name} ended before it was ready (${String(signal ?? code)}): ${err.slice(-2_000)}`)), reject)
  })
}

export function factsIn(stderr: string): LoggedFact[] {
  return stderr.split('\n').flatMap((line) => {
    if (!line.startsWith('{')) return []
    try {
      const parsed = JSON.parse(line) as LoggedFact
      return typeof parsed.msg === 'string' ? [parsed] : []
    } catch {
      return []
    }
  })
}

export { runSkein, until }
