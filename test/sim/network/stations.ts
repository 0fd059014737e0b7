/** A network of named hosts that write down what they hear, for the tests of the virtual network. */
import type { PeerId } from '../../../protocols/kernel/ids.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { createVirtualClock, type VirtualClock } from '../../../sim/virtual-clock.ts'
import { createVirtualNetwork, type VirtualHost, type VirtualNetwork, type VirtualNetworkInit } from '../../../sim/virtual-network.ts'

export interface Station {
  readonly host: VirtualHost
  /** `up b`, `down b`, and the numbers of frames. */
  readonly heard: string[]
  /** When each of it was heard. */
  readonly atMs: number[]
}

export interface Stations {
  readonly clock: VirtualClock
  readonly network: VirtualNetwork
  start(name: string, site?: string): Station
  /** Sends a frame that carries a number. @returns false when there is no connection. */
  send(from: string, to: string, value: number, bytes?: number): boolean
  station(name: string): Station
  /** What was heard from the others but `up` and `down`. */
  frames(name: string): number[]
}

/** The order of the names is that of the peer ids. */
export const peerOf = (name: string): PeerId => `peer-${name}` as PeerId

export function stations(init: Partial<VirtualNetworkInit> = {}, seed = 1): Stations {
  const clock = createVirtualClock()
  const network = createVirtualNetwork({ clock, random: seededRandom([seed, 2]), ...init })
  const all = new Map<string, Station>()
  const nameOf = (peer: PeerId): string => peer.slice('peer-'.length)

  const world: Stations = {
    clock, network,
    start(name, site) {
      const station: Station = { host: network.join(peerOf(name), site), heard: [], atMs: [] }
      const hear = (text: string): void => {
        station.heard.push(text)
        station.atMs.push(clock.nowMs())
      }
      station.host.onPeer((peer, state) => hear(`${state} ${nameOf(peer)}`))
      station.host.onFrame((_from, _bytes, _messages, cargo) => hear(String(cargo)))
      all.set(name, station)
      return station
    },
    send: (from, to, value, bytes = 10) => world.station(from).host.sendFrame(peerOf(to), new Uint8Array(bytes), 1, value),
    station(name) {
      const found = all.get(name)
      if (found === undefined) throw new Error(`there is no station ${name}`)
      return found
    },
    frames: (name) => world.station(name).heard.filter((text) => /^\d+$/.test(text)).map(Number),
  }
  return world
}

/** Starts the hosts and connects them all. */
export async function connected(names: readonly string[], init: Partial<VirtualNetworkInit> = {}, seed = 1): Promise<Stations> {
  const world = stations(init, seed)
  for (const name of names) world.start(name)
  world.network.connectAll()
  await world.clock.runFor(1_000)
  for (const name of names) {
    world.station(name).heard.length = 0
    world.station(name).atMs.length = 0
  }
  return world
}

export const upTo = (count: number): number[] => Array.from({ length: count }, (_, at) => at)
