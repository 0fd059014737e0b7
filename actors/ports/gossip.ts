import type { Envelope, Received } from '../../protocols/wire.ts'

/** Publish / subscribe. A node that subscribes to a topic also hears what it publishes there itself. */
export interface Gossip {
  publish(topic: string, envelope: Envelope): void
  subscribe(topic: string): void
  unsubscribe(topic: string): void
  /** `received.peer` is the publisher, vouched for by its signature. */
  onGossip(listener: (topic: string, received: Received) => void): void
}
