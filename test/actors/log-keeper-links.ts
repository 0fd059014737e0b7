/** The network between the log-keepers of a test. Every direction of every pair can be cut, slowed, doubled or shuffled by itself. */
import { seededRandom } from '../../protocols/kernel/prng.ts'
import { Message } from '../../protocols/wire.ts'
import type { VirtualClock } from '../../sim/virtual-clock.ts'

export interface Link {
  /** Nothing gets through, and nobody is told. What is under way is lost too. */
  cut: boolean
  delayMs: number
  /** Up to so much more, drawn for every message: they overtake one another. */
  jitterMs: number
  /** Everything arrives a second time, somewhat later. */
  doubles: boolean
}

/** Whatever was put on a link, arrived or not. */
export interface Sent {
  readonly atMs: number
  readonly from: string
  readonly to: string
  readonly message: Message
}

const doubledAfterMsMax = 400

export function createLinks(clock: VirtualClock, seed: number, arrive: (sent: Sent) => void) {
  const links = new Map<string, Link>()
  const random = seededRandom([seed, 5])
  const sent: Sent[] = []

  function link(from: string, to: string): Link {
    const key = `${from}>${to}`
    const known = links.get(key) ?? { cut: false, delayMs: 1, jitterMs: 0, doubles: false }
    links.set(key, known)
    return known
  }

  function carry(one: Sent, extraMs: number): void {
    const over = link(one.from, one.to)
    clock.schedule(over.delayMs + (over.jitterMs === 0 ? 0 : random.below(over.jitterMs)) + extraMs, () => {
      if (!over.cut) arrive(one)
    })
  }

  return {
    link, sent,
    /** @throws for what is not in the schema of what crosses the wire. */
    send(from: string, to: string, message: unknown): void {
      const one: Sent = { atMs: clock.nowMs(), from, to, message: Message.parse(structuredClone(message)) }
      sent.push(one)
      const over = link(from, to)
      if (over.cut) return
      carry(one, 0)
      if (over.doubles) carry(one, random.below(doubledAfterMsMax))
    },
    /** It arrives once more, as if the network had kept it. */
    again(one: Sent): void {
      carry(one, 0)
    },
    /** Nothing of the first reaches any of the others; what they say to it does. */
    mute(from: string, ...others: string[]): void {
      for (const to of others) link(from, to).cut = true
    },
    /** Between the first and the others there is silence. */
    isolate(name: string, ...others: string[]): void {
      for (const other of others) link(name, other).cut = link(other, name).cut = true
    },
    mend(): void {
      links.clear()
    },
  }
}
