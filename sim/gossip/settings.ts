/** What the real node asks of gossipsub, and how many bytes gossipsub 17 makes of a message. */

export interface GossipDegrees {
  readonly D: number
  readonly Dlo: number
  readonly Dhi: number
  readonly Dscore: number
  readonly Dout: number
  readonly Dlazy: number
}

/** `gossipSettings` of node/libp2p/libp2p-node.ts. */
export function degreesFor(nodesExpected: number): GossipDegrees {
  return nodesExpected <= 25 ? { D: 4, Dlo: 3, Dhi: 8, Dscore: 2, Dout: 1, Dlazy: 4 } : { D: 6, Dlo: 4, Dhi: 12, Dscore: 4, Dout: 2, Dlazy: 6 }
}

export const gossipSettings = {
  heartbeatMs: 1_000,
  /** A message is offered at this many heartbeats after it came. */
  gossipWindows: 3,
  gossipFactor: 0.25,
  pruneBackoffMs: 60_000,
  unsubscribeBackoffMs: 10_000,
  /** Mesh peers are told not to send what is at least this large. */
  idontwantBytesMin: 512,
  /** How long a publication waits for a first listener to be found. */
  publishWaitMs: 3_000,
  /** Nobody listens on a topic: so many listeners are dialled for a publication. */
  fanOut: 3,
  /** New connections come in bursts, and may bring subscribers by themselves. */
  contactsSettleMs: 2_000,
  contactsRetryMs: 5_000,
  contactsRetryMsMax: 300_000,
  contactsFindMs: 3_000,
} as const

/** Topics carry the mesh's fingerprint: `skein/<12 hex digits>/`. */
const topicPrefixBytes = 19
const headerBytes = 2
/** 36 bytes of public key and 8 of sequence number, with its header. */
const messageIdFieldBytes = headerBytes + 44

function lengthBytes(length: number): number {
  return length < 128 ? 1 : length < 16_384 ? 2 : 3
}

function topicFieldBytes(topic: string): number {
  return headerBytes + topicPrefixBytes + topic.length
}

/** An RPC with one signed message: author, data, sequence number, topic, signature, public key. */
export function messageRpcBytes(topic: string, dataBytes: number): number {
  const messageBytes = headerBytes + 38 + 1 + lengthBytes(dataBytes) + dataBytes + headerBytes + 8 + topicFieldBytes(topic) + headerBytes + 64 + headerBytes + 36
  return 1 + lengthBytes(messageBytes) + messageBytes
}

/** A control entry in an RPC of its own. */
function controlRpcBytes(entryBytes: number): number {
  const controlBytes = 1 + lengthBytes(entryBytes) + entryBytes
  return 1 + lengthBytes(controlBytes) + controlBytes
}

export function graftBytes(topic: string): number {
  return controlRpcBytes(topicFieldBytes(topic))
}

export function pruneBytes(topic: string): number {
  return controlRpcBytes(topicFieldBytes(topic) + 2)
}

export function ihaveBytes(topic: string, messages: number): number {
  return controlRpcBytes(topicFieldBytes(topic) + messages * messageIdFieldBytes)
}

export function wantBytes(messages: number): number {
  return controlRpcBytes(messages * messageIdFieldBytes)
}

/** Subscribed or not, with the topic, as one entry of a list. */
export function subscriptionBytes(topic: string): number {
  return headerBytes + 2 + topicFieldBytes(topic)
}
