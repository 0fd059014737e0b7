/**
 * The same work under a scheduler that knows everything at once and pays nothing for it: the yardstick for the bidding.
 *
 * It sits nowhere and sends no message. It learns of a mission when it arrives; from then on it knows each leaf's exact work, each node's
 * exact speed, the end of everything that runs, and when each node goes and comes back. Every leaf, once those before it have ended, goes to the
 * node where it ends earliest, behind what was given to that node before. That is the earliest-finish-time rule of HEFT (Topcuoglu, Hariri and Wu,
 * 2002) used online, also known as minimum completion time (Maheswaran and others, 1999); leaves that become ready together are taken by the longest
 * path that hangs on them, HEFT's upward rank, which for independent leaves is Graham's longest-first list scheduling (1969).
 *
 * Why it is a fair yardstick: it plays by the mesh's rules (first come first served, no preemption, no moving of what has begun, no look at work that has
 * not arrived) and lacks only what bidding has to pay for: messages, delays, estimates and stale views. It is a strong one, for no leaf could end earlier given
 * what was decided before. It is greedy, not optimal: nothing short overtakes what is long, so that the mean flow time under load can be beaten (by
 * shortest-first, say); leaves are bound when they are ready, not when a slot is free; and a node's last moments before it goes down may be left unused.
 *
 * Attempts that fail whoever runs them fail here as well, and are repeated at once. Planning and adding up composite tasks takes no time here.
 */
import type { DurationMs, InstantMs } from '../../protocols/kernel/units.ts'
import { createSamples } from '../measure/samples.ts'
import type { Distribution5 } from '../report.ts'
import type { PlannedNode } from '../scenario/expand.ts'
import type { Arrival } from '../workload/arrivals.ts'
import type { PlannedLeaf } from '../workload/mission-plans.ts'
import { createReadyQueue } from './ready-queue.ts'
import type { UpTime } from './up-time.ts'

export interface ClairvoyantNode {
  readonly name: string
  readonly speed: number
  readonly slots: number
  readonly capabilities: ReadonlySet<string>
  /** By time; absent: always. */
  readonly up?: readonly UpTime[]
}

export interface Placement {
  /** The arrival's index. */
  readonly mission: number
  readonly leaf: string
  readonly node: string
  readonly startMs: InstantMs
  readonly endMs: InstantMs
}

export interface ClairvoyantInit {
  /** By time. */
  readonly arrivals: readonly Pick<Arrival, 'index' | 'atMs' | 'leaves'>[]
  readonly nodes: readonly ClairvoyantNode[]
  /** Told of every attempt, in the order of decision. */
  readonly onPlaced?: (placement: Placement) => void
}

export interface ClairvoyantOutcome {
  /** Arrival to end, of missions that completed. */
  readonly flowMs: Distribution5
  readonly completed: number
  /** Missions with a leaf that no node can run, or that dies of its failures. */
  readonly failed: number
}

/** Nodes whose conduct makes them useless as workers. */
const useless = new Set(['bids-and-stalls', 'falls-silent', 'wrong-results', 'oversized-results'])

/** The scenario's workers as the scheduler sees them: it knows which do no honest work. @param up when each node is up, by name; absent: always. */
export function clairvoyantNodes(nodes: readonly PlannedNode[], up?: ReadonlyMap<string, readonly UpTime[]>): ClairvoyantNode[] {
  return nodes.filter(({ group }) => group.duties.includes('worker') && group.slots > 0 && !useless.has(group.conduct?.kind ?? '')).map((node) => {
    const times = up?.get(node.name)
    return { name: node.name, speed: node.speed, slots: node.group.slots, capabilities: new Set(node.skills.map((skill) => skill.capability)), ...(times === undefined ? {} : { up: times }) }
  })
}

interface Leaf {
  readonly plan: PlannedLeaf
  readonly mission: Mission
  readonly before: Leaf[]
  needs: number
  readyMs: InstantMs
  failsLeft: number
  /** Work on the longest path from here to the mission's end. */
  rank: DurationMs
}

interface Mission {
  readonly index: number
  readonly arrivedMs: InstantMs
  leavesLeft: number
  endMs: InstantMs
}

