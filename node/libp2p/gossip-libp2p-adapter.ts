/**
 * The Gossip port over gossipsub. Topics carry the mesh's fingerprint; a message is `encodeFrame(envelopes)`, signed by
 * its publisher. What cannot be read is rejected by the topic's validator, so it is not passed on and costs its sender.
 *
 * @packageDocumentation
 */
import { TopicValidatorResult } from '@libp2p/gossipsub'
import type { Message as GossipMessage } from '@libp2p/gossipsub'
import type { Gossip } from '../../actors/ports/gossip.ts'
import type { Telemetry } from '../../actors/ports/telemetry.ts'
import { toFault } from '../../protocols/kernel/errors.ts'
import type { PeerId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { decodeFrame } from '../../protocols/wire.ts'
import type { Envelope, Received } from '../../protocols/wire.ts'
import { encodeEnvelope, frameHeaderBytesMax, frameParts } from './frame-batch.ts'
import type { MeshLibp2p } from './libp2p-node.ts'
import type { TopicContacts } from './topic-contacts.ts'

export interface Libp2pGossipOptions {
  readonly libp2p: MeshLibp2p
  readonly telemetry: Telemetry
  /** See `fingerprintOf` in mesh-key.ts. */
  readonly meshFingerprint: string
  /** Finds listeners in a mesh too large to be connected with everybody. */
  readonly contacts?: TopicContacts
}

/** What a topic of the Gossip port is called on the wire. */
export function wireTopic(meshFingerprint: string, topic: string): string {
  return `skein/${meshFingerprint}/${topic}`
}

export interface Libp2pGossip extends Gossip {
  start(): void
  stop(): void
}

export function createLibp2pGossip(options: Libp2pGossipOptions): Libp2pGossip {
  const { libp2p, telemetry, contacts } = options
  const { gossip } = libp2p.services
  const prefix = wireTopic(options.meshFingerprint, '')
  const listeners: ((topic: string, received: Received) => void)[] = []
  const subscribed = new Set<string>()
  /** What the validator decoded, for the listener that hears the same message right after it. */
  const decoded = new WeakMap<GossipMessage, Envelope[]>()
  let waiting = new Map<string, Uint8Array[]>()
  let flushScheduled = false

  function validate(message: GossipMessage): TopicValidatorResult {
    try {
      if (message.type !== 'signed') return TopicValidatorResult.Reject
      decoded.set(message, decodeGossip(message.data))
      return TopicValidatorResult.Accept
    } catch (error) {
      const publisher = message.type === 'signed' ? message.from.toString() : undefined
      telemetry.record({ name: 'gossip.rejected', level: 'warn', fields: { topic: message.topic, publisher, reason: toFault(error, 'bad-request').detail } })
      return TopicValidatorResult.Reject
    }
  }

  function onMessage({ detail: message }: CustomEvent<GossipMessage>): void {
    if (message.type !== 'signed' || !message.topic.startsWith(prefix)) return
    const topic = message.topic.slice(prefix.length)
    if (!subscribed.has(topic)) return
    const peer = message.from.toString() as PeerId
    // What this node publishes itself comes back unvalidated.
    if (!decoded.has(message) && validate(message) !== TopicValidatorResult.Accept) return
    for (const envelope of decoded.get(message) ?? []) {
      for (const listener of listeners) listener(topic, { peer, envelope })
    }
  }

  function flush(): void {
    flushScheduled = false
    const batches = waiting
    waiting = new Map()
    for (const [topic, encoded] of batches) {
      const publishAll = (): void => {
        for (const batch of batchesOf(encoded)) publishBatch(topic, batch)
      }
      const listenersFound = contacts?.beforePublishing(topic)
      if (listenersFound === undefined) publishAll()
      else void listenersFound.then(publishAll)
    }
  }

  function publishBatch(topic: string, batch: readonly Uint8Array[]): void {
    gossip.publish(prefix + topic, Buffer.concat(frameParts(batch))).catch((error: unknown) => {
      telemetry.record({ name: 'gossip.publish-failed', level: 'warn', fields: { topic, messages: batch.length, reason: toFault(error).detail } })
    })
  }

  return {
    publish(topic, envelope) {
      let bytes: Uint8Array
      try {
        bytes = encodeEnvelope(envelope)
      } catch (error) {
        telemetry.record({ name: 'gossip.publish-failed', level: 'error', fields: { topic, messages: 1, reason: toFault(error).detail } })
        return
      }
      if (bytes.byteLength + frameHeaderBytesMax > limits.gossipBytesMax) {
        telemetry.record({ name: 'gossip.publish-failed', level: 'error', fields: { topic, messages: 1, reason: `${bytes.byteLength} bytes are over the limit of ${limits.gossipBytesMax}` } })
        return
      }
      const encoded = waiting.get(topic)
      if (encoded === undefined) waiting.set(topic, [bytes])
      else encoded.push(bytes)
      if (flushScheduled) return
      flushScheduled = true
      setImmediate(flush)
    },
    subscribe(topic) {
      if (subscribed.has(topic)) return
      subscribed.add(topic)
      gossip.topicValidators.set(prefix + topic, (_peer, message) => validate(message))
      gossip.subscribe(prefix + topic)
      contacts?.join(topic)
    },
    unsubscribe(topic) {
      if (!subscribed.delete(topic)) return
      contacts?.leave(topic)
      gossip.unsubscribe(prefix + topic)
      gossip.topicValidators.delete(prefix + topic)
    },
    onGossip: (listener) => void listeners.push(listener),
    start: () => gossip.addEventListener('message', onMessage),
    stop: () => gossip.removeEventListener('message', onMessage),
  }
}

function decodeGossip(bytes: Uint8Array): Envelope[] {
  if (bytes.byteLength > limits.gossipBytesMax) throw new Error(`a gossip message of ${bytes.byteLength} bytes is over the limit of ${limits.gossipBytesMax}`)
  return decodeFrame(bytes)
}

/** Splits what was published in one tick into messages of legal size. */
function batchesOf(encoded: readonly Uint8Array[]): Uint8Array[][] {
  const batches: Uint8Array[][] = []
  let batch: Uint8Array[] = []
  let sizeBytes = frameHeaderBytesMax
  for (const bytes of encoded) {
    if (batch.length > 0 && (sizeBytes + bytes.byteLength > limits.frameCoalesceBytes || batch.length >= limits.frameMessagesMax)) {
      batches.push(batch)
      batch = []
      sizeBytes = frameHeaderBytesMax
    }
    batch.push(bytes)
    sizeBytes += bytes.byteLength
  }
  if (batch.length > 0) batches.push(batch)
  return batches
}
