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
  }
}

export function createMailbox(capacity: number = limits.mailboxMessagesMax): Mailbox {
  const system = lane(capacity)
  const user = lane(capacity)
  let size = 0
  return {
    put(delivery, which) {
      if (!(which === 'system' ? system : user).put(delivery)) return false
      size += 1
      return true
    },
    take() {
      if (size === 0) return undefined
      size -= 1
      return system.take() ?? user.take()
    },
    get size() {
      return size
    },
  }
}
