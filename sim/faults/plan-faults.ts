/**
 * What goes wrong in a run, and when: drawn before it starts. The list is ordered by time, and what is drawn for an instant
 * depends on nothing later, so that a run that is cut short has a beginning of the same list.
 */
import type { Random } from '../../protocols/kernel/prng.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { DurationMs, InstantMs } from '../../protocols/kernel/units.ts'
import { draw } from '../scenario/draw.ts'
import { isNamed, type PlannedNode, unknownName } from '../scenario/expand.ts'
import { faultKinds, type Distribution, type FaultKind, type FaultSpec, type Scenario } from '../scenario/schema.ts'
import type { DraftedFault, PlannedFault } from './fault.ts'
import { faultTraits } from './kinds.ts'
import { keepSurvivable } from './survivable.ts'

type DrawnNode = Pick<PlannedNode, 'name' | 'group'>

const anyLastsMs: Distribution = { uniform: [1_000, 8_000] }
const lossesForGoodOneIn = 3
const sideNodesMax = 64
const stormNodesMax = 8

/** @throws Error when a fault names no node of the scenario, strikes more nodes than there are, or states an amount that its kind has not. */
export function planFaults(scenario: Scenario, nodes: readonly DrawnNode[], random: Random, untilMs: InstantMs = scenario.durationMs): PlannedFault[] {
  const stated = scenario.faults.flatMap((spec) => draftStated(spec, nodes, scenario, random.split()))
  const any = scenario.anyFaultEveryMs === undefined ? [] : draftAny(scenario.anyFaultEveryMs, nodes, scenario, random.split())
  const inOrder = [...stated, ...any].sort((left, right) => left.atMs - right.atMs)
  return keepSurvivable(inOrder, nodes.length)
    .filter(({ atMs }) => atMs < untilMs)
    .map(({ downAllowed: _, ...fault }, index) => ({ index, ...fault }))
}

function draftStated(spec: FaultSpec, nodes: readonly DrawnNode[], scenario: Scenario, random: Random): DraftedFault[] {
  const { durationMs } = scenario
  const traits = faultTraits[spec.kind]
  const candidates = nodes.filter((node) => isNamed(node, spec.nodes)).map(({ name }) => name)
  const all = nodes.map(({ name }) => name)
  checkFault(spec, nodes)
  const instants = spec.atMs === undefined ? arrivals(spec.everyMs!, durationMs, random) : [spec.atMs].flat().filter((atMs) => atMs < durationMs)
  return instants.map((atMs) => ({
    atMs, kind: spec.kind,
    nodes: struck(spec.kind, spec.howMany, candidates, all, random),
    lastsMs: spec.lastsMs === undefined || traits.isInstant === true ? usualLastsMs(spec.kind, scenario, random) : spec.lastsMs === 'forever' ? Infinity : draw(spec.lastsMs, random),
    amount: spec.amount ?? traits.amount?.(random) ?? 0,
    downAllowed: spec.atMs === undefined ? spec.howMany : Infinity,
  }))
}

/**
 * Every kind in turn, in an order that is drawn anew for each round: all are equally likely, and none is left out for long. But
 * where a node is lost for good no other loses its data after that: not in every run.
 */
function draftAny(everyMs: DurationMs, nodes: readonly DrawnNode[], scenario: Scenario, random: Random): DraftedFault[] {
  const all = nodes.map(({ name }) => name)
  const losesForGood = random.below(lossesForGoodOneIn) === 0
  const kinds = faultKinds.filter((kind) => all.length >= nodesNeeded(kind) && (losesForGood || faultTraits[kind].isForGood !== true))
  let round: FaultKind[] = []
  return arrivals(everyMs, scenario.durationMs, random).map((atMs) => {
    if (round.length === 0) round = sample(kinds, kinds.length, random)
    const kind = round.pop()!
    const traits = faultTraits[kind]
    return {
      atMs, kind,
      nodes: struck(kind, usualNumber(kind, all.length, random), all, all, random),
      lastsMs: usualLastsMs(kind, scenario, random),
      amount: traits.amount?.(random) ?? 0,
      downAllowed: 0,
    }
  })
}

