import type { Random } from '../../protocols/kernel/prng.ts'
import type { PlannedFault } from './fault.ts'

/** @param early true when everything heals: what would have gone wrong only at the end of the fault does not. */
export type End = (early: boolean) => void

/** A fault that has found something to strike. */
export interface ReadyFault {
  /** Those that it will really strike. */
  readonly nodes: readonly string[]
  /** @returns what ends it. */
  happen(): End
}

/** @returns undefined when there is nothing to strike. */
export type Ready = (fault: PlannedFault, random: Random) => ReadyFault | undefined

/** A fault that strikes each of its nodes by itself. @param strike returns what ends it there. @param strikes false when there is nothing to strike. */
export function onEachNode(strike: (name: string, fault: PlannedFault, random: Random) => End, strikes: (name: string) => boolean = () => true): Ready {
  return (fault, random) => {
    const nodes = fault.nodes.filter(strikes)
    if (nodes.length === 0) return undefined
    return {
      nodes,
      happen() {
        const ends = nodes.map((name) => strike(name, fault, random))
        return (early) => ends.forEach((end) => end(early))
      },
    }
  }
}

/** What several faults do to one thing: begun and ended in any order. */
export interface Overlaps<Value> {
  /** @returns what takes it away again. */
  add(key: string, value: Value): () => void
}

/** @param apply is told all values that are in force for the key, whenever they change. */
export function createOverlaps<Value>(apply: (key: string, values: readonly Value[]) => void): Overlaps<Value> {
  const inForce = new Map<string, { readonly value: Value }[]>()
  const changeTo = (key: string, entries: { readonly value: Value }[]): void => {
    if (entries.length === 0) inForce.delete(key)
    else inForce.set(key, entries)
    apply(key, entries.map(({ value }) => value))
  }
  return {
    add(key, value) {
      const own = { value }
      changeTo(key, [...(inForce.get(key) ?? []), own])
      return () => {
        const entries = inForce.get(key) ?? []
        if (entries.includes(own)) changeTo(key, entries.filter((entry) => entry !== own))
      }
    },
  }
}
