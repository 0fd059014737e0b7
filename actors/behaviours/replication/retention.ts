/**
 * Archives are kept for their time; then their records go, and the blobs that nothing else on this node cites. A sweep is rare,
 * looks at a bounded part, and whenever it cannot be sure of something it leaves everything for a later one: blobs go first,
 * their record only when all of them are gone or in use elsewhere, so that nothing is forgotten half-way.
 */
import type { Digest, GroupId, MissionId } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { blobRefsIn, type BlobRef } from '../../../protocols/kernel/payload.ts'
import type { EndedMission } from '../../../protocols/replicated-log/schema.ts'
import type { EffectOutcome, LogMessage } from '../../messages.ts'
import { actorNames, at } from '../../names.ts'
import type { ActorContext, Behaviour, Delivery } from '../../runtime/actor.ts'
import { fact, tell, type Effect } from '../../runtime/effects.ts'
import type { Tuning } from '../../tuning.ts'
import { clockJump, readClocks, type ClockReading } from '../clock-jumps.ts'
import { blobsOf } from './log-keeper-citations.ts'

interface Sweep {
  readonly expired: ReadonlyMap<MissionId, EndedMission>
  /** What they cite and nobody else was found to. */
  readonly candidates: Set<Digest>
  /** Large values of live logs, to be looked into. */
  readonly within: Map<Digest, BlobRef>
  readonly lookedInto: Set<Digest>
  /** Kept records that were seen: a page that shows no new one is not believed. */
  readonly seen: Set<MissionId>
}

interface RetentionState {
  /** When the last sweep began. */
  clocksSeen: ClockReading
  sweep: Sweep | undefined
  counter: number
}

export interface RetentionInit {
  readonly tuning: Tuning
}

/** Often enough that a short retention is kept, rarely enough that nobody notices. */
export function sweepMs({ archiveKeptMs }: Tuning): number {
  return Math.min(limits.archiveSweepMsMax, Math.max(limits.archiveSweepMsMin, archiveKeptMs / 24))
}

export function retention(init: RetentionInit): Behaviour<RetentionState> {
  return {
    kind: 'retention',
    supervision: 'resume',
    start: (context) => ({ state: { clocksSeen: readClocks(context), sweep: undefined, counter: 0 }, effects: [later(init)] }),
    receive: (state, delivery, context) => receive(init, state, delivery, context),
  }
}

function later(init: RetentionInit): Effect {
  return { type: 'set-timer', key: 'sweep', delayMs: sweepMs(init.tuning), message: { kind: 'tick' } }
}

function receive(init: RetentionInit, state: RetentionState, { message, from }: Delivery, context: ActorContext): Effect[] {
  if (from.peer !== context.self.peer) return []
  switch (message.kind) {
    case 'tick': {
      // One that was never answered is given up: it has changed nothing.
      state.sweep = undefined
      state.counter += 1
      const jumpMs = clockJump(state.clocksSeen, context)
      state.clocksSeen = readClocks(context)
      if (jumpMs !== undefined) return [later(init), fact('warn', 'clock.jumped', { jumpMs, putOff: 'sweeping archives' })]
      return [later(init), { type: 'read-ended', which: { keptUntilWallMs: context.wallMs, max: limits.archivesSweptAtOnce }, tag: `expired ${state.counter}` }]
    }
    case 'ended-read':
      return message.tag === `expired ${state.counter}` ? onExpired(state, message, context) : message.tag === `kept ${state.counter}` && state.sweep !== undefined ? onKept(init, state, state.sweep, message, context) : []
    case 'citations-found':
      return state.sweep === undefined || message.tag !== `logs ${state.counter}` ? [] : onCitations(state, state.sweep, message, context)
    case 'value-loaded':
      return state.sweep === undefined || message.tag !== `inside ${state.counter}` ? [] : onInside(state, state.sweep, message)
    case 'blobs-removed':
      return state.sweep === undefined || message.tag !== `free ${state.counter}` ? [] : onRemoved(state, state.sweep, message, context)
    default:
      return []
  }
}

type Outcome<Kind extends EffectOutcome['kind']> = Extract<EffectOutcome, { kind: Kind }>

function onExpired(state: RetentionState, { ended, fault: problem }: Outcome<'ended-read'>, context: ActorContext): Effect[] {
  if (problem !== undefined) return giveUp(state, problem.detail)
  const without = ended.filter((record) => blobsOf(record).length === 0)
  const expired = new Map<MissionId, EndedMission>()
  const candidates = new Set<Digest>()
  for (const record of ended) {
    const blobs = blobsOf(record)
    if (blobs.length === 0 || (candidates.size > 0 && candidates.size + blobs.length > limits.blobsSweptAtOnce)) continue
    expired.set(record.missionId, record)
    for (const digest of blobs) candidates.add(digest)
  }
  const forgotten = forget(without, 0, context)
  if (expired.size === 0) return forgotten
  state.sweep = { expired, candidates, within: new Map(), lookedInto: new Set(), seen: new Set() }
  return [...forgotten, askLogs(state.sweep, `logs ${state.counter}`, undefined, context)]
}

