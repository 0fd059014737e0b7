/** Two bounded lanes: system messages overtake user messages; a full lane refuses loudly. */
import { limits } from '../../protocols/kernel/limits.ts'
import type { Delivery } from './actor.ts'

export interface Mailbox {
  /** @returns false when the lane is full: the caller turns the message into a dead letter. */
  put(delivery: Delivery, lane: 'system' | 'user'): boolean
  take(): Delivery | undefined
  readonly size: number
}

/** A queue that costs nothing per message: two arrays swapped when one is read out. */
function lane(capacity: number) {
  let inbox: Delivery[] = []
  let outbox: Delivery[] = []
  let at = 0
  return {
    put(delivery: Delivery): boolean {
      if (inbox.length + outbox.length - at >= capacity) return false
      inbox.push(delivery)
      return true
    },
    take(): Delivery | undefined {
      if (at === outbox.length) {
        if (inbox.length === 0) return undefined
        outbox = inbox
        inbox = []
        at = 0
      }
      return outbox[at++]
    },
    get size() {
      return inbox.length + outbox.length - at
    },
  }
}

export function createMailbox(capacity: number = limits.mailboxMessagesMax): Mailbox {
  const system = lane(capacity)
  const user = lane(capacity)
  return {
    put: (delivery, which) => (which === 'system' ? system : user).put(delivery),
    take: () => system.take() ?? user.take(),
    get size() {
      return system.size + user.size
    },
  }
}
