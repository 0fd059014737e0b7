/**
 * The actor system of one node: names, mailboxes, turns, supervision. It performs nothing itself: effects go to the
 * interpreter, and what comes of them returns as messages.
 */
import type { ActorAddress, PeerId } from '../../protocols/kernel/ids.ts'
import type { Random } from '../../protocols/kernel/prng.ts'
import type { ActorMessage } from '../messages.ts'
import type { Clock } from '../ports/clock.ts'
import type { Identity } from '../ports/identity.ts'
import { behaviourOf, type ActorContext, type Behaviour, type Delivery } from './actor.ts'
import type { DeadLetters } from './dead-letters.ts'
import { fact, type Effect, type Spawnable } from './effects.ts'
import { createMailbox, type Mailbox } from './mailbox.ts'
import { decide, type RestartHistory } from './supervision.ts'

interface Cell {
  readonly name: string
  readonly address: ActorAddress
  readonly behaviour: Behaviour<never>
  readonly parent: string | undefined
  readonly mailbox: Mailbox
  readonly random: Random
  readonly history: RestartHistory
  /** Its children: they end with it. */
  readonly spawned: Set<string>
  state: never
  queued: boolean
  stopped: boolean
}

export interface ActorSystem {
  readonly self: PeerId
  spawn(name: string, behaviour: Spawnable, parent?: string): void
  /** Delivers to a local actor or to an attached listener; what reaches nobody is a dead letter. */
  deliver(to: string, delivery: Delivery, lane?: 'system' | 'user'): void
  /** A listener outside the actors (a request of the bridge) under a name of its own. @returns detach. */
  attach(name: string, listener: (message: ActorMessage) => void): () => void
  stop(name: string): void
  exists(name: string): boolean
  /** See `Behaviour.holds`: of all actors. */
  held(): readonly unknown[]
  readonly actorCount: number
  /** The most messages that one mailbox ever held. */
  readonly mailboxMessagesMost: number
  /** Ends every actor; nothing is delivered any more. */
  shutDown(): void
}

export interface ActorSystemParts {
  readonly clock: Clock
  readonly identity: Identity
  readonly random: Random
  readonly deadLetters: DeadLetters
  connected(peer: PeerId): boolean
  perform(effect: Effect, by: ActorAddress): void
  onStopped(name: string): void
}

/** After this many messages the loop gets a turn, so that sockets and timers are not starved. */
const messagesPerTurn = 512

