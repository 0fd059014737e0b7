/**
 * Skein beside others that run tasks, under the same load on this machine, and a replicated log beside another. Printed, not asserted.
 *
 * `npm run bench:peers [-- --peers FOLDER] [--only skein,moleculer,nats,jetstream,bullmq,hypercore] [--runs 3] [--tasks 2000] [--peer-tasks 20000] [--one-by-one 100] [--fan-outs 10] [--json]`.
 * A saturated run of a peer has `--peer-tasks`: Linux counts processor time in hundredths of a second.
 * The peers' packages and servers are fetched into FOLDER (default: among the user's caches) at the versions of `peers/versions.json`; those that cannot be had are left out.
 */
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { type Collected, type Yardstick, medianOf, numberOf, quantileOf, reportOf } from './figure.ts'
import { defaultPeersFolder, installPackages, peerVersions, serverProgram } from './peers/folder.ts'
import { batchBlocks, replicateLive } from './peers/hypercore.ts'
import type { TaskPeer } from './peers/load.ts'
import { type RunningServer, freePort, jetStreamSync, startNats, startRedis } from './peers/servers.ts'
import { startPeer } from './peers/systems.ts'
import { syncTimes } from './replication/disk.ts'
import { committedRate } from './replication/groups.ts'
import { type TaskMeasures, figuresOf, loads, measureTasks } from './tasks/measure.ts'
import { startSkein } from './tasks/skein.ts'
import { workerCount } from './tasks/system.ts'

const parts = ['skein', 'moleculer', 'nats', 'jetstream', 'bullmq', 'hypercore'] as const
const { values: flags } = parseArgs({
  options: {
    peers: { type: 'string', default: defaultPeersFolder() }, only: { type: 'string', default: parts.join(',') }, json: { type: 'boolean', default: false },
    runs: { type: 'string', default: '3' }, tasks: { type: 'string', default: '2000' }, 'peer-tasks': { type: 'string', default: '20000' }, 'one-by-one': { type: 'string', default: '100' }, 'fan-outs': { type: 'string', default: '10' }, blocks: { type: 'string', default: '100000' },
  },
})
const wanted = flags.only.split(',')
const unknown = wanted.find((name) => !parts.some((part) => part === name))
if (unknown !== undefined) throw new Error(`--only names "${unknown}"; there are ${parts.join(', ')}`)
const folder = flags.peers
const say = (text: string): void => console.error(`${text} …`)
const options = { loads, runs: numberOf('runs', flags.runs), tasks: numberOf('tasks', flags.tasks), oneByOne: numberOf('one-by-one', flags['one-by-one']), fanOuts: numberOf('fan-outs', flags['fan-outs']), fanOutTasks: 100, fanOutMs: 50, say }
const blocks = Math.ceil(numberOf('blocks', flags.blocks) / batchBlocks) * batchBlocks

/** What everything that syncs waits for, as it was before each system: they are fair to one another where these are alike. */
const syncsMs: number[] = []

async function lookAtDisk(): Promise<void> {
  syncsMs.push(quantileOf(await syncTimes(tmpdir(), 100), 0.5))
}

interface Measured { readonly name: string; readonly measures: TaskMeasures }

async function measurePeer(name: string, peer: TaskPeer, ports: readonly number[], server: RunningServer | undefined): Promise<Measured> {
  await lookAtDisk()
  const running = await startPeer(name, { peer, folder, ports }, server?.pid)
  try {
    return { name, measures: await measureTasks(running.system, { ...options, tasks: numberOf('peer-tasks', flags['peer-tasks']) }) }
  } finally {
    await running.stop()
  }
}

async function withServer<Value>(server: RunningServer, use: (server: RunningServer) => Promise<Value>): Promise<Value> {
  try {
    return await use(server)
  } finally {
    await server.stop()
  }
}

