/** A binary heap of what is ready to run: by the instant, then by what was put in first. */
import type { InstantMs } from '../../protocols/kernel/units.ts'

export interface ReadyQueue<T> {
  push(atMs: InstantMs, item: T): void
  pop(): { readonly atMs: InstantMs; readonly item: T } | undefined
}

interface Entry<T> {
  readonly atMs: InstantMs
  readonly order: number
  readonly item: T
}

export function createReadyQueue<T>(): ReadyQueue<T> {
  const heap: Entry<T>[] = []
  let order = 0
  const before = (left: Entry<T>, right: Entry<T>): boolean => left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order)

  return {
    push(atMs, item) {
      const entry = { atMs, order: order++, item }
      let at = heap.length
      while (at > 0) {
        const above = (at - 1) >> 1
        const parent = heap[above] as Entry<T>
        if (before(parent, entry)) break
        heap[at] = parent
        at = above
      }
      heap[at] = entry
    },
    pop() {
      const top = heap[0]
      const last = heap.pop()
      if (top === undefined || last === undefined || heap.length === 0) return top
      let at = 0
      for (;;) {
        let child = 2 * at + 1
        if (child >= heap.length) break
        if (child + 1 < heap.length && before(heap[child + 1] as Entry<T>, heap[child] as Entry<T>)) child += 1
        if (before(last, heap[child] as Entry<T>)) break
        heap[at] = heap[child] as Entry<T>
        at = child
      }
      heap[at] = last
      return top
    },
  }
}