function usualLastsMs(kind: FaultKind, { replication }: Scenario, random: Random): DurationMs {
  const { isInstant, isForGood, outlastsElection } = faultTraits[kind]
  if (isInstant === true) return 0
  if (isForGood === true) return Infinity
  return draw(anyLastsMs, random) + (outlastsElection === true ? (replication.electionMsMax ?? limits.electionMsMax) : 0)
}

function usualNumber(kind: FaultKind, nodeCount: number, random: Random): number {
  if (kind === 'restart-storm') return 1 + random.below(Math.min(stormNodesMax, Math.max(1, nodeCount >> 1)))
  if (faultTraits[kind].strikes === 'side') return 1 + random.below(Math.min(sideNodesMax, Math.max(1, nodeCount >> 1)))
  // Now and then two at once.
  return random.below(4) === 0 ? 2 : 1
}

function nodesNeeded(kind: FaultKind): number {
  const { strikes } = faultTraits[kind]
  return strikes === 'pair' || strikes === 'side' || strikes === 'leader' ? 2 : strikes === 'nodes' ? 1 : 0
}

function struck(kind: FaultKind, howMany: number, candidates: readonly string[], all: readonly string[], random: Random): string[] {
  switch (faultTraits[kind].strikes) {
    case 'mesh':
    case 'leader':
      return []
    case 'nodes':
      return sample(candidates, howMany, random)
    case 'side':
      return sample(candidates, Math.min(howMany, all.length - 1), random)
    case 'pair': {
      const one = sample(candidates, 1, random)
      const others = candidates.length > 1 ? candidates : all
      return [...one, ...sample(others.filter((name) => name !== one[0]), 1, random)]
    }
  }
}

/** Poisson arrivals before an instant. */
function arrivals(everyMs: DurationMs, beforeMs: InstantMs, random: Random): InstantMs[] {
  const instants: InstantMs[] = []
  for (let atMs = draw({ exponential: everyMs }, random); atMs < beforeMs; atMs += draw({ exponential: everyMs }, random)) instants.push(atMs)
  return instants
}

/** @returns at most `count` of them, without repetition, in a drawn order. */
function sample<T>(from: readonly T[], count: number, random: Random): T[] {
  const rest = [...from]
  const taken = Math.min(count, rest.length)
  for (let at = 0; at < taken; at++) {
    const other = at + random.below(rest.length - at)
    const kept = rest[at]!
    rest[at] = rest[other]!
    rest[other] = kept
  }
  return rest.slice(0, taken)
}

/** @throws Error as `planFaults` does. */
export function checkFault(spec: FaultSpec, nodes: readonly DrawnNode[]): void {
  const { strikes, amountBetween, isForGood } = faultTraits[spec.kind]
  const candidates = nodes.filter((node) => isNamed(node, spec.nodes)).length
  const all = nodes.length
  const unknown = unknownName(nodes, spec.nodes)
  const what = `the fault '${spec.kind}'`
  if (unknown !== undefined) throw new Error(`${what} strikes '${unknown}', but the scenario has no such node or group: name one that it has`)
  if (candidates === 0) throw new Error(`${what} names no node: name one, or leave 'nodes' out for any`)
  if (all < nodesNeeded(spec.kind)) throw new Error(`${what} needs two nodes: give the scenario another one`)
  if (strikes === 'leader' && (spec.nodes !== undefined || spec.howMany > 1)) throw new Error(`${what} strikes a node that leads a mission when it happens: leave out 'nodes' and 'howMany'`)
  if (isForGood === true && spec.lastsMs !== undefined && spec.lastsMs !== 'forever') throw new Error(`${what} never heals: leave 'lastsMs' out`)
  if (strikes === 'nodes' && spec.howMany > candidates) throw new Error(`${what} strikes ${spec.howMany} nodes at once, of ${candidates}: lower its 'howMany' or name more nodes`)
  if (spec.amount === undefined) return
  if (amountBetween === undefined) throw new Error(`${what} has no 'amount': leave it out`)
  const [low, high] = amountBetween
  if (spec.amount < low || spec.amount > high) throw new Error(`${what} takes an 'amount' between ${low} and ${high}, not ${spec.amount}`)
}
