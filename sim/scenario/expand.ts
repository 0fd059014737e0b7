/** The nodes that a scenario's groups stand for, each with what was drawn for it. */
import type { Random } from '../../protocols/kernel/prng.ts'
import { draw } from './draw.ts'
import type { NodeGroup, Scenario, ScenarioSkill } from './schema.ts'

export interface PlannedNode {
  readonly name: string
  readonly group: NodeGroup
  readonly speed: number
  readonly skills: readonly ScenarioSkill[]
  /** How much faster the monotonic clock runs than the world's, as a share; negative is slower. */
  readonly clockDriftFraction: number
  readonly clockSkewMs: number
}

/** @returns the nodes in the order of their groups. @throws Error when a group names a skill that the scenario does not declare, or two groups or two nodes share a name. */
export function expandNodes(scenario: Scenario, random: Random): PlannedNode[] {
  const skillOf = new Map(scenario.skills.map((skill) => [skill.capability, skill]))
  const seen = new Set<string>()
  const nodes = scenario.nodes.flatMap((group) => {
    if (seen.has(group.group)) throw new Error(`two node groups are named '${group.group}': give each its own name`)
    seen.add(group.group)
    const skills = (group.skills ?? scenario.skills.map((skill) => skill.capability)).map((name) => {
      const skill = skillOf.get(name)
      if (skill === undefined) throw new Error(`the node group '${group.group}' names the skill '${name}', which the scenario does not declare under 'skills'`)
      return skill
    })
    const ofGroup = random.split()
    return Array.from({ length: group.count }, (_, at): PlannedNode => ({
      name: group.count === 1 ? group.group : `${group.group}-${at + 1}`, group, skills,
      speed: Math.max(0.01, draw(group.speed, ofGroup)),
      clockDriftFraction: group.clockDriftFraction * (2 * ofGroup.next() - 1),
      clockSkewMs: group.clockSkewMs * (2 * ofGroup.next() - 1),
    }))
  })
  const groupOf = new Map<string, string>()
  for (const { name, group: { group } } of nodes) {
    const other = groupOf.get(name)
    if (other !== undefined) throw new Error(`the groups '${other}' and '${group}' both have a node named '${name}': rename one of the groups`)
    groupOf.set(name, group)
  }
  return nodes
}

/** Of the names that a fault or a workload gives, the first that is neither a node's nor a group's. */
export function unknownName(nodes: readonly Pick<PlannedNode, 'name' | 'group'>[], names: readonly string[] = []): string | undefined {
  const known = new Set(names.length === 0 ? [] : nodes.flatMap((node) => [node.name, node.group.group]))
  return names.find((name) => !known.has(name))
}

/** Whether a node is among those that a fault or a workload names: by its own name or its group's. */
export function isNamed(node: Pick<PlannedNode, 'name' | 'group'>, names: readonly string[] | undefined): boolean {
  return names === undefined || names.includes(node.name) || names.includes(node.group.group)
}
