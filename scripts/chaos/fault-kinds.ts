/** What can go wrong in a campaign: whom it hits, what is done, how it is undone. One entry per kind. */
import { setTimeout as sleep } from 'node:timers/promises'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Random } from '../../protocols/kernel/prng.ts'
import type { DataDisk } from './data-disk.ts'
import type { History, MissionHistory } from './history.ts'
import { nowMs } from './machine.ts'
import type { ChaosMachine } from './network.ts'
import type { SupervisedNode } from './supervisor.ts'
import type { UnsyncedDisk } from './unsynced-writes.ts'

export const faultKinds = ['kill-owner', 'kill-replica', 'kill-worker', 'kill-bridge', 'stop-owner', 'pause', 'partition', 'partition-one-way', 'full-disk', 'wiped-disk', 'wiped-logs', 'unsynced-lost', 'restart-all'] as const
export type FaultKind = (typeof faultKinds)[number]

export interface ChaosNode {
  readonly name: string
  readonly node: SupervisedNode
  readonly disk: DataDisk
  /** Absent without network namespaces. */
  readonly machine?: ChaosMachine
  /** Absent without gcc. */
  readonly unsynced?: UnsyncedDisk
}

export interface ChaosWorld {
  readonly nodes: readonly ChaosNode[]
  readonly history: History
  readonly random: Random
  readonly leaseMs: number
  /** Name of the bridge that the submitter uses. */
  readonly submitterBridge: () => string | undefined
}

/** What is going on, and how to end it. */
export interface Fault {
  readonly about: string
  /** The moment from which recovery counts. */
  readonly atWallMs: number
  readonly atMs: number
  /** Waits as long as it is to last, then undoes it. What was killed is started again by its supervisor. */
  heal(): Promise<void>
}

/** Fast as systemd's default, slow, and slower than an election and a lease. */
const restartsMs = [100, 2_000, 8_000] as const

/** As long as the service of a node waits before it kills: to drain, and as long again to close. */
const stopPatienceMs = limits.drainMs * 2 + 10_000

type Injector = (world: ChaosWorld) => Promise<Fault>

export const injectors: Readonly<Record<FaultKind, Injector>> = {
  'kill-owner': (world) => kill(world, pick(world, owners(world))),
  'kill-replica': (world) => kill(world, pick(world, replicas(world))),
  'kill-worker': (world) => kill(world, pick(world, workers(world))),
  'kill-bridge': (world) => kill(world, world.nodes.find(({ name }) => name === world.submitterBridge()) ?? pick(world, world.nodes)),

  async 'stop-owner'(world) {
    const target = pick(world, owners(world))
    const restartMs = restartMsFrom(world)
    const begun = fault(`${target.name} is asked to end, and starts again ${restartMs} ms after its end`, () => Promise.resolve())
    await target.node.end(restartMs, stopPatienceMs)
    return begun
  },

  async pause(world) {
    const target = pick(world, owners(world))
    const lastsMs = Math.round(world.leaseMs * (1.5 + world.random.next()))
    const { pid } = target.node
    target.node.signal('SIGSTOP')
    return fault(`${target.name} is stopped for ${lastsMs} ms`, async () => {
      await sleep(lastsMs)
      if (target.node.pid === pid) target.node.signal('SIGCONT')
    })
  },

  async partition(world) {
    const target = pick(world, owners(world))
    const wholly = world.random.below(2) === 0
    const lastsMs = partitionMs(world)
    target.machine?.cut('both', wholly)
    return fault(`${target.name} is cut off for ${lastsMs} ms${wholly ? ', from its clients too' : ''}`, async () => {
      await sleep(lastsMs)
      target.machine?.heal()
    })
  },

  async 'partition-one-way'(world) {
    const target = pick(world, owners(world))
    const how = world.random.below(2) === 0 ? 'in' : 'out'
    const lastsMs = partitionMs(world)
    target.machine?.cut(how, false)
    return fault(`${target.name} ${how === 'in' ? 'hears nobody' : 'is heard by nobody'} for ${lastsMs} ms`, async () => {
      await sleep(lastsMs)
      target.machine?.heal()
    })
  },

  async 'full-disk'(world) {
    const target = pick(world, owners(world))
    const lastsMs = 4_000 + world.random.below(6_000)
    target.disk.fill?.()
    return fault(`${target.name}'s disk is full for ${lastsMs} ms`, async () => {
      await sleep(lastsMs)
      target.disk.free()
    })
  },

  'wiped-disk': (world) => kill(world, pick(world, replicas(world)), { wipe: 'everything' }),
  'wiped-logs': (world) => kill(world, pick(world, replicas(world)), { wipe: 'logs' }),

  async 'unsynced-lost'(world) {
    const target = pick(world, owners(world))
    target.unsynced?.arm(true)
    await sleep(500 + world.random.below(2_500))
    const bytes = target.unsynced?.pendingBytes() ?? 0
    const ended = await kill(world, target)
    target.unsynced?.arm(false)
    return { ...ended, about: `${ended.about}, and ${bytes} bytes that it had not synced are gone` }
  },

  async 'restart-all'(world) {
    const begun = fault('all nodes are killed and started again', () => Promise.resolve())
    await Promise.all(world.nodes.map(({ node }) => node.kill(500)))
    return begun
  },
}

