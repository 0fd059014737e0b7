/**
 * Frames on a connection's two streams: in order, once, and none lost while it lives. What stops a frame stops all behind it
 * (head-of-line blocking): a retransmission, a way that is blocked for a while.
 */
import type { DurationMs } from '../../protocols/kernel/units.ts'
import type { PeerId } from '../../protocols/kernel/ids.ts'
import type { VirtualClock } from '../virtual-clock.ts'
import type { Connections } from './connections.ts'
import { believes, laneTo, orderMs, type Frame, type Lane, type Life, type Link, type Station } from './directory.ts'
import { nextFraction } from './noise.ts'
import { isBlocked } from './obstacles.ts'
import type { Physics } from './physics.ts'

export interface StreamsInit {
  readonly clock: VirtualClock
  readonly physics: Physics
  readonly connections: Connections
}

export type DeliveryListener = (from: PeerId, to: PeerId, bytes: Uint8Array, messages: number) => void

export interface Streams {
  readonly deliveryListeners: DeliveryListener[]
  /** @returns false when the sender knows of no connection. */
  send(from: Station, to: Station, bytes: Uint8Array, messages: number, cargo: unknown): boolean
  /** A way may be open again: what was stopped on it goes on, after TCP has noticed. */
  release(link: Link): void
}

const retransmissionMsMin = 200

export function createStreams({ clock, physics, connections }: StreamsInit): Streams {
  const deliveryListeners: DeliveryListener[] = []

  function take(frame: Frame, life: Life): void {
    const { from, to, bytes, messages, cargo } = frame
    to.counters.framesReceived++
    to.counters.messagesReceived += messages
    to.counters.bytesReceived += bytes.byteLength
    for (const listener of deliveryListeners) listener(from.peer, to.peer, bytes, messages)
    for (const listener of life.frameListeners) listener(from.peer, bytes, messages, cargo)
  }

  function arrive(frame: Frame): void {
    const { link, lane, to } = frame
    const { life } = to
    if (link.generation !== frame.generation || life === undefined) return
    if (!link.alive && (link.lastWordsOf !== frame.from || isBlocked(link, to))) return
    if (lane.stalled !== undefined) return void lane.stalled.push(frame)
    if (isBlocked(link, to)) {
      lane.stalled = [frame]
      return
    }
    if (life.held === undefined) take(frame, life)
    else life.held.acts.push(() => take(frame, life))
    if (frame.resets) connections.close(link, () => physics.frameMs(link))
  }

  /** Pings queue behind a lost frame like everything else: when that takes too long, the connection is given up. */
  function giveUpAfter(waitedMs: DurationMs, link: Link, by: Station): void {
    const patienceMs = connections.patienceMs(link)
    if (waitedMs <= patienceMs) return
    const { generation } = link
    clock.schedule(patienceMs, () => {
      if (link.generation === generation) connections.abort(link, by)
    })
  }

  function releaseLane(link: Link, lane: Lane | undefined, to: Station): void {
    if (lane?.stalled === undefined || !link.alive || isBlocked(link, to)) return
    const { generation } = link
    const waitMs = Math.max(retransmissionMsMin, 4 * physics.baseMs(link)) * nextFraction(link) + physics.frameMs(link)
    clock.schedule(waitMs, () => {
      if (link.generation !== generation || isBlocked(link, to)) return
      const stalled = lane.stalled ?? []
      lane.stalled = undefined
      for (const frame of stalled) arrive(frame)
    })
  }

  return {
    deliveryListeners,
    send(from, to, bytes, messages, cargo) {
      const link = from.links.get(to.index)
      if (link === undefined || !believes(link, from)) return false
      from.counters.framesSent++
      from.counters.messagesSent += messages
      from.counters.bytesSent += bytes.byteLength
      if (!link.alive) return true
      const lane = laneTo(link, to)
      let resets = false
      if (lane.resetNext) {
        lane.resetNext = false
        resets = nextFraction(link) < 0.5
        if (!resets) {
          connections.close(link, () => physics.frameMs(link))
          return true
        }
      }
      const waitedMs = physics.retransmissionMs(link)
      if (waitedMs > 0) giveUpAfter(waitedMs, link, from)
      const arrivalMs = Math.max(lane.lastArrivalMs + orderMs, physics.departureMs(link, to, bytes.byteLength) + waitedMs + physics.frameMs(link))
      lane.lastArrivalMs = arrivalMs
      const frame: Frame = { link, lane, from, to, generation: link.generation, bytes, messages, cargo, resets }
      clock.schedule(arrivalMs - clock.nowMs(), () => arrive(frame))
      return true
    },
    release(link) {
      releaseLane(link, link.toLow, link.low)
      releaseLane(link, link.toHigh, link.high)
    },
  }
}
