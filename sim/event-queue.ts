/** A heap of things that will happen, ordered by time and, for equal times, by the order they were added in. */
export interface QueuedEvent {
  readonly atMs: number
  readonly order: number
  readonly happen: () => void
  cancelled: boolean
}

export interface EventQueue {
  add(atMs: number, happen: () => void): QueuedEvent
  /** It will not happen. */
  cancel(event: QueuedEvent): void
  /** The time of the earliest event that was not cancelled. */
  earliestMs(): number | undefined
  /** Removes and returns the earliest event that was not cancelled. */
  take(): QueuedEvent | undefined
}

/** Four children each: fewer cache lines on the way down than two, for a queue that is mostly taken from. */
const arity = 4
/** Cancelled events are swept out once they are this many and half of all: most timers are cancelled. */
const sweepMin = 4_096

function before(left: QueuedEvent, right: QueuedEvent): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order)
}

export function createEventQueue(): EventQueue {
  let heap: QueuedEvent[] = []
  let added = 0
  let cancelled = 0

  function rise(event: QueuedEvent, from: number): void {
    let at = from
    while (at > 0) {
      const parent = Math.floor((at - 1) / arity)
      const above = heap[parent]!
      if (!before(event, above)) break
      heap[at] = above
      at = parent
    }
    heap[at] = event
  }

  function sink(event: QueuedEvent, from: number): void {
    let at = from
    for (;;) {
      const first = arity * at + 1
      if (first >= heap.length) break
      let least = first
      const end = Math.min(first + arity, heap.length)
      for (let child = first + 1; child < end; child++) if (before(heap[child]!, heap[least]!)) least = child
      const below = heap[least]!
      if (!before(below, event)) break
      heap[at] = below
      at = least
    }
    heap[at] = event
  }

  function removeFirst(): QueuedEvent | undefined {
    const first = heap[0]
    const last = heap.pop()
    if (first !== undefined && last !== undefined && first !== last) sink(last, 0)
    return first
  }

  function sweep(): void {
    heap = heap.filter((event) => !event.cancelled)
    cancelled = 0
    for (let at = Math.floor((heap.length - 2) / arity); at >= 0; at--) sink(heap[at]!, at)
  }

  return {
    add(atMs, happen) {
      const event: QueuedEvent = { atMs, order: added++, happen, cancelled: false }
      heap.push(event)
      rise(event, heap.length - 1)
      return event
    },
    cancel(event) {
      if (event.cancelled) return
      event.cancelled = true
      // One that has happened already is counted too: the sweep then comes a little early.
      if (++cancelled >= sweepMin && cancelled * 2 > heap.length) sweep()
    },
    earliestMs() {
      while (heap[0]?.cancelled === true) removeFirst()
      return heap[0]?.atMs
    },
    take() {
      for (;;) {
        const first = removeFirst()
        if (first === undefined || !first.cancelled) return first
      }
    },
  }
}
