/**
 * Branded identifiers. They are strings on the wire; the brand keeps a task id from being passed
 * where a mission id is meant.
 *
 * @packageDocumentation
 */
import { z } from 'zod'

/** A libp2p peer id in its text form (`12D3KooW…`). */
export const PeerId = z.string().min(1).max(128).brand<'PeerId'>()
export type PeerId = z.infer<typeof PeerId>

/** `m-<shard, two digits><six characters>-<random>`: the shard of the registrar knows who keeps its log. */
export const MissionId = z.string().regex(/^m-[a-z0-9]{8}-[a-z0-9]{12}$/, 'is not a mission id (m-xxxxxxxx-xxxxxxxxxxxx)').brand<'MissionId'>()
export type MissionId = z.infer<typeof MissionId>

/**
 * What one replicated log is about: a mission, the mesh's roster, or one of its registrar shards (`registrar-00` … `registrar-63`).
 * A mission's log is named by the mission.
 */
export const GroupId = z.union([MissionId, z.literal('roster'), z.custom<`registrar-${string}`>((value) => typeof value === 'string' && /^registrar-\d\d$/.test(value), 'is not a registrar shard')])
export type GroupId = z.infer<typeof GroupId>

export function isMissionGroup(group: GroupId): group is MissionId {
  return group.startsWith('m-')
}

/** One life of one node's copy of a log: it gets another when it lost what it had promised. Text, compared for equality only. */
export const Incarnation = z.string().regex(/^[a-z0-9]{6,32}(\.\d{1,9})?$/, 'is not an incarnation').brand<'Incarnation'>()
export type Incarnation = z.infer<typeof Incarnation>

/** A task's place in its mission's tree: `root`, `root/build`, `root/build/3`. */
export const TaskId = z.string().min(1).max(512).regex(/^root(\/[A-Za-z0-9._-]{1,64})*$/).brand<'TaskId'>()
export type TaskId = z.infer<typeof TaskId>

/** (mission, task, attempt, awarding epoch): fixed for life, never given twice. */
export const AwardId = z.string().min(1).max(700).brand<'AwardId'>()
export type AwardId = z.infer<typeof AwardId>

/** One call for proposals for one attempt of one task. */
export const CallId = z.string().min(1).max(700).brand<'CallId'>()
export type CallId = z.infer<typeof CallId>

/** A participant's bid that stands for more than one task: unique among those that it has given. */
export const OfferId = z.string().min(1).max(64).brand<'OfferId'>()
export type OfferId = z.infer<typeof OfferId>

/** SHA-256, 64 lower-case hex digits. */
export const Digest = z.string().regex(/^[0-9a-f]{64}$/, 'is not a SHA-256 digest (64 hex digits)').brand<'Digest'>()
export type Digest = z.infer<typeof Digest>

/** Who a piece of work is done for: a person, a token's holder, `local` on a loopback bridge. */
export const Principal = z.string().min(1).max(64).regex(/^[A-Za-z0-9._@-]+$/).brand<'Principal'>()
export type Principal = z.infer<typeof Principal>

/** `repo.report`, `llm.chat`: dot-separated lower-case words. */
export const CapabilityName = z.string().max(64).regex(/^[a-z][a-z0-9-]*(\.[a-z0-9][a-z0-9-]*)*$/, 'is not a capability name (lower-case words joined by dots, like repo.report)').brand<'CapabilityName'>()
export type CapabilityName = z.infer<typeof CapabilityName>

/** The fencing number of a mission's owner, compared lineage first. See DESIGN §3. */
export const Epoch = z.object({ lineage: z.number().int().min(1), term: z.number().int().min(1) })
export type Epoch = z.infer<typeof Epoch>

/** Negative, zero or positive as `left` is older than, the same as or newer than `right`. */
export function compareEpochs(left: Epoch, right: Epoch): number {
  return left.lineage - right.lineage || left.term - right.term
}

export function formatEpoch(epoch: Epoch): string {
  return `${epoch.lineage}.${epoch.term}`
}

/** An award's identity is a pure function of what it awards, so a re-sent award is the same award. */
export function awardIdOf(missionId: MissionId, taskId: TaskId, attempt: number, epoch: Epoch): AwardId {
  return `${missionId}:${taskId}#${attempt}@${formatEpoch(epoch)}` as AwardId
}

export function callIdOf(missionId: MissionId, taskId: TaskId, attempt: number, epoch: Epoch): CallId {
  return `${missionId}:${taskId}#${attempt}@${formatEpoch(epoch)}?` as CallId
}

/** The parent's id, or undefined for `root`. */
export function parentTaskId(taskId: TaskId): TaskId | undefined {
  const slash = taskId.lastIndexOf('/')
  return slash < 0 ? undefined : (taskId.slice(0, slash) as TaskId)
}

export function childTaskId(parent: TaskId, name: string): TaskId {
  return TaskId.parse(`${parent}/${name}`)
}

/** Depth in the tree; `root` is 0. */
export function taskDepth(taskId: TaskId): number {
  let depth = 0
  for (let slash = taskId.indexOf('/'); slash >= 0; slash = taskId.indexOf('/', slash + 1)) depth += 1
  return depth
}

/** An actor somewhere in the mesh. */
export const ActorAddress = z.object({ peer: PeerId, actor: z.string().min(1).max(800) })
export type ActorAddress = z.infer<typeof ActorAddress>
