/**
 * What is kept on this node's disk, and until when: archives for their time, and what nothing here cites for a while, or until its
 * room is needed. A sweep is rare, looks at a bounded part, and whenever it cannot be sure of something it leaves everything for a later
 * one: blobs go first, an archive's record only when all of them are gone or in use elsewhere, so that nothing is forgotten half-way.
 *
 * It looks where a citation comes from before it looks where it goes to: into the actors' memory, then the logs, then the archives.
 */
import type { ActorAddress, Digest, GroupId, MissionId } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { blobRefsIn, type BlobRef } from '../../../protocols/kernel/payload.ts'
import type { LastUse } from '../../../protocols/kernel/recent-use.ts'
import type { Bytes, InstantMs } from '../../../protocols/kernel/units.ts'
import type { EndedMission } from '../../../protocols/replicated-log/schema.ts'
import type { EffectOutcome, LogMessage } from '../../messages.ts'
import { actorNames, at } from '../../names.ts'
import type { ActorContext, Behaviour, Delivery } from '../../runtime/actor.ts'
import { fact, tell, type Effect } from '../../runtime/effects.ts'
import type { Tuning } from '../../tuning.ts'
import { clockJump, readClocks, type ClockReading } from '../clock-jumps.ts'
import { blobsOf, noteValue } from './log-keeper-citations.ts'

interface Sweep {
  /** `time`: what was kept long enough. `room`: as much as is demanded. */
  readonly for: 'time' | 'room'
  readonly expired: ReadonlyMap<MissionId, EndedMission>
  /** What they cite and nobody else was found to. */
  readonly candidates: Set<Digest>
  /** Unused for a while, unused for longest first, and nobody was found to cite them. */
  readonly uncited: Map<Digest, Bytes>
  /** What actors hold. */
  readonly held: Set<Digest>
  /** Large values of live logs, to be looked into. */
  readonly within: Map<Digest, BlobRef>
  /** Those of actors: one that is not here yet comes from elsewhere, with what it names, and may be what the room is for. */
  readonly withinHeld: Map<Digest, BlobRef>
  readonly lookedInto: Set<Digest>
  /** Kept records that were seen: a page that shows no new one is not believed. */
  readonly seen: Set<MissionId>
  /** A skill that runs since then may hand over at its end what it stored at its beginning. */
  runningSinceMs: InstantMs | undefined
  /** Behind the uncited that it looks at there are no more. */
  isLast: boolean
}

/** Room that is wanted now. */
interface Demand {
  bytesLeft: Bytes
  readonly askers: ActorAddress[]
  after: LastUse | undefined
}

interface RetentionState {
  /** When the last sweep for time began. */
  clocksSeen: ClockReading
  sweep: Sweep | undefined
  counter: number
  /** Where the next sweep for time goes on among what is unused. */
  after: LastUse | undefined
  demand: Demand | undefined
  /** The last demand was not met: the next one is not looked into before. */
  restUntilMs: InstantMs
  /** The disk runs low and there was not enough to free: it is not looked at before the next sweep for time. */
  inVain: boolean
}

export interface RetentionInit {
  readonly tuning: Tuning
}

/** Often enough that a short retention is kept, rarely enough that nobody notices. */
export function sweepMs({ archiveKeptMs, uncitedKeptMs }: Tuning): number {
  return Math.min(limits.archiveSweepMsMax, Math.max(limits.archiveSweepMsMin, Math.min(archiveKeptMs, uncitedKeptMs) / 24))
}

export function retention(init: RetentionInit): Behaviour<RetentionState> {
  return {
    kind: 'retention',
    supervision: 'resume',
    start: (context) => ({
      state: { clocksSeen: readClocks(context), sweep: undefined, counter: 0, after: undefined, demand: undefined, restUntilMs: -Infinity, inVain: false },
      // Soon at first: a node that is often started again must come to it too.
      effects: [timer('sweep', limits.archiveSweepMsMin), timer('look', limits.roomLookMs)],
    }),
    receive: (state, delivery, context) => receive(init, state, delivery, context),
  }
}

function timer(what: string, delayMs: number): Effect {
  return { type: 'set-timer', key: what, delayMs, message: { kind: 'tick', what } }
}

