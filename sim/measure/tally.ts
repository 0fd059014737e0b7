/**
 * The figures of a run, counted while it runs, in a space that does not grow with its length: ten thousand nodes and an hour fit.
 * The world tells it what happens, in order of time; it changes nothing in the world.
 */
import type { MissionId, PeerId } from '../../protocols/kernel/ids.ts'
import type { DurationMs, InstantMs } from '../../protocols/kernel/units.ts'
import type { MissionEvent } from '../../protocols/tasking/schema.ts'
import type { UpTime } from '../clairvoyant/up-time.ts'
import type { Violation } from '../history/history.ts'
import type { Distribution5, SimulationReport } from '../report.ts'
import type { PlannedNode } from '../scenario/expand.ts'
import type { FaultKind, Scenario } from '../scenario/schema.ts'
import { createBuckets } from './buckets.ts'
import { noteEvent, openMissionTally, type MissionSink, type MissionTally } from './mission-tally.ts'
import { figuresOf, newNodeTally, shareOfTime, timesOf, type NodeTally } from './node-tally.ts'
import { createSamples, distributionOf } from './samples.ts'

/** Of everything that was sent since the start, lost or not. */
export interface Sent {
  readonly messages: number
  readonly bytes: number
}

export interface TallyInit {
  readonly scenario: Scenario
  readonly seed: number
  readonly nodes: readonly PlannedNode[]
  /** Asked at the end of every bucket: to be cheap. */
  readonly sent: () => Sent
}

/** What the world counted, at the end. `total` is all of it; `byKind` are messages on streams, the others come beside them. */
export interface MessageCounters {
  readonly total: Sent
  readonly perNode: ReadonlyMap<string, Sent>
  readonly byKind: Readonly<Record<string, number>>
  /** Those of `total` that a mesh without work would not have sent. */
  readonly forTasks: number
  readonly gossip: number
  readonly gossipControl: number
  readonly dht: number
  readonly connection: number
}

export interface WorldAtEnd {
  readonly virtualMs: InstantMs
  readonly events: number
  readonly traceHash: string
  readonly counters: MessageCounters
  readonly promises: SimulationReport['promises']
  readonly violations: readonly Violation[]
  /** The same arrivals under the omniscient scheduler. */
  readonly clairvoyantFlowMs?: Distribution5
}

/** A leaf's run or a composite's step; only leaves take a slot. */
export interface RunTold {
  readonly node: string
  readonly runId: string
  readonly missionId: MissionId
  readonly taskId: string
  readonly step: 'run' | 'plan' | 'revise' | 'synthesise'
}

export interface Tally {
  /** An arrival's first call to its bridge. Retries with the same key are not told. */
  missionSubmitted(key: string, atMs: InstantMs): void
  missionAcknowledged(key: string, missionId: MissionId, atMs: InstantMs): void
  /** The last word of the bridge was no, or nothing. */
  missionRefused(key: string, atMs: InstantMs): void
  missionUnknown(key: string, atMs: InstantMs): void
  /** Once for each entry, in the order of the log; nothing is told of what lives in memory only. */
  entryCommitted(missionId: MissionId, event: MissionEvent, atMs: InstantMs): void
  runStarted(run: RunTold, atMs: InstantMs): void
  /** Runs on a node that goes down need not be told: they end with it. */
  runEnded(run: Pick<RunTold, 'node' | 'runId'>, outcome: 'done' | 'failed' | 'stopped' | 'lost', atMs: InstantMs): void
  nodeUp(node: string, peer: PeerId, slots: number, atMs: InstantMs): void
  nodeDown(node: string, atMs: InstantMs): void
  faultInjected(kind: FaultKind, atMs: InstantMs): void
  /** Time went on. To be told about every bucket's width of time, so that the messages of a time in which nothing else happens are counted in it. */
  reach(atMs: InstantMs): void
  /** When each node that was not up all the time was up, on the workload's clock, which starts at `offsetMs`: for the omniscient scheduler. */
  upTimes(offsetMs: InstantMs): ReadonlyMap<string, readonly UpTime[]>
  /** For progress, at any time. */
  soFar(): { readonly submitted: number; readonly ended: number; readonly leavesAccepted: number; readonly nodesUp: number; readonly faults: number }
  report(world: WorldAtEnd): SimulationReport
}

