/**
 * How fast a node starts, how fast a mission gets its first award, and what an idle node costs, each beside what is aimed at.
 * Printed, not asserted: these figures say as much about the machine as about Skein. The processor time of a start says less about
 * what else the machine does, and is divided by that of a Node which does nothing.
 *
 * `npm run bench:startup [-- --runs 7] [--idle 10000] [--only source|bundle] [--json]`. The bundle is measured when `npm run build` has made one.
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
import { cpuMicrosOf } from './process-cpu.ts'
import { repositoryRoot as root } from './table.ts'

interface Program {
  readonly name: string
  readonly script: string
  /** Milliseconds from its being started to the `ready` line, at most. */
  readonly readyMsMax: number
}

const programs: readonly Program[] = [
  { name: 'source', script: join(root, 'bin', 'skein.js'), readyMsMax: 450 },
  { name: 'bundle', script: join(root, 'dist', 'package', 'bin', 'skein.js'), readyMsMax: 200 },
]
const idleMiBMax = 110

/** One figure of one program, a value per run. */
type Figures = Record<'started, ready (ms)' | 'started, ready: processor time (ms)' | 'accepted, first award (ms)' | 'idle alone (MiB)' | 'idle in a mesh of three (MiB)', number[]>

function targetOf({ readyMsMax }: Program, figure: string): string | undefined {
  if (figure.startsWith('started, ready (')) return `target: at most ${readyMsMax}`
  return figure.startsWith('idle') ? `target: at most ${idleMiBMax}` : undefined
}

interface StartedNode {
  readonly child: ChildProcess
  readonly ready: Ready
  readonly readyMs: number
  /** NaN where the kernel cannot be asked. */
  readonly readyCpuMs: number
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
  return { child, ready, readyMs: performance.now() - startedAtMs, readyCpuMs: cpuMicrosOf(child.pid ?? 0) / 1_000, client: createMeshClient(ready.http ?? '') }
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
    if (Number.isFinite(first.readyCpuMs)) figures['started, ready: processor time (ms)'].push(first.readyCpuMs)
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

/** What Node itself takes to start and to end, doing nothing. */
async function bareNode(): Promise<{ readonly tookMs: number; readonly cpuMs: number }> {
  const startedAtMs = performance.now()
  const child = spawn(process.execPath, ['-e', 'process.once("exit", () => { const { user, system } = process.cpuUsage(); process.stdout.write(String((user + system) / 1000)) })'], { stdio: ['ignore', 'pipe', 'ignore'] })
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => { printed += text })
  await once(child, 'close')
  return { tookMs: performance.now() - startedAtMs, cpuMs: Number(printed) }
}

const { values: flags } = parseArgs({ options: { runs: { type: 'string', default: '5' }, idle: { type: 'string', default: '10000' }, only: { type: 'string' }, json: { type: 'boolean', default: false } } })
const runs = numberOf('runs', flags.runs)
const idleMs = numberOf('idle', flags.idle)
await reportOf('startup', flags.json, async ({ figures: all, notes }) => {
  for (const program of programs) {
    if (flags.only !== undefined && flags.only !== program.name) continue
    if (!existsSync(program.script)) {
      notes.push(`the ${program.name} is not built: npm run build`)
      continue
    }
    const figures: Figures = { 'started, ready (ms)': [], 'started, ready: processor time (ms)': [], 'accepted, first award (ms)': [], 'idle alone (MiB)': [], 'idle in a mesh of three (MiB)': [] }
    const bare: Awaited<ReturnType<typeof bareNode>>[] = []
    for (let run = 0; run < runs; run++) {
      bare.push(await bareNode())
      await measureOnce(program, figures, idleMs)
    }
    for (const [figure, values] of Object.entries(figures)) {
      if (values.length === 0) continue
      const [, name = figure, unit = ''] = /^(.*) \((\w+)\)$/.exec(figure) ?? []
      const target = targetOf(program, figure)
      const yardstick = !name.startsWith('started') ? undefined : medianOf(bare.map(({ tookMs, cpuMs }) => (name.endsWith('time') ? cpuMs : tookMs)))
      all.push({
        name: `${program.name}: ${name}`, unit, values,
        ...(target === undefined ? {} : { beside: target }),
        ...(yardstick === undefined ? {} : { against: [{ what: 'a Node that does nothing', value: yardstick }] }),
      })
    }
  }
})
