/** What a person is told of this node's part in keeping logs. */
import type { ActorAddress, PeerId } from '../../../protocols/kernel/ids.ts'
import { votersFor } from '../../../protocols/membership/placement.ts'
import { viewOf } from '../../../protocols/replicated-log/raft.ts'
import type { ReplicationReport } from '../../mesh-api.ts'
import type { DiskRoom } from '../../ports/log-store.ts'
import type { ActorContext } from '../../runtime/actor.ts'
import { tell, type Effect } from '../../runtime/effects.ts'
import type { Group, LogKeeperState } from './log-keeper-state.ts'

export function describeReplication(state: LogKeeperState, asked: { readonly replyTo: ActorAddress; readonly replica: boolean; readonly room: DiskRoom }, context: ActorContext): Effect[] {
  const groups = [...state.groups.values()]
  const admitted = !asked.replica ? 'not-a-replica' : state.roster?.replicas.some(({ peer }) => peer === context.self.peer) === true ? 'yes' : 'not-yet'
  const report: ReplicationReport = {
    admitted, ...rosterPart(state, context), groups: groups.length, leads: groups.filter(({ raft }) => viewOf(raft).role === 'leader').length, leaderless: groups.filter(({ leaderlessSinceMs }) => leaderlessSinceMs !== undefined).length,
    underReplicated: groups.filter((group) => isUnderReplicated(state, group, context)).length,
    damaged: [...state.damaged], room: asked.room,
  }
  return [tell(asked.replyTo, { kind: 'replication-described', report })]
}

function isUnderReplicated({ roster }: LogKeeperState, { raft, durable, aimed }: Group, context: ActorContext): boolean {
  const { role, membership } = viewOf(raft)
  if (role !== 'leader' || membership === undefined || !durable) return false
  const isThere = (peer: PeerId): boolean => peer === context.self.peer || context.connected(peer)
  const able = (roster?.replicas ?? []).filter(({ peer }) => isThere(peer)).length
  const full = Math.max(votersFor(aimed ?? 1, able), membership.voters.length)
  return membership.outgoing !== undefined || membership.voters.filter(({ peer }) => isThere(peer)).length < full
}

/** A keeper knows whether the roster is led. Anybody else sees only which keepers are connected: with fewer than half of them, it cannot be. */
function rosterPart(state: LogKeeperState, context: ActorContext): Pick<ReplicationReport, 'roster' | 'rosterLeader' | 'keepers'> {
  const own = state.groups.get('roster')
  const voters = own === undefined ? state.roster?.keepers : viewOf(own.raft).membership?.voters.map(({ peer }) => peer)
  const keepers = (voters ?? []).map((peer) => ({ peer, name: state.roster?.replicas.find((replica) => replica.peer === peer)?.name ?? peer, connected: peer === context.self.peer || context.connected(peer) }))
  if (own?.leader !== undefined) return { roster: 'led', rosterLeader: own.leader, keepers }
  if (own === undefined && state.roster === undefined) return { roster: 'unknown', keepers }
  const isUnreachable = own !== undefined ? own.leaderlessSinceMs !== undefined : keepers.filter(({ connected }) => connected).length * 2 < keepers.length
  return { roster: isUnreachable ? 'unreachable' : 'led', keepers }
}
