/**
 * Finds who listens to a topic, in a mesh too large to be connected with everybody.
 *
 * There a random neighbour rarely listens to one's shard, so gossip alone would reach nobody. Subscribers tell the DHT
 * (`topic/<name>`) and connect to some that it names until they have a mesh's worth of contacts; who publishes where no
 * neighbour listens connects to a few first. A node with fewer connections than it aims at knows everybody there is to
 * know, or soon will: it does nothing of this, so small meshes carry no such traffic. `sim/gossip/contacts.ts` is its model.
 *
 * @packageDocumentation
 */
import { peerIdFromString } from '@libp2p/peer-id'
import type { Telemetry } from '../../actors/ports/telemetry.ts'
import { toFault } from '../../protocols/kernel/errors.ts'
import { cidOfKey } from './discovery-dht-adapter.ts'
import type { MeshLibp2p } from './libp2p-node.ts'

export interface TopicContactsOptions {
  readonly libp2p: MeshLibp2p
  readonly telemetry: Telemetry
  /** From so many connected peers on, nodes may be missing among them. */
  readonly connectionsAimed: number
  /** How many other subscribers are sought. */
  readonly contactsAimed: number
  /** Connected subscribers of a topic. */
  readonly listeners: (topic: string) => number
  /** In [0, 1). */
  readonly random: () => number
}

export interface TopicContacts {
  start(): void
  stop(): Promise<void>
  /** This node listens to the topic from now on. */
  join(topic: string): void
  leave(topic: string): void
  /** @returns what a publication should wait for: until somebody listens, or is not found in time. Undefined when there is nothing to wait for. */
  beforePublishing(topic: string): Promise<void> | undefined
}

interface Joined {
  toldAtMs: number | undefined
  retryMs: number
  timer: NodeJS.Timeout | undefined
  isSearching: boolean
}

const againMs = 10 * 60_000
/** New connections come in bursts, and may bring subscribers by themselves. */
const settleMs = 2_000
const retryMsMin = 5_000
const retryMsMax = 5 * 60_000
const tellTimeoutMs = 10_000
const findTimeoutMs = 3_000
const dialTimeoutMs = 5_000
const foundMax = 20
/** For a publication to a topic that this node does not listen to. */
const fanOut = 3
/** After a vain search for listeners, publications go out unheard for so long. */
const vainMs = 10_000

