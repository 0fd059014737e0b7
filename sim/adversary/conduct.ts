/**
 * Nodes that misbehave on purpose: the production node over ports that do what it would never do. What is drawn comes from
 * the node's own stream, so that a run stays a function of its seed.
 *
 * @packageDocumentation
 */
import type { MeshNodePorts } from '../../actors/mesh-node.ts'
import type { Conduct } from '../scenario/schema.ts'
import { bidsAndStalls } from './bids-and-stalls.ts'
import { equivocates } from './equivocates.ts'
import { fallsSilent } from './falls-silent.ts'
import { floodsGossip } from './floods-gossip.ts'
import { forgesAdverts } from './forges-adverts.ts'
import { liesAboutSpeed } from './lies-about-speed.ts'
import { oversizedResults } from './oversized-results.ts'
import type { ConductParts } from './parts.ts'
import { sendsGarbage } from './sends-garbage.ts'
import { wrongResults } from './wrong-results.ts'

export type { ConductParts } from './parts.ts'

/** @param parts of this life of the node. @returns the ports to build the node with. */
export function applyConduct(conduct: Conduct, ports: MeshNodePorts, parts: ConductParts): MeshNodePorts {
  switch (conduct.kind) {
    case 'lies-about-speed':
      return liesAboutSpeed(conduct, ports, parts)
    case 'bids-and-stalls':
      return bidsAndStalls(conduct, ports, parts)
    case 'falls-silent':
      return fallsSilent(conduct, ports, parts)
    case 'wrong-results':
      return wrongResults(conduct, ports, parts)
    case 'oversized-results':
      return oversizedResults(conduct, ports, parts)
    case 'forges-adverts':
      return forgesAdverts(conduct, ports, parts)
    case 'equivocates':
      return equivocates(conduct, ports, parts)
    case 'floods-gossip':
      return floodsGossip(conduct, ports, parts)
    case 'sends-garbage':
      return sendsGarbage(conduct, ports, parts)
  }
}
