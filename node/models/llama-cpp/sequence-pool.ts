/**
 * The parallel sequences of one model's context. Each keeps what it has read and said last, so that a conversation that goes on, or another with the same
 * beginning, need not be read again: a call gets the free sequence that knows most of its prompt.
 */
import type { LlamaContextSequence, Token } from 'node-llama-cpp'
import { MeshError } from '../../../protocols/kernel/errors.ts'

export interface Lease {
  readonly sequence: LlamaContextSequence
  /** What the sequence will know once it is given back: digests of the conversation's beginnings. */
  remember(digests: readonly string[]): void
  /** Nobody waits for the call any more, but the sequence is still at it. */
  abandon(): void
  release(): void
}

interface Place {
  readonly sequence: LlamaContextSequence
  digests: readonly string[]
  state: 'free' | 'taken' | 'abandoned'
  /** Counts up: the smallest was used longest ago. */
  lastUse: number
}

export class SequencePool {
  readonly #places: readonly Place[]
  readonly #waiting: (() => void)[] = []
  #uses = 0

  constructor(sequences: readonly LlamaContextSequence[]) {
    this.#places = sequences.map((sequence) => ({ sequence, digests: [], state: 'free', lastUse: 0 }))
  }

  /**
   * @param tokens of the prompt.
   * @throws MeshError `overloaded` when all are taken: whoever calls knows how many there are, and what is waiting for them. The signal's reason.
   */
  async take(model: string, tokens: readonly Token[], signal: AbortSignal): Promise<Lease> {
    for (;;) {
      // Whoever has given up while waiting must not stand in the way of the one who came instead.
      signal.throwIfAborted()
      const place = this.#best(tokens)
      if (place !== undefined) return this.#lease(place)
      if (!this.#places.some(({ state }) => state === 'abandoned')) {
        throw new MeshError('overloaded', `all ${this.#places.length} sequences of the model "${model}" are in use`, { next: 'wait until a call has ended, or give the model more sequences' })
      }
      // It is free within one batch.
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  /** Of all conversations that are in memory. */
  warm(): string[] {
    return [...new Set(this.#places.flatMap(({ digests }) => digests))]
  }

  #best(tokens: readonly Token[]): Place | undefined {
    let best: Place | undefined
    let bestKnown = -1
    for (const place of this.#places) {
      if (place.state !== 'free') continue
      const known = worthKeeping(place.sequence.contextTokens, tokens)
      if (known < bestKnown || (known === bestKnown && best !== undefined && place.lastUse >= best.lastUse)) continue
      best = place
      bestKnown = known
    }
    return best
  }

  #lease(place: Place): Lease {
    place.state = 'taken'
    place.lastUse = ++this.#uses
    // Until the call is over nobody can say what the sequence knows.
    place.digests = []
    let released = false
    return {
      sequence: place.sequence,
      remember: (digests) => {
        if (!released) place.digests = digests
      },
      abandon: () => {
        if (!released) place.state = 'abandoned'
      },
      release: () => {
        if (released) return
        released = true
        place.state = 'free'
        for (const resolve of this.#waiting.splice(0)) resolve()
      },
    }
  }
}

/**
 * How much of what a sequence has in memory the prompt begins with. A few tokens in common, such as any two conversations have, are not worth the rest of
 * another's memory: it is nothing then.
 */
function worthKeeping(held: readonly Token[], prompt: readonly Token[]): number {
  const known = commonPrefix(held, prompt)
  return known * 2 >= prompt.length || known * 2 >= held.length ? known : 0
}

function commonPrefix(left: readonly Token[], right: readonly Token[]): number {
  const length = Math.min(left.length, right.length)
  for (let index = 0; index < length; index++) if (left[index] !== right[index]) return index
  return length
}
