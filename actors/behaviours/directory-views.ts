/** What the directory tells people. */
import type { CapabilityView, NodeView } from '../../protocols/capability/views.ts'
import { fault } from '../../protocols/kernel/errors.ts'
import type { PeerId } from '../../protocols/kernel/ids.ts'
import type { ActorContext } from '../runtime/actor.ts'
import type { DirectoryState } from './directory-state.ts'

export function describeNodes(state: DirectoryState, context: ActorContext): NodeView[] {
  const views = new Map<PeerId, NodeView>()
  for (const [peer, { name, atMs, reason }] of state.gone) {
    views.set(peer, { peerId: peer, name, self: false, state: 'gone', lastSeenAgoMs: context.nowMs - atMs, fault: fault('owner-unreachable', reason) })
  }
  for (const peer of state.connected) views.set(peer, { peerId: peer, name: peer.slice(-8), self: false, state: 'connected' })
  for (const { advert } of state.cache.kept.values()) {
    const self = advert.peerId === context.self.peer
    views.set(advert.peerId, { peerId: advert.peerId, name: advert.name, self, state: advert.leaving ? 'leaving' : self || state.connected.has(advert.peerId) ? 'connected' : 'known', advert, lastSeenAgoMs: Math.max(0, context.wallMs - advert.issuedAtWallMs) })
  }
  for (const peer of state.cache.quarantined.keys()) {
    views.set(peer, { peerId: peer, name: peer.slice(-8), self: false, state: 'quarantined', fault: fault('forbidden', 'it sent two different adverts under one sequence number') })
  }
  return [...views.values()].sort((left, right) => Number(right.self) - Number(left.self) || (left.name < right.name ? -1 : 1))
}

export function describeCapabilities(state: DirectoryState): CapabilityView[] {
  const views = new Map<string, CapabilityView>()
  for (const { advert } of state.cache.kept.values()) {
    if (advert.leaving) continue
    for (const capability of advert.capabilities) {
      const key = `${capability.name}@${capability.version}`
      const view = views.get(key) ?? { ...capability, providers: [] }
      const { attributes, slots } = capability
      const offer = { attributes, ...(slots === undefined ? {} : { slots }) }
      const known = view.providers.at(-1)
      if (known?.peerId === advert.peerId) known.offers.push(offer)
      else view.providers.push({ peerId: advert.peerId, name: advert.name, offers: [offer] })
      views.set(key, view)
    }
  }
  return [...views.values()].sort((left, right) => (left.name < right.name ? -1 : 1))
}
