/** What several messages could say, put together for one. */
import type { ActorAddress } from '../../protocols/kernel/ids.ts'

export interface Batch<T> {
  readonly to: ActorAddress
  readonly items: T[]
}

/** By who is to hear it, in the order of their first. */
export function byAddress<T>(items: Iterable<T>, addressOf: (item: T) => ActorAddress): Batch<T>[] {
  const batches = new Map<string, Batch<T>>()
  for (const item of items) {
    const to = addressOf(item)
    const key = `${to.peer} ${to.actor}`
    const batch = batches.get(key)
    if (batch === undefined) batches.set(key, { to, items: [item] })
    else batch.items.push(item)
  }
  return [...batches.values()]
}

/** A message holds so many of them. */
export function parts<T>(items: readonly T[], size: number): T[][] {
  const cut: T[][] = []
  for (let i = 0; i < items.length; i += size) cut.push(items.slice(i, i + size))
  return cut
}
