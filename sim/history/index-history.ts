/** A history put in order once for all checkers: lives of nodes, logs of missions, awards, bids, operations. */
import { formatEpoch, isMissionGroup, type AwardId, type CallId, type Epoch, type GroupId, type MissionId, type PeerId, type TaskId } from '../../protocols/kernel/ids.ts'
import type { InstantMs } from '../../protocols/kernel/units.ts'
import type { Member, Membership } from '../../protocols/membership/schema.ts'
import type { LogEntry } from '../../protocols/replicated-log/schema.ts'
import type { MissionEvent, MissionOperation } from '../../protocols/tasking/schema.ts'
import type { FaultKind } from '../scenario/schema.ts'
import { createGroupLogs, isMajority, type CommittedUpTo, type Conflict, type GroupLog, type GroupLogs } from './group-logs.ts'
import type { History, HistoryRecord, RecordOf } from './history.ts'
import { openLedger, postEvent, type Ledger } from './ledger.ts'

/** A record's place in the history. Of two records of one instant only this says which came first. */
export type Order = number

export interface Life {
  readonly node: string
  readonly peer: PeerId
  readonly startedAt: Order
  readonly started: RecordOf<'started'>
  readonly onDisk: ReadonlySet<MissionId>
  /** Infinity: it lives to the end. */
  stoppedAt: Order
  stopped: RecordOf<'stopped'> | undefined
}

/** An entry of a mission's log that is committed. */
export interface Committed {
  /** When somebody first said that it is committed. */
  readonly at: Order
  readonly atMs: InstantMs
  /** When its epoch began: whoever led under it was in that life of its node. */
  readonly ledAt: Order
  /** Whoever led under its epoch. */
  readonly node: string
  readonly peer: PeerId
  readonly entry: Omit<LogEntry, 'event'> & { readonly event: MissionEvent }
}

/** What a disk lost: one log's copy. */
export interface Damage {
  readonly at: Order
  readonly atMs: InstantMs
  readonly node: string
  readonly peer: PeerId
  readonly how: FaultKind
}

/** Any group's log, as its members have kept it. */
export interface Replicated {
  readonly group: GroupId
  readonly committed: readonly LogEntry[]
  /** When each of them was first called committed. */
  readonly committedAt: readonly Order[]
  readonly membership: Membership | undefined
  readonly reports: ReadonlyMap<PeerId, CommittedUpTo>
  readonly conflicts: readonly (Conflict & { readonly at: Order; readonly atMs: InstantMs })[]
  /** Called committed before a majority had it on its disks. */
  readonly loose: readonly (Conflict & { readonly at: Order; readonly atMs: InstantMs })[]
  readonly damages: readonly Damage[]
  /** From here on nothing is promised: a majority of those who kept it has lost its copy. Infinity: that never happened. */
  readonly excusedAt: Order
  /** Voters (peer and incarnation) whose copy was never lost. */
  isSound(member: Member): boolean
}

export interface MissionLog {
  readonly missionId: MissionId
  readonly replicated: Replicated
  /** What is committed, in order, until nothing is promised any more. */
  readonly committed: Committed[]
  readonly byIndex: Map<number, Committed>
}

export interface HeardBid {
  readonly at: Order
  readonly bid: RecordOf<'proposed'>['bids'][number]
}

export interface Operation {
  readonly invoked: Order
  readonly invoke: RecordOf<'invoke'>
  readonly asked: MissionOperation
  readonly endedAt: Order
  readonly end: RecordOf<'ok'> | RecordOf<'fail'> | RecordOf<'unknown'> | undefined
}

export interface HistoryIndex {
  readonly history: History
  readonly lives: ReadonlyMap<string, readonly Life[]>
  readonly nodeOf: ReadonlyMap<PeerId, string>
  readonly logs: ReadonlyMap<MissionId, MissionLog>
  /** The same and the mesh's own: the roster, the registrar's shards. */
  readonly groups: ReadonlyMap<GroupId, Replicated>
  /** Every commit of every award. */
  readonly awards: ReadonlyMap<AwardId, readonly Committed[]>
  /** Everybody who was ever awarded a task, by `mission:task`. */
  readonly workersOf: ReadonlyMap<string, ReadonlySet<PeerId>>
  /** When a disk first had anything of a log; Infinity: never. */
  firstSynced(peer: PeerId, group: GroupId): Order
  readonly operations: readonly Operation[]
  /** Bids by `bidKey`. */
  readonly bids: ReadonlyMap<string, readonly HeardBid[]>
  /** Those that stand for more than one task, by `from to offerId`. */
  readonly offers: ReadonlyMap<string, readonly HeardBid[]>
  readonly results: ReadonlyMap<AwardId, readonly { readonly at: Order; readonly record: RecordOf<'result-heard'> }[]>
  readonly invokesHeard: ReadonlyMap<CallId, readonly { readonly at: Order; readonly record: RecordOf<'invoke-heard'> }[]>
  readonly awardsHeard: ReadonlyMap<AwardId, readonly { readonly at: Order; readonly record: RecordOf<'award-heard'> }[]>
  readonly runsStarted: readonly { readonly at: Order; readonly record: RecordOf<'run-started'> }[]
  /** Runs that ended, by award and step. */
  readonly runsEnded: ReadonlyMap<string, readonly { readonly at: Order; readonly record: RecordOf<'run-ended'> }[]>
  /** Where the world was healed for good; undefined: it never was. */
  readonly allHealed: { readonly at: Order; readonly record: RecordOf<'all-healed'> } | undefined
}

