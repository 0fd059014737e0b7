/** S14: node-3 started run of root/t1/2 of m-4063fl4m-j6al44eilwgc (m-4063fl4m-j6al44eilwgc:root/t1/2#1@1.1), and the award is another’s, or for something else */
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { Scenario } from '../../../sim/scenario/schema.ts'
import { runSimulation } from '../../../sim/simulator.ts'

const scenario = Scenario.parse(parse(`
name: all-faults
about: "Six nodes, missions of every shape, and every kind of fault in turn, drawn anew for each seed: the scenario that is swept before a change goes in."
durationMs: 18000
healWithinMs: 200000
nodes:
  - group: node
    count: 4
    duties:
      - worker
      - replica
      - bridge
    slots: 2
    speed:
      uniform:
        - 0.7
        - 1.5
    cores: 4
    memoryGiB: 16
    gpus: []
    site: here
    clockDriftFraction: 0.001
    clockSkewMs: 2000
  - group: worker
    count: 1
    duties:
      - worker
    slots: 4
    speed: 2
    cores: 4
    memoryGiB: 16
    gpus: []
    site: here
    clockDriftFraction: 0
    clockSkewMs: 0
  - group: bridge
    count: 1
    duties:
      - bridge
      - replica
    slots: 0
    speed: 1
    cores: 4
    memoryGiB: 16
    gpus: []
    site: here
    clockDriftFraction: 0
    clockSkewMs: 2000
network:
  latencyMs:
    lognormal:
      median: 2
      p99: 30
  betweenSitesLatencyMs:
    lognormal:
      median: 25
      p99: 120
  lossFraction: 0.005
  duplicationFraction: 0.005
  reorderingFraction: 0.01
  connectionsAimed: 128
skills:
  - capability: job.run
    effects: none
    workMs:
      lognormal:
        median: 800
        p99: 6000
    failureFraction: 0.05
    costUsd: 0
    outputBytes: 16
  - capability: job.notify
    effects: external
    workMs:
      exponential: 400
    failureFraction: 0
    costUsd: 0
    outputBytes: 16
  - capability: job.render
    effects: none
    workMs:
      exponential: 600
    failureFraction: 0
    costUsd: 0
    outputBytes: 60000
  - capability: job.group
    effects: none
    workMs: 40
    failureFraction: 0
    costUsd: 0
    outputBytes: 16
    children:
      capability: job.run
      count: 4
workload:
  - kind: count
    missions: 3
    mission:
      shape: fan
      capability: job.run
      leaves:
        uniform:
          - 2
          - 7
      effort:
        uniform:
          - 0.5
          - 2
      priority: 5
      checked: false
    principals: 2
    fromMs: 0
  - kind: count
    missions: 2
    mission:
      shape: chain
      capability: job.notify
      leaves:
        uniform:
          - 2
          - 4
      effort: 1
      priority: 5
      checked: false
    principals: 1
    fromMs: 1500
  - kind: count
    missions: 2
    mission:
      shape: diamond
      capability: job.render
      leaves: 4
      effort: 1
      priority: 5
      checked: false
    principals: 1
    fromMs: 3000
  - kind: count
    missions: 2
    mission:
      shape: composite
      capability: job.group
      leaves: 1
      effort: 1
      priority: 5
      checked: false
    principals: 1
    fromMs: 5000
  - kind: poisson
    perSecond: 0.2
    mission:
      shape: single
      capability: job.run
      leaves: 1
      effort: 1
      priority: 8
      checked: false
    principals: 1
    fromMs: 0
faults: []
anyFaultEveryMs: 700
replication:
  groupPulseMs: 500
  electionMsMin: 2000
  electionMsMax: 4000
  registrarShards: 3
  memberSilentMs: 30000
  membersLookMs: 2500
  missionRestMs: 6000
  failedMissionRestMs: 12000
  snapshotEntries:
    - 12
    - 40
    - 4096
tuning: {}
`))

test('all-faults, seed 116, up to 14880 ms', async () => {
  const { report } = await runSimulation({ scenario, seed: 116, untilMs: 14880 })
  expect(report.violations).toEqual([])
}, 600_000)
