/** Places on a node: how many tasks it takes at a time. Leaves share the node's, but for those of a capability that has places of its own; managers have theirs. */
import type { Capability } from '../capability/schema.ts'
import type { CapabilityMeasure } from './measure.ts'
import { measureKey } from './measure.ts'
import type { Bid, Call, RunUnits } from './schema.ts'

/** Names one pool of places on a node. */
export type Pool = string

export const nodePool: Pool = ''
export const managersPool: Pool = 'managers'

export interface Places {
  readonly pool: Pool
  readonly size: number
}

export function placesOf(kind: Call['kind'], capability: Capability, slots: number, managers: number): Places {
  if (kind === 'composite') return { pool: managersPool, size: managers }
  return capability.slots === undefined ? { pool: nodePool, size: slots } : { pool: measureKey(capability), size: capability.slots }
}

/** What a bid says of its pool: initiators tell those of one bidder apart by it. Leaves and composite tasks they tell apart anyway. */
export function poolInBid(pool: Pool): Pick<Bid, 'pool'> {
  return pool === nodePool || pool === managersPool ? {} : { pool }
}

/** The most that a run of so many units costs, by the capability's `inputUsdPerMillion` and `outputUsdPerMillion`; 0 without these. */
export function priceUsdOf({ attributes }: Pick<Capability, 'attributes'>, units: RunUnits | undefined): number {
  if (units === undefined) return 0
  return (rate(attributes['inputUsdPerMillion']) * units.input + rate(attributes['outputUsdPerMillion']) * units.output) / 1_000_000
}

function rate(attribute: string | number | boolean | undefined): number {
  return typeof attribute === 'number' && attribute > 0 ? attribute : 0
}

/** Of this node's capabilities: what was measured, by `measureKey`. */
export type Measures = ReadonlyMap<string, CapabilityMeasure>