const known = new WeakMap<History, HistoryIndex>()

/** @returns the same index for the same history, so that every checker can ask for it. */
export function indexHistory(history: History): HistoryIndex {
  const before = known.get(history)
  if (before !== undefined) return before
  const index = build(history)
  known.set(history, index)
  return index
}

export function bidKey(from: PeerId, to: PeerId, missionId: MissionId, taskId: TaskId): string {
  return `${from} ${to} ${missionId}:${taskId}`
}

/** Runs of an award: a leaf's is named by the award, a plan or a synthesis has more after it. */
export function runKey(runId: string, step: string): string {
  const cut = runId.lastIndexOf(`:${step}:`)
  return `${step} ${cut < 0 ? runId : runId.slice(0, cut)}`
}

/** The attempt and the epoch that an award's or a call's id names. */
export function partsOf(id: string): { readonly attempt: number; readonly lineage: number; readonly term: number } {
  const found = /#(\d+)@(\d+)\.(\d+)\??$/.exec(id)
  return { attempt: Number(found?.[1] ?? 0), lineage: Number(found?.[2] ?? 0), term: Number(found?.[3] ?? 0) }
}

function build(history: History): HistoryIndex {
  const lives = new Map<string, Life[]>()
  const nodeOf = new Map<PeerId, string>()
  const logs = new Map<MissionId, MissionLog>()
  const awards = new Map<AwardId, Committed[]>()
  const groupLogs = createGroupLogs()
  const replicated = new Map<GroupId, MutableReplicated>()
  /** When a peer began to lead a group under an epoch. */
  const ledAt = new Map<string, Order>()
  const copiesOf = new Map<PeerId, Set<GroupId>>()
  const firstSyncedAt = new Map<string, Order>()
  const invoked = new Map<number, { at: Order; record: RecordOf<'invoke'> }>()
  const ended = new Map<number, { at: Order; record: NonNullable<Operation['end']> }>()
  const bids = new Map<string, HeardBid[]>()
  const offers = new Map<string, HeardBid[]>()
  const results = new Map<AwardId, { at: Order; record: RecordOf<'result-heard'> }[]>()
  const invokesHeard = new Map<CallId, { at: Order; record: RecordOf<'invoke-heard'> }[]>()
  const awardsHeard = new Map<AwardId, { at: Order; record: RecordOf<'award-heard'> }[]>()
  const runsStarted: { at: Order; record: RecordOf<'run-started'> }[] = []
  const stepOfRun = new Map<string, string>()
  const runsEnded = new Map<string, { at: Order; record: RecordOf<'run-ended'> }[]>()
  let allHealed: HistoryIndex['allHealed']

  const groupOf = (group: GroupId): MutableReplicated => {
    let found = replicated.get(group)
    if (found === undefined) {
      found = newReplicated(group, groupLogs)
      replicated.set(group, found)
    }
    return found
  }

  const commit = (group: GroupId, fresh: readonly LogEntry[], at: Order, atMs: InstantMs, reporter: PeerId): void => {
    const log = groupOf(group)
    for (const entry of fresh) {
      log.committedAt.push(at)
      if (entry.event.type === 'members') log.noteMembers(entry.event.membership, at)
      if (isMissionGroup(group)) commitMission(group, entry, at, atMs, reporter)
    }
  }

  const commitMission = (missionId: MissionId, entry: LogEntry, at: Order, atMs: InstantMs, reporter: PeerId): void => {
    const log: MissionLog = logs.get(missionId) ?? { missionId, replicated: groupOf(missionId), committed: [], byIndex: new Map() }
    logs.set(missionId, log)
    const { event } = entry
    const owner = event.type === 'submitted' || event.type === 'took-over' ? event.owner : (log.committed.at(-1)?.peer ?? reporter)
    const committed = { at, atMs, ledAt: ledAt.get(epochKey(owner, missionId, entry.epoch)) ?? at, node: nodeOf.get(owner) ?? owner, peer: owner, entry: entry as Committed['entry'] }
    if (event.type === 'awarded') add(awards, event.award.awardId, committed)
    if (groupOf(missionId).excusedAt < at) return
    log.committed.push(committed)
    log.byIndex.set(entry.index, committed)
  }

  const take = (record: HistoryRecord, at: Order): void => {
    switch (record.type) {
      case 'started':
        nodeOf.set(record.peer, record.node)
        add(lives, record.node, { node: record.node, peer: record.peer, startedAt: at, started: record, onDisk: new Set(record.missionsOnDisk), stoppedAt: Infinity, stopped: undefined })
        return
      case 'stopped': {
        const life = lives.get(record.node)?.at(-1)
        if (life?.stopped === undefined && life !== undefined) Object.assign(life, { stoppedAt: at, stopped: record })
        return
      }
      case 'leads':
        ledAt.set(epochKey(record.peer, record.group, record.epoch), at)
        return
      case 'synced': {
        if (!firstSyncedAt.has(`${record.peer} ${record.group}`)) firstSyncedAt.set(`${record.peer} ${record.group}`, at)
        copiesOf.set(record.peer, (copiesOf.get(record.peer) ?? new Set()).add(record.group))
        const { fresh } = groupLogs.synced(record.peer, record.group, record.entries, record.truncateFrom)
        commit(record.group, fresh, at, record.atMs, record.peer)
        return
      }
      case 'committed': {
        const { fresh, conflict, isLoose } = groupLogs.reported(record.peer, record.group, record)
        const log = groupOf(record.group)
        const said = { peer: record.peer, index: record.index, chain: record.chain, at, atMs: record.atMs }
        if (log.excusedAt > at) {
          if (conflict !== undefined) log.conflicts.push(said)
          if (isLoose) log.loose.push(said)
        }
        commit(record.group, fresh, at, record.atMs, record.peer)
        return
      }
      case 'disk-damaged': {
        // Whatever was on a disk that is new or older now, the archives of what had ended included.
        const all = record.how === 'disk-wiped' || record.how === 'disk-rolled-back' ? [...(copiesOf.get(record.peer) ?? [])] : []
        for (const group of new Set([...record.lost, ...all])) groupOf(group).noteDamage({ at, atMs: record.atMs, node: record.node, peer: record.peer, how: record.how })
        return
      }
      case 'invoke':
        invoked.set(record.operation, { at, record })
        return
      case 'ok':
      case 'fail':
      case 'unknown':
        ended.set(record.operation, { at, record })
        return
      case 'proposed':
        for (const bid of record.bids) if (bid.standing !== undefined) add(offers, `${record.from} ${record.to} ${bid.standing.offerId}`, { at, bid })
        for (const bid of record.bids) add(bids, `${record.from} ${record.to} ${bid.callId.slice(0, bid.callId.lastIndexOf('#'))}`, { at, bid })
        return
      case 'result-heard':
        add(results, record.awardId, { at, record })
        return
      case 'invoke-heard':
        add(invokesHeard, record.callId, { at, record })
        return
      case 'award-heard':
        add(awardsHeard, record.awardId, { at, record })
        return
      case 'run-started':
        runsStarted.push({ at, record })
        stepOfRun.set(`${record.node} ${record.runId}`, record.step)
        return
      case 'run-ended':
        add(runsEnded, `${record.node} ${runKey(record.runId, stepOfRun.get(`${record.node} ${record.runId}`) ?? 'run')}`, { at, record })
        return
      case 'all-healed':
        allHealed ??= { at, record }
    }
  }
  history.records.forEach(take)

  const operations = [...invoked].map(([operation, { at, record }]): Operation => {
    const end = ended.get(operation)
    return { invoked: at, invoke: record, asked: record.asked, endedAt: end?.at ?? Infinity, end: end?.record }
  })
  const workersOf = new Map<string, Set<PeerId>>()
  for (const { entry: { event } } of [...awards.values()].flat()) {
    if (event.type !== 'awarded') continue
    const key = event.award.awardId.slice(0, event.award.awardId.lastIndexOf('#'))
    workersOf.set(key, (workersOf.get(key) ?? new Set()).add(event.award.worker))
  }
  return { history, lives, nodeOf, logs, groups: replicated, firstSynced: (peer, group) => firstSyncedAt.get(`${peer} ${group}`) ?? Infinity, awards, workersOf, operations, bids, offers, results, invokesHeard, awardsHeard, runsStarted, runsEnded, allHealed }
}

