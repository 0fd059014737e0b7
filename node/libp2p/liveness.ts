/**
 * Which connections are alive, in place of libp2p's connection monitor.
 *
 * That one opens a stream over every connection every second for one ping, which in a mesh of twenty nodes costs more than their work, and blames the peer for
 * the time in which this node's own loop stood still: a node that was busy for some seconds then loses all its peers at once.
 * Here whatever is heard over a connection is a sign of life; only a silent one is pinged, by a frame of its multiplexer, which the other side's answers without
 * a stream; and silence is counted in time that this node was awake for. A node that finds itself starved expects its peers to be, and is more patient, within the
 * same bound.
 *
 * @packageDocumentation
 */
import type { Connection, StreamMuxer } from '@libp2p/interface'
import type { DurationMs, InstantMs } from '../../protocols/kernel/units.ts'

/** The part of a yamux session that is used; `onData` gets all that comes in, before it is read. */
export interface Watched extends Pick<StreamMuxer, 'status'> {
  onData(bytes: unknown): void
  ping(): Promise<number>
}

export interface LivenessOptions {
  /** How long a ping may stay unanswered. A peer that is silent is given up within twice this time of this node's being awake. */
  readonly hungPeerMs: DurationMs
  readonly nowMs: () => InstantMs
}

export interface Liveness {
  /** From now on, until the connection ends. */
  watch(muxer: Watched, connection: Pick<Connection, 'abort'>): void
  /** Looks after all of them; `start` has it called at intervals. */
  look(): void
  start(): void
  stop(): void
}

/** Its times are on the clock that stands still while this node does. */
interface WatchedConnection {
  readonly muxer: Watched
  readonly connection: Pick<Connection, 'abort'>
  heardAtAwakeMs: number
  askedAtAwakeMs: number
}

/** A stream's window grows by the round trip time, which is that of the last ping: it is measured so often on a connection that is never silent. */
const roundTripKeptMs: DurationMs = 30_000
/** Having been starved is remembered for so long. */
const starvedKeptMs: DurationMs = 10_000

export function createLiveness({ hungPeerMs, nowMs }: LivenessOptions): Liveness {
  const intervalMs = Math.min(1_000, hungPeerMs / 2)
  const lookMs = intervalMs / 2
  const patienceMs = intervalMs + hungPeerMs
  // A connection is given up at the look after its time is over.
  const patienceMsMax = Math.max(patienceMs, 2 * hungPeerMs - lookMs)
  const watched = new Set<WatchedConnection>()
  let lookedAtMs = nowMs()
  let awakeMs = 0
  let starvedAtMs = -Infinity
  let timer: NodeJS.Timeout | undefined

  function look(): void {
    const now = nowMs()
    const passedMs = now - lookedAtMs
    lookedAtMs = now
    // Late by more than a look: this node could not have heard anybody.
    if (passedMs > 2 * lookMs) starvedAtMs = now
    awakeMs += Math.min(passedMs, lookMs)
    const silentMsMax = now - starvedAtMs < starvedKeptMs ? patienceMsMax : patienceMs
    for (const one of watched) {
      const silentMs = awakeMs - one.heardAtAwakeMs
      if (one.muxer.status !== 'open') watched.delete(one)
      else if (silentMs >= silentMsMax) giveUp(one, silentMs)
      else if ((silentMs >= intervalMs && one.heardAtAwakeMs >= one.askedAtAwakeMs) || awakeMs - one.askedAtAwakeMs >= roundTripKeptMs) ask(one)
    }
  }

  function giveUp(one: WatchedConnection, silentMs: number): void {
    watched.delete(one)
    one.connection.abort(new Error(`nothing was heard from it for ${Math.round(silentMs)} ms`))
  }

  function ask(one: WatchedConnection): void {
    one.askedAtAwakeMs = awakeMs
    // Its answer is heard like anything else; that there is none is what silence tells.
    one.muxer.ping().catch(() => undefined)
  }

  return {
    watch(muxer, connection) {
      const one: WatchedConnection = { muxer, connection, heardAtAwakeMs: awakeMs, askedAtAwakeMs: awakeMs }
      watched.add(one)
      ask(one)
      const onData = muxer.onData.bind(muxer)
      muxer.onData = (bytes) => {
        one.heardAtAwakeMs = awakeMs
        onData(bytes)
      }
    },
    look,
    start() {
      if (timer !== undefined) return
      lookedAtMs = nowMs()
      timer = setInterval(look, lookMs)
      timer.unref()
    },
    stop() {
      clearInterval(timer)
      timer = undefined
      watched.clear()
    },
  }
}
