/** Lazy gossip at heartbeats: IHAVE to some of those outside the mesh, IWANT from whoever lacks the message. It is what repairs losses. */
import type { Random } from '../../protocols/kernel/prng.ts'
import type { InstantMs } from '../../protocols/kernel/units.ts'
import type { VirtualNetwork } from '../virtual-network.ts'
import { countControl } from './counters.ts'
import { gossipSettings, ihaveBytes, wantBytes, type GossipDegrees } from './settings.ts'
import { shuffled } from './shuffle.ts'
import type { Spread } from './spread.ts'
import type { Member, Published, Topic } from './state.ts'

interface Offer {
  readonly published: Published
  readonly from: Member
  readonly to: Member
  readonly atMs: InstantMs
}

export function createOffers(init: { readonly network: VirtualNetwork; readonly random: Random; readonly degrees: GossipDegrees; readonly spread: Spread }) {
  const { network, random, degrees, spread } = init
  const { clock } = network

  function offersOf(topic: Topic, settled: readonly Published[]): Offer[] {
    const offers: Offer[] = []
    const lacked = settled.filter((published) => published.missing.size > 0)
    for (const member of topic.members.values()) {
      const { station } = member
      const others = member.peers.size - member.mesh.size
      if (others <= 0 || !station.host.isAlive() || network.isPaused(station.peer)) continue
      const count = Math.min(others, Math.max(degrees.Dlazy, Math.floor(gossipSettings.gossipFactor * others)))
      let held = settled.length
      for (const published of lacked) if (published.missing.has(member)) held--
      if (held === 0) continue
      countControl(station.counters, 'ihaveSent', count, ihaveBytes(topic.name, held))
      if (lacked.length === 0) continue
      // Every node's heartbeat has its own place in the second.
      const atMs = clock.nowMs() + station.phaseMs
      for (const to of shuffled([...member.peers].filter((peer) => !member.mesh.has(peer)), random, count).slice(0, count)) {
        for (const published of lacked) if (published.missing.has(to) && !published.missing.has(member)) offers.push({ published, from: member, to, atMs })
      }
    }
    return offers.sort((left, right) => left.atMs - right.atMs)
  }

  function take({ published, from, to, atMs }: Offer): void {
    if (!published.missing.has(to) || network.isPaused(to.station.peer)) return
    const ihave = network.hop(from.station.peer, to.station.peer, ihaveBytes(published.topic.name, 1))
    if (ihave === undefined) return
    countControl(to.station.counters, 'iwantSent', 1, wantBytes(1))
    const iwant = network.hop(to.station.peer, from.station.peer, wantBytes(1))
    if (iwant === undefined) return
    spread.send(published, from.station, from, to, atMs + ihave.delayMs + iwant.delayMs)
    spread.run(published)
  }

  return {
    /** A heartbeat of a topic. Forgets what has been offered often enough. */
    heartbeat(topic: Topic): void {
      const nowMs = clock.nowMs()
      const settled = topic.window.filter((published) => published.settledMs <= nowMs)
      if (settled.length > 0) for (const offer of offersOf(topic, settled)) take(offer)
      for (const published of settled) published.heartbeatsLeft--
      topic.window = topic.window.filter((published) => published.heartbeatsLeft > 0)
    },
  }
}