export function createActorSystem(parts: ActorSystemParts): ActorSystem {
  const { clock, identity } = parts
  const self = identity.peerId
  const isConnected = (peer: PeerId): boolean => peer === self || parts.connected(peer)
  const exists = (name: string): boolean => cells.has(name)
  const sign = (message: Uint8Array): Uint8Array => identity.sign(message)
  const verify = (peer: PeerId, message: Uint8Array, signature: Uint8Array): boolean => identity.verify(peer, message, signature)
  const cells = new Map<string, Cell>()
  const listeners = new Map<string, (message: ActorMessage) => void>()
  let runQueue: Cell[] = []
  /** Those that were told something in this turn and want to hear of its end. */
  let turning = new Set<Cell>()
  let turnPlanned = false
  let down = false
  let mailboxMessagesMost = 0

  function contextOf(cell: Cell): ActorContext {
    return { self: cell.address, nowMs: clock.monotonicMs(), wallMs: clock.wallMs(), random: cell.random, sign, verify, exists, connected: isConnected }
  }

  function planTurn(): void {
    if (turnPlanned || down) return
    turnPlanned = true
    clock.soon(turn)
  }

  function turn(): void {
    // Planned for as long as it lasts: what is enqueued meanwhile is this turn's, within its budget.
    turnPlanned = true
    let budget = messagesPerTurn
    while (runQueue.length + turning.size > 0 && budget > 0) {
      if (runQueue.length === 0) endTurns()
      const batch = runQueue
      runQueue = []
      for (const cell of batch) {
        cell.queued = false
        const delivery = cell.stopped ? undefined : cell.mailbox.take()
        if (delivery === undefined) continue
        budget -= 1
        receive(cell, delivery)
        if (!cell.stopped && cell.mailbox.size > 0) enqueue(cell)
      }
    }
    endTurns()
    turnPlanned = runQueue.length > 0 && !down
    if (turnPlanned) clock.schedule(0, turn)
  }

  function endTurns(): void {
    if (turning.size === 0) return
    const ending = turning
    turning = new Set()
    for (const cell of ending) if (!cell.stopped) act(cell, () => cell.behaviour.endTurn?.(cell.state, contextOf(cell)) ?? [], undefined)
  }

  function enqueue(cell: Cell): void {
    if (cell.queued) return
    cell.queued = true
    runQueue.push(cell)
    planTurn()
  }

  function receive(cell: Cell, delivery: Delivery): void {
    if (cell.behaviour.endTurn !== undefined) turning.add(cell)
    act(cell, () => cell.behaviour.receive(cell.state, delivery, contextOf(cell)), delivery)
  }

  function act(cell: Cell, say: () => readonly Effect[], on: Delivery | undefined): void {
    let effects: readonly Effect[]
    try {
      effects = say()
    } catch (thrown) {
      supervise(cell, thrown, on)
      return
    }
    performAll(cell, effects)
  }

  function performAll(cell: Cell, effects: readonly Effect[]): void {
    const by = cell.address
    for (const effect of effects) {
      if (effect.type === 'stop-self') stop(cell.name)
      else if (effect.type === 'dead-letter') letter(cell.name, effect.delivery, effect.reason)
      // Who has stopped gets no timer and no child any more; what it said still leaves.
      else if (cell.stopped && (effect.type === 'spawn' || effect.type === 'set-timer')) continue
      else if (effect.type === 'spawn') system.spawn(effect.name, effect.behaviour, cell.name)
      else perform(effect, by)
    }
  }

  /** One effect that fails must not take the other actors' turn with it. */
  function perform(effect: Effect, by: ActorAddress): void {
    try {
      parts.perform(effect, by)
    } catch (thrown) {
      if (effect.type !== 'fact') perform(fact('error', 'actor.effect-failed', { actor: by.actor, effect: effect.type, reason: thrown instanceof Error ? thrown.message : String(thrown) }), by)
    }
  }

  function supervise(cell: Cell, thrown: unknown, delivery: Delivery | undefined): void {
    const reason = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
    const decision = decide(cell.behaviour.supervision, cell.history, clock.monotonicMs())
    const by = cell.address
    perform(fact('error', 'actor.failed', { actor: cell.name, kind: cell.behaviour.kind, decision, on: delivery?.message.kind, reason }), by)
    if (decision === 'resume') return
    if (decision === 'restart') {
      begin(cell)
      return
    }
    stop(cell.name)
    if (cell.parent === undefined) {
      // Nobody is above: what such an actor cannot contain the node cannot.
      if (decision === 'escalate') perform({ type: 'give-up', reason: `${cell.name} failed: ${reason.slice(0, 500)}` }, by)
      return
    }
    const parent = cells.get(cell.parent)
    if (parent === undefined) return
    if (decision === 'escalate') supervise(parent, thrown, undefined)
    else system.deliver(cell.parent, { message: { kind: 'child-failed', name: cell.name, reason: reason.slice(0, 500) }, from: by }, 'system')
  }

  function begin(cell: Cell): void {
    try {
      const started = cell.behaviour.start(contextOf(cell))
      cell.state = started.state
      performAll(cell, started.effects)
    } catch (thrown) {
      supervise({ ...cell, behaviour: { ...cell.behaviour, supervision: 'stop' } }, thrown, undefined)
    }
  }

  function stop(name: string): void {
    const cell = cells.get(name)
    if (cell === undefined) return
    cell.stopped = true
    cells.delete(name)
    parts.onStopped(name)
    if (cell.spawned.size > 0) for (const child of cell.spawned) stop(child)
    cells.get(cell.parent ?? '')?.spawned.delete(name)
  }

  const system: ActorSystem = {
    self,
    spawn(name, behaviour, parent) {
      if (down || cells.has(name)) return
      const cell: Cell = { name, address: { peer: self, actor: name }, behaviour: behaviourOf(behaviour), parent, mailbox: createMailbox(), random: parts.random.split(), history: { atMs: [] }, spawned: new Set(), state: undefined as never, queued: false, stopped: false }
      cells.set(name, cell)
      cells.get(parent ?? '')?.spawned.add(name)
      begin(cell)
    },
    deliver(to, delivery, lane = 'user') {
      if (down) return
      const cell = cells.get(to)
      if (cell !== undefined) {
        if (cell.mailbox.put(delivery, lane)) {
          mailboxMessagesMost = Math.max(mailboxMessagesMost, cell.mailbox.size)
          enqueue(cell)
        } else letter(to, delivery, 'the mailbox is full')
        return
      }
      const listener = listeners.get(to)
      if (listener !== undefined) listener(delivery.message)
      else letter(to, delivery, 'no such actor')
    },
    attach(name, listener) {
      listeners.set(name, listener)
      return () => listeners.delete(name)
    },
    stop,
    exists: (name) => cells.has(name),
    held: () => [...cells.values()].flatMap(({ behaviour, state }) => behaviour.holds?.(state) ?? []),
    get actorCount() {
      return cells.size
    },
    get mailboxMessagesMost() {
      return mailboxMessagesMost
    },
    shutDown() {
      down = true
      for (const name of [...cells.keys()]) stop(name)
      listeners.clear()
      runQueue = []
    },
  }

  function letter(to: string, delivery: Delivery, reason: string): void {
    parts.deadLetters.add({ atWallMs: clock.wallMs(), to, from: `${delivery.from.peer}/${delivery.from.actor}`, messageKind: delivery.message.kind, reason })
  }

  return system
}
