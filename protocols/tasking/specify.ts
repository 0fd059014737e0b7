/** From a plan to the task specifications that the log keeps. */
import { blobBytesIn, type Payload } from '../kernel/payload.ts'
import { fault, type Fault } from '../kernel/errors.ts'
import { childTaskId, type TaskId } from '../kernel/ids.ts'
import { limits } from '../kernel/limits.ts'
import type { Capability } from '../capability/schema.ts'
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
}

/** @returns the specifications in the plan's order, or what is unknown about the first capability that nobody ever offered. */
export function specify(plan: Plan, how: Specifying): TaskSpec[] | Fault {
  const specs: TaskSpec[] = []
  for (const [name, task] of Object.entries(plan.tasks)) {
    const about = how.capability(name)
    if (about.known === undefined) return unknownCapability(name, task, about)
    specs.push({
      taskId: childTaskId(how.parent, name), kind: about.known.kind, capability: task.capability,
      // Who asks for no version means the newest that is offered now; nodes with another schema must not win by luck.
      version: task.version ?? about.known.version,
      ...(task.attributes === undefined ? {} : { attributes: task.attributes }), effects: about.known.effects, input: how.input(name), after: dependencyIds(how.parent, task),
      priority: task.priority ?? plan.priority ?? how.priority, effort: task.effort ?? Math.max(1, blobBytesIn(task.input)), accept: task.accept, retry: task.retry ?? usualRetry,
      timeLimitMs: task.timeLimitMs ?? limits.missionDurationMsDefault, optional: task.optional,
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
