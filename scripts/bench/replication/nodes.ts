/** Real nodes of one mesh for a benchmark: processes that are started, killed, stopped in their tracks and started again. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type Ready, parseReadyLine } from '../../../node/cli/ready-line.ts'
import { type MeshClient, createMeshClient } from '../../../node/http/client.ts'
import { createInvite, readMeshKey } from '../../../node/mesh-key.ts'
import { whenInterrupted } from '../interrupted.ts'
import { repositoryRoot } from '../table.ts'
import { until } from './figures.ts'

export interface BenchNode {
  readonly name: string
  readonly flags: readonly string[]
  readonly dataDir: string
  readonly child: ChildProcess
  readonly peerId: string
  readonly addrs: readonly string[]
  readonly client: MeshClient
  /** From the call of spawn to the ready line. */
  readonly readyMs: number
}

export interface BenchMesh {
  readonly folder: string
  node(name: string): BenchNode
  /** Living ones only. */
  living(): readonly BenchNode[]
  start(name: string, flags?: readonly string[]): Promise<BenchNode>
  /** kill -9, also of one that was stopped. Resolves when the process is gone. @returns when the signal was sent, on both clocks. */
  kill(name: string): Promise<KilledAt>
  /** SIGSTOP: it keeps its connections and says nothing any more. */
  hang(name: string): KilledAt
  /** One that has ended, on its data. */
  restart(name: string): Promise<BenchNode>
  /** Until all living nodes are connected and know one another's adverts. */
  joined(patienceMs?: number): Promise<void>
  stop(): Promise<void>
}

export interface KilledAt {
  readonly monotonicMs: number
  readonly wallMs: number
}

const program = join(repositoryRoot, 'bin', 'skein.js')

/** Starts `skein node start` and waits for its ready line. `nodeOptions` are for Node itself. */
export async function startNode(name: string, dataDir: string, flags: readonly string[], nodeOptions: readonly string[] = []): Promise<BenchNode> {
  const startedAtMs = performance.now()
  const child = spawn(process.execPath, [
    ...nodeOptions, program, 'node', 'start', '--json', '--with-parent', '--no-mdns', '--data', dataDir, '--name', name,
    '--listen-host', '127.0.0.1', '--listen-port', '0', '--http-port', '0', '--log-level', 'silent', ...flags,
  ], { cwd: repositoryRoot, stdio: ['pipe', 'pipe', 'inherit'] })
  const ready = await new Promise<Ready>((done, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const parsed = parseReadyLine(line)
      if (parsed !== undefined) done(parsed)
    })
    child.once('exit', (code) => reject(new Error(`${name} ended with ${String(code)} before it was ready`)))
  })
  return { name, flags, dataDir, child, peerId: ready.peerId, addrs: ready.addrs, client: createMeshClient(ready.http ?? 'http://127.0.0.1:9'), readyMs: performance.now() - startedAtMs }
}

export function isRunning({ child }: BenchNode): boolean {
  return child.exitCode === null && child.signalCode === null
}

/** Asks it to stop, and waits until it has. */
export async function stopNode(node: BenchNode): Promise<void> {
  if (!isRunning(node)) return
  const ended = new Promise((done) => node.child.once('exit', done))
  node.child.kill('SIGTERM')
  // One that was stopped in its tracks cannot act on another signal.
  node.child.kill('SIGCONT')
  await ended
}

/**
 * @param nodeOptions what Node itself is told, by the name of the node.
 * @param given where the nodes keep their data, which stays there; default: a temporary folder.
 */
export function createBenchMesh(nodeOptions: (name: string) => readonly string[] = () => [], given?: string): BenchMesh {
  const folder = given ?? mkdtempSync(join(tmpdir(), 'skein-bench-mesh-'))
  const removeFolder = (): void => {
    if (given === undefined) rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  const nodes = new Map<string, BenchNode>()
  const living = (): BenchNode[] => [...nodes.values()].filter(isRunning)
  const forget = whenInterrupted(() => {
    for (const { child } of living()) child.kill('SIGKILL')
    removeFolder()
  })
  const nodeOf = (name: string): BenchNode => {
    const node = nodes.get(name)
    if (node === undefined) throw new Error(`there is no node ${name}`)
    return node
  }

  async function joining(): Promise<string[]> {
    const [first] = nodes.values()
    if (first === undefined) return []
    const meshKey = await readMeshKey(first.dataDir)
    if (meshKey === undefined) throw new Error(`${first.name} has no mesh key`)
    return ['--join', createInvite({ meshKey, addrs: living().flatMap(({ addrs }) => addrs).slice(0, 8), name: first.name })]
  }

  async function launch(name: string, flags: readonly string[]): Promise<BenchNode> {
    const started = await startNode(name, join(folder, name), [...flags, ...await joining()], nodeOptions(name))
    const node = { ...started, flags }
    nodes.set(name, node)
    return node
  }

  return {
    folder,
    node: nodeOf,
    living,
    start: (name, flags = []) => launch(name, flags),
    async kill(name) {
      const { child } = nodeOf(name)
      const ended = new Promise((done) => child.once('exit', done))
      const at = now()
      child.kill('SIGKILL')
      await ended
      return at
    },
    hang(name) {
      const at = now()
      nodeOf(name).child.kill('SIGSTOP')
      return at
    },
    restart: (name) => launch(name, nodeOf(name).flags),
    async joined(patienceMs) {
      await until('that all nodes know one another', async () => {
        const all = living()
        const seen = await Promise.all(all.map(async ({ client }) => (await client.nodes()).filter((other) => other.advert !== undefined && (other.self || other.state === 'connected')).length))
        return seen.every((count) => count >= all.length) ? true : undefined
      }, patienceMs)
    },
    async stop() {
      await Promise.all([...nodes.values()].map(stopNode))
      removeFolder()
      forget()
    },
  }
}

function now(): KilledAt {
  return { monotonicMs: performance.now(), wallMs: Date.now() }
}

/** A skill that waits: `bench.wait` without effects, `bench.touch` with one outside. @returns flags that load both. */
export function waitingSkills(folder: string): string[] {
  return (['wait', 'touch'] as const).flatMap((name) => {
    const file = join(folder, `${name}.skill.ts`)
    writeFileSync(file, `import { defineSkill, z } from 'skein/skill'
export default defineSkill({
  capability: 'bench.${name}', version: '1.0', summary: 'waits', effects: '${name === 'wait' ? 'none' : 'external'}', input: z.object({ ms: z.number() }), output: z.number(),
  run: ({ ms }) => new Promise((resolve) => setTimeout(() => resolve(ms), ms)),
})
`)
    return ['--skill', file]
  })
}
