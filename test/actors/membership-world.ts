/**
 * Nodes with the roster and the registrar actor only, and a log-keeper that is made up: it keeps every group's log in one
 * place, says it is committed at once, and lets a test say who leads.
 */
import { registrar } from '../../actors/behaviours/registrar.ts'
import { roster } from '../../actors/behaviours/roster.ts'
import type { ActorMessage, LogMessage } from '../../actors/messages.ts'
import { actorNames, at } from '../../actors/names.ts'
import { erased, type Behaviour } from '../../actors/runtime/actor.ts'
import { createDeadLetters } from '../../actors/runtime/dead-letters.ts'
import type { Effect } from '../../actors/runtime/effects.ts'
import { createActorSystem, type ActorSystem } from '../../actors/runtime/system.ts'
import { createTimers } from '../../actors/runtime/timers.ts'
import { defaultTuning, type Tuning } from '../../actors/tuning.ts'
import type { Fact } from '../../actors/ports/telemetry.ts'
import { fault, type Fault } from '../../protocols/kernel/errors.ts'
import type { Epoch, GroupId, Incarnation, PeerId } from '../../protocols/kernel/ids.ts'
import type { Json } from '../../protocols/kernel/payload.ts'
import { seededRandom } from '../../protocols/kernel/prng.ts'
import type { Membership, RosterView } from '../../protocols/membership/schema.ts'
import { extend, logOrigin, verifyLog } from '../../protocols/replicated-log/chain.ts'
import type { LogEntry, LogRecord, LogSnapshot } from '../../protocols/replicated-log/schema.ts'
import { Message } from '../../protocols/wire.ts'
import { createVirtualIdentity } from '../../sim/identity-virtual-adapter.ts'
import type { NodeClock } from '../../sim/node-clock.ts'
import { createVirtualClock } from '../../sim/virtual-clock.ts'

interface FakeGroup {
  entries: LogEntry[]
  snapshot: LogSnapshot | undefined
  membership: Membership
  leader: string | undefined
  epoch: Epoch
}

export interface FakeNode {
  readonly name: string
  readonly peer: PeerId
  readonly system: ActorSystem
  readonly incarnation: Incarnation
  readonly facts: Fact[]
  readonly clock: NodeClock
  /** What the desk, and whoever watches, was told. */
  readonly heard: ActorMessage[]
  readonly found: GroupId[]
  desk(to: string, message: ActorMessage): void
  view(): RosterView | undefined
  stop(): void
}

