/** The roster: which nodes keep logs, and who serves each registrar shard. The fold of the roster group's log. */
import { z } from 'zod'
import { fault, type Fault } from '../kernel/errors.ts'
import type { PeerId } from '../kernel/ids.ts'
import { limits } from '../kernel/limits.ts'
import type { Json } from '../kernel/payload.ts'
import { RosterView, type Replica, type RosterEvent } from './schema.ts'

export interface RosterState {
  /** In the order of their admission. */
  readonly replicas: readonly Replica[]
  /** Who serves each shard; nobody, until it is founded. */
  readonly shards: readonly (readonly PeerId[])[]
}

/** The shape of `encodeRoster`. */
export const rosterVersion = 1
const StoredRoster = z.object({ replicas: RosterView.shape.replicas, shards: RosterView.shape.shards })

export function emptyRoster(): RosterState {
  return { replicas: [], shards: Array.from({ length: limits.registrarShards }, () => []) }
}

/** @returns the same state when the event says nothing new, or nothing that fits. */
export function foldRoster(state: RosterState, event: RosterEvent): RosterState {
  if (judgeRoster(state, event) !== 'apply') return state
  switch (event.type) {
    case 'replica-admitted': {
      const { replica } = event
      const known = state.replicas.some(({ peer }) => peer === replica.peer)
      return { ...state, replicas: known ? state.replicas.map((one) => (one.peer === replica.peer ? replica : one)) : [...state.replicas, replica] }
    }
    case 'replica-dropped':
      return { ...state, replicas: state.replicas.filter(({ peer }) => peer !== event.peer) }
    case 'shards-divided':
      return { ...state, shards: Array.from({ length: event.count }, () => []) }
    case 'shard-served':
      return { ...state, shards: state.shards.map((members, shard) => (shard === event.shard ? event.members : members)) }
  }
}

/** Whether an event is to be appended: `already` when it says what is known. */
export function judgeRoster(state: RosterState, event: RosterEvent): 'apply' | 'already' | Fault {
  switch (event.type) {
    case 'replica-admitted': {
      const known = state.replicas.find(({ peer }) => peer === event.replica.peer)
      if (known !== undefined) return sameReplica(known, event.replica) ? 'already' : 'apply'
      if (state.replicas.length < limits.rosterReplicasMax) return 'apply'
      return fault('overloaded', `the roster has its ${limits.rosterReplicasMax} replicas`, { next: 'it is admitted once another is dropped; work is taken without being a replica' })
    }
    case 'replica-dropped':
      return state.replicas.some(({ peer }) => peer === event.peer) ? 'apply' : 'already'
    case 'shards-divided':
      if (state.shards.length === event.count) return 'already'
      return state.shards.every((members) => members.length === 0) ? 'apply' : fault('wrong-state', 'the registrar is divided already, and its shards are served')
    case 'shard-served':
      if (event.shard >= state.shards.length) return fault('bad-request', `this mesh has ${state.shards.length} shards`)
      if (event.members.length === 0) return fault('bad-request', `nobody would serve shard ${event.shard}`)
      return samePeers(state.shards[event.shard] ?? [], event.members) ? 'already' : 'apply'
  }
}

export function sameReplica(left: Replica, right: Replica): boolean {
  return left.peer === right.peer && left.name === right.name && left.incarnation === right.incarnation && left.domain === right.domain
}

/** The order counts: whoever is asked first comes first. */
export function samePeers(left: readonly PeerId[], right: readonly PeerId[]): boolean {
  return left.length === right.length && left.every((peer, i) => peer === right[i])
}

/** What is told to everybody. */
export function viewOfRoster(state: RosterState, at: { readonly index: number; readonly lineage: number; readonly keepers: readonly PeerId[] }): RosterView {
  return { index: at.index, lineage: at.lineage, keepers: [...at.keepers], replicas: [...state.replicas], shards: state.shards.map((members) => [...members]) }
}

/** What is newer: a later lineage, then a later index. */
export function isNewerView(view: { readonly index: number; readonly lineage: number }, than: { readonly index: number; readonly lineage: number } | undefined): boolean {
  return than === undefined || view.lineage > than.lineage || (view.lineage === than.lineage && view.index > than.index)
}

/** For a snapshot of the log. */
export function encodeRoster(state: RosterState): Json {
  return { replicas: state.replicas.map((replica) => ({ ...replica })), shards: state.shards.map((members) => [...members]) }
}

export function decodeRoster(version: number, stored: unknown): RosterState | Fault {
  if (version !== rosterVersion) return fault('version-mismatch', `a snapshot of the roster has version ${version}, this node reads ${rosterVersion}`, { next: 'run the release that wrote it, or a later one' })
  const parsed = StoredRoster.safeParse(stored)
  return parsed.success ? parsed.data : fault('storage-failed', `a snapshot of the roster cannot be read: ${z.prettifyError(parsed.error).slice(0, 500)}`)
}
