/** What a person or a program is shown of nodes and capabilities. */
import { z } from 'zod'
import { Fault } from '../kernel/errors.ts'
import { PeerId } from '../kernel/ids.ts'
import { Advert, Capability } from './schema.ts'

export const NodeView = z.object({
  peerId: PeerId,
  name: z.string(),
  self: z.boolean(),
  /** connected: messages flow. known: its advert is valid, but there is no connection. gone: its connection was lost. */
  state: z.enum(['connected', 'known', 'gone', 'leaving', 'quarantined']),
  advert: Advert.optional(),
  lastSeenAgoMs: z.number().optional(),
  /** Why it cannot be reached, when that is known. */
  fault: Fault.optional(),
})
export type NodeView = z.infer<typeof NodeView>

/** One of what a node offers under a name and version: of models there may be several. */
export const OfferView = Capability.pick({ attributes: true, slots: true })
export type OfferView = z.infer<typeof OfferView>

/** One name and version; `attributes` and `slots` are those of one of its offers. */
export const CapabilityView = Capability.extend({
  /** Each node once. */
  providers: z.array(z.object({ peerId: PeerId, name: z.string(), offers: z.array(OfferView) })),
})
export type CapabilityView = z.infer<typeof CapabilityView>