function epochKey(leader: PeerId, group: GroupId, epoch: Epoch): string {
  return `${leader} ${group} ${formatEpoch(epoch)}`
}

function add<Key, Value>(lists: Map<Key, Value[]>, key: Key, value: Value): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [value])
  else list.push(value)
}

interface MutableReplicated extends Replicated {
  readonly committedAt: Order[]
  readonly conflicts: (Conflict & { readonly at: Order; readonly atMs: InstantMs })[]
  readonly loose: (Conflict & { readonly at: Order; readonly atMs: InstantMs })[]
  excusedAt: Order
  noteMembers(membership: Membership, at: Order): void
  noteDamage(damage: Damage): void
}

function newReplicated(group: GroupId, groupLogs: GroupLogs): MutableReplicated {
  const damages: Damage[] = []
  /** When each voter was first one: what its peer lost before that was another life's. */
  const since = new Map<string, Order>()
  const nameOf = ({ peer, incarnation }: Member): string => `${peer} ${incarnation}`
  const log = (): GroupLog | undefined => groupLogs.logs.get(group)
  const own: MutableReplicated = {
    group, committedAt: [], conflicts: [], loose: [], damages, excusedAt: Infinity,
    get committed() {
      return log()?.committed ?? []
    },
    get membership() {
      return log()?.membership
    },
    get reports() {
      return log()?.reports ?? new Map<PeerId, CommittedUpTo>()
    },
    isSound: (member) => !damages.some(({ peer, at }) => peer === member.peer && at > (since.get(nameOf(member)) ?? -1)),
    noteMembers(membership, at) {
      for (const member of [...membership.voters, ...(membership.outgoing ?? [])]) if (!since.has(nameOf(member))) since.set(nameOf(member), at)
    },
    noteDamage(damage) {
      damages.push(damage)
      const { membership } = own
      // Before it is known who keeps it, whoever had it was all there was.
      if (membership === undefined || !isMajority(membership, own.isSound)) own.excusedAt = Math.min(own.excusedAt, damage.at)
    },
  }
  return own
}

