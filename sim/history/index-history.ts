/** A history put in order once for all checkers: lives of nodes, logs of missions, awards, bids, operations. */
import type { AwardId, MissionId, PeerId, TaskId } from '../../protocols/kernel/ids.ts'
import type { InstantMs } from '../../protocols/kernel/units.ts'
import type { LogEntry } from '../../protocols/replicated-log/schema.ts'
import type { MissionOperation } from '../../protocols/tasking/schema.ts'
import type { FaultKind } from '../scenario/schema.ts'
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

export interface Committed {
  readonly at: Order
  readonly atMs: InstantMs
  readonly node: string
  readonly peer: PeerId
  readonly entry: LogEntry
}

export interface Damage {
  readonly at: Order
  readonly atMs: InstantMs
  readonly node: string
  readonly how: FaultKind
}

export interface MissionLog {
  readonly missionId: MissionId
  /** What was synced, in order, until the disk lost some of it: what a rolled-back node writes after that proves nothing. */
  readonly committed: Committed[]
  readonly byIndex: Map<number, Committed>
  /** Entries that were synced under an index that had another content, in `committed` or not. */
  readonly rewritten: Committed[]
  readonly afterDamage: Committed[]
  /** Every time that its synced data was lost or altered. */
  readonly damages: Damage[]
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
  /** When a node's whole disk was put back to an older copy: what it had lost by then may be there again. */
  readonly rollbacks: ReadonlyMap<string, readonly Order[]>
  /** Every commit of every award, damaged logs included: an owner that was rolled back gives the same names again. */
  readonly awards: ReadonlyMap<AwardId, readonly Committed[]>
  /** Everybody who was ever awarded a task, by `mission:task`. */
  readonly workersOf: ReadonlyMap<string, ReadonlySet<PeerId>>
  readonly operations: readonly Operation[]
  /** Bids by `bidKey`. */
  readonly bids: ReadonlyMap<string, readonly HeardBid[]>
  readonly results: ReadonlyMap<AwardId, readonly { readonly at: Order; readonly record: RecordOf<'result-heard'> }[]>
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
  const rollbacks = new Map<string, Order[]>()
  const invoked = new Map<number, { at: Order; record: RecordOf<'invoke'> }>()
  const ended = new Map<number, { at: Order; record: NonNullable<Operation['end']> }>()
  const bids = new Map<string, HeardBid[]>()
  const results = new Map<AwardId, { at: Order; record: RecordOf<'result-heard'> }[]>()
  const awardsHeard = new Map<AwardId, { at: Order; record: RecordOf<'award-heard'> }[]>()
  const runsStarted: { at: Order; record: RecordOf<'run-started'> }[] = []
  const stepOfRun = new Map<string, string>()
  const runsEnded = new Map<string, { at: Order; record: RecordOf<'run-ended'> }[]>()
  let allHealed: HistoryIndex['allHealed']

  const logOf = (missionId: MissionId): MissionLog => {
    const log = logs.get(missionId) ?? { missionId, committed: [], byIndex: new Map(), rewritten: [], afterDamage: [], damages: [] }
    logs.set(missionId, log)
    return log
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
      case 'synced':
        for (const entry of record.entries) commit(logOf(record.missionId), { at, atMs: record.atMs, node: record.node, peer: record.peer, entry }, awards)
        return
      case 'disk-damaged':
        if (record.how === 'disk-rolled-back') add(rollbacks, record.node, at)
        for (const missionId of record.lost) logOf(missionId).damages.push({ at, atMs: record.atMs, node: record.node, how: record.how })
        return
      case 'invoke':
        invoked.set(record.operation, { at, record })
        return
      case 'ok':
      case 'fail':
      case 'unknown':
        ended.set(record.operation, { at, record })
        return
      case 'proposed':
        for (const bid of record.bids) add(bids, `${record.from} ${record.to} ${bid.callId.slice(0, bid.callId.lastIndexOf('#'))}`, { at, bid })
        return
      case 'result-heard':
        add(results, record.awardId, { at, record })
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
  return { history, lives, nodeOf, logs, rollbacks, awards, workersOf, operations, bids, results, awardsHeard, runsStarted, runsEnded, allHealed }
}

function add<Key, Value>(lists: Map<Key, Value[]>, key: Key, value: Value): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [value])
  else list.push(value)
}

function commit(log: MissionLog, committed: Committed, awards: Map<AwardId, Committed[]>): void {
  const { event, index, chain } = committed.entry
  if (event.type === 'awarded') add(awards, event.award.awardId, committed)
  if (log.damages.length > 0) {
    log.afterDamage.push(committed)
    return
  }
  const before = log.byIndex.get(index)
  if (before === undefined) {
    log.byIndex.set(index, committed)
    log.committed.push(committed)
  } else if (before.entry.chain !== chain) log.rewritten.push(committed)
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

/**
 * Reads a log from its beginning.
 * @param visit gets every entry with the ledger as it was before it. Not called for a log that does not begin with `submitted`.
 * @returns the ledger after the last entry.
 */
export function auditLog(log: MissionLog, visit: (committed: Committed, before: Ledger) => void = () => undefined): Ledger | undefined {
  const first = log.committed[0]
  if (first?.entry.event.type !== 'submitted') return undefined
  const ledger = openLedger(first.entry.event)
  for (const committed of log.committed) {
    visit(committed, ledger)
    postEvent(ledger, committed.entry.event)
  }
  return ledger
}

/** Who manages a task: the mission's owner for those below the root, else whoever was awarded the task above. */
export function managerOf(ledger: Ledger, taskId: TaskId): PeerId | undefined {
  const parent = ledger.tasks.get(taskId)?.parent
  if (parent === undefined || parent.parent === undefined) return ledger.owner
  return parent.attempts.findLast((attempt) => attempt.outcome === 'running')?.award.worker
}
