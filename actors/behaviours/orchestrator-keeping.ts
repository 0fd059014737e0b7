/** How a mission's log is kept: recovered by whoever leads it next, folded into snapshots, and archived when the mission is over. */
import { fault, type Fault } from '../../protocols/kernel/errors.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { blobRefsIn, type Json, type Payload } from '../../protocols/kernel/payload.ts'
import type { EndedMission, LogEntry } from '../../protocols/replicated-log/schema.ts'
import { decodeFold, encodeFold, foldVersion } from '../../protocols/tasking/fold-snapshot.ts'
import { applyEvent, foldEvents, missionEnded, type MissionFold } from '../../protocols/tasking/mission-state.ts'
import type { IndexedEvent, MissionEvent } from '../../protocols/tasking/schema.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'
import { deadViews, missionView } from './mission-views.ts'
import { append, epochOf, isAhead, membersOf, restLater, votersOf, whenConfirmed, type LedLog, type OrchestratorInit, type OrchestratorState } from './orchestrator-state.ts'

/** What an archive holds. */
interface Archive {
  readonly version: number
  readonly fold: Json
  readonly events: readonly IndexedEvent[]
}

/** The log of a mission that another node led until now, or this one in an earlier life. */
export function recover(init: OrchestratorInit, state: OrchestratorState, led: LedLog, context: ActorContext): Effect[] {
  const { snapshot } = led
  if (snapshot === undefined) return onFolded(init, state, led, undefined, context)
  if (snapshot.version > foldVersion) return cannotLead(init, state, snapshot.version, context)
  return [{ type: 'load-value', payload: snapshot.state, alsoTry: led.membership.voters.map(({ peer }) => peer), tag: 'base' }]
}

/** A node never leads what it cannot fold: another member does, and until then whoever asks is told to ask elsewhere. */
function cannotLead({ missionId }: OrchestratorInit, state: OrchestratorState, version: number, context: ActorContext): Effect[] {
  state.damaged = fault('owner-unreachable', `mission ${missionId} was folded by a newer release than this node's (version ${version}, this one reads ${foldVersion})`, { next: 'start a member that runs that release, or run it here' })
  return [tell(at(context.self.peer, actorNames.logKeeper), { kind: 'cannot-lead', group: missionId, fault: state.damaged })]
}

export function onFolded(init: OrchestratorInit, state: OrchestratorState, led: LedLog, base: MissionFold | undefined, context: ActorContext): Effect[] {
  const events = led.entries.map(({ index, event }) => ({ index, event: event as MissionEvent }))
  const after = (led.snapshot?.at.index ?? 0) + 1
  if (base === undefined) state.fold = foldEvents(events)
  else {
    state.fold = base
    for (const { index, event } of events) if (index >= after) applyEvent(state.fold, event, index)
  }
  state.events = events
  state.firstKept = events[0]?.index ?? after
  const last = led.entries.at(-1) as LogEntry
  state.head = { index: last.index, chain: last.chain }
  state.committed = led.commit
  state.membership = led.membership
  if (missionEnded(state.fold)) restLater(init, state, state.fold.state, context)
  return [aimAt(init, state.fold.acknowledgement, context), fact('info', 'mission.recovered', { mission: init.missionId, entries: last.index, lineage: led.epoch.lineage, term: led.epoch.term }), ...whenConfirmed(init, state, { then: 'start' }, context)]
}

/** A mission acknowledged `quorum` is kept by several, any other by its owner alone. */
export function aimAt({ missionId }: OrchestratorInit, acknowledgement: MissionFold['acknowledgement'], context: ActorContext): Effect {
  return tell(at(context.self.peer, actorNames.logKeeper), { kind: 'aim-at', group: missionId, voters: acknowledgement === 'quorum' ? limits.votersAimed : 1 })
}

/** Between two changes, when everything folded is committed. */
export function snapshotIfDue(init: OrchestratorInit, state: OrchestratorState): Effect[] {
  const { fold, membership } = state
  if (init.from.kind === 'ended' || fold === undefined || membership === undefined || state.snapshotting !== undefined || isAhead(state)) return []
  if (state.head.index - state.firstKept < init.tuning.snapshotEntries + init.tuning.snapshotTailEntries) return []
  state.snapshotting = { at: { ...state.head, epoch: epochOf(init) }, membership }
  return [{ type: 'store-value', value: encodeFold(fold), tag: 'snapshot' }]
}

