/** What every node is doing at one instant, for people who stopped a run to look. */
import type { NodeState } from '../simulation.ts'
import type { VirtualMesh } from '../virtual-mesh.ts'
import type { Population } from './population.ts'
import type { Recorder } from './recorder.ts'

export async function statesOf(world: { readonly mesh: VirtualMesh; readonly population: Population; readonly recorder: Recorder }): Promise<NodeState[]> {
  const { mesh, population, recorder } = world
  const runs = new Map<string, { readonly task: string; readonly capability: string; readonly forMs: number }[]>()
  const states: NodeState[] = []
  for (const { name, group } of population.planned) {
    const node = population.alive(name)
    const owned = [...recorder.missions.values()].filter((mission) => mission.owner === name && !mission.ended)
    const missionsOwned = owned.map(({ missionId, state, lastIndex }) => ({ mission: missionId, state, lastIndex }))
    if (node === undefined) {
      states.push({ node: name, state: 'down', clockMs: 0, connections: 0, slots: group.slots, running: [], waitingCalls: 0, missionsOwned, deadLetters: 0 })
      continue
    }
    const running = node.skills.runningSince().map(({ run, sinceMs }) => ({ task: run.taskId, capability: run.capability, forMs: node.clock.monotonicMs() - sinceMs }))
    runs.set(name, running)
    const self = node.clock.paused ? undefined : (await node.mesh.nodes()).find((view) => view.self)
    states.push({
      node: name, state: node.clock.paused ? 'paused' : 'up', clockMs: node.clock.monotonicMs(), connections: mesh.network.host(node.peer)?.connectedPeers().length ?? 0, slots: group.slots, running,
      waitingCalls: self?.advert?.load.waiting ?? 0, missionsOwned, deadLetters: node.mesh.deadLetters().count,
    })
  }
  return states
}