/** Each by its name in `--only`. What it adds to `measured` is compared with Skein's own. */
async function measurePeers(report: Collected, measured: Measured[]): Promise<void> {
  const { versions, notes } = report
  const attempt = async (part: string, measure: () => Promise<void>): Promise<void> => {
    if (!wanted.includes(part)) return
    try {
      await measure()
    } catch (thrown) {
      // One peer that fails takes no other with it.
      console.error(thrown)
      notes.push(`${part} was not measured: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
      process.exitCode = 1
    }
  }
  await attempt('moleculer', async () => {
    versions['Moleculer'] = peerVersions.npm['moleculer'] ?? ''
    measured.push(await measurePeer('Moleculer, TCP', 'moleculer', await Promise.all(Array.from({ length: workerCount + 1 }, freePort)), undefined))
  })
  for (const peer of ['nats', 'jetstream'] as const) {
    await attempt(peer, async () => {
      const program = await serverProgram(folder, 'nats-server', say)
      if (typeof program === 'string') {
        notes.push(`${peer} was left out: ${program}`)
        return
      }
      versions['nats-server'] = program.version
      await withServer(await startNats(program), async (server) => {
        if (peer === 'jetstream') notes.push(`JetStream of nats-server ${program.version} ${await jetStreamSync(server)}.`)
        measured.push(await measurePeer(peer === 'nats' ? 'NATS, request and reply' : 'NATS JetStream, file', peer, [server.port], server))
      })
    })
  }
  for (const sync of ['everysec', 'always'] as const) {
    await attempt('bullmq', async () => {
      const program = await serverProgram(folder, 'redis-server', say)
      if (typeof program === 'string') {
        notes.push(`BullMQ with Redis synced ${sync} was left out: ${program}`)
        return
      }
      Object.assign(versions, { BullMQ: peerVersions.npm['bullmq'], 'redis-server': program.version })
      await withServer(await startRedis(program, sync), async (server) => {
        measured.push(await measurePeer(`BullMQ, Redis synced ${sync === 'always' ? 'always' : 'every second'}`, 'bullmq', [server.port], server))
      })
    })
  }
}

/** Of the figures that a peer has too, each beside those of all peers. */
async function measureSkein({ figures }: Collected, peers: readonly Measured[]): Promise<void> {
  const yardsticks = (measure: string): Yardstick[] => peers.flatMap(({ name, measures }) => {
    const same = measures.get(measure)
    return same === undefined ? [] : [{ what: name, value: medianOf(same.values) }]
  })
  const skein = await startSkein()
  try {
    for (const acknowledgement of ['ephemeral', 'local', 'quorum'] as const) {
      await lookAtDisk()
      const system = skein.at(acknowledgement)
      const measures = await measureTasks(system, options)
      figures.push(...figuresOf(system.name, new Map([...measures].filter(([measure]) => peers.length === 0 || yardsticks(measure).length > 0)), yardsticks))
    }
  } finally {
    await skein.stop()
  }
}

async function measureLogs({ figures, versions, notes }: Collected): Promise<void> {
  versions['hypercore'] = peerVersions.npm['hypercore'] ?? ''
  const rates: number[] = []
  for (let run = 1; run <= options.runs; run++) {
    say(`hypercore: run ${run} of ${options.runs}`)
    rates.push(blocks / await replicateLive(folder, blocks))
  }
  figures.push({ name: `hypercore: blocks of 200 bytes in batches of ${batchBlocks}, until two other processes have them`, unit: 'entries/s', values: rates })
  const [committed] = await committedRate({ groups: 100, commits: 1, seconds: 5, runs: options.runs, entriesPerAppend: 1, say })
  if (committed !== undefined) figures.push({ ...committed, name: `Skein's logs: ${committed.name}`, against: [{ what: 'hypercore', value: medianOf(rates) }] })
  notes.push('hypercore has one writer and acknowledges nothing; Skein\'s entries are synced by two of three before they count as committed. Neither figure is the other\'s, but both are what a log of either gives.')
}

await reportOf('peers', flags.json, async (report) => {
  const refused = await installPackages(folder, say)
  if (refused !== undefined) {
    report.notes.push(refused)
    return
  }
  const peers: Measured[] = []
  await measurePeers(report, peers)
  for (const { name, measures } of peers) report.figures.push(...figuresOf(name, measures))
  if (wanted.includes('skein')) await measureSkein(report, peers)
  if (syncsMs.length > 0) report.figures.push({ name: 'a sync of this disk alone, p50 of a hundred before each system', unit: 'ms', values: syncsMs })
  if (wanted.includes('hypercore')) await measureLogs(report)
})