export function createTally(init: TallyInit): Tally {
  const { scenario } = init
  const nodes = new Map(init.nodes.map((node) => [node.name, newNodeTally(node)]))
  const nodeOf = new Map<PeerId, NodeTally>()
  const arrivedMs = new Map<string, InstantMs>()
  const live = new Map<MissionId, MissionTally>()
  const acknowledged = new Set<MissionId>()
  const ended = new Set<MissionId>()
  const runsOf = new Map<string, number>()
  const missions = { submitted: 0, acknowledged: 0, completed: 0, failed: 0, cancelled: 0, refused: 0, unknown: 0 }
  const leaves = { accepted: 0, dead: 0, cancelled: 0, awards: 0, repeated: 0 }
  const levels = { waiting: 0, slotsBusy: 0, slotsUp: 0, nodesUp: 0 }
  const faults: Partial<Record<FaultKind, number>> = {}
  let faultsInjected = 0
  const flow = createSamples()
  const wait = createSamples()
  const runLength = createSamples()
  const recovery = { worker: createSamples(), manager: createSamples(), owner: createSamples() }

  const buckets = createBuckets({
    durationMs: scenario.durationMs,
    flows: () => ({ submitted: missions.submitted, completed: missions.completed, failed: missions.failed, faults: faultsInjected, ...init.sent() }),
    levels: () => ({ ...levels, running: runsOf.size }),
  })

  function nodeNamed(name: string): NodeTally {
    const node = nodes.get(name)
    if (node === undefined) throw new Error(`the tally was told of '${name}', which the scenario does not have`)
    return node
  }

  function sinkOf(mission: MissionTally, atMs: InstantMs): MissionSink {
    return {
      waiting: (by) => void (levels.waiting += by),
      leafAwarded(worker, repeated) {
        leaves.awards += 1
        if (repeated) leaves.repeated += 1
        const node = nodeOf.get(worker)
        if (node !== undefined) node.awards += 1
      },
      leafAwardEnded(worker, end) {
        const node = nodeOf.get(worker)
        if (node !== undefined) node[end] += 1
      },
      leafEnded: (how) => void (leaves[how] += 1),
      recovered: (who, afterMs) => recovery[who].add(afterMs),
      tookOver(previous, ownedSinceMs) {
        const downMs = nodeOf.get(previous)?.lastDownMs ?? -Infinity
        // An owner that was cut off or slow did not go: how long that took is nobody's recovery.
        if (downMs >= ownedSinceMs) recovery.owner.add(atMs - downMs)
      },
      ended(how) {
        missions[how] += 1
        if (how === 'completed') flow.add(atMs - mission.arrivedMs)
        live.delete(mission.missionId)
        acknowledged.delete(mission.missionId)
        ended.add(mission.missionId)
      },
    }
  }

  function endRun(node: NodeTally, runId: string, atMs: InstantMs): DurationMs | undefined {
    const run = node.runs.get(runId)
    if (run === undefined) return undefined
    node.runs.delete(runId)
    node.busyTimeMs += atMs - run.startedMs
    levels.slotsBusy -= 1
    const left = (runsOf.get(run.task) ?? 1) - 1
    if (left === 0) runsOf.delete(run.task)
    else runsOf.set(run.task, left)
    return atMs - run.startedMs
  }

  return {
    missionSubmitted(key, atMs) {
      buckets.reach(atMs)
      missions.submitted += 1
      arrivedMs.set(key, atMs)
    },
    missionAcknowledged(_key, missionId, atMs) {
      buckets.reach(atMs)
      missions.acknowledged += 1
      if (!ended.has(missionId)) acknowledged.add(missionId)
    },
    missionRefused(key, atMs) {
      buckets.reach(atMs)
      arrivedMs.delete(key)
      missions.refused += 1
    },
    missionUnknown(_key, atMs) {
      buckets.reach(atMs)
      missions.unknown += 1
    },
    entryCommitted(missionId, event, atMs) {
      buckets.reach(atMs)
      if (ended.has(missionId)) return
      const mission = live.get(missionId)
      if (mission !== undefined) return noteEvent(mission, event, atMs, sinkOf(mission, atMs))
      if (event.type !== 'submitted') return
      const arrival = event.key === undefined ? undefined : arrivedMs.get(event.key)
      if (event.key !== undefined) arrivedMs.delete(event.key)
      live.set(missionId, openMissionTally(event, arrival ?? atMs, atMs))
    },
    runStarted({ node, runId, missionId, taskId, step }, atMs) {
      buckets.reach(atMs)
      if (step !== 'run') return
      const task = `${missionId} ${taskId}`
      nodeNamed(node).runs.set(runId, { startedMs: atMs, task })
      runsOf.set(task, (runsOf.get(task) ?? 0) + 1)
      levels.slotsBusy += 1
      const mission = live.get(missionId)
      if (mission === undefined || mission.startedMs !== undefined) return
      mission.startedMs = atMs
      wait.add(atMs - mission.arrivedMs)
    },
    runEnded({ node, runId }, outcome, atMs) {
      buckets.reach(atMs)
      const tookMs = endRun(nodeNamed(node), runId, atMs)
      if (tookMs !== undefined && outcome === 'done') runLength.add(tookMs)
    },
    nodeUp(name, peer, slots, atMs) {
      buckets.reach(atMs)
      const node = nodeNamed(name)
      nodeOf.set(peer, node)
      Object.assign(node, { lives: node.lives + 1, slots, upSinceMs: atMs })
      levels.nodesUp += 1
      levels.slotsUp += slots
    },
    nodeDown(name, atMs) {
      buckets.reach(atMs)
      const node = nodeNamed(name)
      if (node.upSinceMs === undefined) return
      for (const runId of [...node.runs.keys()]) endRun(node, runId, atMs)
      node.slotTimeMs += (atMs - node.upSinceMs) * node.slots
      node.upTimes.push({ fromMs: node.upSinceMs, toMs: atMs })
      node.upSinceMs = undefined
      node.lastDownMs = atMs
      levels.nodesUp -= 1
      levels.slotsUp -= node.slots
    },
    faultInjected(kind, atMs) {
      buckets.reach(atMs)
      faults[kind] = (faults[kind] ?? 0) + 1
      faultsInjected += 1
    },
    reach: (atMs) => buckets.reach(atMs),
    upTimes: (offsetMs) => new Map([...nodes].filter(([, node]) => node.upTimes.length > 0 || node.upSinceMs === undefined || node.upSinceMs > offsetMs).map(([name, node]) => [
      name, [...node.upTimes, ...(node.upSinceMs === undefined ? [] : [{ fromMs: node.upSinceMs, toMs: Infinity }])].map(({ fromMs, toMs }) => ({ fromMs: fromMs - offsetMs, toMs: toMs - offsetMs })),
    ])),
    soFar: () => ({ submitted: missions.submitted, ended: ended.size, leavesAccepted: leaves.accepted, nodesUp: levels.nodesUp, faults: faultsInjected }),

    report(world) {
      const endMs = world.virtualMs
      const flowMs = flow.summary()
      const times = [...nodes.values()].map((node) => timesOf(node, endMs))
      const sentBy = [...nodes.keys()].map((name) => world.counters.perNode.get(name) ?? { messages: 0, bytes: 0 })
      const whole = times.reduce((sum, one) => ({ slotTimeMs: sum.slotTimeMs + one.slotTimeMs, busyTimeMs: sum.busyTimeMs + one.busyTimeMs }), { slotTimeMs: 0, busyTimeMs: 0 })
      const { counters } = world
      return {
        scenario: scenario.name, about: scenario.about, seed: init.seed, traceHash: world.traceHash, nodes: nodes.size, virtualMs: endMs, events: world.events,
        missions: { ...missions, unended: new Set([...live.keys(), ...acknowledged]).size }, leaves: { ...leaves },
        flowMs, waitMs: wait.summary(), runMs: runLength.summary(), utilisation: shareOfTime(whole),
        messages: {
          total: counters.total.messages, bytes: counters.total.bytes,
          ...(leaves.accepted === 0 ? {} : { perTask: counters.total.messages / leaves.accepted, bytesPerTask: counters.total.bytes / leaves.accepted, addedPerTask: counters.forTasks / leaves.accepted }),
          perNode: distributionOf(sentBy.map((sent) => sent.messages)), bytesPerNode: distributionOf(sentBy.map((sent) => sent.bytes)),
          byKind: { ...counters.byKind, gossip: counters.gossip, 'gossip-control': counters.gossipControl, dht: counters.dht, connection: counters.connection },
        },
        recoveryMs: { worker: recovery.worker.summary(), manager: recovery.manager.summary(), owner: recovery.owner.summary() },
        faults: { ...faults },
        perNode: [...nodes.values()].map((node) => figuresOf(node, endMs, leaves.awards, counters.perNode.get(node.planned.name))),
        buckets: buckets.close(endMs),
        ...(world.clairvoyantFlowMs === undefined ? {} : { clairvoyant: comparedWith(world.clairvoyantFlowMs, flowMs) }),
        promises: world.promises, violations: world.violations.slice(0, 100),
      }
    },
  }
}

function comparedWith(best: Distribution5, ours: Distribution5): NonNullable<SimulationReport['clairvoyant']> {
  const ratio = (our: number, its: number): number => (its === 0 ? 0 : our / its)
  return { flowMs: best, ratioP50: ratio(ours.p50, best.p50), ratioP99: ratio(ours.p99, best.p99) }
}
