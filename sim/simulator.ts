/** Runs a scenario: the production node code over the virtual world, a pure function of scenario and seed. */
import type { GroupId, MissionId, Principal } from '../protocols/kernel/ids.ts'
import type { DurationMs, InstantMs } from '../protocols/kernel/units.ts'
import { MissionView } from '../protocols/tasking/views.ts'
import { checkHistory } from './checkers/index.ts'
import { clairvoyantNodes, scheduleClairvoyantly } from './clairvoyant/schedule.ts'
import { isMajority, type GroupLog } from './history/group-logs.ts'
import type { History } from './history/history.ts'
import { virtualNodeName } from './identity-virtual-adapter.ts'
import { createTally } from './measure/tally.ts'
import { createClients } from './run/clients.ts'
import { createPopulation } from './run/population.ts'
import { createRecorder } from './run/recorder.ts'
import { statesOf } from './run/states.ts'
import { createTraffic } from './run/traffic.ts'
import { createTrouble } from './run/trouble.ts'
import { expandNodes } from './scenario/expand.ts'
import { streamOf } from './scenario/streams.ts'
import type { Simulation, SimulationInit, SimulationOutcome, SimulationProgress } from './simulation.ts'
import { createTraceHash } from './trace-hash.ts'
import { createVirtualMesh } from './virtual-mesh.ts'
import { planArrivals } from './workload/arrivals.ts'

/** The mesh gets to know itself before the scenario's own time begins. */
export const warmUpMs: DurationMs = 15_000
const lookMs: DurationMs = 1_000
/** After the last mission has ended: late results, acknowledgements, dead letters. */
const afterglowMs: DurationMs = 3_000
const watchedFraction = 0.5
const repeatedFraction = 0.1

