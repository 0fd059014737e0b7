import type { Random } from '../../protocols/kernel/prng.ts'

/** Moves a random selection to the front of the array. @returns the array. */
export function shuffled<Item>(items: Item[], random: Random, count = items.length): Item[] {
  for (let at = 0; at < Math.min(count, items.length - 1); at++) {
    const other = at + random.below(items.length - at)
    const moved = items[at]!
    items[at] = items[other]!
    items[other] = moved
  }
  return items
}