function askLogs({ candidates }: Sweep, tag: string, after: GroupId | undefined, context: ActorContext): Effect {
  return tell(at(context.self.peer, actorNames.logKeeper), { kind: 'find-citations', tag, digests: candidates, ...(after === undefined ? {} : { after }) })
}

function onCitations(state: RetentionState, sweep: Sweep, { cited, within, doubt, next }: Extract<LogMessage, { kind: 'citations-found' }>, context: ActorContext): Effect[] {
  if (doubt !== undefined) return giveUp(state, doubt)
  for (const digest of cited) sweep.candidates.delete(digest)
  for (const ref of within) sweep.within.set(ref.$blob, ref)
  if (sweep.within.size > limits.valuesLookedIntoMax) return giveUp(state, 'the logs hold too many large values to be looked into')
  return next === undefined ? lookInside(state, sweep) : [askLogs(sweep, `logs ${state.counter}`, next, context)]
}

/** Live logs first: a mission that ends meanwhile is among the ended ones when those are looked at. */
function lookInside(state: RetentionState, sweep: Sweep): Effect[] {
  const ref = [...sweep.within.values()].find(({ $blob }) => !sweep.lookedInto.has($blob))
  if (ref === undefined) return [readKept(state, Number.MAX_SAFE_INTEGER)]
  if (ref.sizeBytes > limits.valueLookedIntoBytesMax) return giveUp(state, 'a log holds a value that is too large to be looked into')
  sweep.lookedInto.add(ref.$blob)
  return [{ type: 'load-value', payload: { blob: ref }, alsoTry: [], tag: `inside ${state.counter}` }]
}

function onInside(state: RetentionState, sweep: Sweep, { value, fault: problem }: Outcome<'value-loaded'>): Effect[] {
  if (problem !== undefined) return giveUp(state, problem.detail)
  for (const { $blob } of blobRefsIn(value)) sweep.candidates.delete($blob)
  return lookInside(state, sweep)
}

function readKept(state: RetentionState, beforeWallMs: number): Effect {
  return { type: 'read-ended', which: { beforeWallMs, max: limits.archivesSweptAtOnce }, tag: `kept ${state.counter}` }
}

function onKept(init: RetentionInit, state: RetentionState, sweep: Sweep, { ended, fault: problem }: Outcome<'ended-read'>, context: ActorContext): Effect[] {
  if (problem !== undefined) return giveUp(state, problem.detail)
  const fresh = ended.filter(({ missionId }) => !sweep.seen.has(missionId))
  for (const record of fresh) {
    sweep.seen.add(record.missionId)
    if (!sweep.expired.has(record.missionId)) for (const digest of blobsOf(record)) sweep.candidates.delete(digest)
  }
  const last = ended.at(-1)
  if (last !== undefined && ended.length >= limits.archivesSweptAtOnce) {
    if (fresh.length === 0) return giveUp(state, 'too many missions ended at one instant')
    // Several may have ended in the same millisecond, some of them on the next page.
    return [readKept(state, last.endedAtWallMs + 1)]
  }
  if (sweep.candidates.size === 0) return finish(state, sweep, new Set(), context)
  return [{ type: 'remove-blobs', digests: [...sweep.candidates], idleForMs: init.tuning.blobIdleMs, tag: `free ${state.counter}` }]
}

function onRemoved(state: RetentionState, sweep: Sweep, { kept, fault: problem }: Outcome<'blobs-removed'>, context: ActorContext): Effect[] {
  return problem === undefined ? finish(state, sweep, new Set(kept), context) : giveUp(state, problem.detail)
}

function finish(state: RetentionState, { expired, candidates }: Sweep, kept: ReadonlySet<Digest>, context: ActorContext): Effect[] {
  state.sweep = undefined
  return forget([...expired.values()].filter((record) => !blobsOf(record).some((digest) => kept.has(digest))), candidates.size - kept.size, context)
}

function forget(ended: readonly EndedMission[], blobs: number, context: ActorContext): Effect[] {
  if (ended.length === 0 && blobs === 0) return []
  return [...(ended.length === 0 ? [] : [tell(at(context.self.peer, actorNames.logKeeper), { kind: 'forget-ended' as const, ended })]), fact('info', 'archives.forgotten', { missions: ended.length, blobs })]
}

function giveUp(state: RetentionState, why: string): Effect[] {
  state.sweep = undefined
  return [fact('info', 'archives.sweep-put-off', { why })]
}
