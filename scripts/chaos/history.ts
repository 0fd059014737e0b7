/**
 * What the campaign saw, from outside: submissions, reads, events, and the ledger of the runs. It only writes down; verdict.ts judges.
 *
 * Of the reads of a task only those are kept that a write-once register's checker can hold against each other: the last that saw nothing and,
 * per value, the first that saw it. What that leaves out can contradict nothing that is kept less.
 */
import { createHash } from 'node:crypto'
import type { RegisterRead } from './linearizable.ts'
import { something } from './linearizable.ts'

export interface Acceptance {
  readonly award: string
  /** When a reader first had it. */
  readonly seenMs: number
  readonly by: string
}

export interface TaskHistory {
  readonly task: string
  readonly composite: boolean
  lastEmpty?: RegisterRead
  /** By value. */
  readonly first: Map<RegisterRead['value'], RegisterRead>
  /** Digests of the results that were seen for each accepted award. */
  readonly results: Map<string, Set<string>>
  /** Log index of each award and of the acceptance, where a reader had the log. */
  readonly awardedAt: Map<string, { readonly index: number; readonly attempt: number; readonly worker: string }>
  acceptedAt?: number
}

export interface MissionHistory {
  readonly key: string
  readonly leaves: number
  /** Every id that was acknowledged, or listed, under the key. */
  readonly ids: Set<string>
  readonly startedMs: number
  acknowledgedMs?: number
  endedMs?: number
  /** As some reader last saw it. */
  state: string
  /** Why it failed, if it did. */
  failure?: string
  owner?: string
  members: readonly string[]
  readonly tasks: Map<string, TaskHistory>
  /** Digest of each event by log index. */
  readonly events: Map<number, string>
  lastIndex: number
  /** Two readers saw different events at one index. */
  readonly forks: string[]
  /** When each acceptance, and the end, was stamped by the mesh: wall time of this machine. */
  readonly progressWallMs: Set<number>
  lastRead?: RegisterRead
  /** The last that would have shown the root task. */
  lastReadOfRoot?: RegisterRead
  /** A bridge said that it does not exist, after it had been acknowledged. */
  denials: number
}

export interface LedgerLine {
  readonly mission: string
  readonly missionId: string
  readonly task: string
  readonly label: string
  readonly attempt: number
  readonly effects: 'none' | 'external'
  readonly phase: 'start' | 'end'
  readonly atMs: number
  readonly pid: number
  /** Name of the node, filled in by who started it. */
  readonly node?: string
}

/** A task as a read of a mission showed it: the accepted award, something without a name, or nothing. */
export interface TaskSighting {
  readonly task: string
  readonly composite: boolean
  readonly value: RegisterRead['value']
}

export interface ReadOfMission {
  readonly invokedMs: number
  readonly returnedMs: number
  readonly by: string
  readonly tasks: readonly TaskSighting[]
  /** It tells nothing about the root task: that one is never awarded, so `why` has no accepted award of it. */
  readonly rootless?: boolean
  /** When what it showed had been accepted, by the mesh's clock. */
  readonly progressWallMs?: readonly number[]
}

/** The same for equal values, whatever the order of their fields. */
export function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(sorted(value)) ?? '').digest('hex').slice(0, 16)
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1)).map(([key, inner]) => [key, sorted(inner)]))
}

export class History {
  readonly missions = new Map<string, MissionHistory>()
  readonly ledger: LedgerLine[] = []
  /** Answers to submissions that should not have been: (status, detail). */
  readonly refusals: string[] = []
  reads = 0

  begin(key: string, leaves: number, atMs: number): MissionHistory {
    const mission: MissionHistory = { key, leaves, ids: new Set(), startedMs: atMs, state: 'unknown', members: [], tasks: new Map(), events: new Map(), lastIndex: 0, forks: [], progressWallMs: new Set(), denials: 0 }
    this.missions.set(key, mission)
    return mission
  }

  inFlight(): MissionHistory[] {
    return [...this.missions.values()].filter((mission) => mission.acknowledgedMs !== undefined && mission.endedMs === undefined)
  }

