/** A binary heap of things that will happen, ordered by time and, for equal times, by the order they were added in. */
export interface QueuedEvent {
  readonly atMs: number
  readonly order: number
  readonly happen: () => void
  cancelled: boolean
}

export interface EventQueue {
  add(atMs: number, happen: () => void): QueuedEvent
  /** The time of the earliest event that was not cancelled. */
  earliestMs(): number | undefined
  /** Removes and returns the earliest event that was not cancelled. */
  take(): QueuedEvent | undefined
}

function before(left: QueuedEvent, right: QueuedEvent): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order)
}

export function createEventQueue(): EventQueue {
  const heap: QueuedEvent[] = []
  let added = 0

  function rise(from: number): void {
    let at = from
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!before(heap[at]!, heap[parent]!)) return
      swap(at, parent)
      at = parent
    }
  }

  function sink(): void {
    let at = 0
    for (;;) {
      let least = at
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < heap.length && before(heap[child]!, heap[least]!)) least = child
      }
      if (least === at) return
      swap(at, least)
      at = least
    }
  }

  function swap(left: number, right: number): void {
    const kept = heap[left]!
    heap[left] = heap[right]!
    heap[right] = kept
  }

  function removeFirst(): QueuedEvent | undefined {
    const first = heap[0]
    const last = heap.pop()
    if (first !== undefined && last !== undefined && first !== last) {
      heap[0] = last
      sink()
    }
    return first
  }

  return {
    add(atMs, happen) {
      const event: QueuedEvent = { atMs, order: added++, happen, cancelled: false }
      heap.push(event)
      rise(heap.length - 1)
      return event
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