function receive(init: RetentionInit, state: RetentionState, { message, from }: Delivery, context: ActorContext): readonly Effect[] {
  if (from.peer !== context.self.peer) return []
  switch (message.kind) {
    case 'tick':
      return message.what === 'look' ? [timer('look', limits.roomLookMs), ...(state.inVain ? [] : [{ type: 'look-for-room' as const, tag: 'look' }])] : onTime(init, state, context)
    case 'room-looked':
      return message.room === 'enough' ? [] : demandRoom(state, limits.diskLowBytes, undefined, context)
    case 'room-wanted':
      return demandRoom(state, message.bytes, message.replyTo, context)
    default:
      return state.sweep === undefined || !('tag' in message) || !message.tag.endsWith(` ${state.counter}`) ? [] : onAnswer(init, state, state.sweep, message, context)
  }
}

function onTime(init: RetentionInit, state: RetentionState, context: ActorContext): readonly Effect[] {
  // A sweep that was never answered is given up: it has changed nothing.
  const left = state.sweep === undefined ? [] : endSweep(state, context)
  const again = timer('sweep', sweepMs(init.tuning))
  const jumpMs = clockJump(state.clocksSeen, context)
  state.clocksSeen = readClocks(context)
  state.inVain = false
  if (jumpMs !== undefined) return [...left, again, fact('warn', 'clock.jumped', { jumpMs, putOff: 'sweeping archives' })]
  if (state.sweep !== undefined) return [...left, again]
  state.sweep = newSweep(state, 'time', new Map(), new Set())
  return [...left, again, { type: 'read-ended', which: { keptUntilWallMs: context.wallMs, max: limits.archivesSweptAtOnce }, tag: `expired ${state.counter}` }]
}

function newSweep(state: RetentionState, why: Sweep['for'], expired: ReadonlyMap<MissionId, EndedMission>, candidates: Set<Digest>): Sweep {
  state.counter += 1
  return { for: why, expired, candidates, uncited: new Map(), held: new Set(), within: new Map(), withinHeld: new Map(), lookedInto: new Set(), seen: new Set(), runningSinceMs: undefined, isLast: true }
}

// ---- room ----------------------------------------------------------------------------------------------------------

function demandRoom(state: RetentionState, bytes: Bytes, asker: ActorAddress | undefined, context: ActorContext): Effect[] {
  if (context.nowMs < state.restUntilMs) return asker === undefined ? [] : [tell(asker, { kind: 'room-made' })]
  state.demand ??= { bytesLeft: 0, askers: [], after: undefined }
  state.demand.bytesLeft += bytes
  if (asker !== undefined) state.demand.askers.push(asker)
  return state.sweep === undefined ? sweepForRoom(state) : []
}

function sweepForRoom(state: RetentionState): Effect[] {
  state.sweep = newSweep(state, 'room', new Map(), new Set())
  return [{ type: 'find-held', tag: `held ${state.counter}` }]
}

/** @param freed by this sweep; undefined when it was given up. */
function endSweep(state: RetentionState, context: ActorContext, freed?: Bytes): Effect[] {
  const { sweep, demand } = state
  state.sweep = undefined
  if (demand === undefined) return []
  if (sweep?.for !== 'room') return sweepForRoom(state)
  demand.bytesLeft -= freed ?? 0
  const isMet = demand.bytesLeft <= 0
  if (!isMet && freed !== undefined && !sweep.isLast) return sweepForRoom(state)
  state.demand = undefined
  if (!isMet) {
    state.restUntilMs = context.nowMs + limits.roomAgainMs
    state.inVain = true
  }
  return demand.askers.map((asker) => tell(asker, { kind: 'room-made' }))
}

// ---- one sweep -----------------------------------------------------------------------------------------------------

function onAnswer(init: RetentionInit, state: RetentionState, sweep: Sweep, message: Delivery['message'], context: ActorContext): Effect[] {
  if ('fault' in message && message.fault !== undefined) return giveUp(state, message.fault.detail, context)
  switch (message.kind) {
    case 'ended-read':
      return message.tag.startsWith('expired ') ? onExpired(state, message, context) : onKept(init, state, sweep, message, context)
    case 'held-found':
      return onHeld(init, state, sweep, message, context)
    case 'idle-blobs-found':
      return onIdle(state, sweep, message, context)
    case 'citations-found':
      return onCitations(state, sweep, message, context)
    case 'value-loaded':
      return onInside(state, sweep, message, context)
    case 'blobs-removed':
      return finish(state, sweep, new Set(message.kept), context)
    default:
      return []
  }
}

