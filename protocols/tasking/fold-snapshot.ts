/** A mission's fold as a value: what a snapshot of its log holds, and the part of it that a manager is given. */
import { z } from 'zod'
import { Fault, MeshError } from '../kernel/errors.ts'
import { Epoch, MissionId, parentTaskId, PeerId, Principal, TaskId } from '../kernel/ids.ts'
import { Payload, type Json } from '../kernel/payload.ts'
import { Membership } from '../membership/schema.ts'
import type { MissionFold, TaskNode } from './mission-state.ts'
import { Acknowledgement, MissionLimits, missionStates } from './schema.ts'
import { readTask } from './stored-task.ts'

/** Of the shape that `encodeFold` makes. A node that does not know a snapshot's version never leads its mission. */
export const foldVersion = 1

const StoredFold = z.object({
  missionId: MissionId,
  name: z.string(),
  principal: Principal,
  owner: PeerId,
  epoch: Epoch,
  state: z.enum(missionStates),
  paused: z.boolean(),
  cancelling: z.boolean(),
  priority: z.number().int(),
  limits: MissionLimits,
  acknowledgement: Acknowledgement,
  submittedAtWallMs: z.number(),
  endedAtWallMs: z.number().optional(),
  request: Payload,
  forkOf: z.object({ missionId: MissionId, taskId: TaskId }).optional(),
  /** Parents before their children, as the plans named them. Read one by one. */
  tasks: z.array(z.unknown()),
  lastIndex: z.number().int().min(1),
  leaves: z.number().int(),
  spentUsd: z.number(),
  result: Payload.optional(),
  fault: Fault.optional(),
  members: Membership.optional(),
  archive: Payload.optional(),
})

/** What the fold is now; events that it folds later do not change the value. */
export function encodeFold(fold: MissionFold): Json {
  return encode(fold, [...fold.tasks.values()])
}

function encode(fold: MissionFold, tasks: readonly TaskNode[]): Json {
  // What never changes once it is there (specs, awards, payloads) is shared, not copied.
  return { ...fold, tasks: tasks.map((task) => ({ ...task, attempts: task.attempts.map((attempt) => ({ ...attempt })), children: [...task.children] })) } as unknown as Json
}

/** @throws MeshError `storage-failed` when it is not what `encodeFold` or `foldSlice` of this version has made. */
export function decodeFold(value: Json): MissionFold {
  const parsed = StoredFold.safeParse(value)
  if (!parsed.success) throw malformed([], parsed.error)
  const { tasks, ...rest } = parsed.data
  const read = new Map<TaskId, TaskNode>()
  for (const [i, stored] of tasks.entries()) {
    try {
      const task = readTask(stored)
      read.set(task.spec.taskId, task)
    } catch (thrown) {
      throw thrown instanceof z.ZodError ? malformed(['tasks', i], thrown) : thrown
    }
  }
  return { ...rest, tasks: read } as MissionFold
}

function malformed(path: readonly PropertyKey[], { issues: [first] }: z.ZodError): MeshError {
  return new MeshError('storage-failed', `a snapshot of a mission is malformed: ${[...path, ...(first?.path ?? [])].map(String).join('.')} ${first?.message ?? ''}`)
}

/**
 * What a manager of `subtree` must know: the mission, the path down to its task, what its task depends on, and everything
 * below. The mission's own figures (leaves, spending) are the whole mission's. `decodeFold` reads it.
 */
export function foldSlice(fold: MissionFold, subtree: TaskId): Json {
  if (subtree === 'root') return encodeFold(fold)
  const path = new Set<TaskId>()
  for (let at = parentTaskId(subtree); at !== undefined; at = parentTaskId(at)) path.add(at)
  const needed = new Set(fold.tasks.get(subtree)?.spec.after)
  const isBelow = (taskId: TaskId): boolean => taskId === subtree || taskId.startsWith(`${subtree}/`)
  const tasks = [...fold.tasks.values()].flatMap((task): TaskNode[] => {
    const { taskId } = task.spec
    if (isBelow(taskId)) return [task]
    // Of those above and beside, what they are and have come to; who tried them is not its concern.
    if (path.has(taskId)) return [{ ...task, attempts: [], children: task.children.filter((child) => child === subtree || path.has(child) || needed.has(child)) }]
    return needed.has(taskId) ? [{ ...task, attempts: [], children: [] }] : []
  })
  return encode(fold, tasks)
}
