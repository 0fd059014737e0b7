/** What an actor is made of. */
import type { ActorAddress, PeerId } from '../../protocols/kernel/ids.ts'
import type { Random } from '../../protocols/kernel/prng.ts'
import type { InstantMs, WallMs } from '../../protocols/kernel/units.ts'
import type { Delivery } from './delivery.ts'
import type { Effect, Spawnable } from './effects.ts'

export type { Delivery } from './delivery.ts'

/** What to do with an actor that threw: keep its state, start anew, end it, or fail its parent. */
export type SupervisionStrategy = 'resume' | 'restart' | 'stop' | 'escalate'

export interface ActorContext {
  readonly self: ActorAddress
  readonly nowMs: InstantMs
  readonly wallMs: WallMs
  readonly random: Random
  sign(message: Uint8Array): Uint8Array
  verify(peer: PeerId, message: Uint8Array, signature: Uint8Array): boolean
  /** Whether an actor of this name lives on this node now. */
  exists(name: string): boolean
  /** Whether a connection to the peer is usable now. This node itself always is. */
  connected(peer: PeerId): boolean
}

/**
 * `start` makes the state; `receive` may change it in place. All return what they want done, as values.
 * A behaviour is made by a function over its arguments, so that a restart begins from the same arguments.
 */
export interface Behaviour<State> extends Spawnable {
  readonly supervision: SupervisionStrategy
  start(context: ActorContext): { state: State; effects: readonly Effect[] }
  receive(state: State, delivery: Delivery, context: ActorContext): readonly Effect[]
  /** After everything that could be delivered was delivered, if any of it was for this actor: for what is worth doing once for many messages. */
  endTurn?(state: State, context: ActorContext): readonly Effect[]
  /** Values in its state that may refer to blobs which are needed here and which no log cites (yet): those blobs are not freed. */
  holds?(state: State): readonly unknown[]
}

/** Forgets the state's type. Only the runtime passes a state back, and only its own. */
export function erased<State>(behaviour: Behaviour<State>): Spawnable {
  return behaviour
}

/** The reverse, for the runtime alone. */
export function behaviourOf(spawnable: Spawnable): Behaviour<never> {
  return spawnable as Behaviour<never>
}
