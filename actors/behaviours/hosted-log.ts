/**
 * A log that this node leads, as its host sees it (the roster, a registrar shard): folded, appended to in batches, one
 * at a time, each caller answered once what it asked for is committed; snapshots when the log has grown.
 */
import { canonicalJson } from '../../protocols/kernel/hashing.ts'
import type { Fault } from '../../protocols/kernel/errors.ts'
import { formatEpoch, type Epoch, type GroupId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Json, Payload } from '../../protocols/kernel/payload.ts'
import { peersOf } from '../../protocols/membership/members.ts'
import type { Membership } from '../../protocols/membership/schema.ts'
import { extend, logOrigin, positionOf } from '../../protocols/replicated-log/chain.ts'
import type { LogEntry, LogPosition, LogRecord, LogSnapshot } from '../../protocols/replicated-log/schema.ts'
import type { ActorMessage } from '../messages.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'

/** How a kind of log is folded, and how its state is stored. */
export interface FoldedKind<State> {
  readonly version: number
  empty(): State
  /** May change the state in place. Ignores what is none of its business. */
  fold(state: State, record: LogRecord): State
  encode(state: State): Json
  decode(version: number, stored: unknown): State | Fault
}

/** `Then`: what the host wants to hear again once everything it appended by then is committed. */
export interface HostedLog<State, Then> {
  readonly kind: FoldedKind<State>
  readonly group: GroupId
  readonly epoch: Epoch
  /** `loading`: the snapshot's state is being fetched. `opening`: `took-over` is being committed. `lost`: what was appended last may not be there. */
  phase: 'loading' | 'opening' | 'ready' | 'lost'
  /** With everything that was appended, committed or not. */
  state: State
  membership: Membership
  head: LogPosition
  /** Under way to the disks. */
  sent: { readonly entries: readonly LogEntry[]; readonly then: readonly Then[] } | undefined
  waiting: LogEntry[]
  waitingThen: Then[]
  /** Reads that wait for a barrier: for the one under way, and for the next. */
  reading: readonly Then[] | undefined
  readingNext: Then[]
  /** Entries that wait for the snapshot they follow. */
  early: readonly LogEntry[]
  snapshot: LogSnapshot | undefined
  /** A snapshot on its way: of which place, and its state once that is stored. */
  storing: (Omit<LogSnapshot, 'state'> & { readonly state: Payload | undefined }) | undefined
  /** Everything up to there is committed. */
  committed: number
  /** Of this leadership here: answers to an earlier one are not for this. */
  readonly id: string
  tags: number
}

type Led = Extract<ActorMessage, { kind: 'group-led' }>

/** What has been settled, for the host to go on with. */
export interface Settled<Then> {
  readonly effects: readonly Effect[]
  readonly done: readonly Then[]
  /** Not committed here, as far as is known. */
  readonly failed: readonly Then[]
  /** The log has just become ready. */
  readonly opened: boolean
}

/** Begins to host a log. It is ready once its snapshot is there and its `took-over` is committed. */
export function hostLog<State, Then>(kind: FoldedKind<State>, led: Led, context: ActorContext): { readonly log: HostedLog<State, Then>; readonly effects: Effect[] } {
  const log: HostedLog<State, Then> = {
    kind, group: led.group, epoch: led.epoch, phase: 'loading', state: kind.empty(), membership: led.membership, head: led.snapshot?.at ?? logOrigin,
    sent: undefined, waiting: [], waitingThen: [], reading: undefined, readingNext: [], early: led.entries.filter(({ index }) => index > (led.snapshot?.at.index ?? 0)), snapshot: led.snapshot, storing: undefined,
    committed: led.commit, id: `${formatEpoch(led.epoch)}/${context.random.text(6)}`, tags: 0,
  }
  if (led.snapshot !== undefined) return { log, effects: [load(log, led.snapshot, context)] }
  return { log, effects: open(log, context) }
}

/** Whether this tag is one of this log's. A host that leads several finds the log by the tag's first word. */
export function groupOfTag(tag: string): string {
  return tag.slice(0, tag.indexOf(' '))
}

function tagOf<State, Then>(log: HostedLog<State, Then>, what: string): string {
  log.tags += 1
  return `${log.group} ${log.id} ${what} ${log.tags}`
}

/** Of this leadership, and the newest of its kind: there is one at a time of each. */
function isOwn<State, Then>(log: HostedLog<State, Then>, tag: string, what: string): boolean {
  return tag.startsWith(`${log.group} ${log.id} ${what} `)
}

