/**
 * The wires between virtual nodes: who can reach whom, how long a frame takes, when an end notices that the other is gone.
 * It carries bytes; what they mean is the adapters' business. Its parts are in `network/`.
 *
 * @packageDocumentation
 */
import type { PeerId } from '../protocols/kernel/ids.ts'
import { createComponents } from './network/components.ts'
import { createConnections } from './network/connections.ts'
import { believes, connectedPeersOf, createDirectory, laneTo, otherEnd, setBelief, type Life, type Link, type Station } from './network/directory.ts'
import { createDialling } from './network/dialling.ts'
import type { Heal, VirtualHost, VirtualNetwork, VirtualNetworkInit } from './network/network.ts'
import { canTalk, isBlocked, isSilent, raiseWall } from './network/obstacles.ts'
import { createPhysics } from './network/physics.ts'
import { createRedial } from './network/redial.ts'
import { createStreams } from './network/streams.ts'
import { sumOfTraffic } from './network/traffic.ts'
import { fallAsleep, give, wakeUp } from './network/wake.ts'

export type { FrameListener, Heal, Hop, LinkConditions, PeerListener, VirtualHost, VirtualNetwork, VirtualNetworkInit } from './network/network.ts'
export type { TrafficCounters } from './network/traffic.ts'

export function createVirtualNetwork(init: VirtualNetworkInit): VirtualNetwork {
  const { clock } = init
  const crashDetectionMs = init.crashDetectionMs ?? 5
  const cutDetectionMs = init.cutDetectionMs ?? 2_000
  const seed = (): number => init.random.below(0x1_0000_0000)

  const directory = createDirectory(seed())
  const physics = createPhysics(init, clock)
  const connections = createConnections({
    clock, physics, hungPeerMs: init.hungPeerMs ?? { uniform: [3_000, 6_000] },
    onOpened: (link) => redial.connected(link),
    onHeardDown: (link, end) => {
      if (init.redial === true) redial.heardDown(link, end)
    },
  })
  const dialling = createDialling({ clock, physics, connections, directory, dialTimeoutMs: init.dialTimeoutMs ?? 5_000, seed: seed() })
  const redial = createRedial({ clock, dialling, connectionsAimed: init.connectionsAimed ?? Infinity })
  const streams = createStreams({ clock, physics, connections })
  const areJoined = createComponents(directory, () => connections.version)

  const linkBetween = (left: PeerId, right: PeerId): Link => directory.link(directory.station(left), directory.station(right))

  function obstaclesChanged(link: Link): void {
    connections.reconsider(link)
    streams.release(link)
    dialling.retry(link)
  }

  function partitionOneWay(from: readonly PeerId[], to: readonly PeerId[]): Heal {
    const [before, behind] = [from, to].map((peers) => [...new Set(peers)].map(directory.station)) as [Station[], Station[]]
    const both = before.find((station) => behind.includes(station))
    if (both !== undefined) throw new Error(`${both.peer} cannot be on both sides of a partition`)
    return raiseWall(before, behind, obstaclesChanged)
  }

  function isolate(peer: PeerId): Heal {
    const station = directory.station(peer)
    const heal = (): void => {
      if (station.isolations.delete(heal)) for (const link of station.links.values()) obstaclesChanged(link)
    }
    station.isolations.add(heal)
    for (const link of station.links.values()) obstaclesChanged(link)
    return heal
  }

  function join(peer: PeerId, site?: string): VirtualHost {
    const station = directory.station(peer)
    if (station.life !== undefined) throw new Error(`a host ${peer} is already on the virtual network`)
    if (site !== undefined) network.setSite(peer, site)
    const life: Life = {
      alive: true, paused: false, held: undefined, frameListeners: [], peerListeners: [],
      host: {
        peer, network,
        isAlive: () => life.alive,
        schedule: (delayMs, callback) => void clock.schedule(delayMs, () => give(life, callback)),
        connectedPeers: () => (life.alive ? connectedPeersOf(station) : []),
        isConnected(to) {
          const link = life.alive ? directory.find(peer, to) : undefined
          return link !== undefined && believes(link, station)
        },
        dial(to, done) {
          if (life.alive) dialling.dial(directory.link(station, directory.station(to)), (connected, reason) => give(life, () => done(connected, reason)))
        },
        sendFrame(to, bytes, messages, cargo) {
          return life.alive && streams.send(station, directory.station(to), bytes, messages, cargo)
        },
        onFrame: (listener) => void life.frameListeners.push(listener),
        onPeer: (listener) => void life.peerListeners.push(listener),
      },
    }
    directory.enliven(station, life)
    redial.joined(station)
    return life.host
  }

  function crash(peer: PeerId, how: 'process' | 'machine'): void {
    const station = directory.station(peer)
    if (station.life === undefined) return
    station.life.alive = false
    directory.bury(station)
    for (const link of station.links.values()) {
      setBelief(link, station, false)
      const other = otherEnd(link, station)
      if (how === 'process' && !isBlocked(link, other)) connections.bereave(link, station, crashDetectionMs)
      else connections.close(link, () => (link.cut ? cutDetectionMs : connections.patienceMs(link)))
      dialling.retry(link)
    }
  }

  const network: VirtualNetwork = {
    clock,
    gossipLossFraction: init.gossipLossFraction ?? 0,
    byKind: new Map(),
    join,
    host: (peer) => directory.stations.get(peer)?.life?.host,
    setSite(peer, site) {
      const station = directory.station(peer)
      if (station.site === site) return
      station.site = site
      for (const link of station.links.values()) link.baseMs = -1
    },
    crash: (peer, how = 'process') => crash(peer, how),
    pause(peer) {
      const station = directory.station(peer)
      if (station.life === undefined || station.life.paused) return
      fallAsleep(station.life)
      for (const link of station.links.values()) connections.reconsider(link)
    },
    resume(peer) {
      const station = directory.station(peer)
      if (station.life?.paused !== true) return
      wakeUp(clock, station.life)
      for (const link of station.links.values()) {
        connections.reconsiderAfterSleep(link, station)
        dialling.retry(link)
      }
    },
    isPaused: (peer) => directory.stations.get(peer)?.life?.paused === true,

    connect(left, right) {
      const link = linkBetween(left, right)
      link.cut = false
      obstaclesChanged(link)
      dialling.dial(link, () => undefined)
    },
    connectAll() {
      const { live } = directory
      for (const [at, left] of live.entries()) for (let next = at + 1; next < live.length; next++) network.connect(left.peer, live[next]!.peer)
    },
    connectNewcomer(peer, connectionsAimed, atOnce = false) {
      const newcomer = directory.station(peer)
      for (const station of dialling.choose(newcomer, connectionsAimed)) {
        const link = directory.link(newcomer, station)
        if (atOnce && newcomer.life !== undefined && !isSilent(link)) connections.open(link)
        else dialling.dial(link, () => undefined)
      }
    },
    closeConnection(left, right) {
      const link = linkBetween(left, right)
      connections.close(link, () => physics.frameMs(link))
    },
    resetAfterSend(from, to) {
      laneTo(linkBetween(from, to), directory.station(to)).resetNext = true
    },

    disconnect(left, right) {
      const link = linkBetween(left, right)
      link.cut = true
      connections.reconsider(link)
      connections.close(link, () => cutDetectionMs)
    },
    partitionOneWay,
    partition(left, right) {
      const heals = [partitionOneWay(left, right), partitionOneWay(right, left)]
      return () => {
        for (const heal of heals) heal()
      }
    },
    isolate,
    rejoin(peer) {
      const station = directory.station(peer)
      for (const heal of [...station.isolations]) heal()
      for (const link of station.links.values()) {
        if (!isSilent(link) && otherEnd(link, station).life !== undefined && station.life !== undefined) dialling.dial(link, () => undefined)
      }
    },
    slowLink(left, right, factor) {
      linkBetween(left, right).slowFactor = factor
    },
    restoreLink(left, right) {
      linkBetween(left, right).slowFactor = 1
    },
    setConditions(conditions) {
      physics.conditions = { ...physics.conditions, ...conditions }
    },
    conditions: () => physics.conditions,

    hop(from, to, bytes) {
      const [sender, receiver] = [directory.stations.get(from), directory.stations.get(to)]
      if (sender === undefined || receiver === undefined) return undefined
      const link = sender.links.get(receiver.index)
      if (link === undefined || !believes(link, sender)) return undefined
      const hop = physics.hop(link, receiver, bytes)
      return link.alive && !isBlocked(link, receiver) ? hop : undefined
    },
    reaches: (from, to) => areJoined(directory.station(from), directory.station(to)),
    canDial: (from, to) => canTalk(directory.stations.get(from), directory.stations.get(to)),
    latencyMs: (from, to) => physics.frameMs(linkBetween(from, to)),

    counters: (peer) => directory.station(peer).counters,
    totals: () => sumOfTraffic([...directory.stations.values()].map((station) => station.counters)),
    onDelivered: (listener) => void streams.deliveryListeners.push(listener),
  }
  return network
}