async function kill(world: ChaosWorld, target: ChaosNode, { wipe }: { readonly wipe?: 'everything' | 'logs' } = {}): Promise<Fault> {
  const restartMs = restartMsFrom(world)
  const begun = fault(`${target.name} is killed${wipe === undefined ? '' : `, ${wipe === 'logs' ? 'its logs are' : 'everything on its disk is'} gone`}, and starts again after ${restartMs} ms`, () => Promise.resolve())
  await target.node.kill(restartMs, wipe === undefined ? undefined : () => void target.disk.wipe(wipe))
  return begun
}

function fault(about: string, heal: () => Promise<void>): Fault {
  return { about, atWallMs: Date.now(), atMs: nowMs(), heal }
}

function restartMsFrom(world: ChaosWorld): number {
  return restartsMs[world.random.below(restartsMs.length)] ?? restartsMs[0]
}

function partitionMs(world: ChaosWorld): number {
  return 2_000 + world.random.below(10_000)
}

/** @returns one of the candidates, or of all nodes when there is none. */
function pick(world: ChaosWorld, candidates: readonly ChaosNode[]): ChaosNode {
  const from = candidates.length > 0 ? candidates : world.nodes
  return from[world.random.below(from.length)] as ChaosNode
}

const withPeer = (world: ChaosWorld, peers: readonly string[]): ChaosNode[] => world.nodes.filter(({ node }) => node.peerId !== undefined && peers.includes(node.peerId))
const owned = (world: ChaosWorld): MissionHistory[] => world.history.inFlight().filter((mission) => mission.owner !== undefined)

/** Leaders of missions under way. */
function owners(world: ChaosWorld): ChaosNode[] {
  return withPeer(world, owned(world).map((mission) => mission.owner ?? ''))
}

/** Members of a log of a mission under way that do not lead it; where nobody says who they are, any node that does not own the first one. */
function replicas(world: ChaosWorld): ChaosNode[] {
  const told = owned(world).flatMap((mission) => mission.members.filter((member) => member !== mission.owner))
  if (told.length > 0) return withPeer(world, told)
  const [first] = owned(world)
  return world.nodes.filter(({ node }) => node.peerId !== first?.owner)
}

/** Nodes that run something: what the ledger says has started and not ended. */
function workers(world: ChaosWorld): ChaosNode[] {
  const open = new Map<string, number>()
  for (const line of world.history.ledger.slice(-500)) {
    const run = `${line.missionId} ${line.task} ${line.attempt} ${line.pid}`
    if (line.phase === 'start') open.set(run, line.pid)
    else open.delete(run)
  }
  const pids = new Set(open.values())
  return world.nodes.filter(({ node }) => node.pid !== undefined && pids.has(node.pid))
}
