/** Replicas and members for tests of who keeps a log. */
import { virtualPeerId } from '../../../sim/identity-virtual-adapter.ts'
import type { Incarnation, PeerId } from '../../../protocols/kernel/ids.ts'
import type { Member, Replica } from '../../../protocols/membership/schema.ts'

export function peerOf(name: string): PeerId {
  return virtualPeerId(name)
}

export function replicaOf(name: string, domain = name): Replica {
  return { peer: peerOf(name), name, domain, incarnation: incarnationOf(name) }
}

export function memberOf(name: string, life = 0): Member {
  return { peer: peerOf(name), incarnation: incarnationOf(name, life) }
}

export function incarnationOf(name: string, life = 0): Incarnation {
  return `store${name}${life === 0 ? '' : `.${life}`}` as Incarnation
}