type Outcome<Kind extends EffectOutcome['kind']> = Extract<EffectOutcome, { kind: Kind }>

function onExpired(state: RetentionState, { ended }: Outcome<'ended-read'>, context: ActorContext): Effect[] {
  const without = ended.filter((record) => blobsOf(record).length === 0)
  const expired = new Map<MissionId, EndedMission>()
  const candidates = new Set<Digest>()
  for (const record of ended) {
    const blobs = blobsOf(record)
    if (blobs.length === 0 || (candidates.size > 0 && candidates.size + blobs.length > limits.blobsSweptAtOnce)) continue
    expired.set(record.missionId, record)
    for (const digest of blobs) candidates.add(digest)
  }
  state.sweep = newSweep(state, 'time', expired, candidates)
  return [...forget(without, 0, context), { type: 'find-held', tag: `held ${state.counter}` }]
}

function onHeld(init: RetentionInit, state: RetentionState, sweep: Sweep, { refs, runningSinceMs }: Outcome<'held-found'>, context: ActorContext): Effect[] {
  for (const ref of refs) noteValue(ref, sweep.held, sweep.withinHeld)
  sweep.runningSinceMs = runningSinceMs
  const { blobIdleMs, uncitedKeptMs } = init.tuning
  const after = sweep.for === 'room' ? state.demand?.after : state.after
  return [{ type: 'find-idle-blobs', idleForMs: patience(sweep, sweep.for === 'room' ? blobIdleMs : Math.max(blobIdleMs, uncitedKeptMs), context), max: limits.blobsSweptAtOnce, ...(after === undefined ? {} : { after }), tag: `idle ${state.counter}` }]
}

function patience({ runningSinceMs }: Sweep, idleMs: number, { nowMs }: ActorContext): number {
  return Math.max(idleMs, nowMs - (runningSinceMs ?? nowMs))
}

function onIdle(state: RetentionState, sweep: Sweep, { blobs }: Outcome<'idle-blobs-found'>, context: ActorContext): Effect[] {
  sweep.isLast = blobs.length < limits.blobsSweptAtOnce
  const after = sweep.isLast ? undefined : blobs.at(-1)
  if (sweep.for === 'time') state.after = after
  else if (state.demand !== undefined) state.demand.after = after
  for (const { digest, sizeBytes } of blobs) sweep.uncited.set(digest, sizeBytes)
  for (const digest of sweep.held) acquit(sweep, digest)
  return hasNothing(sweep) ? finish(state, sweep, new Set(), context) : [askLogs(sweep, `logs ${state.counter}`, undefined, context)]
}

/** It is cited: it stays. */
function acquit({ candidates, uncited }: Sweep, digest: Digest): void {
  candidates.delete(digest)
  uncited.delete(digest)
}

function hasNothing({ expired, uncited }: Sweep): boolean {
  return expired.size === 0 && uncited.size === 0
}

function askLogs({ candidates, uncited }: Sweep, tag: string, after: GroupId | undefined, context: ActorContext): Effect {
  return tell(at(context.self.peer, actorNames.logKeeper), { kind: 'find-citations', tag, digests: new Set([...candidates, ...uncited.keys()]), ...(after === undefined ? {} : { after }) })
}

function onCitations(state: RetentionState, sweep: Sweep, { cited, within, doubt, leaderless, next }: Extract<LogMessage, { kind: 'citations-found' }>, context: ActorContext): Effect[] {
  if (doubt !== undefined) return giveUp(state, doubt, context)
  // This node may have told its leader of now that it has them on its disk.
  if (leaderless !== undefined && sweep.uncited.size > 0) {
    if (sweep.expired.size === 0) return giveUp(state, `the log of ${leaderless} has no leader`, context)
    sweep.uncited.clear()
  }
  for (const digest of cited) acquit(sweep, digest)
  for (const ref of within) sweep.within.set(ref.$blob, ref)
  if (next !== undefined && sweep.within.size <= limits.valuesLookedIntoMax) return [askLogs(sweep, `logs ${state.counter}`, next, context)]
  return lookInside(state, sweep, context)
}

