/**
 * Keeps random faults to what a mesh can live through: never more than a minority of its nodes is down at once, and data is
 * lost on one node only until its neighbours have had the time to make that good. One node may be lost for good, in the place of
 * such a loss, and counts as down from then on. What a scenario asks for by the instant is left alone.
 */
import type { DurationMs, InstantMs } from '../../protocols/kernel/units.ts'
import type { DraftedFault } from './fault.ts'
import { faultTraits } from './kinds.ts'

/** After a node is back: it connects, catches up. */
const returnMs: DurationMs = 2_000
/** After a node lost data: what it kept is copied to it again. */
const recoveryMs: DurationMs = 60_000

/** Until then the node that made the mesh may be alone in keeping its roster and its registrar: what it loses is lost for good. */
const formedMs: InstantMs = 15_000

/** @param inOrder by time. @returns them without nodes, or whole faults, that would be too much. */
export function keepSurvivable(inOrder: readonly DraftedFault[], nodeCount: number): DraftedFault[] {
  const minority = Math.max(1, Math.floor((nodeCount - 1) / 2))
  const down = createRoster()
  const poorer = createRoster()
  /** Nobody knows yet who they will be. */
  let lostForGood = 0
  return inOrder.flatMap((fault) => {
    const traits = faultTraits[fault.kind]
    const untilMs = fault.atMs + fault.lastsMs
    let nodes = fault.nodes
    if (traits.isForGood === true) {
      if (fault.downAllowed < Infinity && (lostForGood > 0 || minority < 2 || poorer.has(fault.atMs))) return []
      lostForGood++
      return [fault]
    }
    if (traits.losesData === true && (fault.atMs < formedMs || (lostForGood > 0 && fault.downAllowed < Infinity))) return []
    if (traits.losesData === true) nodes = poorer.admit(nodes, fault.atMs, Math.max(1, fault.downAllowed), true)
    if (traits.takesAway === true) {
      nodes = down.admit(nodes, fault.atMs, Math.max(minority - lostForGood, fault.downAllowed), traits.losesData !== true)
      down.enter(nodes, untilMs + returnMs)
    }
    if (traits.losesData === true) poorer.enter(nodes, untilMs + recoveryMs)
    return nodes.length === 0 && fault.nodes.length > 0 ? [] : [nodes === fault.nodes ? fault : { ...fault, nodes }]
  })
}

/** Names, each until an instant. */
function createRoster() {
  const untilMs = new Map<string, InstantMs>()
  return {
    /** @returns those of the names with whom there are not too many; if that is none, `orPresent` strikes somebody who is there already: faults that overlap are worth having. */
    admit(names: readonly string[], atMs: InstantMs, max: number, orPresent: boolean): readonly string[] {
      for (const [name, until] of untilMs) if (until <= atMs) untilMs.delete(name)
      const admitted = new Set<string>()
      let present = untilMs.size
      for (const name of names) {
        if (untilMs.has(name)) admitted.add(name)
        else if (present < max) {
          present++
          admitted.add(name)
        }
      }
      if (admitted.size === 0 && orPresent) for (const name of [...untilMs.keys()].sort().slice(0, names.length)) admitted.add(name)
      return admitted.size === names.length && names.every((name) => admitted.has(name)) ? names : [...admitted]
    },
    /** Whether there is anybody. */
    has: (atMs: InstantMs) => [...untilMs.values()].some((until) => until > atMs),
    enter(names: readonly string[], until: InstantMs): void {
      for (const name of names) untilMs.set(name, Math.max(until, untilMs.get(name) ?? 0))
    },
  }
}
