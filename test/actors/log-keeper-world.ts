/**
 * Nodes with the real log-keeper over virtual disks, between hosts that are made up and a network that goes wrong as a test says.
 * Whatever happens, two must not lead under one epoch, no two may commit different entries in one place, and no actor may fail.
 */
import { logKeeper } from '../../actors/behaviours/replication/log-keeper.ts'
import type { LogMessage } from '../../actors/messages.ts'
import { actorNames, at } from '../../actors/names.ts'
import type { LogBatch, LogStore } from '../../actors/ports/log-store.ts'
import type { Fact } from '../../actors/ports/telemetry.ts'
import { erased } from '../../actors/runtime/actor.ts'
import { createDeadLetters } from '../../actors/runtime/dead-letters.ts'
import { createInterpreter } from '../../actors/runtime/interpreter.ts'
import { createActorSystem, type ActorSystem } from '../../actors/runtime/system.ts'
import { createTimers } from '../../actors/runtime/timers.ts'
import { defaultTuning, type Tuning } from '../../actors/tuning.ts'
import { compareEpochs, formatEpoch, type GroupId, type Incarnation, type MissionId, type PeerId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { seededRandom } from '../../protocols/kernel/prng.ts'
import type { Member, Replica, RosterView } from '../../protocols/membership/schema.ts'
import type { EndedMission } from '../../protocols/replicated-log/schema.ts'
import { createVirtualBlobStore, createVirtualBlobSwarm, shelfOf } from '../../sim/blob-store-virtual-adapter.ts'
import { createVirtualIdentity, virtualNodeName } from '../../sim/identity-virtual-adapter.ts'
import { createVirtualLogDisk, type VirtualLogDisk } from '../../sim/log-store-virtual-adapter.ts'
import { createVirtualClock } from '../../sim/virtual-clock.ts'
import { createHost, noteOf, type Append, type Host } from './log-keeper-host.ts'
import { createLinks, type Sent } from './log-keeper-links.ts'

export const mission = 'm-00abcdef-abcdefghijkl' as MissionId

export interface KeeperNode {
  readonly name: string
  readonly peer: PeerId
  readonly disk: VirtualLogDisk
  readonly host: Host
  readonly facts: Fact[]
  /** Every write, in order. */
  readonly batches: LogBatch[]
  /** Of its store. */
  readonly incarnation: Incarnation
  readonly gaveUp: string | undefined
  tell(message: LogMessage): void
}

interface Life extends KeeperNode {
  gaveUp: string | undefined
  incarnation: Incarnation
  readonly system: ActorSystem
  readonly store: LogStore
}

interface Machine {
  readonly name: string
  readonly peer: PeerId
  readonly disk: VirtualLogDisk
  likesToLead: boolean
  lives: number
}

/** A test that asks for what only other nodes have asks in vain. */
const absent = {} as never

/** @param voters that a mission is to have */
export function logKeeperWorld(seed: number, tuningOf: Partial<Tuning> = {}, voters: number = limits.votersAimed) {
  const tuning: Tuning = { ...defaultTuning, memberSilentMs: 20_000, membersLookMs: 1_000, ...tuningOf }
  const clock = createVirtualClock()
  const swarm = createVirtualBlobSwarm()
  const machines = new Map<string, Machine>()
  const running = new Map<string, Life>()
  const severed = new Set<string>()
  const leaders = new Map<string, string>()
  const committed = new Map<string, string>()
  const broken: string[] = []
  /** Of every life. */
  const hosts: Host[] = []
  let known: readonly string[] | undefined

  const nameOf = (peer: PeerId): string => virtualNodeName(peer) ?? peer
  const pair = (one: string, other: string): string => [one, other].sort().join()
  const isConnected = (one: string, other: string): boolean => running.has(one) && running.has(other) && !severed.has(pair(one, other))

  const links = createLinks(clock, seed, ({ from, to, message }) => {
    if (!severed.has(pair(from, to))) running.get(to)?.system.deliver(actorNames.logKeeper, { message, from: at(machine(from).peer, actorNames.logKeeper) })
  })

  function machine(name: string): Machine {
    const found = machines.get(name)
    if (found === undefined) throw new Error(`no node ${name}`)
    return found
  }

  function node(name: string): Life {
    const found = running.get(name)
    if (found === undefined) throw new Error(`${name} is not running`)
    return found
  }

  function connection(one: string, other: string, kind: 'peer-up' | 'peer-down'): void {
    for (const [here, there] of [[one, other], [other, one]] as const) running.get(here)?.system.deliver(actorNames.logKeeper, { message: { kind, peer: machine(there).peer }, from: at(machine(here).peer, actorNames.directory) }, 'system')
  }

  function note(name: string, fact: Fact): void {
    const { fields } = fact
    if (fact.name === 'actor.failed' || fact.name === 'actor.effect-failed' || fact.name === 'actor.local-message-to-remote' || fact.name === 'group.contradicted') broken.push(`${name}: ${fact.name} ${JSON.stringify(fields)}`)
    if (fact.name !== 'log.committed') return
    const place = `${fields.group} ${fields.index}`
    const chain = committed.get(place) ?? String(fields.chain)
    committed.set(place, chain)
    if (chain !== fields.chain) broken.push(`${name} committed another entry than others did: ${place}`)
  }

  async function open(owner: Machine): Promise<Life> {
    const { name, peer, disk } = owner
    const life = owner.lives++
    const store = await disk.open()
    const ownClock = clock.clockFor(name)
    const timers = createTimers(ownClock)
    const facts: Fact[] = []
    const batches: LogBatch[] = []
    const tell = (message: LogMessage): void => system.deliver(actorNames.logKeeper, { message, from: at(peer, actorNames.missions) })
    const host = createHost({
      tell, voters, nowMs: () => clock.nowMs(), wallMs: () => clock.wallMs(),
      led(group, epoch) {
        const under = `${group} ${formatEpoch(epoch)}`
        const by = leaders.get(under) ?? name
        leaders.set(under, by)
        if (by !== name) broken.push(`${by} and ${name} both lead ${under}`)
      },
    })
    hosts.push(host)
    const perform = createInterpreter({
      clock: ownClock, gossip: absent, discovery: absent, skillRunner: absent, hardware: absent,
      transport: { ...absent as object, send: (to: PeerId, { message }: { message: unknown }) => isConnected(name, nameOf(to)) && links.send(name, nameOf(to), message) } as never,
      logStore: { ...store, write: (batch) => { batches.push(batch); return store.write(batch) } },
      blobStore: createVirtualBlobStore({ self: peer, swarm, drive: disk.drive }),
      telemetry: { record: (fact) => { facts.push(fact); note(name, fact) } },
      giveUp(reason) {
        started.gaveUp = reason
        // A process exits after its turn.
        clock.soon(() => running.get(name) === started && kill(name))
      },
    }, () => system, timers)
    const system = createActorSystem({ clock: ownClock, identity: createVirtualIdentity(name), random: seededRandom([seed, 1_000 * life + machines.size + name.charCodeAt(0)]), deadLetters: createDeadLetters(), connected: (other) => isConnected(name, nameOf(other)), perform, onStopped: (actor) => timers.clearAll(actor) })
    const started: Life = { name, peer, disk, host, facts, batches, incarnation: '' as Incarnation, gaveUp: undefined, tell, system, store }
    for (const actor of [actorNames.missions, actorNames.roster, actorNames.registrar]) system.attach(actor, host.hear)
    system.attach(actorNames.directory, () => undefined)
    system.spawn(actorNames.logKeeper, erased(logKeeper({ tuning, likesToLead: owner.likesToLead })))
    return started
  }

  async function boot(owner: Machine): Promise<KeeperNode> {
    const life = await open(owner)
    const { name, host } = life
    await until(`the log of ${name} is open`, () => host.all('groups-opened').length > 0)
    life.incarnation = host.all('groups-opened')[0]?.incarnation ?? life.incarnation
    running.set(name, life)
    for (const other of running.keys()) if (other !== name && isConnected(name, other)) connection(name, other, 'peer-up')
    if (known !== undefined) knowRoster(...known)
    return life
  }

  /** The process is gone; what it had written gets to the disk. @param noticed whether its connections close with it. */
  function kill(name: string, noticed = true): void {
    const life = node(name)
    const others = [...running.keys()].filter((other) => isConnected(name, other) && other !== name)
    running.delete(name)
    life.system.shutDown()
    clock.kill(name)
    life.disk.kill()
    if (noticed) for (const other of others) connection(name, other, 'peer-down')
  }

  /** Every node hears which replicas there are. The incarnations are those of their present stores. */
  function knowRoster(...names: string[]): void {
    known = names
    const replicas = names.map((name): Replica => ({ peer: machine(name).peer, name, incarnation: running.get(name)?.incarnation ?? (`gone${name}xx` as Incarnation), domain: name }))
    const view: RosterView = { index: 1, lineage: 1, keepers: [], replicas, shards: [[]] }
    for (const { system, peer } of running.values()) system.deliver(actorNames.logKeeper, { message: { kind: 'roster-known', view }, from: at(peer, actorNames.roster) })
  }

  function assertSound(): void {
    if (broken.length > 0) throw new Error(broken.join('\n'))
  }

  async function until(what: string, holds: () => boolean, withinMs = 60_000): Promise<void> {
    await clock.runUntil(() => broken.length > 0 || holds(), { what, withinMs })
    assertSound()
  }

  /** Under the newest epoch, of those that run. */
  function leader(group: GroupId = mission): Life | undefined {
    const epochOf = ({ host }: Life) => host.leads.get(group)?.epoch
    return [...running.values()].filter((life) => epochOf(life) !== undefined).sort((left, right) => compareEpochs(epochOf(right)!, epochOf(left)!))[0]
  }

  function led(group: GroupId = mission): Life {
    const found = leader(group)
    if (found === undefined) throw new Error(`nobody leads ${group}`)
    return found
  }

  const names = (members: readonly Member[] | undefined): string[] => (members ?? []).map(({ peer }) => nameOf(peer)).sort()

  /** What is on the disk of a running node. */
  async function entriesAt(name: string, group: GroupId): Promise<Awaited<ReturnType<LogStore['read']>>> {
    return node(name).disk.groupsStored().includes(group) ? await node(name).store.read(group, 1, 1_000_000) : []
  }

  return {
    clock, links, tuning, swarm, node, kill, knowRoster, until, leader, led,
    async start(name: string, options: { readonly likesToLead?: boolean } = {}): Promise<KeeperNode> {
      const { peerId: peer } = createVirtualIdentity(name)
      const owner: Machine = { name, peer, disk: createVirtualLogDisk({ clock, name, shelf: shelfOf(swarm, peer) }), likesToLead: options.likesToLead ?? true, lives: 0 }
      machines.set(name, owner)
      return await boot(owner)
    },
    restart: (name: string) => boot(machine(name)),
    diskOf: (name: string) => machine(name).disk,
    isRunning: (name: string) => running.has(name),
    async runFor(durationMs: number): Promise<void> {
      await clock.runFor(durationMs)
      assertSound()
    },
    /** Their connection closes, and both are told. */
    sever(one: string, other: string): void {
      severed.add(pair(one, other))
      connection(one, other, 'peer-down')
    },
    /** All links are good again, and whoever was told that a connection had closed is told that it is back. */
    heal(): void {
      links.mend()
      for (const both of [...severed]) {
        severed.delete(both)
        const [one = '', other = ''] = both.split(',')
        if (isConnected(one, other)) connection(one, other, 'peer-up')
      }
    },
    member: (name: string): Member => ({ peer: node(name).peer, incarnation: node(name).incarnation }),
    found(by: string, members: readonly string[], group: GroupId = mission, durable = true): void {
      node(by).tell({ kind: 'found-group', group, membership: { voters: members.map((name) => ({ peer: node(name).peer, incarnation: node(name).incarnation })), learners: [] }, durable, aimed: group === 'roster' ? limits.rosterVotersMax : voters })
    },
    /** By the leader. */
    append: (...notes: string[]): Append => led().host.note(mission, ...notes),
    isAnswered: ({ answers }: Append): boolean => answers.length > 0,
    members(group: GroupId = mission) {
      const { membership } = led(group).host.leads.get(group)!
      return { voters: names(membership.voters), outgoing: names(membership.outgoing), learners: names(membership.learners), incarnations: new Map([...membership.voters, ...membership.learners].map(({ peer, incarnation }) => [nameOf(peer), incarnation])) }
    },
    sent: <Kind extends Sent['message']['kind']>(kind: Kind, where: Partial<Pick<Sent, 'from' | 'to'>> & { readonly sinceMs?: number } = {}) =>
      links.sent.filter((one) => one.message.kind === kind && (where.from ?? one.from) === one.from && (where.to ?? one.to) === one.to && one.atMs >= (where.sinceMs ?? 0)) as (Sent & { readonly message: Extract<Sent['message'], { kind: Kind }> })[],
    async notesAt(name: string, group: GroupId = mission): Promise<string[]> {
      return (await entriesAt(name, group)).flatMap(noteOf)
    },
    /** What any host was told to be committed, and is not on the disks of most of the leader's voters. */
    async lost(group: GroupId = mission): Promise<string[]> {
      const voters = names(led(group).host.leads.get(group)?.membership.voters)
      const snapshotAt = led(group).host.leads.get(group)?.snapshot?.at.index ?? 0
      const held = await Promise.all(voters.filter((name) => running.has(name)).map(async (name) => new Set((await entriesAt(name, group)).map(({ chain }) => chain))))
      const acknowledged = hosts.flatMap(({ appends }) => appends).filter((one) => one.group === group && one.answers.includes('ok')).flatMap(({ entries }) => entries)
      return acknowledged.filter(({ index, chain }) => index > snapshotAt && held.filter((chains) => chains.has(chain)).length * 2 <= voters.length).map((entry) => noteOf(entry)[0] ?? entry.event.type)
    },
    ended: (members: readonly string[]): EndedMission => ({ missionId: mission, endedAtWallMs: clock.wallMs(), keptUntilWallMs: clock.wallMs() + limits.archiveKeptMs, archive: { inline: 'all about it' }, cites: [], members: members.map((name) => machine(name).peer), view: {} }),
  }
}

/** Nodes that keep the mission's log, of which the first leads; one note is on every disk. */
export async function startedKeepers(seed: number, ...names: [string, ...string[]]): Promise<ReturnType<typeof logKeeperWorld>> {
  const world = logKeeperWorld(seed)
  for (const name of names) await world.start(name)
  world.found(names[0], names)
  await world.until(`${names[0]} leads`, () => world.leader()?.name === names[0])
  const append = world.append('before')
  await world.until('everybody has it', () => world.isAnswered(append) && names.every((name) => world.node(name).disk.entriesStored(mission) === 2))
  await world.runFor(1_000)
  return world
}