function load<State, Then>(log: HostedLog<State, Then>, snapshot: LogSnapshot, context: ActorContext): Effect {
  const others = peersOf(log.membership).filter((peer) => peer !== context.self.peer)
  return { type: 'load-value', payload: snapshot.state, alsoTry: others, tag: tagOf(log, 'load') }
}

function open<State, Then>(log: HostedLog<State, Then>, context: ActorContext): Effect[] {
  for (const entry of log.early) take(log, entry)
  log.early = []
  log.phase = 'opening'
  return [tell(at(context.self.peer, actorNames.logKeeper), { kind: 'barrier', tag: tagOf(log, 'open'), group: log.group })]
}

function take<State, Then>(log: HostedLog<State, Then>, entry: LogEntry): void {
  if (entry.event.type === 'members') log.membership = entry.event.membership
  log.state = log.kind.fold(log.state, entry.event)
  log.head = positionOf(entry)
}

/**
 * Appends, after everything appended before. It is folded at once, so that the next thing is judged by it; `then` comes
 * back once it is committed. Without an event, `then` comes back once everything appended before is.
 */
export function append<State, Then>(log: HostedLog<State, Then>, events: readonly LogRecord[], then: readonly Then[], snapshotEntries: number, context: ActorContext): Settled<Then> {
  const entries = extend(log.head, log.epoch, events)
  for (const entry of entries) take(log, entry)
  log.waiting.push(...entries)
  if (entries.length === 0 && log.sent === undefined && log.waiting.length === 0) return { effects: [], done: then, failed: [], opened: false }
  log.waitingThen.push(...then)
  return { effects: flush(log, snapshotEntries, context), done: [], failed: [], opened: false }
}

/** Whether a change of members is on its way. */
export function isChangingMembers<State, Then>(log: HostedLog<State, Then>): boolean {
  return [...(log.sent?.entries ?? []), ...log.waiting].some(({ event }) => event.type === 'members')
}

/** Entries that are not committed yet. */
export function uncommitted<State, Then>(log: HostedLog<State, Then>): number {
  return (log.sent?.entries.length ?? 0) + log.waiting.length
}

/** `then` comes back once it is certain that this node still leads (ReadIndex). Many reads share one question. */
export function readAfterBarrier<State, Then>(log: HostedLog<State, Then>, then: Then, context: ActorContext): Effect[] {
  log.readingNext.push(then)
  return log.reading === undefined ? ask(log, context) : []
}

function ask<State, Then>(log: HostedLog<State, Then>, context: ActorContext): Effect[] {
  if (log.readingNext.length === 0) return []
  log.reading = log.readingNext
  log.readingNext = []
  return [tell(at(context.self.peer, actorNames.logKeeper), { kind: 'barrier', tag: tagOf(log, 'read'), group: log.group })]
}

function flush<State, Then>(log: HostedLog<State, Then>, snapshotEntries: number, context: ActorContext): Effect[] {
  if (log.sent !== undefined || log.waiting.length === 0) return []
  const entries = log.waiting.splice(0, limits.appendEntriesMax)
  // Whoever waits for more than fits waits for the next batch, too.
  const then = log.waiting.length === 0 ? log.waitingThen.splice(0) : []
  log.sent = { entries, then }
  return [tell(at(context.self.peer, actorNames.logKeeper), { kind: 'append', tag: tagOf(log, 'append'), group: log.group, entries }), ...snapshot(log, snapshotEntries)]
}

/** The log-keeper's answer to an append or a barrier. */
export function onAppended<State, Then>(log: HostedLog<State, Then>, { tag, fault: problem }: Extract<ActorMessage, { kind: 'appended' }>, snapshotEntries: number, context: ActorContext): Settled<Then> {
  const nothing: Settled<Then> = { effects: [], done: [], failed: [], opened: false }
  const what = (['open', 'append', 'read'] as const).find((candidate) => isOwn(log, tag, candidate))
  if (what === undefined || log.phase === 'lost') return nothing
  if (problem !== undefined) return { ...nothing, failed: lose(log), effects: [fact('warn', 'log.host-lost', { group: log.group, why: problem.detail }), leadAgainLater(log.group)] }
  if (what === 'open') {
    log.phase = 'ready'
    return { ...nothing, opened: true }
  }
  if (what === 'read') {
    const done = log.reading ?? []
    log.reading = undefined
    return { ...nothing, done, effects: ask(log, context) }
  }
  const done = log.sent?.then ?? []
  log.committed = log.sent?.entries.at(-1)?.index ?? log.committed
  log.sent = undefined
  return { ...nothing, done, effects: [...flush(log, snapshotEntries, context), ...sayTaken(log, context)] }
}

