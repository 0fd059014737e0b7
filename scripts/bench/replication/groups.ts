/** What a commit costs: three processes on this machine keep the same groups, over libp2p and LevelDB, every write synced. */
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createMeshKey } from '../../../node/mesh-key.ts'
import type { GroupId, MissionId } from '../../../protocols/kernel/ids.ts'
import { nextReply } from '../child-reply.ts'
import { syncTimes } from './disk.ts'
import { type Figure, quantileOf, text } from './figures.ts'
import type { KeeperAnswers, KeeperAsk, KeeperReply } from './keeper-ask.ts'

export interface GroupsOptions {
  readonly groups: number
  readonly commits: number
  readonly seconds: number
  readonly runs: number
  readonly entriesPerAppend: number
  /** Where the stores lie: what is measured is its disk. */
  readonly directory?: string
  say(text: string): void
}

const keeperCount = 3
const askPatienceMs = 120_000
const endPatienceMs = 10_000

interface KeeperProcess {
  readonly child: ChildProcess
  ask<Op extends KeeperAsk['op']>(ask: Extract<KeeperAsk, { op: Op }>): Promise<KeeperAnswers[Op]>
}

function startProcess(): KeeperProcess {
  const child = fork(fileURLToPath(new URL('./keeper.ts', import.meta.url)), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  return {
    child,
    async ask(ask) {
      const reply = nextReply<KeeperReply>(child, 'a keeper', ask.op, askPatienceMs)
      child.send(ask)
      return (await reply).answer as never
    },
  }
}

/** Asks it to end, and kills what does not. */
async function endProcess({ child, ask }: KeeperProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((done) => child.once('exit', done))
  const force = setTimeout(() => child.kill('SIGKILL'), endPatienceMs)
  // One that is busy with a question answers no other: its time runs out.
  await Promise.race([ended, ask({ op: 'end' }).catch(() => undefined)])
  await ended
  clearTimeout(force)
}

/** The keepers, connected, each the leader of its third of the groups. */
async function withGroups<Result>(options: GroupsOptions, groups: number, measure: (keepers: readonly KeeperProcess[], folder: string) => Promise<Result>): Promise<Result> {
  const folder = mkdtempSync(join(options.directory ?? tmpdir(), 'skein-bench-groups-'))
  const keepers = Array.from({ length: keeperCount }, startProcess)
  try {
    const meshKey = createMeshKey()
    const started = await Promise.all(keepers.map((keeper, index) => keeper.ask({ op: 'start', dataDir: join(folder, `keeper-${index + 1}`), meshKey })))
    const members = started.map(({ member }) => member)
    for (const [index, keeper] of keepers.entries()) {
      const peers = members.flatMap(({ peer }, other) => (other === index ? [] : [peer]))
      await keeper.ask({ op: 'connect', addrs: started.slice(0, index).flatMap(({ addrs }) => addrs.slice(0, 1)), peers: peers.slice(0, index) })
    }
    const groupsOf = (index: number): GroupId[] => Array.from({ length: groups }, (_, number) => number).filter((number) => number % keeperCount === index).map(benchGroup)
    await Promise.all(keepers.map((keeper, index) => keeper.ask({ op: 'found', groups: groupsOf(index), members: [...members.slice(index), ...members.slice(0, index)] })))
    return await measure(keepers, folder)
  } finally {
    await Promise.all(keepers.map(endProcess))
    rmSync(folder, { recursive: true, force: true })
  }
}

/** One entry after the other in one group of three. */
export async function commitTime(options: GroupsOptions): Promise<Figure[]> {
  options.say('commit: three keepers, one group')
  return await withGroups(options, keeperCount, async ([first], folder) => {
    if (first === undefined) throw new Error('there is no keeper')
    const syncsMs = await syncTimes(folder, 200)
    // The first commits also compile the code and open streams.
    await first.ask({ op: 'commit-one-by-one', group: benchGroup(0), count: 50 })
    const { timesMs } = await first.ask({ op: 'commit-one-by-one', group: benchGroup(0), count: options.commits })
    return [
      { name: 'one entry committed by three local processes', unit: 'ms', values: timesMs, beside: `a sync of this disk alone: median ${text(quantileOf(syncsMs, 0.5))} ms; every member syncs its log and the watermark beside it, a follower after it was sent the entry` },
    ]
  })
}

/** Entries a second over all groups, each with one append under way. */
export async function committedRate(options: GroupsOptions): Promise<Figure[]> {
  const perSecond: number[] = []
  const timesMs: number[] = []
  const alone: number[] = []
  const together: number[] = []
  for (let run = 1; run <= options.runs; run++) {
    options.say(`throughput: run ${run} of ${options.runs}`)
    await withGroups(options, options.groups, async (keepers) => {
      const [first] = keepers
      if (first === undefined) throw new Error('there is no keeper')
      const batchRecords = options.groups * options.entriesPerAppend
      alone.push((await first.ask({ op: 'disk', batchRecords, seconds: 2 })).recordsPerSecond)
      // Every entry is written three times, on the one disk that the three share.
      together.push((await Promise.all(keepers.map((keeper) => keeper.ask({ op: 'disk', batchRecords, seconds: 2 })))).reduce((sum, { recordsPerSecond }) => sum + recordsPerSecond, 0) / keepers.length)
      const loads = await Promise.all(keepers.map((keeper) => keeper.ask({ op: 'load', seconds: options.seconds, entriesPerAppend: options.entriesPerAppend })))
      perSecond.push(loads.reduce((sum, { entriesPerSecond }) => sum + entriesPerSecond, 0))
      for (const load of loads) timesMs.push(...load.timesMs)
    })
  }
  const what = `${options.groups} groups of three local processes, ${options.entriesPerAppend === 1 ? 'one entry' : `${options.entriesPerAppend} entries`} at a time in each`
  return [
    { name: `${what}: committed`, unit: 'entries/s', values: perSecond, beside: `LevelDB alone, synced batches of ${options.groups * options.entriesPerAppend}: ${text(quantileOf(alone, 0.5))} records/s; three processes at once: ${text(quantileOf(together, 0.5))} each` },
    { name: 'the same: how long one append took', unit: 'ms', values: timesMs },
  ]
}

/** A name for group n of the benchmark. */
function benchGroup(number: number): MissionId {
  return `m-bench000-${String(number).padStart(12, '0')}` as MissionId
}
