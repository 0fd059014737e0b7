/** Puts a campaign together: the mesh, the submitter, the readers, the killer; and takes it apart again whatever happens. */
import { mkdirSync, openSync, readSync, closeSync, rmSync, writeFileSync, fstatSync, mkdtempSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { adoptMeshKey, createInvite, createMeshKey } from '../../node/mesh-key.ts'
import { seededRandom } from '../../protocols/kernel/prng.ts'
import type { BridgeAddress } from './bridge.ts'
import { createDataDisk, removeLeftoverDisks } from './data-disk.ts'
import type { ChaosNode, FaultKind } from './fault-kinds.ts'
import { History, type LedgerLine } from './history.ts'
import { runKiller } from './killer.ts'
import { nowMs, probeMachine } from './machine.ts'
import { createChaosNetwork } from './network.ts'
import { readAwards, readMission, startReaders } from './readers.ts'
import { type CampaignReport, endedInException, reportOf } from './report.ts'
import { startSubmitter } from './submitter.ts'
import { superviseNode } from './supervisor.ts'
import { compileShim, createUnsyncedDisk } from './unsynced-writes.ts'
import { judge } from './verdict.ts'

export interface CampaignOptions {
  readonly minutes: number
  readonly seed: number
  readonly kinds: readonly FaultKind[]
  readonly nodes: number
  readonly inFlightMin: number
  /** How long missions may take to go on after a fault, and to end at the end. */
  readonly patienceMs: number
  readonly leaseMs: number
  readonly memberSilentMs: number
  /** Keeps logs and data even when all is well. */
  readonly keep: boolean
  readonly signal: AbortSignal
  readonly say: (line: string) => void
}

const root = resolve(import.meta.dirname, '../..')
const token = 'chaos-campaign-token'
/** Small enough to be filled in a moment; what is finished is kept, so a longer campaign needs a larger one. */
const diskMiBMin = 96
const diskMiBPerMinute = 32

export async function runCampaign(options: CampaignOptions): Promise<CampaignReport> {
  const { say, signal } = options
  const random = seededRandom([options.seed >>> 0, 0x0c4a05])
  const streams = { killer: random.split(), submitter: random.split(), readers: random.split() }
  const folder = mkdtempSync(join(tmpdir(), 'skein-chaos-'))
  const cleanups: (() => Promise<void> | void)[] = []
  let failed = true
  try {
    const place = (name: string): string => {
      mkdirSync(join(folder, name), { recursive: true })
      return join(folder, name)
    }
    const logs = place('logs')
    const lacks = probeMachine(place('probe'))
    if (lacks.mounts === undefined) removeLeftoverDisks()
    const left = [
      ...(lacks.namespaces === undefined ? [] : [`partitions, and a network per node: ${lacks.namespaces}`]),
      ...(lacks.mounts === undefined ? [] : [`full disks: ${lacks.mounts}`]),
      ...(lacks.shim === undefined ? [] : [`lost unsynced writes: ${lacks.shim}`]),
    ]
    for (const text of left) say(`left out: ${text}`)
    const impossible = new Set<FaultKind>([...(lacks.namespaces === undefined ? [] : ['partition', 'partition-one-way'] as const), ...(lacks.mounts === undefined ? [] : ['full-disk'] as const), ...(lacks.shim === undefined ? [] : ['unsynced-lost'] as const)])
    const kinds = options.kinds.filter((kind) => !impossible.has(kind))

    const network = lacks.namespaces === undefined ? createChaosNetwork(options.nodes) : undefined
    if (network !== undefined) cleanups.push(() => network.remove())
    const library = lacks.shim === undefined ? await compileShim(folder) : undefined
    const ledger = join(folder, 'ledger')
    writeFileSync(ledger, '')

    const names = Array.from({ length: options.nodes }, (_, index) => `node-${String.fromCharCode(97 + index)}`)
    const addresses = await Promise.all(names.map(async (_, index) => ({ host: network?.machines[index]?.address ?? '127.0.0.1', port: network === undefined ? await freePort() : 4747, http: network === undefined ? await freePort() : 7420 })))
    const meshKey = createMeshKey()
    const inviteFor = (index: number): string => createInvite({ meshKey, addrs: addresses.filter((_, other) => other !== index).map(({ host, port }) => `/ip4/${host}/tcp/${port}`), name: 'chaos' })
    const nodes = names.map((name, index): ChaosNode => {
      const { host, port, http } = addresses[index] ?? { host: '127.0.0.1', port: 0, http: 0 }
      const disk = createDataDisk(place(join('data', name)), { small: lacks.mounts === undefined, sizeMiB: Math.max(diskMiBMin, Math.ceil(options.minutes * diskMiBPerMinute)) })
      cleanups.push(() => {
        if ((failed && !signal.aborted) || options.keep) disk.keepCopy(join(folder, 'kept', name))
        disk.remove()
      })
      const unsynced = library === undefined ? undefined : createUnsyncedDisk(library, disk.folder, join(folder, `${name}.unsynced`))
      const machine = network?.machines[index]
      const node = superviseNode({
        name, cwd: place('work'), logFile: join(logs, `${name}.log`), token, restartMs: 500, say,
        env: {
          PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/', SKEIN_HTTP_TOKENS: JSON.stringify({ [token]: 'chaos' }),
          SKEIN_LIMITS_LEASE_MS: String(options.leaseMs), SKEIN_REPLICATION_MEMBER_SILENT_MS: String(options.memberSilentMs), SKEIN_REPLICATION_MEMBERS_LOOK_MS: '1000',
        },
        command: (start) => [
          // Only now: the shim is for the node, not for the command that puts it into its namespace.
          ...(machine?.prefix ?? []), ...(unsynced === undefined ? [] : ['env', ...Object.entries(unsynced.env).map((pair) => pair.join('='))]), process.execPath, join(root, 'bin', 'skein.js'), 'node', 'start', '--json', '--with-parent', '--no-mdns', '--data', disk.folder, '--name', name,
          '--listen-host', host, '--listen-port', String(port), '--http-host', host, '--http-port', String(http), '--slots', '2', '--skill', join(import.meta.dirname, 'ledger.skill.ts'),
          // The first start of the first node makes the mesh, every other one joins it.
          ...(index === 0 && start === 1 ? [] : ['--join', inviteFor(index)]),
        ],
      })
      cleanups.push(() => node.stop())
      return { name, node, disk, ...(machine === undefined ? {} : { machine }), ...(unsynced === undefined ? {} : { unsynced }) }
    })

    await adoptMeshKey(nodes[0]?.disk.folder ?? folder, meshKey)
    for (const { node } of nodes) node.start()
    await Promise.race([Promise.all(nodes.map(({ node }) => node.ready(120_000))), interrupted(signal)])
    say(`${nodes.length} nodes are up: ${nodes.map(({ name, node }) => `${name} ${node.bridge?.url ?? ''}`).join(', ')}`)

    const history = new History()
    const bridges = (): BridgeAddress[] => nodes.flatMap(({ node }) => node.bridge ?? [])
    const ledgerReader = tailLedger(ledger, history, (pid) => nodes.find(({ node }) => node.pids.has(pid))?.name)
    cleanups.push(() => ledgerReader.stop())
    const submitter = startSubmitter({ history, random: streams.submitter, seed: options.seed, ledger, target: options.inFlightMin + 6, bridges, say })
    cleanups.push(() => submitter.stop())
    const stopReaders = startReaders({ history, random: streams.readers, bridges, count: 5, everyMs: 100 })
    cleanups.push(stopReaders)

    const faults = await runKiller({
      world: { nodes, history, random: streams.killer, leaseMs: options.leaseMs, submitterBridge: () => submitter.bridge?.name },
      kinds, untilMs: nowMs() + options.minutes * 60_000, inFlightMin: options.inFlightMin, patienceMs: options.patienceMs, wipeGapMs: options.memberSilentMs * 2 + 15_000, signal, say,
    })
    submitter.finish()
    say('no more faults; waiting for the missions to end')
    for (const deadlineMs = nowMs() + options.patienceMs; history.inFlight().length > 0 && nowMs() < deadlineMs && !signal.aborted;) await sleep(100)
    await stopReaders()
    await submitter.stop()
    if (!signal.aborted) await readEverything(history, bridges(), say)
    ledgerReader.stop()
    const report = reportOf({ seed: options.seed, minutes: options.minutes, left, faults, verdict: judge(history), inFlightMin: options.inFlightMin, exits: nodes.flatMap(({ name, node }) => node.exits.filter((exit) => !exit.wanted || endedInException(exit)).map(({ atMs, how, hung, lastWords }) => ({ node: name, atMs, how, hung, lastWords }))) })
    // An interrupted run proves nothing.
    failed = !report.ok && !signal.aborted
    if (failed || options.keep) writeFileSync(join(folder, 'missions.json'), JSON.stringify([...history.missions.values()].map((mission) => ({ ...mission, ids: [...mission.ids], progressWallMs: [...mission.progressWallMs], events: mission.events.size, tasks: [...mission.tasks.values()].map((task) => ({ ...task, first: [...task.first.values()].map((read) => ({ ...read, value: String(read.value) })), results: [...task.results.keys()], awardedAt: [...task.awardedAt] })) })), null, 1))
    return report
  } finally {
    for (const cleanup of cleanups.reverse()) await Promise.resolve().then(cleanup).catch((thrown: unknown) => say(`could not be cleaned up: ${thrown instanceof Error ? thrown.message : String(thrown)}`))
    if (!failed && !options.keep) rmSync(folder, { recursive: true, force: true })
    else if (signal.aborted && !options.keep) rmSync(folder, { recursive: true, force: true })
    else {
      rmSync(join(folder, 'data'), { recursive: true, force: true })
      say(`the nodes' logs and data, the ledger and the history are in ${folder}`)
    }
  }
}

function interrupted(signal: AbortSignal): Promise<never> {
  const why = new Error('interrupted before the mesh was up')
  return new Promise((_, reject) => (signal.aborted ? reject(why) : signal.addEventListener('abort', () => reject(why), { once: true })))
}

/** In the end every mission is read at two bridges, its log included; one key must be one mission in the list as well. */
async function readEverything(history: History, bridges: readonly BridgeAddress[], say: (line: string) => void): Promise<void> {
  const { ask, follow } = await import('./bridge.ts')
  for (const at of bridges) {
    const listed = await ask<readonly { id: string; name: string }[]>(at, { path: '/v1/missions?limit=1000', timeoutMs: 15_000 })
    if (listed.kind === 'answer' && listed.status === 200) for (const { id, name } of listed.body) history.missions.get(name)?.ids.add(id)
    else say(`the list of ${at.name} could not be read`)
  }
  const open = [...history.missions.values()].filter((mission) => mission.acknowledgedMs !== undefined)
  let turn = 0
  const read = async (): Promise<void> => {
    for (let mission = open.shift(); mission !== undefined; mission = open.shift()) {
      const [id = ''] = mission.ids
      turn += 1
      const known = []
      for (const offset of [0, 1]) {
        const at = bridges[(turn + offset) % (bridges.length || 1)]
        if (at === undefined) break
        // A node that has only just come back may need a moment.
        for (let attempt = 0; attempt < 3; attempt++) {
          if (await readMission(history, mission, id, at)) {
            known.push(at.name)
            break
          }
          await sleep(1_000)
        }
        await readAwards(history, mission, id, at)
        const askedMs = nowMs()
        const patience = new AbortController()
        const timer = setTimeout(() => patience.abort(), 10_000)
        for await (const { event, data } of follow(at, id, 0, patience.signal, 10_000)) {
          if (event === 'end') break
          if (event !== 'mission') continue
          const { index, event: logged } = data as { index: number; event: Record<string, unknown> }
          history.event(mission, index, logged, askedMs, nowMs(), at.name)
        }
        clearTimeout(timer)
      }
      if (known.length === 0 && bridges.length > 0) mission.state = 'not known any more'
    }
  }
  await Promise.all(Array.from({ length: 6 }, read))
}

function tailLedger(path: string, history: History, nodeOf: (pid: number) => string | undefined): { stop(): void } {
  const file = openSync(path, 'r')
  let at = 0
  let text = ''
  let closed = false
  const read = (): void => {
    const length = fstatSync(file).size - at
    if (length <= 0) return
    const bytes = Buffer.alloc(length)
    at += readSync(file, bytes, 0, length, at)
    const lines = (text + bytes.toString('utf8')).split('\n')
    text = lines.pop() ?? ''
    for (const line of lines) {
      const parsed = JSON.parse(line) as LedgerLine
      const node = nodeOf(parsed.pid)
      history.ledger.push(node === undefined ? parsed : { ...parsed, node })
    }
  }
  const timer = setInterval(read, 50)
  return {
    stop() {
      if (closed) return
      closed = true
      clearInterval(timer)
      read()
      closeSync(file)
    },
  }
}

function freePort(): Promise<number> {
  return new Promise((resolvePort, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolvePort(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}