/** The life that a node is in, or was in last: what a crash left on the disk is of the life that wrote it. */
export function lifeAt(index: HistoryIndex, node: string, at: Order): Life | undefined {
  return index.lives.get(node)?.findLast((candidate) => candidate.startedAt <= at)
}

/** The life that lasts to the end of the run; undefined for a node that is gone for good. */
export function lastLife(index: HistoryIndex, node: string): Life | undefined {
  const life = index.lives.get(node)?.at(-1)
  return life?.stopped === undefined ? life : undefined
}

/** Conduct is a node's own, whatever life it is in. */
export function isHonest(index: HistoryIndex, node: string): boolean {
  return index.lives.get(node)?.every((life) => life.started.conduct === undefined) ?? true
}

/** Nothing is promised of this log any more: a majority of its copies was lost. */
export function isExcused({ replicated }: MissionLog): boolean {
  return replicated.excusedAt < Infinity
}

/** The event that the mission began with. Before it the log says who keeps it, and who leads it. */
export function submittedOf(log: MissionLog): (Committed & { readonly event: Extract<MissionEvent, { type: 'submitted' }> }) | undefined {
  for (const committed of log.committed) {
    const { event } = committed.entry
    if (event.type === 'submitted') return { ...committed, event }
    if (event.type !== 'members' && event.type !== 'took-over') return undefined
  }
  return undefined
}

/**
 * Reads a log from its beginning.
 * @param visit gets every entry from `submitted` on with the ledger as it was before it. Not called for a log that does not begin so.
 * @returns the ledger after the last entry.
 */
export function auditLog(log: MissionLog, visit: (committed: Committed, before: Ledger) => void = () => undefined): Ledger | undefined {
  const first = submittedOf(log)
  if (first === undefined) return undefined
  const ledger = openLedger(first.event)
  for (const committed of log.committed) {
    if (committed.at >= first.at && committed.entry.index >= first.entry.index) visit(committed, ledger)
    postEvent(ledger, committed.entry.event)
  }
  return ledger
}

/** Whether so many of those who keep the log are there at the end, with what they had, that they can go on. */
export function hasLiveMajority(index: HistoryIndex, log: Replicated): boolean {
  const { membership } = log
  if (membership === undefined || log.excusedAt < Infinity) return false
  return isMajority(membership, (member) => log.isSound(member) && lastLife(index, index.nodeOf.get(member.peer) ?? '') !== undefined)
}

/** Who manages a task: the mission's owner for those below the root, else whoever was awarded the task above. */
export function managerOf(ledger: Ledger, taskId: TaskId): PeerId | undefined {
  const parent = ledger.tasks.get(taskId)?.parent
  if (parent === undefined || parent.parent === undefined) return ledger.owner
  return parent.attempts.findLast((attempt) => attempt.outcome === 'running')?.award.worker
}
