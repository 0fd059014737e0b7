/**
 * A connection's life: it opens, it breaks, and each end hears of that when it can know.
 *
 * An end that the other does not answer finds out by itself, as the real connection monitor does by its pings, and closes the
 * connection; the other end then hears of it if anything reaches it, and finds out by itself otherwise.
 */
import type { DurationMs } from '../../protocols/kernel/units.ts'
import type { Distribution } from '../scenario/schema.ts'
import type { VirtualClock } from '../virtual-clock.ts'
import { believes, orderMs, otherEnd, setBelief, type Link, type Station } from './directory.ts'
import { nextFraction } from './noise.ts'
import { isBlocked, isSilent } from './obstacles.ts'
import type { Physics } from './physics.ts'
import { give } from './wake.ts'

export interface ConnectionsInit {
  readonly clock: VirtualClock
  readonly physics: Physics
  readonly hungPeerMs: Distribution
  readonly onOpened: (link: Link) => void
  /** A live, awake process has heard that its connection is gone. */
  readonly onHeardDown: (link: Link, end: Station) => void
}

export interface Connections {
  /** Counts the changes of who is joined to whom. */
  readonly version: number
  open(link: Link): void
  /** The connection is gone at once; each end hears of it after its delay. */
  close(link: Link, delayMs: (end: Station) => DurationMs): void
  /** The process of one end is gone, and its system closes the connection: behind what that end had sent, or at once and with it (a coin). */
  bereave(link: Link, dead: Station, detectionMs: DurationMs): void
  /** As close, by an end that resets it: the other hears of it if a frame reaches it, and finds out by itself otherwise. */
  abort(link: Link, by: Station): void
  /** Until an end notices by itself that nobody answers. */
  patienceMs(link: Link): DurationMs
  /** Something came between the ends, or went away. */
  reconsider(link: Link): void
  /** A process has woken up: what it could not notice while it slept it will. */
  reconsiderAfterSleep(link: Link, sleeper: Station): void
}

export function createConnections(init: ConnectionsInit): Connections {
  const { clock, physics } = init
  let version = 0

  const patienceMs = (link: Link): DurationMs => physics.drawn(link, init.hungPeerMs)

  function tell(end: Station, peer: Station, state: 'up' | 'down'): void {
    for (const listener of end.life?.peerListeners ?? []) listener(peer.peer, state)
  }

  function hearDown(link: Link, end: Station, generation: number): void {
    if (!believes(link, end)) return
    if (end.life === undefined) return setBelief(link, end, false)
    give(end.life, () => {
      if (link.generation !== generation || !believes(link, end)) return
      setBelief(link, end, false)
      tell(end, otherEnd(link, end), 'down')
      init.onHeardDown(link, end)
    })
  }

  function hearDownAfter(delayMs: DurationMs, link: Link, end: Station): void {
    const { generation } = link
    clock.schedule(delayMs, () => hearDown(link, end, generation))
  }

  function hearUp(link: Link, end: Station): void {
    if (end.life === undefined) return
    give(end.life, () => {
      // It had not missed the former connection yet.
      if (believes(link, end)) {
        setBelief(link, end, false)
        tell(end, otherEnd(link, end), 'down')
      }
      setBelief(link, end, true)
      end.counters.connectionsOpened++
      tell(end, otherEnd(link, end), 'up')
    })
  }

  function die(link: Link): void {
    link.alive = false
    version++
  }

  function abort(link: Link, by: Station): void {
    if (!link.alive) return
    die(link)
    hearDown(link, by, link.generation)
    const other = otherEnd(link, by)
    hearDownAfter(isBlocked(link, other) ? patienceMs(link) : physics.frameMs(link), link, other)
  }

  /** One end has waited for an answer for as long as it does. */
  function giveUp(link: Link, end: Station, generation: number, episode: number): void {
    if (link.generation !== generation || link.episode !== episode) return
    // A sleeper notices nothing.
    if (end.life === undefined || end.life.paused) return
    if (link.alive) abort(link, end)
    else hearDown(link, end, generation)
  }

  function beginSilence(link: Link): void {
    link.silent = true
    const { generation } = link
    const episode = ++link.episode
    for (const end of [link.low, link.high]) clock.schedule(patienceMs(link), () => giveUp(link, end, generation, episode))
  }

  function reconsider(link: Link): void {
    version++
    // Of a dead connection the ends still have to notice, whatever has healed since.
    if (!link.alive) return
    const silent = isSilent(link)
    if (silent && !link.silent) beginSilence(link)
    if (!silent && link.silent) {
      link.silent = false
      link.episode++
    }
  }

  return {
    get version() {
      return version
    },
    open(link) {
      if (link.alive) return
      link.alive = true
      link.lastWordsOf = undefined
      link.generation++
      link.silent = false
      link.episode++
      version++
      for (const lane of [link.toLow, link.toHigh]) {
        if (lane === undefined) continue
        lane.lastArrivalMs = 0
        lane.stalled = undefined
      }
      init.onOpened(link)
      hearUp(link, link.low)
      hearUp(link, link.high)
      reconsider(link)
    },
    close(link, delayMs) {
      if (!link.alive) return
      die(link)
      for (const end of [link.low, link.high]) hearDownAfter(delayMs(end), link, end)
    },
    bereave(link, dead, detectionMs) {
      if (!link.alive) return
      die(link)
      const survivor = otherEnd(link, dead)
      const flushes = nextFraction(link) < 0.5
      if (flushes) link.lastWordsOf = dead
      const lane = link.low === survivor ? link.toLow : link.toHigh
      const flushedMs = flushes && lane !== undefined ? lane.lastArrivalMs + orderMs - clock.nowMs() : 0
      hearDownAfter(Math.max(detectionMs, flushedMs), link, survivor)
    },
    abort, patienceMs, reconsider,
    reconsiderAfterSleep(link, sleeper) {
      if (!link.alive) {
        if (believes(link, sleeper)) hearDownAfter(patienceMs(link), link, sleeper)
        return
      }
      // Still silent, for another reason: the patience of who slept begins now.
      if (isSilent(link)) beginSilence(link)
      else reconsider(link)
    },
  }
}
