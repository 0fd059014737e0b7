/** The nodes of a run: who is up, paused, gone for good; how one is started, for the first time or again. */
import type { MeshNodePorts } from '../../actors/mesh-node.ts'
import type { PeerId } from '../../protocols/kernel/ids.ts'
import type { DurationMs, InstantMs } from '../../protocols/kernel/units.ts'
import type { Random } from '../../protocols/kernel/prng.ts'
import type { ConductParts } from '../adversary/parts.ts'
import { virtualNodeName } from '../identity-virtual-adapter.ts'
import { applyConduct } from '../adversary/conduct.ts'
import type { PlannedNode } from '../scenario/expand.ts'
import type { Scenario } from '../scenario/schema.ts'
import type { VirtualMesh, VirtualNode, VirtualNodeInit } from '../virtual-mesh.ts'
import type { WireCodec } from '../wire-codec.ts'
import { skillsOf } from '../workload/scripted-skills.ts'

export interface PopulationInit {
  readonly mesh: VirtualMesh
  readonly scenario: Scenario
  readonly nodes: readonly PlannedNode[]
  readonly random: Random
  /** Draws what the scenario leaves open of the pace of replication. */
  readonly pace: Random
}

export interface Population {
  readonly planned: readonly PlannedNode[]
  /** All at once, connected already: the mesh is there when the run begins. */
  startAll(): Promise<void>
  /** Does nothing for one that is up, being started, or gone for good. @param codec speaks another protocol in this life. */
  start(name: string, codec?: WireCodec): void
  /** Up, or about to be. */
  isUp(name: string): boolean
  /** The node while its process runs, paused or not. */
  alive(name: string): VirtualNode | undefined
  /** The same, unless it is paused. */
  reachable(name: string): VirtualNode | undefined
  /** It will not be started again. */
  giveUp(name: string): void
  isGone(name: string): boolean
  up(): VirtualNode[]
  /** It misbehaves, or spoke another protocol a moment ago: what it sends need not be readable. */
  mayBabble(peer: PeerId): boolean
  /** The machine's wall clock jumps, over all lives of its node. */
  jumpWall(name: string, byMs: DurationMs): void
  /** The machine's clocks gain so much more than they always do, over all lives. */
  setDrift(name: string, fraction: number): void
}

const GiB = 2 ** 30
/** Longer than any frame is on its way. */
const lingerMs = 60_000

export function createPopulation(init: PopulationInit): Population {
  const { mesh, scenario } = init
  // What may be drawn is drawn once: all nodes of a mesh keep the same pace.
  const { snapshotEntries, ...pace } = scenario.replication
  const drawnEntries = Array.isArray(snapshotEntries) ? snapshotEntries[init.pace.below(snapshotEntries.length)] : snapshotEntries
  const replication = { ...pace, ...(drawnEntries === undefined ? {} : { snapshotEntries: drawnEntries, snapshotTailEntries: Math.min(pace.snapshotTailEntries ?? Infinity, drawnEntries >> 2) }) }
  const planned = new Map(init.nodes.map((node) => [node.name, node]))
  const inits = new Map(init.nodes.map((node) => [node.name, initOf(node)]))
  const running = new Map<string, VirtualNode>()
  const starting = new Set<string>()
  const gone = new Set<string>()
  const jumpedMs = new Map<string, DurationMs>()
  const drift = new Map<string, number>()
  /** When a node last was of another release; its last frames may still be on their way. */
  const foreignUntilMs = new Map<string, InstantMs>()

  function initOf(node: PlannedNode): VirtualNodeInit {
    const { group } = node
    const { conduct } = group
    const memoryBytes = Math.round(group.memoryGiB * GiB)
    return {
      name: node.name, slots: group.slots, duties: group.duties, speed: node.speed, site: group.site, skills: skillsOf(node, init.random.split()), tuning: { ...scenario.tuning, ...replication } as NonNullable<VirtualNodeInit['tuning']>,
      machine: { environment: { os: 'virtual', arch: 'virtual', cores: group.cores, memoryBytes, memoryFreeBytes: Math.round(memoryBytes * 0.75) }, gpus: group.gpus },
      ...(conduct === undefined ? {} : { conduct: (ports: MeshNodePorts, parts: ConductParts) => applyConduct(conduct, ports, parts) }),
    }
  }

  function driftOf(name: string): number {
    return (planned.get(name)?.clockDriftFraction ?? 0) + (drift.get(name) ?? 0)
  }

  async function startNow(name: string, atOnce: boolean, codec?: WireCodec): Promise<void> {
    if (population.isUp(name) || gone.has(name)) return
    const nodeInit = inits.get(name)
    if (nodeInit === undefined) throw new Error(`there is no node ${name} in the scenario`)
    starting.add(name)
    // A mesh that is there when the story begins has counted itself; who comes later finds out.
    const nodesExpected = atOnce ? { nodesExpected: init.nodes.length } : {}
    foreignUntilMs.set(name, codec !== undefined ? Infinity : foreignUntilMs.get(name) === Infinity ? mesh.clock.nowMs() + lingerMs : (foreignUntilMs.get(name) ?? -Infinity))
    const wallSkewMs = (planned.get(name)?.clockSkewMs ?? 0) + (jumpedMs.get(name) ?? 0)
    running.set(name, await mesh.start({ ...nodeInit, ...nodesExpected, clock: { driftFraction: driftOf(name), wallSkewMs }, ...(codec === undefined ? {} : { codec }) }, atOnce))
    starting.delete(name)
  }

  const population: Population = {
    planned: init.nodes,
    async startAll() {
      for (const name of planned.keys()) await startNow(name, true)
    },
    start: (name, codec) => void mesh.clock.awaited(startNow(name, false, codec)),
    isUp: (name) => running.get(name)?.alive === true || starting.has(name),
    alive(name) {
      const node = running.get(name)
      return node?.alive === true ? node : undefined
    },
    reachable(name) {
      const node = population.alive(name)
      return node === undefined || node.clock.paused ? undefined : node
    },
    giveUp: (name) => void gone.add(name),
    isGone: (name) => gone.has(name),
    up: () => [...running.values()].filter((node) => node.alive),
    mayBabble(peer) {
      const name = virtualNodeName(peer)
      return name === undefined || planned.get(name)?.group.conduct !== undefined || (foreignUntilMs.get(name) ?? -Infinity) > mesh.clock.nowMs()
    },
    jumpWall(name, byMs) {
      jumpedMs.set(name, (jumpedMs.get(name) ?? 0) + byMs)
      population.alive(name)?.clock.jumpWall(byMs)
    },
    setDrift(name, fraction) {
      drift.set(name, fraction)
      population.alive(name)?.clock.setDrift(driftOf(name))
    },
  }
  return population
}
