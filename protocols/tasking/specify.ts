/** From a plan to the task specifications that the log keeps. */
import { blobBytesIn, type Payload } from '../kernel/payload.ts'
import { fault, type Fault } from '../kernel/errors.ts'
import { childTaskId, type TaskId } from '../kernel/ids.ts'
import { limits } from '../kernel/limits.ts'
import type { Capability, CapabilityQuery } from '../capability/schema.ts'
import { attributesOf } from '../models/schema.ts'
import { dependencyIds } from './plan.ts'
import { RetryPolicy, type Plan, type PlannedTask, type TaskSpec } from './schema.ts'

const usualRetry = RetryPolicy.parse({})

/** What is known of the capability that a planned task names. */
export interface KnownCapability {
  readonly known?: Capability
  readonly versions: readonly string[]
  readonly nearest: readonly string[]
}

export interface Specifying {
  readonly parent: TaskId
  readonly priority: number
  readonly input: (name: string) => Payload
  readonly capability: (name: string) => KnownCapability
  /** What the plan's tasks may spend together, US dollars; absent: nobody has set a limit. */
  readonly budgetUsd?: number
}

/**
 * A task of a capability that spends (an agent's work, which calls models) and states no budget gets half of an equal share of what there is:
 * the other half is for attempts that are lost, which count as spent.
 */
function shareOf(plan: Plan, how: Specifying): number | undefined {
  if (how.budgetUsd === undefined) return undefined
  const names = Object.entries(plan.tasks).filter(([name, task]) => task.budgetUsd === undefined && spends(how.capability(name)))
  const stated = Object.values(plan.tasks).reduce((sum, { budgetUsd = 0 }) => sum + budgetUsd, 0)
  return names.length === 0 ? undefined : Math.max(0, how.budgetUsd - stated) / names.length / 2
}

function spends({ known }: KnownCapability): boolean {
  return known?.attributes['spends'] === true
}

/** What a task asks of a node. A model that its input names is asked for like one that its attributes name. */
export function queryOf(task: PlannedTask): CapabilityQuery {
  const attributes = attributesOf(task.capability, task.input, task.attributes)
  return { capability: task.capability, ...(task.version === undefined ? {} : { version: task.version }), ...(attributes === undefined ? {} : { attributes }) }
}

/** @returns the specifications in the plan's order, or what is unknown about the first capability that nobody ever offered. */
export function specify(plan: Plan, how: Specifying): TaskSpec[] | Fault {
  const specs: TaskSpec[] = []
  const shareUsd = shareOf(plan, how)
  for (const [name, task] of Object.entries(plan.tasks)) {
    const about = how.capability(name)
    if (about.known === undefined) return unknownCapability(name, task, about)
    const { attributes } = queryOf(task)
    const budgetUsd = task.budgetUsd ?? (spends(about) ? shareUsd : undefined)
    specs.push({
      taskId: childTaskId(how.parent, name), kind: about.known.kind, capability: task.capability,
      // Who asks for no version means the newest that is offered now; nodes with another schema must not win by luck.
      version: task.version ?? about.known.version,
      ...(attributes === undefined ? {} : { attributes }), effects: about.known.effects, input: how.input(name), after: dependencyIds(how.parent, task),
      priority: task.priority ?? plan.priority ?? how.priority, effort: task.effort ?? Math.max(1, blobBytesIn(task.input)), accept: task.accept, retry: task.retry ?? usualRetry,
      timeLimitMs: task.timeLimitMs ?? limits.missionDurationMsDefault, optional: task.optional, ...(budgetUsd === undefined ? {} : { budgetUsd }),
    })
  }
  return specs
}

function unknownCapability(name: string, task: PlannedTask, about: KnownCapability): Fault {
  const where = `task "${name}"`
  if (about.versions.length > 0) {
    return fault('version-mismatch', `${where} asks for ${task.capability}@${task.version ?? 'any'}${task.attributes === undefined ? '' : ` with ${JSON.stringify(task.attributes)}`}; offered are ${about.versions.map((version) => `${task.capability}@${version}`).join(', ')}`, { next: 'ask for one of these versions, or start a node that offers the one you need' })
  }
  const near = about.nearest.length > 0 ? ` Did you mean ${about.nearest.join(', ')}?` : ''
  return fault('unknown-capability', `no node of this mesh offers ${task.capability}.${near}`, { next: about.nearest.length > 0 ? `use ${about.nearest[0]}, or see what is offered: skein capabilities` : 'see what is offered: skein capabilities; or start a node that offers it: skein node start --skill FILE' })
}
