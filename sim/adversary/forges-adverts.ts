/** Publishes adverts in the name of its peers, now with its own signature, now with none: they leave, can nothing, or are wonderfully fast. */
import type { Advert } from '../../protocols/capability/schema.ts'
import type { PeerId } from '../../protocols/kernel/ids.ts'
import { advertEnvelope, overhearAdverts, sendAdvert, signed } from './own-adverts.ts'
import { every, pickOne, randomBytes, type Misconduct } from './parts.ts'

export const forgesAdverts: Misconduct<'forges-adverts'> = ({ everyMs }, ports, parts) => {
  const own = overhearAdverts(ports)
  const { host, random } = parts

  function forged(victim: PeerId, template: Advert): Advert {
    // Newer than whatever the victim says itself.
    const about = { ...template, peerId: victim, name: victim.slice(0, 64), sequence: template.sequence + 1_000_000 }
    switch (random.below(3)) {
      case 0:
        return { ...about, leaving: true }
      case 1:
        return { ...about, capabilities: [] }
      default:
        return { ...about, load: { ...template.load, slots: 1_000, slotsBusy: 0, waiting: 0, cpu: 0, loopDelayMs: 0 } }
    }
  }

  every(everyMs, parts, () => {
    const latest = own.latest()
    const victim = pickOne(host.connectedPeers(), random)
    if (latest === undefined || victim === undefined) return
    const advert = signed(forged(victim, latest.advert), ports)
    const forgery = random.below(2) === 0 ? advert : { ...advert, signature: randomBytes(64, random) }
    ports.gossip.publish(latest.topic, advertEnvelope(forgery))
    sendAdvert(host.connectedPeers(), forgery, ports)
  })
  return own.ports
}
