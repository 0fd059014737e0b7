import { readFileSync, readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { MissionRequest } from '../../../protocols/tasking/schema.ts'
import { planFaults } from '../../../sim/faults/plan-faults.ts'
import { expandNodes } from '../../../sim/scenario/expand.ts'
import { Conduct, Scenario } from '../../../sim/scenario/schema.ts'
import { planArrivals } from '../../../sim/workload/arrivals.ts'

const folder = 'sim/scenarios'
const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'))
const read = (file: string): Scenario => Scenario.parse(parse(readFileSync(`${folder}/${file}`, 'utf8')))

function drawn(scenario: Scenario) {
  const random = seededRandom([3, 4])
  const nodes = expandNodes(scenario, random.split())
  const traces = new Map(scenario.workload.flatMap((workload) => (workload.kind === 'trace' ? [[workload.file, readFileSync(`${folder}/traces/${workload.file}`, 'utf8')] as const] : [])))
  return { nodes, arrivals: planArrivals(scenario, nodes, random.split(), traces), faults: planFaults(scenario, nodes, random.split()) }
}

/** Work handed in over work that can be done, all nodes up. */
function loadOf(scenario: Scenario): number {
  const { nodes, arrivals } = drawn(scenario)
  const capacity = nodes.filter((node) => node.group.duties.includes('worker')).reduce((sum, node) => sum + node.group.slots * node.speed, 0)
  return arrivals.flatMap((arrival) => arrival.leaves).reduce((sum, leaf) => sum + leaf.workMs, 0) / capacity / scenario.durationMs
}

describe('shipped scenarios', () => {
  test.each(files)('%s is whole', (file) => {
    const scenario = read(file)
    expect(`${scenario.name}.yaml`).toBe(file)
    expect(scenario.about.length).toBeGreaterThan(40)
    const { arrivals } = drawn(scenario)
    expect(arrivals.length).toBeGreaterThanOrEqual(10)
    for (const arrival of arrivals.slice(0, 200)) MissionRequest.parse(arrival.request)
    expect(loadOf(scenario)).toBeLessThan(0.8)
  })

  test('the ten that are promised', () => {
    expect(files.map((file) => file.replace('.yaml', ''))).toEqual(expect.arrayContaining(['all-faults', 'campus', 'churn', 'flaky-wifi', 'home-lab', 'hostile', 'internet', 'llm-serving', 'office', 'one-liar']))
  })

  test('sizes', () => {
    const count = (file: string) => read(file).nodes.reduce((sum, group) => sum + group.count, 0)
    expect(['home-lab.yaml', 'office.yaml', 'campus.yaml', 'internet.yaml', 'llm-serving.yaml', 'all-faults.yaml'].map(count)).toEqual([5, 50, 1_000, 10_000, 50, 6])
    expect(drawn(read('internet.yaml')).arrivals.length / 600).toBeCloseTo(100, -1)
    expect(new Set(drawn(read('internet.yaml')).arrivals.map((arrival) => arrival.node)).size).toBe(64)
  })

  test('llm-serving replays the whole trace at 70 % load', () => {
    const scenario = read('llm-serving.yaml')
    const { arrivals } = drawn(scenario)
    expect(arrivals).toHaveLength(8_819)
    expect((loadOf(scenario) * scenario.durationMs) / (arrivals.at(-1)?.atMs ?? 0)).toBeCloseTo(0.7, 2)
  })

  test('all-faults has no adversary and enough of everything; hostile has one of each conduct', () => {
    const all = read('all-faults.yaml')
    expect(all.nodes.some((group) => group.conduct !== undefined)).toBe(false)
    expect(drawn(all).faults.length).toBeGreaterThan(25)
    expect(read('hostile.yaml').nodes.flatMap((group) => group.conduct?.kind ?? [])).toEqual(Conduct.options.map((option) => option.shape.kind.value))
  })
})
