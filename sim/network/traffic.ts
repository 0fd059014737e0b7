/** What a peer sent and received, over all its lives. */
export interface TrafficCounters {
  framesSent: number
  messagesSent: number
  bytesSent: number
  framesReceived: number
  messagesReceived: number
  bytesReceived: number
  gossipPublished: number
  gossipReceived: number
  /** Each end of a connection counts it. */
  connectionsOpened: number
}

export function noTraffic(): TrafficCounters {
  return { framesSent: 0, messagesSent: 0, bytesSent: 0, framesReceived: 0, messagesReceived: 0, bytesReceived: 0, gossipPublished: 0, gossipReceived: 0, connectionsOpened: 0 }
}

export function sumOfTraffic(all: Iterable<TrafficCounters>): TrafficCounters {
  const sum = noTraffic()
  const names = Object.keys(sum) as (keyof TrafficCounters)[]
  for (const counters of all) for (const name of names) sum[name] += counters[name]
  return sum
}
