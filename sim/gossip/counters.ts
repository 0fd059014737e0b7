/** What a node's part in gossip costs. Entries are counted, not RPCs: gossipsub packs several entries to one peer into one. */

export interface GossipCounters {
  /** Messages of its own. */
  gossipPublished: number
  /** Messages to one peer each: its own, those passed on, and those asked for. */
  gossipSent: number
  /** Messages that came for the first time. */
  gossipReceived: number
  /** Messages that came again. */
  gossipDuplicates: number
  /** RPC bytes of messages. */
  gossipBytesSent: number
  gossipBytesReceived: number
  /** The sum of the entries below. */
  controlSent: number
  controlBytes: number
  ihaveSent: number
  iwantSent: number
  idontwantSent: number
  graftSent: number
  pruneSent: number
  subscriptionsSent: number
}

export type ControlEntry = 'ihaveSent' | 'iwantSent' | 'idontwantSent' | 'graftSent' | 'pruneSent' | 'subscriptionsSent'

export function noGossipTraffic(): GossipCounters {
  return {
    gossipPublished: 0, gossipSent: 0, gossipReceived: 0, gossipDuplicates: 0, gossipBytesSent: 0, gossipBytesReceived: 0,
    controlSent: 0, controlBytes: 0, ihaveSent: 0, iwantSent: 0, idontwantSent: 0, graftSent: 0, pruneSent: 0, subscriptionsSent: 0,
  }
}

export function countControl(counters: GossipCounters, entry: ControlEntry, entries: number, bytesEach: number): void {
  counters[entry] += entries
  counters.controlSent += entries
  counters.controlBytes += entries * bytesEach
}

export function addGossipCounters(sum: GossipCounters, one: GossipCounters): void {
  for (const name of Object.keys(sum) as (keyof GossipCounters)[]) sum[name] += one[name]
}
