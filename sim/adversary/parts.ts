/** What a node that misbehaves has at hand, besides the ports of the honest node that it pretends to be. */
import type { MeshNodePorts } from '../../actors/mesh-node.ts'
import type { Clock } from '../../actors/ports/clock.ts'
import type { Random } from '../../protocols/kernel/prng.ts'
import type { DurationMs } from '../../protocols/kernel/units.ts'
import type { VirtualHost } from '../network/network.ts'
import type { Conduct } from '../scenario/schema.ts'

export interface ConductParts {
  readonly host: Pick<VirtualHost, 'connectedPeers' | 'sendFrame'>
  /** Of this life of the node: what is scheduled ends with it. */
  readonly clock: Clock
  readonly random: Random
}

/** @returns the ports through which the production node does what it should not. */
export type Misconduct<Kind extends Conduct['kind']> = (conduct: Extract<Conduct, { kind: Kind }>, ports: MeshNodePorts, parts: ConductParts) => MeshNodePorts

/** Again and again, for the first time at a drawn instant within the first interval. */
export function every(everyMs: DurationMs, { clock, random }: Pick<ConductParts, 'clock' | 'random'>, act: () => void): void {
  const turn = (): void => {
    act()
    clock.schedule(everyMs, turn)
  }
  clock.schedule(random.next() * everyMs, turn)
}

export function pickOne<T>(from: readonly T[], random: Random): T | undefined {
  return from[random.below(from.length)]
}

export function randomBytes(length: number, random: Random): Uint8Array {
  return Uint8Array.from({ length }, () => random.below(256))
}