  read(mission: MissionHistory, read: ReadOfMission): void {
    this.reads += 1
    const empty: RegisterRead = { kind: 'read', invokedMs: read.invokedMs, returnedMs: read.returnedMs, value: undefined, by: read.by }
    const sighted = new Map(read.tasks.map((task) => [task.task, task]))
    for (const { task, composite } of read.tasks) this.task(mission, task, composite)
    for (const known of mission.tasks.values()) {
      if (read.rootless === true && known.task === 'root') continue
      const value = sighted.get(known.task)?.value
      if (value === undefined) {
        if (known.lastEmpty === undefined || known.lastEmpty.invokedMs < read.invokedMs) known.lastEmpty = empty
      } else this.sighted(known, { ...empty, value })
    }
    // For tasks that nobody knows of yet: this read did not see them.
    if (mission.lastRead === undefined || mission.lastRead.invokedMs < read.invokedMs) mission.lastRead = empty
    if (read.rootless !== true && (mission.lastReadOfRoot === undefined || mission.lastReadOfRoot.invokedMs < read.invokedMs)) mission.lastReadOfRoot = empty
    for (const wallMs of read.progressWallMs ?? []) mission.progressWallMs.add(wallMs)
  }

  /** @param invokedMs when the stream that carried it was asked for. */
  event(mission: MissionHistory, index: number, event: Record<string, unknown>, invokedMs: number, seenMs: number, by: string): void {
    const known = mission.events.get(index)
    const now = digest(event)
    if (known === undefined) mission.events.set(index, now)
    else if (known !== now) mission.forks.push(`index ${index} of ${mission.key}: ${by} saw another ${String(event['type'])}`)
    mission.lastIndex = Math.max(mission.lastIndex, index)
    const { type, taskId } = event
    if (type === 'awarded') {
      const award = event['award'] as { awardId: string; taskId: string; attempt: number; worker: string }
      this.task(mission, award.taskId, false).awardedAt.set(award.awardId, { index, attempt: award.attempt, worker: award.worker })
    }
    if (type === 'accepted' && typeof taskId === 'string') {
      const task = this.task(mission, taskId, false)
      const award = String(event['awardId'])
      this.sighted(task, { kind: 'read', invokedMs, returnedMs: seenMs, value: award, by })
      task.results.set(award, (task.results.get(award) ?? new Set()).add(digest(event['result'])))
      task.acceptedAt = Math.min(task.acceptedAt ?? Infinity, index)
    }
    if (type === 'failed') mission.failure = JSON.stringify(event['fault'])
    if (type === 'accepted' || type === 'completed' || type === 'failed' || type === 'cancelled') mission.progressWallMs.add(Number(event['atWallMs']))
  }

  ended(mission: MissionHistory, state: string, atMs: number): void {
    mission.state = state
    mission.endedMs ??= atMs
  }

  private task(mission: MissionHistory, task: string, composite: boolean): TaskHistory {
    let known = mission.tasks.get(task)
    if (known === undefined) {
      const unseen = task === 'root' ? mission.lastReadOfRoot : mission.lastRead
      known = { task, composite, first: new Map(), results: new Map(), awardedAt: new Map(), ...(unseen === undefined ? {} : { lastEmpty: unseen }) }
      mission.tasks.set(task, known)
    }
    return known
  }

  private sighted(task: TaskHistory, read: RegisterRead): void {
    const before = task.first.get(read.value)
    if (before === undefined || read.returnedMs < before.returnedMs) task.first.set(read.value, read)
  }
}

/** When some reader had first seen the task accepted. */
export function firstSeenAcceptedMs(task: TaskHistory): number | undefined {
  const times = [...task.first.values()].map((read) => read.returnedMs)
  return times.length === 0 ? undefined : Math.min(...times)
}

/** All distinct awards that were ever seen accepted. */
export function acceptedAwards(task: TaskHistory): string[] {
  return [...task.first.keys()].filter((value) => value !== something) as string[]
}
