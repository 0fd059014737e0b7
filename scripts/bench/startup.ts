/**
 * How fast a node starts, how fast a mission gets its first award, and what an idle node costs. Printed, not asserted:
 * these figures say as much about the machine as about Skein.
 *
 * `npm run bench:startup [-- --runs 7] [--idle 5000] [--only source|bundle] [--json]`. The bundle is measured when `npm run build` has made one.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type Ready, parseReadyLine } from '../../node/cli/ready-line.ts'
import { type MeshClient, type MissionRequestInput, createMeshClient } from '../../node/http/client.ts'
import { createInvite, readMeshKey } from '../../node/mesh-key.ts'
import { medianOf, numberOf, reportOf } from './figure.ts'
import { repositoryRoot as root } from './table.ts'

interface Program {
  readonly name: string
  readonly script: string
}

const programs: readonly Program[] = [
  { name: 'source', script: join(root, 'bin', 'skein.js') },
  { name: 'bundle', script: join(root, 'dist', 'package', 'bin', 'skein.js') },
]

/** One figure of one program, a value per run. */
type Figures = Record<'started, ready (ms)' | 'accepted, first award (ms)' | 'idle alone (MiB)' | 'idle in a mesh of three (MiB)', number[]>

interface StartedNode {
  readonly child: ChildProcess
  readonly ready: Ready
  readonly readyMs: number
  readonly client: MeshClient
}

async function startNode(program: Program, dataDir: string, flags: readonly string[]): Promise<StartedNode> {
  const startedAtMs = performance.now()
  const child = spawn(process.execPath, [
    program.script, 'node', 'start', '--json', '--with-parent', '--no-mdns', '--data', dataDir,
    '--listen-host', '127.0.0.1', '--listen-port', '0', '--http-port', '0', '--log-level', 'silent', ...flags,
  ], { cwd: root, stdio: ['pipe', 'pipe', 'inherit'] })
  const ready = await new Promise<Ready>((done, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const parsed = parseReadyLine(line)
      if (parsed !== undefined) done(parsed)
    })
    child.once('exit', (code) => reject(new Error(`a node ended with ${String(code)} before it was ready`)))
  })
  return { child, ready, readyMs: performance.now() - startedAtMs, client: createMeshClient(ready.http ?? '') }
}

async function stopNode({ child }: StartedNode): Promise<void> {
  const ended = new Promise((done) => child.once('exit', done))
  child.kill('SIGTERM')
  await ended
}

/** Resident memory: what the kernel says where it can be asked, else what the node says of itself. */
async function memoryMiB({ child, ready, client }: StartedNode): Promise<number> {
  let bytes: number | undefined
  try {
    bytes = Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${child.pid ?? 0}/status`, 'utf8'))?.[1]) * 1024
  } catch {
    bytes = (await client.status(ready.peerId as Parameters<MeshClient['status']>[0]) as { memoryBytes: number }).memoryBytes
  }
  return bytes / 1024 / 1024
}

/** From `submitted` to the first award of a leaf, both as the log has them. */
async function firstAwardMs(client: MeshClient): Promise<number> {
  const tasks = Object.fromEntries(Array.from({ length: 4 }, (_, index) => [`task-${index + 1}`, { capability: 'bench.nothing' }]))
  const { id } = await client.submit({ plan: { tasks } } as MissionRequestInput)
  let acceptedAtMs = Number.NaN
  let awardedAtMs: number | undefined
  for await (const news of client.watch(id)) {
    if (news.type !== 'event') continue
    if (news.event.type === 'submitted') acceptedAtMs = news.event.atWallMs
    if (news.event.type === 'awarded') awardedAtMs ??= news.event.atWallMs
  }
  if (awardedAtMs === undefined) throw new Error(`${id} ended without an award`)
  return awardedAtMs - acceptedAtMs
}

async function joined(nodes: readonly StartedNode[]): Promise<void> {
  for (;;) {
    const seen = await Promise.all(nodes.map(async ({ client }) => (await client.nodes()).filter((node) => node.advert !== undefined && (node.self || node.state === 'connected')).length))
    if (seen.every((count) => count === nodes.length)) return
    await sleep(20)
  }
}

async function measureOnce(program: Program, figures: Figures, idleMs: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'skein-bench-'))
  const nodes: StartedNode[] = []
  try {
    const skill = join(folder, 'nothing.skill.ts')
    writeFileSync(skill, `import { defineSkill, z } from 'skein/skill'\nexport default defineSkill({ capability: 'bench.nothing', version: '1.0', summary: 'does nothing', effects: 'none', input: z.object({}), output: z.number(), run: () => 0 })\n`)
    const dataDir = join(folder, 'a')
    // The very first start also makes the identity and the mesh key; a person waits for the later ones far more often.
    await stopNode(await startNode(program, dataDir, []))
    const first = await startNode(program, dataDir, [])
    nodes.push(first)
    figures['started, ready (ms)'].push(first.readyMs)
    await sleep(idleMs)
    figures['idle alone (MiB)'].push(await memoryMiB(first))

    const meshKey = await readMeshKey(dataDir)
    if (meshKey === undefined) throw new Error('a node without a mesh key')
    const invite = createInvite({ meshKey, addrs: first.ready.addrs, name: 'a' })
    for (const name of ['b', 'c']) nodes.push(await startNode(program, join(folder, name), ['--join', invite, '--skill', skill]))
    await joined(nodes)
    // The first mission also starts threads: the second tells what the mesh itself takes.
    await firstAwardMs(first.client)
    figures['accepted, first award (ms)'].push(await firstAwardMs(first.client))
    await sleep(idleMs)
    figures['idle in a mesh of three (MiB)'].push(await memoryMiB(first))
  } finally {
    await Promise.all(nodes.map(stopNode))
    rmSync(folder, { recursive: true, force: true })
  }
}

/** How long Node itself takes to start and to end, doing nothing. */
async function bareNodeMs(): Promise<number> {
  const startedAtMs = performance.now()
  await once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'exit')
  return performance.now() - startedAtMs
}

const { values: flags } = parseArgs({ options: { runs: { type: 'string', default: '5' }, idle: { type: 'string', default: '5000' }, only: { type: 'string' }, json: { type: 'boolean', default: false } } })
const runs = numberOf('runs', flags.runs)
const idleMs = numberOf('idle', flags.idle)
await reportOf('startup', flags.json, async ({ figures: all, notes }) => {
  for (const program of programs) {
    if (flags.only !== undefined && flags.only !== program.name) continue
    if (!existsSync(program.script)) {
      notes.push(`the ${program.name} is not built: npm run build`)
      continue
    }
    const figures: Figures = { 'started, ready (ms)': [], 'accepted, first award (ms)': [], 'idle alone (MiB)': [], 'idle in a mesh of three (MiB)': [] }
    const bare: number[] = []
    for (let run = 0; run < runs; run++) {
      bare.push(await bareNodeMs())
      await measureOnce(program, figures, idleMs)
    }
    for (const [figure, values] of Object.entries(figures)) {
      const [, name = figure, unit = ''] = /^(.*) \((\w+)\)$/.exec(figure) ?? []
      all.push({ name: `${program.name}: ${name}`, unit, values, ...(name.startsWith('started') ? { against: [{ what: '`node -e 0`, started and ended', value: medianOf(bare) }] } : {}) })
    }
  }
})
