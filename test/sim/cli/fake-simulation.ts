/** A simulation that is made up: enough of a report for the command line and the page, repeatable from the seed. */
import { existsSync, writeFileSync } from 'node:fs'
import { type Random, seededRandom } from '../../../protocols/kernel/prng.ts'
import type { Violation } from '../../../sim/history/history.ts'
import type { Bucket, Distribution5, NodeFigures, SimulationReport } from '../../../sim/report.ts'
import { expandNodes } from '../../../sim/scenario/expand.ts'
import { faultKinds } from '../../../sim/scenario/schema.ts'
import type { Simulation, SimulationInit, SimulationOutcome } from '../../../sim/simulation.ts'

export const diedOnceVariable = 'SKEIN_FAKE_DIED_ONCE'

/** Seeds that end in 13 break a promise once 2,500 ms have passed; 66 breaks an invariant, 77 ends the process, 88 never ends, 99 ends the process unless the file that the environment names is there. */
export function createFakeSimulation(init: SimulationInit): Promise<Simulation> {
  if (init.scenario.name === 'contradicts-itself') return Promise.reject(new Error('the scenario contradicts itself'))
  const endMs = Math.min(init.untilMs ?? Number.POSITIVE_INFINITY, init.scenario.durationMs)
  let nowMs = 0
  const simulation: Simulation = {
    get events() { return Math.round(nowMs / 2) },
    get nowMs() { return nowMs },
    runTo(stop) {
      nowMs = Math.min(endMs, 'atMs' in stop ? stop.atMs : stop.event * 2)
      return Promise.resolve(nowMs < endMs)
    },
    recentEvents: (max) => Array.from({ length: Math.min(max, 3) }, (_, at) => `${(nowMs - 2 + at).toFixed(3)} ms  home-1 → home-2  propose`),
    states: () => Promise.resolve([
      { node: 'home-1', state: 'up', clockMs: nowMs, connections: 3, slots: 2, running: [{ task: 't-1', capability: 'text.count', forMs: 120 }], waitingCalls: 1, missionsOwned: [{ mission: 'm-1', state: 'running', lastIndex: 7 }], deadLetters: 0 },
      { node: 'home-2', state: 'down', clockMs: 0, connections: 0, slots: 2, running: [], waitingCalls: 0, missionsOwned: [], deadLetters: 2 },
    ]),
    finish() {
      if (init.seed === 66) throw new Error('invariant broken: a goose flew backwards')
      if (init.seed === 77) process.exit(9)
      const mark = process.env[diedOnceVariable]
      if (init.seed === 99 && mark !== undefined && !existsSync(mark)) {
        writeFileSync(mark, '')
        process.exit(9)
      }
      if (init.seed === 88) return new Promise(() => setInterval(() => undefined, 1_000))
      for (let atMs = 0; atMs <= endMs; atMs += 1_000) {
        init.onProgress?.({ atMs, endMs, events: atMs, submitted: Math.round(atMs / 100), ended: Math.round(atMs / 120), leavesAccepted: Math.round(atMs / 60), nodesUp: 5, faults: Math.round(atMs / 5_000), phase: atMs < endMs ? 'faults' : 'done' })
      }
      nowMs = endMs
      return Promise.resolve(madeUp(init, endMs))
    },
  }
  return Promise.resolve(simulation)
}

