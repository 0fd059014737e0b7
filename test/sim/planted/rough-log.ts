/**
 * One log whose members are treated far worse than in the log's own harness, and never left in peace: connections die in silence
 * by pairs, leaders are killed and cut off again and again, processes die between a write and its sync, a disk is lost. Only
 * safety is judged, by what the cluster itself checks.
 */
import type { Incarnation } from '../../../protocols/kernel/ids.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { viewOf } from '../../../protocols/replicated-log/raft.ts'
import { Cluster, type Node } from '../../protocols/replicated-log/raft-cluster.ts'

const turns = 60
const little = ['sever', 'sever', 'tell', 'crash', 'crash', 'start', 'start', 'start', 'start', 'crash-leader', 'cut-off', 'heal', 'heal', 'transfer', 'change', 'change', 'lose', 'rest'] as const
const mixes = [
  ['split', 'split', 'split', 'forget', 'forget', 'usurp', 'asked', 'forsake', 'forsake', 'halves', ...little],
  ['split', 'split', 'forsake', 'forsake', 'forsake', 'halves', 'halves', 'halves', 'lose', 'lose', ...little],
] as const

/** @throws Error when a promise is broken. */
export function roughLog(seed: number): void {
  const random = seededRandom([seed, 6])
  const any = <T>(list: readonly T[]): T => list[random.below(list.length)] as T
  const mix = mixes[seed % 2]!
  const nodes = any([3, 4, 5, 5])
  const cluster = new Cluster({
    seed, nodes, founders: any([3, nodes, nodes]), lossPercent: any([0, 5, 20]), doublePercent: any([0, 10]),
    delayMsMax: any([5, 40, 300]), syncMsMax: any([3, 100, 800]), snapshotEvery: any([0, 0, 8]),
  })
  const changes = random.below(2) === 0
  const loses = random.below(3) === 0
  for (let turn = 0; turn < turns; turn++) {
    cluster.run(1 + random.below(any([30, 300, 1_500])))
    const node = any(cluster.nodes)
    const other = any(cluster.nodes.filter((one) => one !== node))
    const leader = cluster.leader()
    switch (any(mix)) {
      // Two that ask for votes at once and hear nothing of one another, and one that both can reach, which may die on the way.
      case 'split': {
        const former = settled(cluster)
        const left = cluster.nodes.filter((one) => one !== former)
        const [hub, one, far] = [any(left), left[0], left.at(-1)]
        if (one !== undefined && far !== undefined && one !== far) cluster.sever(one, far, false)
        if (former !== undefined) cluster.crash(former)
        for (let i = 0; i < 4; i++) {
          work(cluster, 1, 1 + random.below(200))
          if (random.below(3) > 0) continue
          cluster.crash(hub)
          cluster.start(hub)
        }
        break
      }
      // A leader that is cut off from most, or all, and does not know: others elect another one meanwhile.
      case 'forsake': {
        const former = settled(cluster)
        if (former !== undefined) for (const far of cluster.nodes) if (far !== former && random.below(4) > 0) cluster.sever(former, far, false)
        work(cluster, 12, 300)
        break
      }
      // A voter dies between its vote and the sync of that, and is asked again by who knows of no such vote.
      case 'forget': {
        const former = settled(cluster)
        const membership = former?.state === undefined ? undefined : viewOf(former.state).membership
        const hub = any(cluster.nodes.filter((one) => one !== former && membership?.voters.some(({ peer }) => peer === one.peer)))
        if (former === undefined || hub === undefined) break
        const { syncMsMax } = hub
        hub.syncMsMax = 60_000
        for (const far of cluster.nodes) if (far !== former) cluster.sever(former, far, false)
        cluster.run(8_000, () => cluster.leader() !== former)
        for (const far of cluster.nodes) if (far !== hub) cluster.sever(hub, far, false)
        cluster.run(6_000, () => !cluster.everyLeader().includes(former))
        cluster.crash(hub)
        cluster.cut.delete([hub.index, former.index].sort().join())
        hub.syncMsMax = syncMsMax
        cluster.start(hub)
        work(cluster, 12, 500)
        break
      }
      // A leader that is cut off from all other voters makes those its voters whom it can still reach.
      case 'usurp': {
        const former = settled(cluster)
        const membership = former?.state === undefined ? undefined : viewOf(former.state).membership
        if (!changes || former === undefined || membership === undefined || membership.outgoing !== undefined) break
        const outside = cluster.nodes.filter(({ peer }) => !membership.voters.some((voter) => voter.peer === peer))
        if (outside.length === 0) break
        for (const far of cluster.nodes) if (far !== former && !outside.includes(far)) for (const one of [former, ...outside]) cluster.sever(one, far, false)
        const voters = [former, ...outside].map(({ member }) => member)
        cluster.append(former, [cluster.members({ voters, learners: [] })])
        cluster.append(former, [cluster.members({ voters, outgoing: membership.voters, learners: [] })])
        work(cluster, 12, 500)
        break
      }
      // Who is cut off and thinks that it leads is asked what there is, while others lead and go on.
      case 'asked': {
        const former = settled(cluster)
        for (const far of cluster.nodes) if (former !== undefined && far !== former) cluster.sever(former, far, false)
        for (let i = 0; i < 25; i++) {
          cluster.run(200)
          for (const one of cluster.everyLeader()) {
            if (one === former) cluster.read(one)
            else cluster.append(one)
          }
        }
        break
      }
      // The members change, and the mesh falls in two before or after that is everywhere.
      case 'halves': {
        settled(cluster)
        for (let i = random.below(3); i > 0; i--) {
          const changer = cluster.leader()
          if (changes && changer !== undefined) cluster.changeMembers(changer)
          cluster.run(1 + random.below(any([20, 400])))
        }
        const side = new Set(cluster.nodes.filter(() => random.below(2) === 0))
        for (const one of side) for (const far of cluster.nodes) if (!side.has(far)) cluster.sever(one, far, false)
        work(cluster, 12, 400)
        break
      }
      case 'sever':
        cluster.sever(node, other, false)
        break
      case 'tell':
        cluster.sever(node, other, true)
        break
      case 'crash':
        if (node.state !== undefined) cluster.crash(node)
        break
      case 'start':
        cluster.start(node)
        break
      case 'crash-leader':
        if (leader !== undefined) cluster.crash(leader)
        break
      case 'cut-off':
        if (leader !== undefined) for (const far of cluster.nodes) if (far !== leader && random.below(3) > 0) cluster.sever(leader, far, random.below(2) === 0)
        break
      case 'heal':
        heal(cluster)
        break
      case 'transfer':
        if (leader !== undefined) cluster.step(leader, { type: 'transfer' })
        break
      case 'change':
        if (changes) for (const one of cluster.everyLeader()) cluster.changeMembers(one)
        break
      case 'lose':
        if (loses && turn > 20) lose(cluster, node)
        break
      case 'rest':
    }
    work(cluster, 1, 0)
  }

  /** Everybody who leads, or thinks so, is asked for everything. */
  function work(on: Cluster, times: number, forMs: number): void {
    for (let i = 0; i < times; i++) {
      on.run(forMs)
      for (const one of on.everyLeader()) {
        for (let n = random.below(3); n > 0; n--) on.append(one)
        if (random.below(2) === 0) on.read(one)
      }
    }
  }

  /** Everybody is up and reaches everybody. @returns who leads. */
  function settled(on: Cluster): Node | undefined {
    heal(on)
    for (const one of on.nodes) on.start(one)
    on.run(6_000, () => on.leader() !== undefined)
    on.run(1 + random.below(1_000))
    return on.leader()
  }

  function heal(on: Cluster): void {
    on.heal()
    on.run(1 + random.below(500))
  }
}

/** It comes back with nothing, as another member than it was. */
function lose(cluster: Cluster, node: Node): void {
  if (node.member.incarnation.endsWith('n')) return
  if (node.state !== undefined) cluster.crash(node)
  Object.assign(node, { disk: { head: undefined, snapshot: undefined, entries: [] }, member: { peer: node.peer, incarnation: `${node.member.incarnation}n` as Incarnation } })
}