export function membershipWorld(tuningOf: Partial<Tuning> = {}) {
  const tuning: Tuning = { ...defaultTuning, ...tuningOf }
  const clock = createVirtualClock()
  const groups = new Map<GroupId, FakeGroup>()
  const nodes = new Map<string, FakeNode>()
  const byPeer = new Map<PeerId, FakeNode>()
  const cut = new Set<string>()
  /** What the log-keeper answers an append or a barrier with, instead of doing it. */
  let refuse: ((message: Extract<LogMessage, { kind: 'append' | 'barrier' }>) => Fault | 'silence' | undefined) | undefined
  const blobs = new Map<string, Json>()
  const appends: { group: GroupId; events: LogRecord[] }[] = []

  const hostOf = (group: GroupId): string => (group === 'roster' ? actorNames.roster : actorNames.registrar)
  const membersOf = ({ membership }: FakeGroup): FakeNode[] => [...membership.voters, ...(membership.outgoing ?? []), ...membership.learners].flatMap(({ peer }) => byPeer.get(peer) ?? [])

  function say(node: FakeNode, actor: string, message: ActorMessage): void {
    node.system.deliver(actor, { message, from: at(node.peer, actorNames.logKeeper) })
  }

  function put(group: GroupId, log: FakeGroup, entries: readonly LogEntry[]): void {
    log.entries.push(...entries)
    const problem = verifyLog(group, log.entries, log.snapshot?.at ?? logOrigin, log.entries.at(-1) ?? logOrigin)
    if (problem !== undefined) throw new Error(problem.detail)
    for (const { event } of entries) if (event.type === 'members') log.membership = event.membership
    if (group === 'roster') for (const member of membersOf(log)) say(member, actorNames.roster, { kind: 'committed', group, entries })
  }

  function tellLed(group: GroupId, log: FakeGroup, node: FakeNode): void {
    say(node, hostOf(group), { kind: 'group-led', group, epoch: log.epoch, membership: log.membership, ...(log.snapshot === undefined ? {} : { snapshot: log.snapshot }), entries: [...log.entries], commit: log.entries.at(-1)?.index ?? log.snapshot?.at.index ?? 0 })
  }

  function keeper(name: string): Behaviour<null> {
    return {
      kind: 'fake-keeper', supervision: 'stop', start: () => ({ state: null, effects: [] }),
      receive(_state, { message, from }) {
        const node = nodes.get(name)
        if (node === undefined) return []
        switch (message.kind) {
          case 'found-group': {
            node.found.push(message.group)
            if (groups.has(message.group)) throw new Error(`${message.group} was founded twice`)
            const log: FakeGroup = { entries: [], snapshot: undefined, membership: message.membership, leader: name, epoch: { lineage: 1, term: 1 } }
            groups.set(message.group, log)
            put(message.group, log, extend(logOrigin, log.epoch, [{ type: 'members', atWallMs: 0, membership: message.membership }]))
            tellLed(message.group, log, node)
            return []
          }
          case 'append':
          case 'barrier': {
            const log = groups.get(message.group)
            const refused = refuse?.(message) ?? (log?.leader === name ? undefined : fault('fenced', 'it does not lead'))
            if (refused === 'silence') return []
            if (refused === undefined && log !== undefined && message.kind === 'append') {
              appends.push({ group: message.group, events: message.entries.map(({ event }) => event) })
              put(message.group, log, message.entries)
            }
            return [{ type: 'tell', to: from, message: { kind: 'appended', tag: message.tag, ...(refused === undefined ? {} : { fault: refused }) } }]
          }
          case 'lead-again': {
            const log = groups.get(message.group)
            if (log?.leader === name) tellLed(message.group, log, node)
            return []
          }
          case 'snapshot-taken': {
            const log = groups.get(message.group)
            if (log === undefined) return []
            const last = log.entries.find(({ index }) => index === message.snapshot.at.index)
            if (last === undefined || last.chain !== message.snapshot.at.chain) throw new Error('a snapshot of what is not in the log')
            log.snapshot = message.snapshot
            log.entries = log.entries.filter(({ index }) => index > message.snapshot.at.index)
            return []
          }
          default:
            node.heard.push(message)
            return []
        }
      },
    }
  }

  function listener(heard: ActorMessage[]): Behaviour<null> {
    return { kind: 'listener', supervision: 'stop', start: () => ({ state: null, effects: [] }), receive: (_state, { message }) => { heard.push(message); return [] } }
  }

  const isConnected = (one: string, other: string): boolean => one === other || (nodes.has(one) && nodes.has(other) && !cut.has([one, other].sort().join(' ')))

  function start(name: string, options: { founds?: boolean; replica?: boolean; lostEverything?: boolean; holds?: GroupId[]; domain?: string; life?: string } = {}): FakeNode {
    const identity = createVirtualIdentity(name)
    const nodeClock = clock.clockFor(`${name} ${options.life ?? ''}`)
    const timers = createTimers(nodeClock)
    const facts: Fact[] = []
    const heard: ActorMessage[] = []
    function perform(effect: Effect, by: { peer: PeerId; actor: string }): void {
      switch (effect.type) {
        case 'tell': {
          const there = byPeer.get(effect.to.peer)
          if (there === undefined || !isConnected(name, there.name) || !nodes.has(name)) return
          // What crosses the wire is in its schema.
          const message = there.name === name ? effect.message : Message.parse(structuredClone(effect.message))
          there.system.deliver(effect.to.actor, { message, from: by })
          return
        }
        case 'set-timer':
          timers.set(by.actor, effect.key, effect.delayMs, () => system.deliver(by.actor, { message: effect.message, from: by }, 'system'))
          return
        case 'clear-timer':
          timers.clear(by.actor, effect.key)
          return
        case 'store-value': {
          const blob = `blob ${blobs.size}`
          blobs.set(blob, structuredClone(effect.value))
          system.deliver(by.actor, { message: { kind: 'value-stored', tag: effect.tag, payload: { inline: blob } }, from: by })
          return
        }
        case 'load-value': {
          const value = 'inline' in effect.payload ? blobs.get(effect.payload.inline as string) : undefined
          system.deliver(by.actor, { message: { kind: 'value-loaded', tag: effect.tag, ...(value === undefined ? { fault: fault('unknown-blob', 'nobody has it') } : { value }) }, from: by })
          return
        }
        case 'fact':
          facts.push(effect.fact)
          return
        default:
          throw new Error(`unexpected ${effect.type}`)
      }
    }
    const system = createActorSystem({ clock: nodeClock, identity, random: seededRandom([name.length, name.charCodeAt(0)]), deadLetters: createDeadLetters(), connected: (peer) => { const other = byPeer.get(peer); return other !== undefined && isConnected(name, other.name) }, perform, onStopped: (actor) => timers.clearAll(actor) })
    const incarnation = `store${name}${options.life ?? ''}` as Incarnation
    const node: FakeNode = {
      name, peer: identity.peerId, system, incarnation, facts, clock: nodeClock, heard, found: [],
      desk: (to, message) => system.deliver(to, { message, from: at(identity.peerId, actorNames.missions) }),
      view: () => heard.flatMap((message) => (message.kind === 'roster-known' ? [message.view] : [])).at(-1),
      stop() {
        nodes.delete(name)
        byPeer.delete(identity.peerId)
        system.shutDown()
        for (const other of nodes.values()) other.system.deliver(actorNames.roster, { message: { kind: 'peer-down', peer: identity.peerId }, from: at(other.peer, actorNames.directory) })
      },
    }
    nodes.set(name, node)
    byPeer.set(identity.peerId, node)
    const replica = options.replica ?? true
    system.spawn(actorNames.logKeeper, erased(keeper(name)))
    system.spawn(actorNames.missions, erased(listener(heard)))
    system.spawn(actorNames.directory, erased(listener([])))
    system.spawn(actorNames.roster, erased(roster({ name, founds: options.founds ?? false, replica, domain: options.domain ?? name, tuning })))
    system.spawn(actorNames.registrar, erased(registrar({ tuning })))
    const holds = options.holds ?? []
    for (const actor of [actorNames.roster, actorNames.registrar]) say(node, actor, { kind: 'groups-opened', incarnation, lostEverything: options.lostEverything ?? false, groups: holds.filter((group) => hostOf(group) === actor).map((group) => ({ group })) })
    for (const other of nodes.values()) {
      if (other === node || !isConnected(name, other.name)) continue
      node.system.deliver(actorNames.roster, { message: { kind: 'peer-up', peer: other.peer }, from: at(node.peer, actorNames.directory) })
      other.system.deliver(actorNames.roster, { message: { kind: 'peer-up', peer: node.peer }, from: at(other.peer, actorNames.directory) })
    }
    return node
  }

  return {
    clock, groups, nodes, appends, start, tuning,
    /** Runs until something holds; fails when it does not within a minute of the nodes' time. */
    async until(what: string, holds: () => boolean, withinMs = 60_000): Promise<void> {
      for (let passedMs = 0; !holds(); passedMs += 50) {
        if (passedMs > withinMs) throw new Error(`not in ${withinMs} ms: ${what}`)
        await clock.runFor(50)
      }
    },
    refuseWhen(rule: typeof refuse): void {
      refuse = rule
    },
    cut(one: string, other: string): void {
      cut.add([one, other].sort().join(' '))
    },
    heal(): void {
      cut.clear()
    },
    /** Another member leads from now on. */
    lead(group: GroupId, name: string): void {
      const log = groups.get(group)
      const node = nodes.get(name)
      if (log === undefined || node === undefined) throw new Error(`no ${group} or ${name}`)
      log.leader = name
      log.epoch = { ...log.epoch, term: log.epoch.term + 1 }
      for (const member of membersOf(log)) if (member !== node) say(member, hostOf(group), { kind: 'group-followed', group, leader: node.peer, membership: log.membership })
      put(group, log, extend(log.entries.at(-1) ?? log.snapshot?.at ?? logOrigin, log.epoch, [{ type: 'took-over', atWallMs: 0, epoch: log.epoch, owner: node.peer }]))
      tellLed(group, log, node)
    },
    /** The log-keeper of the leader asks for other members; those that are new hear the log from its beginning. */
    want(group: GroupId, ...names: string[]): void {
      const log = groups.get(group)
      const leader = nodes.get(log?.leader ?? '')
      if (log === undefined || leader === undefined) throw new Error(`nobody leads ${group}`)
      const membership: Membership = { voters: names.flatMap((name) => { const node = nodes.get(name); return node === undefined ? [] : [{ peer: node.peer, incarnation: node.incarnation }] }), learners: [] }
      if (group === 'roster') for (const name of names) {
        const node = nodes.get(name)
        if (node !== undefined && !membersOf(log).includes(node)) say(node, actorNames.roster, { kind: 'committed', group, ...(log.snapshot === undefined ? {} : { snapshot: log.snapshot }), entries: [...log.entries] })
      }
      say(leader, hostOf(group), { kind: 'members-wanted', group, membership })
    },
    /** A damaged or restarted copy hears its log again. */
    replay(name: string): void {
      const log = groups.get('roster')
      const node = nodes.get(name)
      if (log === undefined || node === undefined) throw new Error('no roster')
      say(node, actorNames.roster, { kind: 'committed', group: 'roster', ...(log.snapshot === undefined ? {} : { snapshot: log.snapshot }), entries: [...log.entries] })
      if (log.leader === name) tellLed('roster', log, node)
    },
    eventsOf: (group: GroupId): LogRecord[] => groups.get(group)?.entries.map(({ event }) => event) ?? [],
  }
}