export function onSnapshotStored(init: OrchestratorInit, state: OrchestratorState, payload: Payload | undefined, context: ActorContext): Effect[] {
  const taken = state.snapshotting
  state.snapshotting = undefined
  if (taken === undefined || payload === undefined) return []
  state.firstKept = Math.max(state.firstKept, taken.at.index + 1 - init.tuning.snapshotTailEntries)
  state.events = state.events.filter(({ index }) => index >= state.firstKept)
  return [tell(at(context.self.peer, actorNames.logKeeper), { kind: 'snapshot-taken', group: init.missionId, snapshot: { ...taken, version: foldVersion, state: payload } })]
}

// ---- the archive ---------------------------------------------------------------------------------------------------

/** The mission is over and nobody has watched it for a while. */
export function archive(init: OrchestratorInit, state: OrchestratorState): Effect[] {
  const { fold } = state
  if (fold === undefined || state.isArchiving) return []
  state.isArchiving = true
  const archived: Archive = { version: foldVersion, fold: encodeFold(fold), events: [...state.events] }
  return [{ type: 'store-value', value: archived as unknown as Json, tag: 'archive' }, fact('debug', 'mission.archiving', { mission: init.missionId })]
}

export function onArchiveStored(init: OrchestratorInit, state: OrchestratorState, payload: Payload | undefined, context: ActorContext): Effect[] {
  const { fold } = state
  if (payload === undefined || fold === undefined) return tryLater(state, context)
  const endedAtWallMs = fold.endedAtWallMs ?? context.wallMs
  const ended: EndedMission = { missionId: init.missionId, endedAtWallMs, keptUntilWallMs: endedAtWallMs + init.tuning.archiveKeptMs, archive: payload, cites: [], members: membersOf(state), view: missionView(fold, state.notes, init.nodeName), dead: deadViews(fold).slice(0, limits.deadLettersKept) }
  return secureArchive(init, state, ended, false, context)
}

/** Everything that the mission cites is on a majority's disks when it is archived, whoever has joined since it was cited. */
export function secureArchive(init: OrchestratorInit, state: OrchestratorState, ended: EndedMission, alone: boolean, context: ActorContext): Effect[] {
  const refs = blobRefsIn(alone ? [ended.archive] : [ended.archive, state.fold === undefined ? null : encodeFold(state.fold), state.events])
  if (refs.length === 0) return append(init, state, [{ type: 'archived', atWallMs: context.wallMs, archive: ended.archive }], { then: 'archived', ended }, context)
  const tag = `blobs ${state.counter++}`
  state.securing.set(tag, { for: 'archive', ended, alone })
  return [tell(at(context.self.peer, actorNames.blobKeeper), { kind: 'secure-blobs', tag, voters: votersOf(state), refs, alsoTry: membersOf(state) })]
}

export function tryLater(state: OrchestratorState, context: ActorContext): Effect[] {
  state.isArchiving = false
  state.restAtMs = context.nowMs + 10_000
  return []
}

export function onArchived(init: OrchestratorInit, ended: EndedMission, context: ActorContext): Effect[] {
  return [
    tell(at(context.self.peer, actorNames.registrar), { kind: 'tell-registrar', missionId: init.missionId, members: ended.members, endedAtWallMs: ended.endedAtWallMs, epoch: epochOf(init) }),
    tell(at(context.self.peer, actorNames.logKeeper), { kind: 'end-group', group: init.missionId, ended }),
    { type: 'stop-self' },
  ]
}

export function loadArchive({ archive: payload, members }: EndedMission): Effect {
  return { type: 'load-value', payload, alsoTry: members, tag: 'archive' }
}

export function onArchiveLoaded(init: OrchestratorInit, state: OrchestratorState, value: Json | undefined, problem: Fault | undefined, context: ActorContext): Effect[] {
  const read = value as unknown as Archive | undefined
  if (problem !== undefined || read === undefined || read.version > foldVersion) {
    state.damaged = problem ?? fault('storage-failed', `the archive of ${init.missionId} was written by a newer release`, { next: 'ask a node of that release', retryable: false })
    return []
  }
  state.fold = decodeFold(read.fold)
  state.events = [...read.events]
  state.firstKept = read.events[0]?.index ?? 1
  const last = read.events.at(-1)?.index ?? state.fold.lastIndex
  state.head = { index: last, chain: state.head.chain }
  state.committed = last
  state.restAtMs = context.nowMs + init.tuning.missionRestMs
  return []
}
