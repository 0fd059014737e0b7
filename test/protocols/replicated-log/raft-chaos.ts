/** One seed is one history: a cluster is disturbed for a while, then left in peace, and must then be of one mind again. */
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { entriesOf, viewOf, type RaftState } from '../../../protocols/replicated-log/raft.ts'
import { Cluster, type Node } from './raft-cluster.ts'

/** @throws Error when a promise is broken. @returns what happened, so that a test can tell that something did. */
export function chaos(seed: number): Cluster {
  const random = seededRandom([seed, 5])
  const nodes = 3 + random.below(3)
  const cluster = new Cluster({
    seed, nodes, founders: [1, 3, nodes][random.below(3)] as number, lossPercent: random.below(3) * 5, doublePercent: random.below(3) * 10,
    delayMsMax: [5, 40, 300][random.below(3)] as number, syncMsMax: [3, 30, 400][random.below(3)] as number, snapshotEvery: [0, 8, 25][random.below(3)] as number,
  })
  const any = (): Node => cluster.nodes[random.below(nodes)] as Node
  for (let turn = 0; turn < 60; turn++) {
    cluster.run(1 + random.below(900))
    disturb(cluster, random.below(20), any)
    for (const leader of cluster.everyLeader()) {
      for (let i = random.below(3); i > 0; i--) cluster.append(leader)
      if (random.below(2) === 0) cluster.read(leader)
    }
  }
  recover(cluster)
  return cluster
}

function disturb(cluster: Cluster, what: number, any: () => Node): void {
  const node = any()
  const other = any()
  const leader = cluster.leader()
  switch (what) {
    case 0:
    case 1:
      return cluster.crash(node)
    case 2:
      if (leader !== undefined) cluster.crash(leader)
      return
    case 3:
    case 4:
    case 5:
      return cluster.start(node)
    case 6:
      if (node !== other) cluster.sever(node, other, true)
      return
    case 7:
      if (node !== other) cluster.sever(node, other, false)
      return
    case 8:
      // The leader alone, without anybody being told: it must not answer questions for long.
      if (leader !== undefined) for (const far of cluster.nodes) if (far !== leader) cluster.sever(leader, far, false)
      return
    case 9:
    case 10:
      return cluster.heal()
    case 11:
      if (leader !== undefined) cluster.step(leader, { type: 'transfer' })
      return
    case 12:
      if (leader !== undefined) cluster.step(leader, { type: 'step-down', reason: 'a slow disk' })
      return
    case 13:
    case 14:
    case 15:
      if (leader !== undefined) cluster.changeMembers(leader)
      return
    default:
      return
  }
}

/** Faults stop: one leader, everybody has the same log, and it goes on growing. */
function recover(cluster: Cluster): void {
  cluster.heal()
  cluster.lossPercent = 0
  cluster.doublePercent = 0
  cluster.delayMsMax = Math.min(cluster.delayMsMax, 40)
  for (const node of cluster.nodes) {
    cluster.start(node)
    node.syncMsMax = 5
  }
  if (!cluster.run(30_000, () => cluster.leader() !== undefined)) throw new Error(`liveness: nobody leads 30 s after the faults stopped: ${describeAll(cluster)}`)
  const target = cluster.settledAppends + 3
  const done = (): boolean => cluster.settledAppends >= target && converged(cluster)
  for (let i = 0; i < 60 && !done(); i++) {
    const leader = cluster.leader()
    if (leader !== undefined && cluster.settledAppends < target) cluster.append(leader)
    if (leader !== undefined) cluster.read(leader)
    cluster.run(1_000, done)
  }
  if (!done()) throw new Error(`liveness: the members are not of one mind a minute after the faults stopped: ${describeAll(cluster)}`)
}

function converged(cluster: Cluster): boolean {
  const leader = cluster.leader()
  if (leader === undefined) return false
  const { last, membership, commit } = viewOf(leader.state as RaftState)
  if (commit < last.index) return false
  const members = [...(membership?.voters ?? []), ...(membership?.outgoing ?? []), ...(membership?.learners ?? [])]
  return members.every(({ peer }) => {
    const { state } = cluster.nodes.find((node) => node.peer === peer) as Node
    return state !== undefined && viewOf(state).last.chain === last.chain && viewOf(state).commit === commit
  })
}

function describeAll(cluster: Cluster): string {
  return cluster.nodes.map(({ peer, state }) => {
    if (state === undefined) return `${peer} down`
    const { role, epoch, last, commit, membership } = viewOf(state)
    return `${peer} ${role} ${epoch?.lineage}.${epoch?.term} last ${last.index} commit ${commit} of ${entriesOf(state, 1).length} voters ${membership?.voters.map((member) => member.peer).join()} outgoing ${membership?.outgoing?.map((member) => member.peer).join()}`
  }).join('; ')
}
