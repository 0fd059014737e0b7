/** A message on its way to one actor. */
import type { ActorAddress, Principal } from '../../protocols/kernel/ids.ts'
import type { ActorMessage } from '../messages.ts'

export interface Delivery {
  readonly message: ActorMessage
  readonly from: ActorAddress
  readonly principal?: Principal
}