/** Live logs first: a mission that ends meanwhile is among the ended ones when those are looked at. */
function lookInside(state: RetentionState, sweep: Sweep, context: ActorContext): Effect[] {
  const { within, withinHeld, lookedInto } = sweep
  if (within.size + withinHeld.size > limits.valuesLookedIntoMax) return giveUp(state, 'there are too many large values to be looked into', context)
  const isNew = ({ $blob }: BlobRef): boolean => !lookedInto.has($blob)
  const ofLogs = [...within.values()].find(isNew)
  const ref = ofLogs ?? [...withinHeld.values()].find(isNew)
  if (ref === undefined) return [readKept(state, Number.MAX_SAFE_INTEGER)]
  if (ref.sizeBytes > limits.valueLookedIntoBytesMax) return giveUp(state, 'a value is too large to be looked into', context)
  lookedInto.add(ref.$blob)
  return [{ type: 'load-value', payload: { blob: ref }, alsoTry: [], ...(ofLogs === undefined ? { onlyHere: true, tag: `inside-held ${state.counter}` } : { tag: `inside ${state.counter}` }) }]
}

function onInside(state: RetentionState, sweep: Sweep, { value, tag }: Outcome<'value-loaded'>, context: ActorContext): Effect[] {
  const cited = new Set<Digest>()
  for (const ref of blobRefsIn(value)) noteValue(ref, cited, tag.startsWith('inside-held ') ? sweep.withinHeld : sweep.within)
  for (const digest of cited) acquit(sweep, digest)
  return lookInside(state, sweep, context)
}

function readKept(state: RetentionState, beforeWallMs: number): Effect {
  return { type: 'read-ended', which: { beforeWallMs, max: limits.archivesSweptAtOnce }, tag: `kept ${state.counter}` }
}

function onKept(init: RetentionInit, state: RetentionState, sweep: Sweep, { ended }: Outcome<'ended-read'>, context: ActorContext): Effect[] {
  const fresh = ended.filter(({ missionId }) => !sweep.seen.has(missionId))
  for (const record of fresh) {
    sweep.seen.add(record.missionId)
    for (const digest of blobsOf(record)) {
      // An expired one's are looked at as such, whether or not it is this sweep's turn.
      if (sweep.expired.has(record.missionId)) sweep.uncited.delete(digest)
      else acquit(sweep, digest)
    }
  }
  const last = ended.at(-1)
  if (last !== undefined && ended.length >= limits.archivesSweptAtOnce) {
    if (fresh.length === 0) return giveUp(state, 'too many missions ended at one instant', context)
    // Several may have ended in the same millisecond, some of them on the next page.
    return [readKept(state, last.endedAtWallMs + 1)]
  }
  if (sweep.for === 'room') keepOnly(sweep.uncited, state.demand?.bytesLeft ?? 0)
  const digests = [...sweep.candidates, ...sweep.uncited.keys()]
  if (digests.length === 0) return finish(state, sweep, new Set(), context)
  return [{ type: 'remove-blobs', digests, idleForMs: patience(sweep, init.tuning.blobIdleMs, context), tag: `free ${state.counter}` }]
}

/** Of those that could go, as many of the first as are needed. */
function keepOnly(uncited: Map<Digest, Bytes>, bytesWanted: Bytes): void {
  let bytes = 0
  for (const [digest, sizeBytes] of uncited) {
    if (bytes >= bytesWanted) uncited.delete(digest)
    bytes += sizeBytes
  }
}

function finish(state: RetentionState, { for: why, expired, candidates, uncited }: Sweep, kept: ReadonlySet<Digest>, context: ActorContext): Effect[] {
  const freed = [...uncited].filter(([digest]) => !kept.has(digest))
  const bytes = freed.reduce((sum, [, sizeBytes]) => sum + sizeBytes, 0)
  return [
    ...forget([...expired.values()].filter((record) => !blobsOf(record).some((digest) => kept.has(digest))), [...candidates].filter((digest) => !kept.has(digest)).length, context),
    ...(freed.length === 0 ? [] : [fact('info', 'blobs.freed', { blobs: freed.length, bytes, for: why })]),
    ...endSweep(state, context, bytes),
  ]
}

function forget(ended: readonly EndedMission[], blobs: number, context: ActorContext): Effect[] {
  if (ended.length === 0 && blobs === 0) return []
  return [...(ended.length === 0 ? [] : [tell(at(context.self.peer, actorNames.logKeeper), { kind: 'forget-ended' as const, ended })]), fact('info', 'archives.forgotten', { missions: ended.length, blobs })]
}

function giveUp(state: RetentionState, why: string, context: ActorContext): Effect[] {
  return [fact('info', 'archives.sweep-put-off', { why }), ...endSweep(state, context)]
}
