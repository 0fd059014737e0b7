/**
 * One log of three voters, and the two stories of Raft's paper that chance hardly ever tells. Delays, syncs and what a crash
 * leaves on a disk are drawn; only safety is judged, by what the cluster itself checks.
 */
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { Cluster, type Node } from '../../protocols/replicated-log/raft-cluster.ts'

const electionMsMost = 12_000

/** @throws Error when a promise is broken. */
export function stagedLog(seed: number): void {
  const random = seededRandom([seed, 8])
  const any = <T>(list: readonly T[]): T => list[random.below(list.length)] as T
  const cluster = new Cluster({ seed, nodes: 3, founders: 3, delayMsMax: any([5, 40, 200]), syncMsMax: any([3, 30, 200]) })
  for (const stage of [oldEntriesCounted, lateAppend]) {
    const leader = settled(cluster)
    if (leader === undefined) throw new Error('liveness: nobody leads when everybody is there')
    stage(cluster, leader, 1 + random.below(3))
    settled(cluster)
    cluster.run(3_000)
  }
}

/** Everybody is up, reaches everybody and has what there is. @returns who leads. */
function settled(cluster: Cluster): Node | undefined {
  cluster.heal()
  for (const node of cluster.nodes) cluster.start(node)
  cluster.run(2 * electionMsMost, () => cluster.leader() !== undefined)
  const leader = cluster.leader()
  if (leader === undefined) return undefined
  const before = cluster.settledAppends
  cluster.append(leader)
  cluster.run(electionMsMost, () => cluster.settledAppends > before)
  cluster.run(1_000)
  return cluster.leader()
}

function cutOff(cluster: Cluster, node: Node, ...from: readonly Node[]): void {
  for (const far of from) cluster.sever(node, far, false)
}

function join(cluster: Cluster, left: Node, right: Node): void {
  cluster.cut.delete([left.index, right.index].sort().join())
}

/** @returns who leads instead of them, if anybody does. */
function elected(cluster: Cluster, insteadOf: Node): Node | undefined {
  cluster.run(electionMsMost, () => cluster.everyLeader().some((node) => node !== insteadOf))
  return cluster.everyLeader().find((node) => node !== insteadOf)
}

/** Figure 8: what an older leader wrote reaches a majority under a newer one, and an entry of an epoch in between is somewhere still. */
function oldEntriesCounted(cluster: Cluster, first: Node, entries: number): void {
  const others = cluster.nodes.filter((node) => node !== first)
  cutOff(cluster, first, ...others)
  for (let i = 0; i < entries; i++) cluster.append(first)
  cluster.run(2 * first.syncMsMax + 2)
  cluster.crash(first)

  const between = elected(cluster, first)
  const third = others.find((node) => node !== between)
  if (between === undefined || third === undefined) return
  cutOff(cluster, between, third)
  cluster.run(2 * between.syncMsMax + 2)
  cluster.crash(between)

  // It leads again, and before its disk has its own new entry the other has everything.
  join(cluster, first, third)
  cluster.start(first)
  const { syncMsMax } = first
  cluster.run(electionMsMost, () => first.state?.campaign?.pre === false && first.unsynced.length === 0)
  first.syncMsMax = 60_000
  if (!cluster.run(electionMsMost, () => cluster.everyLeader().includes(first))) return
  cluster.run(2_000)

  cluster.crash(third)
  cluster.crash(first)
  first.syncMsMax = syncMsMax
  join(cluster, first, between)
  cluster.start(between)
  cluster.start(first)
  cluster.run(electionMsMost, () => cluster.leader() !== undefined)
  cluster.run(2_000)
}

/** A leader that is cut off does not know yet that there is a newer one, and reaches one of those who have elected it, before that one does. */
function lateAppend(cluster: Cluster, former: Node, entries: number): void {
  cutOff(cluster, former, ...cluster.nodes.filter((node) => node !== former))
  for (let i = 0; i < entries; i++) cluster.append(former)
  const next = elected(cluster, former)
  const voter = cluster.nodes.find((node) => node !== former && node !== next)
  if (next === undefined || voter === undefined) return
  cutOff(cluster, next, voter)
  join(cluster, former, voter)
  for (let i = 0; i < 3; i++) {
    if (cluster.everyLeader().includes(former)) cluster.append(former)
    cluster.run(500)
  }
}
