/** Opening connections: a dial takes a round trip, waits in vain at what does not answer, and is refused where nobody is. */
import type { DurationMs } from '../../protocols/kernel/units.ts'
import type { VirtualClock } from '../virtual-clock.ts'
import type { Connections } from './connections.ts'
import type { Dial, Directory, Link, Station } from './directory.ts'
import { mixedSeed, randomFrom } from './noise.ts'
import { isSilent } from './obstacles.ts'
import type { Physics } from './physics.ts'

export interface DiallingInit {
  readonly clock: VirtualClock
  readonly physics: Physics
  readonly connections: Connections
  readonly directory: Directory
  readonly dialTimeoutMs: DurationMs
  readonly seed: number
}

export interface Dialling {
  /** Dials of both ends at the same time make one connection. */
  dial(link: Link, done: (connected: boolean, reason: string) => void): void
  /** What stood in the way of a dial under way may be gone. */
  retry(link: Link): void
  /** Whom a newcomer dials, when it aims at so many connections. */
  choose(newcomer: Station, connectionsAimed: number): readonly Station[]
}

export function createDialling({ clock, physics, connections, directory, dialTimeoutMs, seed }: DiallingInit): Dialling {
  function finish(link: Link, connected: boolean, reason: string): void {
    const waiting = link.dialling?.waiting ?? []
    link.dialling = undefined
    if (connected) connections.open(link)
    for (const tell of waiting) tell(connected, reason)
  }

  function knock(link: Link, dial: Dial): void {
    const answerMs = physics.roundTripMs(link) + physics.retransmissionMs(link)
    if (answerMs > dialTimeoutMs) return expire(link, dial)
    clock.schedule(answerMs, () => {
      if (link.dialling !== dial) return
      if (!link.alive && isSilent(link)) expire(link, dial)
      else if (link.low.life === undefined || link.high.life === undefined) finish(link, false, 'the connection was refused')
      else finish(link, true, '')
    })
  }

  function expire(link: Link, dial: Dial): void {
    if (dial.expiring) return
    dial.expiring = true
    clock.schedule(dialTimeoutMs, () => {
      if (link.dialling === dial) finish(link, false, 'the dial timed out')
    })
  }

  return {
    dial(link, done) {
      if (link.alive) return done(true, '')
      if (link.dialling !== undefined) {
        link.dialling.waiting.push(done)
        return
      }
      link.dialling = { waiting: [done], expiring: false }
      knock(link, link.dialling)
    },
    retry(link) {
      if (link.dialling !== undefined) knock(link, link.dialling)
    },
    choose(newcomer, connectionsAimed) {
      const { live } = directory
      const others = live.length - (newcomer.life === undefined ? 0 : 1)
      if (others <= connectionsAimed) return live.filter((station) => station !== newcomer)
      // Seeded by who it is and which life it is in, and by nothing that happened elsewhere.
      const random = randomFrom({ noise: mixedSeed(mixedSeed(seed, newcomer.hash), newcomer.lives) })
      const chosen = new Set<Station>()
      while (chosen.size < connectionsAimed) {
        const station = live[random.below(live.length)]!
        if (station !== newcomer) chosen.add(station)
      }
      return [...chosen]
    },
  }
}
