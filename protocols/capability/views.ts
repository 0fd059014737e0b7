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

export const CapabilityView = Capability.extend({
  providers: z.array(z.object({ peerId: PeerId, name: z.string() })),
})
export type CapabilityView = z.infer<typeof CapabilityView>
