/** Tells some of its peers another thing than the others, under the sequence number of its latest advert and with its own good signature. */
import type { Advert } from '../../protocols/capability/schema.ts'
import { overhearAdverts, sendAdvert, signed } from './own-adverts.ts'
import { every, type Misconduct } from './parts.ts'

export const equivocates: Misconduct<'equivocates'> = ({ everyMs }, ports, parts) => {
  const own = overhearAdverts(ports)
  const { host, random } = parts

  function otherVersion(advert: Advert): Advert {
    return { ...advert, load: { ...advert.load, slots: advert.load.slots + 1 + random.below(8), slotsBusy: 0, waiting: 0 } }
  }

  every(everyMs, parts, () => {
    const latest = own.latest()
    if (latest === undefined) return
    const deceived = host.connectedPeers().filter(() => random.below(2) === 0)
    sendAdvert(deceived, signed(otherVersion(latest.advert), ports), ports)
  })
  return own.ports
}
