/** What a scenario's schema cannot see: whether its parts fit together and somebody can carry out what it asks for. */
import { limits } from '../../protocols/kernel/limits.ts'
import { checkFault } from '../faults/plan-faults.ts'
import { type PlannedNode, unknownName } from './expand.ts'
import type { Scenario, ScenarioSkill, Workload } from './schema.ts'

export interface ScenarioProblem {
  /** Where in the scenario. */
  readonly at: readonly (string | number)[]
  /** What is wrong, and what to do. */
  readonly message: string
}

/** @returns all that is found, in the order of the document. */
export function scenarioProblems(scenario: Scenario, nodes: readonly PlannedNode[]): ScenarioProblem[] {
  return [...nobodyKeeps(nodes), ...declaredTwice(scenario), ...scenario.workload.flatMap((workload, at) => problemsOfWorkload(scenario, nodes, workload, ['workload', at])), ...problemsOfFaults(scenario, nodes)]
}

function nobodyKeeps(nodes: readonly PlannedNode[]): ScenarioProblem[] {
  if (nodes.some(({ group }) => group.duties.includes('replica'))) return []
  return [{ at: ['nodes'], message: `no node has the duty 'replica': nobody can keep a mission, add 'replica' to the 'duties' of a group` }]
}

function declaredTwice({ skills }: Scenario): ScenarioProblem[] {
  const seen = new Set<string>()
  return skills.flatMap(({ capability }, at) => {
    if (seen.has(capability)) return [{ at: ['skills', at, 'capability'], message: `the capability '${capability}' is declared twice: keep one of the two` }]
    seen.add(capability)
    return []
  })
}

function problemsOfWorkload(scenario: Scenario, nodes: readonly PlannedNode[], workload: Workload, at: readonly (string | number)[]): ScenarioProblem[] {
  const problems: ScenarioProblem[] = []
  const unknown = unknownName(nodes, workload.submitters)
  if (unknown !== undefined) problems.push({ at: [...at, 'submitters', workload.submitters?.indexOf(unknown) ?? 0], message: `there is no node or group '${unknown}': name one that the scenario has` })
  const place = workload.kind === 'trace' ? at : [...at, 'mission']
  const asked = workload.kind === 'trace' ? workload.capability : workload.mission.capability
  const unfit = problemOfCapability(scenario, nodes, asked, [])
  if (unfit !== undefined) problems.push({ at: [...place, 'capability'], message: unfit })
  if (workload.kind === 'trace') return problems
  const { shape, leaves } = workload.mission
  const plansChildren = scenario.skills.find(({ capability }) => capability === asked)?.children !== undefined
  if (unfit === undefined && (shape === 'composite') !== plansChildren) {
    problems.push({ at: place, message: plansChildren ? `'${asked}' plans children: give its missions the shape 'composite'` : `the shape 'composite' needs a capability with 'children', and '${asked}' has none: give it some, or the mission another shape` })
  }
  // Of `composite`, one plan's tasks are fewer than the mission's leaves.
  const leavesMax = shape === 'composite' ? limits.missionTasksMax : limits.planTasksMax
  if (typeof leaves === 'number' && leaves > leavesMax) problems.push({ at: [...place, 'leaves'], message: `a mission has at most ${leavesMax} leaves, not ${leaves}: lower it` })
  return problems
}

/** Of a capability and of all that it plans, the first thing that stands in its way. */
function problemOfCapability(scenario: Scenario, nodes: readonly PlannedNode[], capability: string, above: readonly string[]): string | undefined {
  const skill = scenario.skills.find((other) => other.capability === capability)
  if (skill === undefined) return `the capability '${capability}' is not declared: add it under 'skills'`
  if (above.includes(capability)) return `'${capability}' plans itself (${[...above, capability].join(' → ')}): give it other children`
  if (!nodes.some((node) => offers(node, skill))) return `no node offers '${capability}': add it to the 'skills' of a group with the duty 'worker' and 'slots'`
  return skill.children === undefined ? undefined : problemOfCapability(scenario, nodes, skill.children.capability, [...above, capability])
}

function offers({ group, skills }: PlannedNode, { capability }: ScenarioSkill): boolean {
  return group.slots > 0 && group.duties.includes('worker') && skills.some((skill) => skill.capability === capability)
}

function problemsOfFaults({ faults }: Scenario, nodes: readonly PlannedNode[]): ScenarioProblem[] {
  return faults.flatMap((fault, at) => {
    try {
      checkFault(fault, nodes)
      return []
    } catch (thrown) {
      return [{ at: ['faults', at], message: thrown instanceof Error ? thrown.message : String(thrown) }]
    }
  })
}
