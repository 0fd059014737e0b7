/** The nodes of a run: who is up, paused, gone for good; how one is started, for the first time or again. */
import type { ConductParts, VirtualMesh, VirtualNode, VirtualNodeInit } from '../virtual-mesh.ts'
import type { MeshNodePorts } from '../../actors/mesh-node.ts'
import type { Random } from '../../protocols/kernel/prng.ts'
import type { PlannedNode } from '../scenario/expand.ts'
import type { Conduct, Scenario } from '../scenario/schema.ts'
import { skillsOf } from '../workload/scripted-skills.ts'

export type ApplyConduct = (conduct: Conduct, ports: MeshNodePorts, parts: ConductParts) => MeshNodePorts

export interface PopulationInit {
  readonly mesh: VirtualMesh
  readonly scenario: Scenario
  readonly nodes: readonly PlannedNode[]
  readonly random: Random
  readonly applyConduct: ApplyConduct
}

export interface Population {
  readonly planned: readonly PlannedNode[]
  /** All at once, connected already: the mesh is there when the run begins. */
  startAll(): Promise<void>
  /** Does nothing for one that is up, being started, or gone for good. */
  start(name: string): void
  /** The node while its process runs, paused or not. */
  alive(name: string): VirtualNode | undefined
  /** The same, unless it is paused. */
  reachable(name: string): VirtualNode | undefined
  /** It will not be started again. */
  giveUp(name: string): void
  isGone(name: string): boolean
  up(): VirtualNode[]
}

const GiB = 2 ** 30

export function createPopulation(init: PopulationInit): Population {
  const { mesh, scenario } = init
  const planned = new Map(init.nodes.map((node) => [node.name, node]))
  const inits = new Map(init.nodes.map((node) => [node.name, initOf(node)]))
  const running = new Map<string, VirtualNode>()
  const starting = new Set<string>()
  const gone = new Set<string>()

  function initOf(node: PlannedNode): VirtualNodeInit {
    const { group } = node
    const { conduct } = group
    const memoryBytes = Math.round(group.memoryGiB * GiB)
    return {
      name: node.name, slots: group.slots, duties: group.duties, speed: node.speed, site: group.site, skills: skillsOf(node, init.random.split()), tuning: scenario.tuning as NonNullable<VirtualNodeInit['tuning']>,
      clock: { driftFraction: node.clockDriftFraction, wallSkewMs: node.clockSkewMs },
      machine: { environment: { os: 'virtual', arch: 'virtual', cores: group.cores, memoryBytes, memoryFreeBytes: Math.round(memoryBytes * 0.75) }, gpus: group.gpus },
      ...(conduct === undefined ? {} : { conduct: (ports, parts) => init.applyConduct(conduct, ports, parts) }),
    }
  }

  async function startNow(name: string, atOnce: boolean): Promise<void> {
    if (running.get(name)?.alive === true || starting.has(name) || gone.has(name)) return
    const nodeInit = inits.get(name)
    if (nodeInit === undefined) throw new Error(`there is no node ${name} in the scenario`)
    starting.add(name)
    running.set(name, await mesh.start(nodeInit, atOnce))
    starting.delete(name)
  }

  const population: Population = {
    planned: init.nodes,
    async startAll() {
      for (const name of planned.keys()) await startNow(name, true)
    },
    start: (name) => void mesh.clock.awaited(startNow(name, false)),
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
  }
  return population
}