function madeUp(init: SimulationInit, endMs: number): SimulationOutcome {
  const { scenario, seed } = init
  const random = seededRandom([seed, 7])
  const nodes = expandNodes(scenario, random.split())
  const weight = nodes.map((node) => node.speed * node.group.slots)
  const weights = weight.reduce((sum, value) => sum + value, 0)
  const awards = Math.round(endMs / 50)
  const perNode = nodes.map((node, at): NodeFigures => {
    const share = ((weight[at] ?? 0) / weights) * (0.8 + 0.4 * random.next())
    const mine = Math.round(awards * share)
    return {
      node: node.name, slots: node.group.slots, speed: node.speed, awards: mine, accepted: Math.max(0, mine - 2), failed: mine > 0 ? 1 : 0, lost: mine > 1 ? 1 : 0, share,
      utilisation: Math.min(1, 0.5 + 0.4 * random.next()), messages: Math.round(1_000 + 5_000 * random.next()), bytes: Math.round(200_000 + 900_000 * random.next()), lives: 1 + random.below(3),
      ...(node.group.conduct === undefined ? {} : { conduct: node.group.conduct.kind }),
    }
  })
  const violation: Violation[] = seed % 100 === 13 && endMs > 2_500 && init.checks !== false ? [{ promise: 'S7', detail: 'task <t-4> of mission m-9 has two accepted results', atMs: 2_500 }] : []
  const report: SimulationReport = {
    scenario: scenario.name, about: scenario.about, seed, traceHash: random.text(16).replace(/[g-z]/g, 'a'), nodes: nodes.length, virtualMs: endMs + 20_000, events: Math.round(endMs * 7.3),
    missions: { submitted: 400, acknowledged: 398, completed: 390, failed: 5, cancelled: 2, refused: 2, unknown: 1, unended: 0 },
    leaves: { accepted: awards - 20, dead: 4, cancelled: 3, awards, repeated: 16 },
    flowMs: spread(random, 380, 900), waitMs: spread(random, 390, 60), runMs: spread(random, awards, 240), utilisation: 0.71,
    messages: {
      total: awards * 21, bytes: awards * 21 * 310, perTask: 21.4, bytesPerTask: 6_634, addedPerTask: 14.2, perNode: spread(random, nodes.length, 4_000), bytesPerNode: spread(random, nodes.length, 1_200_000),
      byKind: { gossip: awards * 5, propose: awards * 4, 'call-for-proposals': awards * 3, heartbeat: awards * 3, award: awards, inform: awards, 'append-entries': awards * 2, dht: 300, connection: 120, 'gossip-control': awards },
    },
    recoveryMs: { worker: spread(random, 14, 900), manager: spread(random, 3, 2_400), owner: spread(random, 4, 3_100) },
    faults: Object.fromEntries(faultKinds.slice(0, 12 + (seed % 3)).map((kind) => [kind, 1 + random.below(9)])),
    perNode, buckets: buckets(random, endMs, nodes.reduce((sum, node) => sum + node.group.slots, 0), nodes.length),
    clairvoyant: { flowMs: spread(random, 380, 610), ratioP50: 1.31, ratioP99: 1.92 },
    promises: init.checks === false ? [] : promises.map(([promise, says]) => ({ promise, says, violations: violation.filter((found) => found.promise === promise).length })),
    violations: violation,
  }
  return { report, history: { records: [], endMs: endMs + 20_000, healedMs: endMs, views: new Map() } }
}

const promises: readonly (readonly [string, string])[] = [
  ['S1', 'no acknowledged mission is lost'], ['S2', 'the same idempotency key gives one mission'], ['S3', 'at most one owner per epoch'], ['S4', 'promises survive restart'], ['S7', 'at most one accepted result per task, the same for every reader'],
  ['S8', 'an accepted result matches a committed award'], ['L1', 'takeover within its bound'], ['L2', 'every task ends'], ['L5', 'queues stay bounded, no honest node is shut out'],
]

function spread(random: Random, count: number, medianMs: number): Distribution5 {
  const p50 = medianMs * (0.9 + 0.2 * random.next())
  return { count, mean: p50 * 1.15, p50, p90: p50 * 2.1, p99: p50 * 4.4, max: p50 * 7 }
}

function buckets(random: Random, endMs: number, slots: number, nodes: number): Bucket[] {
  const count = 120
  const end = endMs + 20_000
  let waiting = 0
  return Array.from({ length: count }, (_, at): Bucket => {
    const busy = at * (end / count) < endMs
    const submitted = busy ? 2 + random.below(5) : 0
    waiting = Math.max(0, waiting + (busy ? random.below(7) - 3 : -2))
    const nodesUp = busy && random.next() < 0.2 ? nodes - 1 : nodes
    const slotsUp = Math.round((slots * nodesUp) / nodes)
    const slotsBusy = busy ? Math.round(slotsUp * (0.5 + 0.5 * random.next())) : Math.min(slotsUp, waiting)
    return {
      atMs: ((at + 1) * end) / count, submitted, completed: Math.min(submitted, 2 + random.below(4)) + (busy ? 0 : 1), failed: random.next() < 0.04 ? 1 : 0, running: slotsBusy, waiting,
      slotsBusy, slotsUp, nodesUp, messages: 40 + random.below(busy ? 300 : 30), bytes: 9_000 + random.below(busy ? 90_000 : 9_000), faults: busy && random.next() < 0.12 ? 1 : 0,
    }
  })
}