/** @throws Error when the scenario contradicts itself (an unknown skill, a trace that was not given). */
export async function createSimulation(init: SimulationInit): Promise<Simulation> {
  const { scenario, seed } = init
  const checks = init.checks ?? true
  const workMs = Math.min(scenario.durationMs, init.untilMs ?? Infinity)
  const nodes = expandNodes(scenario, streamOf(seed, 'nodes'))
  const plannedNodes = new Map(nodes.map((node) => [node.name, node]))
  const arrivals = planArrivals(scenario, nodes, streamOf(seed, 'arrivals'), init.traces ?? new Map(), workMs)
  const trace = createTraceHash()
  const tally = createTally({ scenario, seed, nodes, sent: () => traffic.sent() })
  const recorder = createRecorder({ nowMs: () => mesh.clock.nowMs(), nodes: plannedNodes, tally, trace, keepsHistory: checks })
  const { network } = scenario
  const mesh = createVirtualMesh(seed, {
    settle: 'stirred',
    observer: {
      ...recorder,
      nodeStopped(node, how, reason) {
        recorder.nodeStopped?.(node, how, reason)
        if (how === 'gave-up') trouble.gaveUp(node.name)
      },
    },
    factsMax: 64, decodeEvery: init.decodeEvery ?? 1, redial: true, latencyMs: network.latencyMs, betweenSitesLatencyMs: network.betweenSitesLatencyMs,
    connectionsAimed: network.connectionsAimed, nodesExpected: nodes.length, ...(network.bandwidthBytesPerSecond === undefined ? {} : { bandwidthBytesPerSecond: network.bandwidthBytesPerSecond }),
    traps: scenario.anyFaultEveryMs !== undefined || scenario.faults.some((fault) => fault.kind === 'crash-between-effects'),
    // Of honest nodes of this release a frame outside the schema is a bug, and ends the run.
    onViolation(from, error) {
      if (!population.mayBabble(from)) throw error
    },
  })
  const traffic = createTraffic(mesh, nodes)
  mesh.network.setConditions({ lossFraction: network.lossFraction, duplicationFraction: network.duplicationFraction, reorderingFraction: network.reorderingFraction })
  traffic.onDelivered((from, to, bytes) => {
    trace.number(mesh.clock.nowMs())
    trace.number(from)
    trace.number(to)
    trace.bytes(bytes)
  })
  const population = createPopulation({ mesh, scenario, nodes, random: streamOf(seed, 'skills'), pace: streamOf(seed, 'pace') })
  const clients = createClients({
    mesh, reachable: population.reachable, tally, recorder, random: streamOf(seed, 'clients'), watchedFraction: checks ? watchedFraction : 0, repeatedFraction: checks ? repeatedFraction : 0,
    bridges: nodes.filter((node) => node.group.duties.includes('bridge')).map((node) => node.name),
  })
  const trouble = createTrouble({ scenario, seed, untilMs: workMs, mesh, population, recorder, tally })
  const healAtMs = warmUpMs + workMs
  const deadlineMs = healAtMs + scenario.healWithinMs
  let phase: SimulationProgress['phase'] = 'faults'
  let outcome: SimulationOutcome | undefined

  await population.startAll()
  clients.expect(arrivals, warmUpMs)
  trouble.expect(warmUpMs)
  mesh.clock.schedule(healAtMs, heal)
  mesh.clock.schedule(lookMs, look)

  function heal(): void {
    phase = 'healing'
    trouble.healAll()
    recorder.add({ type: 'all-healed', atMs: mesh.clock.nowMs(), deadlineMs })
  }

  function look(): void {
    if (phase === 'done') return
    tally.reach(mesh.clock.nowMs())
    const soFar = tally.soFar()
    init.onProgress?.({ atMs: mesh.clock.nowMs(), endMs: deadlineMs, events: mesh.clock.events, phase, ...soFar })
    if (phase === 'healing' && (isQuiet() || mesh.clock.nowMs() >= deadlineMs)) {
      clients.close()
      phase = 'done'
      return
    }
    mesh.clock.schedule(lookMs, look)
  }

  /** Nothing is awaited any more, but what can never come. */
  function isQuiet(): boolean {
    if (clients.open() > 0) return false
    for (const missionId of clients.acknowledged.keys()) if (isAwaited(missionId)) return false
    if (checks) for (const log of recorder.groups.values()) if (!isConverged(log)) return false
    return true
  }

  function isAwaited(missionId: MissionId): boolean {
    const mission = recorder.missions.get(missionId)
    return mission !== undefined && !mission.ended && !mission.damaged && canGoOn(missionId)
  }

  /** Whether enough of those who keep a log will be there. */
  function canGoOn(group: GroupId): boolean {
    const membership = recorder.groups.get(group)?.membership
    return membership !== undefined && isMajority(membership, ({ peer }) => !population.isGone(virtualNodeName(peer) ?? ''))
  }

  /** All live members of a log call the same entry committed. */
  function isConverged({ group, membership, committed, reports }: GroupLog): boolean {
    if (membership === undefined || !canGoOn(group) || committed.some(({ event }) => event.type === 'archived')) return true
    return [...membership.voters, ...membership.learners].every(({ peer }) => population.isGone(virtualNodeName(peer) ?? '') || recorder.isHurt(group, peer) || (reports.get(peer)?.index ?? 0) >= committed.length)
  }

  async function finish(): Promise<SimulationOutcome> {
    if (outcome !== undefined) return outcome
    await mesh.clock.runUntil(() => phase === 'done', { withinMs: deadlineMs + 60_000, what: 'the end of the run' })
    await mesh.clock.runFor(afterglowMs)
    const history = checks ? await historyOf() : emptyHistory()
    const { promises, violations } = checks ? checkHistory(history) : { promises: [], violations: [] }
    const report = tally.report({
      virtualMs: mesh.clock.nowMs(), events: mesh.clock.events, traceHash: trace.hex(), counters: traffic.counters(), promises, violations: violations.slice(0, 100),
      clairvoyantFlowMs: scheduleClairvoyantly({ arrivals, nodes: clairvoyantNodes(nodes, tally.upTimes(warmUpMs)) }).flowMs,
    })
    outcome = { report, history }
    return outcome
  }

  function emptyHistory(): History {
    return { records: [], endMs: mesh.clock.nowMs(), healedMs: healAtMs, views: new Map() }
  }

  async function historyOf(): Promise<History> {
    await settled(clients.askResults())
    const views = new Map<MissionId, MissionView>()
    for (const [missionId, arrival] of clients.acknowledged) {
      const owner = recorder.missions.get(missionId)?.owner
      // A mission's id is good at every node: one that does not own it is asked first.
      const asked = population.up().filter((node) => population.reachable(node.name) !== undefined).sort((left, right) => Number(left.name === owner) - Number(right.name === owner))
      for (const node of asked.slice(0, 2).concat(asked.slice(-1))) {
        const answer = await settled(node.mesh.ask({ op: 'view', missionId }, arrival.principal as Principal))
        if (answer === undefined) continue
        views.set(missionId, MissionView.parse(answer))
        break
      }
    }
    for (const node of population.up()) recorder.add({ type: 'copies', atMs: mesh.clock.nowMs(), node: node.name, peer: node.peer, groups: mesh.disk(node.name).groupsStored() })
    for (const node of population.up()) recorder.depths(node)
    return { ...emptyHistory(), records: recorder.records, views }
  }

  /** Lets time go on until it is. @returns undefined when it was rejected. */
  async function settled<T>(promise: Promise<T>): Promise<T | undefined> {
    let isSettled = false
    let value: T | undefined
    promise.then((answer) => (value = answer), () => undefined).finally(() => (isSettled = true))
    await mesh.clock.runUntil(() => isSettled, { what: 'an answer', withinMs: 60_000 })
    return value
  }

  return {
    get events() {
      return mesh.clock.events
    },
    get nowMs() {
      return mesh.clock.nowMs()
    },
    async runTo(stop: { readonly event: number } | { readonly atMs: InstantMs }) {
      const reached = 'event' in stop ? () => mesh.clock.events >= stop.event : () => mesh.clock.nowMs() >= stop.atMs
      await mesh.clock.runUntil(() => reached() || phase === 'done', { withinMs: deadlineMs + 60_000, what: 'the place to stop' })
      return reached()
    },
    recentEvents: (max) => recorder.recent(max),
    states: () => statesOf({ mesh, population, recorder }),
    finish,
  }
}

export async function runSimulation(init: SimulationInit): Promise<SimulationOutcome> {
  return (await createSimulation(init)).finish()
}
