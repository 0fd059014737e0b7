import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { Conduct, FaultSpec, MissionShape, NetworkConditions, NodeGroup, Scenario, ScenarioSkill, Workload, faultKinds } from '../../../sim/scenario/schema.ts'
import { runSimulation } from '../../../sim/simulator.ts'

const page = readFileSync('docs/simulator.md', 'utf8')
const example = /```yaml\n([\s\S]*?)```/.exec(page)?.[1] ?? ''
const named = new Set(Array.from(page.matchAll(/`([^`\n]+)`/g), ([, code = '']) => code.replace(/^kind: /, '')))

describe('docs/simulator.md', () => {
  test.each<[string, readonly string[]]>([
    ['scenario', Object.keys(Scenario.shape)], ['nodes', Object.keys(NodeGroup.shape)], ['network', Object.keys(NetworkConditions.shape)], ['skills', Object.keys(ScenarioSkill.shape)],
    ['workload', Workload.options.flatMap((option) => [...Object.keys(option.shape), option.shape.kind.value])], ['mission', [...Object.keys(MissionShape.shape), ...MissionShape.shape.shape.unwrap().options]],
    ['fault', [...Object.keys(FaultSpec.shape), ...faultKinds]], ['conduct', Conduct.options.flatMap((option) => [...Object.keys(option.shape), option.shape.kind.value])],
  ])('names everything of a %s', (_what, names) => {
    expect(names.filter((name) => !named.has(name))).toEqual([])
  })

  test('the example runs, and keeps the promises', { timeout: 120_000 }, async () => {
    const scenario = Scenario.parse(parse(example))
    const { report } = await runSimulation({ scenario, seed: 1 })
    expect(report.missions).toMatchObject({ completed: report.missions.submitted, unended: 0 })
    expect(report.missions.submitted).toBeGreaterThan(20)
    expect(report.violations).toEqual([])
  })
})
