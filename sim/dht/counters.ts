/** What a node's part in the DHT costs. */
import type { DhtRequest } from './settings.ts'

export interface DhtCounters {
  /** Requests and answers. */
  dhtSent: number
  dhtBytes: number
  findNodeSent: number
  getProvidersSent: number
  addProviderSent: number
  repliesSent: number
  provides: number
  finds: number
}

export function noDhtTraffic(): DhtCounters {
  return { dhtSent: 0, dhtBytes: 0, findNodeSent: 0, getProvidersSent: 0, addProviderSent: 0, repliesSent: 0, provides: 0, finds: 0 }
}

const fieldOf = { FIND_NODE: 'findNodeSent', GET_PROVIDERS: 'getProvidersSent', ADD_PROVIDER: 'addProviderSent' } as const

export function countRequests(counters: DhtCounters, request: DhtRequest, requests: number, bytesEach: number): void {
  counters[fieldOf[request]] += requests
  counters.dhtSent += requests
  counters.dhtBytes += requests * bytesEach
}

export function countReplies(counters: DhtCounters, replies: number, bytesEach: number): void {
  counters.repliesSent += replies
  counters.dhtSent += replies
  counters.dhtBytes += replies * bytesEach
}

export function addDhtCounters(sum: DhtCounters, one: DhtCounters): void {
  for (const name of Object.keys(sum) as (keyof DhtCounters)[]) sum[name] += one[name]
}
