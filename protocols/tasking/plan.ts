/** Plans: what they refer to, whether they are a DAG, and the task specifications they become. */
import { fault, type Fault } from '../kernel/errors.ts'
import { childTaskId, type TaskId } from '../kernel/ids.ts'
import type { Json } from '../kernel/payload.ts'
import { patternFault } from './pattern.ts'
import type { AcceptanceCheck, Plan, PlannedTask } from './schema.ts'

/** `{ "$from": "other-task", "path": "a.0.b" }` inside an input: (part of) another task's output. */
export interface Reference {
  readonly $from: string
  readonly path?: string
}

export function isReference(value: unknown): value is Reference {
  return typeof value === 'object' && value !== null && '$from' in value && typeof value.$from === 'string'
}

/** Names of the tasks a value refers to, each once. */
export function referencesIn(value: unknown): string[] {
  const names = new Set<string>()
  const pending: unknown[] = [value]
  while (pending.length > 0) {
    const next = pending.pop()
    if (isReference(next)) names.add(next.$from)
    // One by one: a million values are more than one call can take as arguments.
    else if (typeof next === 'object' && next !== null) for (const inner of Array.isArray(next) ? next : Object.values(next)) pending.push(inner)
  }
  return [...names]
}

/** @returns the value at a dotted path; undefined when there is none. */
export function valueAt(value: unknown, path: string): unknown {
  let current = value
  for (const key of path === '' ? [] : path.split('.')) {
    if (typeof current !== 'object' || current === null) return undefined
    current = Array.isArray(current) ? current[Number(key)] : Object.hasOwn(current, key) ? (current as Record<string, unknown>)[key] : undefined
  }
  return current
}

/** The value with every reference replaced by what it refers to; null where the other task gave nothing. */
export function resolveReferences(value: unknown, outputs: ReadonlyMap<string, unknown>): Json {
  if (isReference(value)) return (valueAt(outputs.get(value.$from), value.path ?? '') ?? null) as Json
  if (Array.isArray(value)) return value.map((inner: unknown) => resolveReferences(inner, outputs))
  if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, resolveReferences(inner, outputs)]))
  return (value ?? null) as Json
}

/** What must be accepted before this task can be announced: `after` and everything its input refers to. */
export function dependenciesOf(task: PlannedTask): string[] {
  return [...new Set([...task.after, ...referencesIn(task.input)])]
}

/**
 * @param known names of tasks of an earlier plan that this one adds to.
 * @returns the first thing that is wrong with the plan's shape, or undefined.
 */
export function planFault(plan: Plan, known: ReadonlySet<string> = new Set()): Fault | undefined {
  const names = Object.keys(plan.tasks)
  if (names.length === 0) return fault('bad-plan', 'the plan has no tasks', { next: 'add at least one entry under "tasks"' })
  for (const [name, task] of Object.entries(plan.tasks)) {
    if (known.has(name)) return fault('bad-plan', `there is a task "${name}" already`, { next: 'give the new task another name' })
    const check = task.accept.map(checkFault).find((problem) => problem !== undefined)
    if (check !== undefined) return fault('bad-plan', `task "${name}": ${check}`, { next: 'correct the check under "accept"' })
    for (const needed of dependenciesOf(task)) {
      if (!Object.hasOwn(plan.tasks, needed) && !known.has(needed)) return fault('bad-plan', `task "${name}" needs "${needed}", which the plan does not have`, { next: `add a task named "${needed}" or correct the name` })
    }
  }
  for (const needed of referencesIn(plan.result)) {
    if (!Object.hasOwn(plan.tasks, needed) && !known.has(needed)) return fault('bad-plan', `the result refers to "${needed}", which the plan does not have`, { next: 'correct the name under "result"' })
  }
  const cycle = cycleIn(plan)
  if (cycle !== undefined) return fault('bad-plan', `the plan is cyclic: ${cycle.join(' → ')}`, { next: 'remove one of these dependencies' })
  return undefined
}

/** What is wrong with a check, before anything has run that it could refuse. */
function checkFault(check: AcceptanceCheck): string | undefined {
  const { path, ...conditions } = check
  const where = path === '' ? 'a check of the output' : `the check of "${path}"`
  if (Object.values(conditions).every((condition) => condition === undefined)) return `${where} says nothing: give exists, equals, matches, atLeast or atMost`
  const pattern = check.matches === undefined ? undefined : patternFault(check.matches)
  return pattern === undefined ? undefined : `${where} has a pattern that ${pattern}`
}

/** @returns the tasks along a cycle, the first repeated at the end; undefined for a DAG. */
export function cycleIn(plan: Plan): string[] | undefined {
  const state = new Map<string, 'open' | 'done'>()
  for (const start of Object.keys(plan.tasks)) {
    if (state.has(start)) continue
    // An explicit stack: a chain of 5,000 tasks must not end in a stack overflow.
    const path: { name: string; next: string[] }[] = [{ name: start, next: dependenciesOf(plan.tasks[start] as PlannedTask) }]
    state.set(start, 'open')
    while (path.length > 0) {
      const top = path.at(-1) as { name: string; next: string[] }
      const needed = top.next.pop()
      if (needed === undefined) {
        state.set(top.name, 'done')
        path.pop()
      } else if (state.get(needed) === 'open') {
        const names = path.map(({ name }) => name)
        return [...names.slice(names.indexOf(needed)), needed]
      } else if (!state.has(needed) && Object.hasOwn(plan.tasks, needed)) {
        state.set(needed, 'open')
        path.push({ name: needed, next: dependenciesOf(plan.tasks[needed] as PlannedTask) })
      }
    }
  }
  return undefined
}

export function dependencyIds(parent: TaskId, task: PlannedTask): TaskId[] {
  return dependenciesOf(task).map((name) => childTaskId(parent, name))
}
