import type { InstantMs } from '../../protocols/kernel/units.ts'

export interface Arrival<Node> {
  readonly atMs: InstantMs
  /** Equal times keep the order in which they were added, so that a run repeats. */
  readonly order: number
  readonly to: Node
  readonly from: Node | undefined
}

/** A binary heap of arrivals, the earliest first. */
export function createArrivalHeap<Node>() {
  const heap: Arrival<Node>[] = []
  let added = 0

  const isEarlier = (left: Arrival<Node>, right: Arrival<Node>): boolean => left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order)

  return {
    add(atMs: InstantMs, to: Node, from: Node | undefined): void {
      const arrival = { atMs, order: added++, to, from }
      let at = heap.length
      heap.push(arrival)
      while (at > 0) {
        const parent = (at - 1) >> 1
        if (!isEarlier(arrival, heap[parent]!)) break
        heap[at] = heap[parent]!
        at = parent
      }
      heap[at] = arrival
    },
    take(): Arrival<Node> | undefined {
      const first = heap[0]
      const last = heap.pop()
      if (first === undefined || last === undefined || heap.length === 0) return first
      let at = 0
      for (;;) {
        let child = 2 * at + 1
        if (child >= heap.length) break
        if (child + 1 < heap.length && isEarlier(heap[child + 1]!, heap[child]!)) child++
        if (!isEarlier(heap[child]!, last)) break
        heap[at] = heap[child]!
        at = child
      }
      heap[at] = last
      return first
    },
  }
}