export function createTopicContacts(options: TopicContactsOptions): TopicContacts {
  const { libp2p, telemetry, connectionsAimed, contactsAimed, listeners, random } = options
  const { dht } = libp2p.services
  const self = libp2p.peerId.toString()
  const joined = new Map<string, Joined>()
  const reaching = new Map<string, Promise<void>>()
  const vainUntilMs = new Map<string, number>()
  const stopping = new AbortController()
  const running = new Set<Promise<unknown>>()

  function track<T>(work: Promise<T>): Promise<T> {
    running.add(work)
    void work.finally(() => running.delete(work)).catch(() => undefined)
    return work
  }

  const isLargeMesh = (): boolean => libp2p.getPeers().length >= connectionsAimed

  const within = (timeoutMs: number): AbortSignal => AbortSignal.any([stopping.signal, AbortSignal.timeout(timeoutMs)])

  function failed(name: string, topic: string, error: unknown): void {
    if (!stopping.signal.aborted) telemetry.record({ name, level: 'debug', fields: { topic, reason: toFault(error).detail } })
  }

  async function tell(topic: string): Promise<boolean> {
    let told = 0
    try {
      for await (const event of dht.provide(keyOf(topic), { signal: within(tellTimeoutMs) })) {
        if (event.name === 'PEER_RESPONSE' && event.messageName === 'ADD_PROVIDER') told++
      }
    } catch (error) {
      failed('gossip.contacts-untold', topic, error)
    }
    return told > 0
  }

  /** Subscribers that this node is not connected to. */
  async function find(topic: string): Promise<string[]> {
    const found = new Set<string>()
    const enough = new AbortController()
    try {
      for await (const event of dht.findProviders(keyOf(topic), { signal: AbortSignal.any([enough.signal, within(findTimeoutMs)]) })) {
        if (event.name === 'PROVIDER') for (const { id } of event.providers) found.add(id.toString())
        if (found.size >= foundMax) break
      }
    } catch (error) {
      // Running out of time is an ordinary end of a search.
      failed('gossip.contacts-search-ended', topic, error)
    } finally {
      enough.abort()
    }
    return [...found].filter((peer) => peer !== self && libp2p.getConnections(peerIdFromString(peer)).length === 0)
  }

  async function connectSome(topic: string, count: number): Promise<void> {
    const found = await find(topic)
    // The DHT names the same ones to everybody: a random choice spreads the load.
    const chosen = found.map((peer) => ({ peer, rank: random() })).sort((left, right) => left.rank - right.rank).slice(0, Math.max(0, count))
    const outcomes = await Promise.allSettled(chosen.map(({ peer }) => libp2p.dial(peerIdFromString(peer), { signal: within(dialTimeoutMs) })))
    const connected = outcomes.filter(({ status }) => status === 'fulfilled').length
    if (!stopping.signal.aborted) telemetry.record({ name: 'gossip.contacts-sought', level: 'debug', fields: { topic, found: found.length, connected } })
  }

  function isNeedy(topic: string): boolean {
    return !stopping.signal.aborted && joined.has(topic) && isLargeMesh() && listeners(topic) < contactsAimed
  }

  function schedule(topic: string, state: Joined, delayMs: number): void {
    if (stopping.signal.aborted || state.isSearching || state.timer !== undefined) return
    state.timer = setTimeout(() => {
      state.timer = undefined
      void track(search(topic, state))
    }, delayMs)
    state.timer.unref()
  }

  async function search(topic: string, state: Joined): Promise<void> {
    if (joined.get(topic) !== state || stopping.signal.aborted) return
    // Whoever has enough contacts of its own must still be found by those who have not.
    if (!isLargeMesh()) return
    state.isSearching = true
    if (state.toldAtMs === undefined || performance.now() - state.toldAtMs >= againMs) {
      if (await tell(topic)) state.toldAtMs = performance.now()
    }
    if (isNeedy(topic)) await connectSome(topic, contactsAimed - listeners(topic))
    state.isSearching = false
    if (joined.get(topic) !== state) return
    const isOpen = isNeedy(topic) || state.toldAtMs === undefined
    schedule(topic, state, isOpen ? state.retryMs : againMs)
    state.retryMs = isOpen ? Math.min(state.retryMs * 2, retryMsMax) : retryMsMin
  }

  function onPeersChanged(): void {
    for (const [topic, state] of joined) if (state.toldAtMs === undefined || isNeedy(topic)) schedule(topic, state, settleMs)
  }

  async function reach(topic: string): Promise<void> {
    const isHeard = new Promise<void>((resolve) => {
      const done = (): void => {
        clearInterval(timer)
        resolve()
      }
      // Subscriptions come a moment after the connection.
      const timer = setInterval(() => {
        if (listeners(topic) > 0) done()
      }, 20)
      within(findTimeoutMs).addEventListener('abort', done, { once: true })
      timer.unref()
    })
    await Promise.race([isHeard, connectSome(topic, fanOut).then(() => isHeard)])
    if (listeners(topic) === 0) vainUntilMs.set(topic, performance.now() + vainMs)
  }

  return {
    join(topic) {
      if (joined.has(topic)) return
      const state: Joined = { toldAtMs: undefined, retryMs: retryMsMin, timer: undefined, isSearching: false }
      joined.set(topic, state)
      schedule(topic, state, 0)
    },
    leave(topic) {
      const state = joined.get(topic)
      if (state === undefined) return
      clearTimeout(state.timer)
      joined.delete(topic)
      if (state.toldAtMs !== undefined) track(dht.cancelReprovide(keyOf(topic))).catch((error: unknown) => failed('gossip.contacts-untold', topic, error))
    },
    beforePublishing(topic) {
      if (listeners(topic) > 0 || !isLargeMesh() || stopping.signal.aborted) return undefined
      const vainMsLeft = (vainUntilMs.get(topic) ?? 0) - performance.now()
      if (vainMsLeft > 0) return undefined
      vainUntilMs.delete(topic)
      let going = reaching.get(topic)
      if (going === undefined) {
        going = track(reach(topic)).finally(() => reaching.delete(topic))
        reaching.set(topic, going)
      }
      return going
    },
    start() {
      libp2p.addEventListener('peer:identify', onPeersChanged)
      libp2p.addEventListener('peer:disconnect', onPeersChanged)
    },
    async stop() {
      libp2p.removeEventListener('peer:identify', onPeersChanged)
      libp2p.removeEventListener('peer:disconnect', onPeersChanged)
      stopping.abort()
      for (const { timer } of joined.values()) clearTimeout(timer)
      await Promise.allSettled(running)
    },
  }
}

function keyOf(topic: string): ReturnType<typeof cidOfKey> {
  return cidOfKey(`topic/${topic}`)
}
