/** Who is closest to a key by XOR, over everybody alive: a sorted array in place of thousands of routing tables. */
import { hash32 } from '../../protocols/kernel/hashing.ts'

export interface KeySpace<Item extends { readonly at: number }> {
  readonly size: number
  add(item: Item): void
  remove(item: Item): void
  /** At most `count`, closest first. */
  closest(at: number, count: number): Item[]
}

/** Where a peer id or a key lies: 32 of Kademlia's 256 bits, which tell 10,000 nodes apart. */
export function placeOf(text: string): number {
  return hash32(text)
}

export function createKeySpace<Item extends { readonly at: number }>(): KeySpace<Item> {
  const sorted: Item[] = []

  /** The first index in [from, to) whose place is at least `at`. */
  function firstAtLeast(at: number, from: number, to: number): number {
    while (from < to) {
      const middle = (from + to) >>> 1
      if (sorted[middle]!.at < at) from = middle + 1
      else to = middle
    }
    return from
  }

  /** [from, to) shares all bits above `bit`: the half that agrees with the key in `bit` is closer, whole, than the other. */
  function collect(at: number, from: number, to: number, bit: number, count: number, into: Item[]): void {
    if (from >= to || into.length >= count) return
    if (bit < 0 || to - from === 1) {
      for (let index = from; index < to && into.length < count; index++) into.push(sorted[index]!)
      return
    }
    const sharedBits = bit === 31 ? 0 : ((sorted[from]!.at >>> (bit + 1)) << (bit + 1)) >>> 0
    const split = firstAtLeast(sharedBits + 2 ** bit, from, to)
    const isHigh = ((at >>> bit) & 1) === 1
    collect(at, isHigh ? split : from, isHigh ? to : split, bit - 1, count, into)
    collect(at, isHigh ? from : split, isHigh ? split : to, bit - 1, count, into)
  }

  return {
    get size() {
      return sorted.length
    },
    add: (item) => void sorted.splice(firstAtLeast(item.at, 0, sorted.length), 0, item),
    remove(item) {
      for (let index = firstAtLeast(item.at, 0, sorted.length); sorted[index]?.at === item.at; index++) {
        if (sorted[index] === item) return void sorted.splice(index, 1)
      }
    },
    closest(at, count) {
      const found: Item[] = []
      collect(at, 0, sorted.length, 31, count, found)
      return found
    },
  }
}