/** O(leaves × (log leaves + nodes looked at)): of the nodes only those are looked at that could beat the best so far. */
export function scheduleClairvoyantly(init: ClairvoyantInit): ClairvoyantOutcome {
  const ready = createReadyQueue<Leaf>()
  const machines = machinesBySpeed(init.nodes)
  const flow = createSamples()
  for (const arrival of init.arrivals) for (const leaf of leavesOf(arrival)) if (leaf.needs === 0) ready.push(arrival.atMs, leaf)

  for (let next = ready.pop(); next !== undefined; next = ready.pop()) {
    const leaf = next.item
    const { mission, plan } = leaf
    const endMs = place(leaf, next.atMs, machines, init.onPlaced)
    if (endMs === undefined) continue
    if (leaf.failsLeft > 0) {
      leaf.failsLeft -= 1
      // With the attempts that it has, the one after the last failure is not there.
      if (leaf.failsLeft > 0 || plan.dies !== true) ready.push(endMs, leaf)
      continue
    }
    mission.endMs = Math.max(mission.endMs, endMs)
    mission.leavesLeft -= 1
    if (mission.leavesLeft === 0) flow.add(mission.endMs - mission.arrivedMs)
    for (const after of leaf.before) {
      after.needs -= 1
      after.readyMs = Math.max(after.readyMs, endMs)
      if (after.needs === 0) ready.push(after.readyMs, after)
    }
  }
  const flowMs = flow.summary()
  return { flowMs, completed: flowMs.count, failed: init.arrivals.length - flowMs.count }
}

/** A mission's leaves, longest rest first. */
function leavesOf({ index, atMs, leaves: plans }: ClairvoyantInit['arrivals'][number]): Leaf[] {
  const mission: Mission = { index, arrivedMs: atMs, leavesLeft: plans.length, endMs: atMs }
  const leaves = plans.map((plan): Leaf => ({ plan, mission, before: [], needs: plan.after.length, readyMs: atMs, failsLeft: plan.fails ?? 0, rank: 0 }))
  if (plans.some((plan) => plan.after.length > 0)) {
    const named = new Map(leaves.map((leaf) => [leaf.plan.name, leaf]))
    for (const leaf of leaves) for (const name of leaf.plan.after) named.get(name)?.before.push(leaf)
  }
  // A plan's tasks come after those they wait for.
  for (const leaf of leaves.toReversed()) leaf.rank = leaf.plan.workMs + leaf.before.reduce((longest, { rank }) => Math.max(longest, rank), 0)
  for (const leaf of leaves) leaf.before.sort((left, right) => right.rank - left.rank)
  return leaves.sort((left, right) => right.rank - left.rank)
}

interface Machine {
  readonly node: ClairvoyantNode
  /** When each slot is free, the earliest first. */
  readonly freeMs: number[]
}

/** The machines that offer a capability, fastest first. */
function machinesBySpeed(nodes: readonly ClairvoyantNode[]): (capability: string) => readonly Machine[] {
  const all = nodes.map((node): Machine => ({ node, freeMs: new Array<number>(node.slots).fill(0) })).sort((left, right) => right.node.speed - left.node.speed)
  const known = new Map<string, Machine[]>()
  return (capability) => {
    const found = known.get(capability) ?? all.filter(({ node }) => node.slots > 0 && node.capabilities.has(capability))
    known.set(capability, found)
    return found
  }
}

function place(leaf: Leaf, nowMs: InstantMs, machines: (capability: string) => readonly Machine[], onPlaced: ClairvoyantInit['onPlaced']): InstantMs | undefined {
  let best: Machine | undefined
  let bestEndMs = Infinity
  for (const machine of machines(leaf.plan.capability)) {
    const runMs = leaf.plan.workMs / machine.node.speed
    // All that follow are slower still.
    if (nowMs + runMs >= bestEndMs) break
    const endMs = startOn(machine.node, Math.max(nowMs, machine.freeMs[0] ?? Infinity), runMs) + runMs
    if (endMs >= bestEndMs) continue
    best = machine
    bestEndMs = endMs
  }
  if (best === undefined) return undefined
  best.freeMs[0] = bestEndMs
  sinkFirst(best.freeMs)
  onPlaced?.({ mission: leaf.mission.index, leaf: leaf.plan.name, node: best.node.name, startMs: bestEndMs - leaf.plan.workMs / best.node.speed, endMs: bestEndMs })
  return bestEndMs
}

/** The earliest start from which a run ends before the node goes down. */
function startOn(node: ClairvoyantNode, fromMs: InstantMs, runMs: DurationMs): InstantMs {
  if (node.up === undefined) return fromMs
  for (const time of node.up) {
    const startMs = Math.max(fromMs, time.fromMs)
    if (startMs + runMs <= time.toMs) return startMs
  }
  return Infinity
}

/** Puts the first of a list that was sorted but for it where it belongs. */
function sinkFirst(values: number[]): void {
  const moved = values[0] as number
  let at = 0
  for (; at + 1 < values.length && (values[at + 1] as number) < moved; at++) values[at] = values[at + 1] as number
  values[at] = moved
}
