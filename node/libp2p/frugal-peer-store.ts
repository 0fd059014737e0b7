/**
 * The peer store of libp2p 3.3, but for one of its habits.
 *
 * libp2p merges the name of the protocol into it whenever a stream is opened, on both sides, and kad-dht the addresses of every peer that it reads of, for
 * each record once more. Each merge reads, decodes, encodes and writes the peer, also when nothing is new: in a mesh of some nodes that is most of what
 * provider records cost. Here a merge that says nothing new is answered with what is known.
 *
 * @packageDocumentation
 */
import type { PeerData, PeerId, PeerStore, Peer } from '@libp2p/interface'
import type { DurationMs, InstantMs } from '../../protocols/kernel/units.ts'

/** What of a peer store is replaced. */
export type MergingStore = Pick<PeerStore, 'save' | 'patch' | 'merge' | 'delete'>

interface Note {
  readonly peer: Peer
  readonly protocols: ReadonlySet<string>
  readonly addrs: ReadonlySet<string>
  readonly untilMs: InstantMs
}

/** After this long a merge is done again: addresses have an age in the store, and a write that failed (a full disk) is made up for. */
const notedMs: DurationMs = 10 * 60_000
const notesMax = 4_096

/**
 * Replaces its writing methods: libp2p makes its peer store itself, and has no place to give it another. What this node says of itself is
 * written every time: who connects is told what is in there, and a start that found all of it written by the last one would stay silent.
 */
export function makeFrugal(store: MergingStore, self: PeerId, nowMs: () => InstantMs): void {
  const notes = new Map<string, Note>()

  /** The store writes a peer's changes one after the other, and tells of them in that order: what was told last is what it holds. */
  async function noted(id: PeerId, writing: Promise<Peer>): Promise<Peer> {
    const key = id.toString()
    try {
      const peer = await writing
      notes.delete(key)
      notes.set(key, {
        peer, protocols: new Set(peer.protocols), addrs: new Set(peer.addresses.map(({ multiaddr }) => multiaddr.toString())), untilMs: nowMs() + notedMs,
      })
      const [oldest] = notes.keys()
      if (notes.size > notesMax && oldest !== undefined) notes.delete(oldest)
      return peer
    } catch (thrown) {
      notes.delete(key)
      throw thrown
    }
  }

  const { save, patch, merge } = { save: store.save.bind(store), patch: store.patch.bind(store), merge: store.merge.bind(store) }
  const remove = store.delete.bind(store)
  store.save = (id, data, options) => noted(id, save(id, data, options))
  store.patch = (id, data, options) => noted(id, patch(id, data, options))
  store.merge = (id, data, options) => {
    const note = notes.get(id.toString())
    if (note !== undefined && note.untilMs > nowMs() && !id.equals(self) && saysNothingNew(note, id, data)) return Promise.resolve(note.peer)
    return noted(id, merge(id, data, options))
  }
  store.delete = async (id, options) => {
    await remove(id, options)
    notes.delete(id.toString())
  }
}

/** Only protocols and addresses: of tags and metadata a merge may take something away. */
function saysNothingNew({ protocols, addrs }: Note, id: PeerId, data: PeerData): boolean {
  for (const [name, value] of Object.entries(data)) if (value !== undefined && name !== 'protocols' && name !== 'multiaddrs') return false
  if (data.protocols?.some((protocol) => !protocols.has(protocol)) === true) return false
  if (data.multiaddrs === undefined) return true
  // The store keeps addresses without the name of their peer.
  const ownName = `/p2p/${id.toString()}`
  return data.multiaddrs.every((multiaddr) => {
    const text = multiaddr.toString()
    return addrs.has(text.endsWith(ownName) ? text.slice(0, -ownName.length) : text)
  })
}