/** It is not known what became of what was appended last: the log-keeper tells the whole log again, if this node still leads. */
export function lose<State, Then>(log: HostedLog<State, Then>): Then[] {
  const failed = [...(log.sent?.then ?? []), ...log.waitingThen, ...(log.reading ?? []), ...log.readingNext]
  log.phase = 'lost'
  log.sent = undefined
  log.waiting = []
  log.waitingThen = []
  log.reading = undefined
  log.readingNext = []
  return failed
}

const leadAgainMs = 1_000

function leadAgainLater(group: GroupId): Effect {
  return { type: 'set-timer', key: `again ${group}`, delayMs: leadAgainMs, message: { kind: 'tick', what: `again ${group}` } }
}

/** The timers of a hosted log: `again <group>`. */
export function onHostTick<State, Then>(log: HostedLog<State, Then>, context: ActorContext): Effect[] {
  if (log.phase === 'loading' && log.snapshot !== undefined) return [load(log, log.snapshot, context)]
  return log.phase === 'lost' ? [tell(at(context.self.peer, actorNames.logKeeper), { kind: 'lead-again', group: log.group })] : []
}

/** The state of the snapshot that the log begins with. */
export function onLoaded<State, Then>(log: HostedLog<State, Then>, { tag, value, fault: problem }: Extract<ActorMessage, { kind: 'value-loaded' }>, context: ActorContext): Effect[] {
  if (!isOwn(log, tag, 'load') || log.phase !== 'loading' || log.snapshot === undefined) return []
  if (problem !== undefined) return [fact('warn', 'log.snapshot-not-loaded', { group: log.group, why: problem.detail }), leadAgainLater(log.group)]
  const state = log.kind.decode(log.snapshot.version, value)
  // Another member may be able to lead it. If none is, what it needs is a person, or another release.
  if (isFault(state)) return [tell(at(context.self.peer, actorNames.logKeeper), { kind: 'cannot-lead', group: log.group, fault: state })]
  log.state = state
  return open(log, context)
}

/** What is folded holds everything that was just sent: it is stored meanwhile, and is a snapshot once that is committed. */
function snapshot<State, Then>(log: HostedLog<State, Then>, snapshotEntries: number): Effect[] {
  if (log.waiting.length > 0 || log.storing !== undefined || log.head.index - (log.snapshot?.at.index ?? 0) <= snapshotEntries) return []
  log.storing = { at: log.head, membership: log.membership, version: log.kind.version, state: undefined }
  return [{ type: 'store-value', value: log.kind.encode(log.state), tag: tagOf(log, 'store') }]
}

export function onStored<State, Then>(log: HostedLog<State, Then>, { tag, payload, fault: problem }: Extract<ActorMessage, { kind: 'value-stored' }>, context: ActorContext): Effect[] {
  if (!isOwn(log, tag, 'store') || log.storing === undefined || log.phase === 'lost') return []
  if (problem !== undefined || payload === undefined) {
    log.storing = undefined
    return [fact('warn', 'log.snapshot-not-stored', { group: log.group, why: problem?.detail })]
  }
  log.storing = { ...log.storing, state: payload }
  return sayTaken(log, context)
}

function sayTaken<State, Then>(log: HostedLog<State, Then>, context: ActorContext): Effect[] {
  const { storing } = log
  if (storing?.state === undefined || storing.at.index > log.committed) return []
  log.snapshot = { ...storing, state: storing.state }
  log.storing = undefined
  return [tell(at(context.self.peer, actorNames.logKeeper), { kind: 'snapshot-taken', group: log.group, snapshot: log.snapshot })]
}

/** The log-keeper wants these members. They are appended unless that is what holds, or another change is under way. */
export function changeMembers<State, Then>(log: HostedLog<State, Then>, membership: Membership, snapshotEntries: number, context: ActorContext): readonly Effect[] {
  if (log.phase !== 'ready' || isChangingMembers(log) || canonicalJson(log.membership) === canonicalJson(membership)) return []
  return append(log, [{ type: 'members', atWallMs: context.wallMs, membership }], [], snapshotEntries, context).effects
}

export function isFault(value: unknown): value is Fault {
  return typeof value === 'object' && value !== null && 'code' in value && 'retryable' in value
}
