/** Snapshots: taken here, or brought by the leader, as a replacement of what this member lacks or only to shorten its log (Raft §7; thesis §5.1). */
import { invariant } from '../kernel/errors.ts'
import type { PeerId } from '../kernel/ids.ts'
import type { InstantMs } from '../kernel/units.ts'
import { acceptLeader, answer, isForeign } from './raft-following.ts'
import type { SnapshotMark } from './raft-io.ts'
import { emptyLog, forgetBelow, moveCommit, positionAt } from './raft-log.ts'
import { offerToShorten } from './raft-replication.ts'
import { boxOf, compareWithOurs, type RaftState } from './raft-state.ts'
import type { LogPosition, LogSnapshot, RaftMessage } from './schema.ts'

type LogInstall = Extract<RaftMessage, { kind: 'log-install' }>

/** Our own snapshot is on the disk. A leader offers it to the members that have everything in it. */
export function onCompacted(state: RaftState, snapshot: SnapshotMark, dropBelow: number): void {
  if (snapshot.at.index <= (state.snapshot?.at.index ?? 0)) return
  invariant(snapshot.at.index <= state.commit, 'only what is committed is folded into a snapshot')
  invariant(dropBelow <= snapshot.at.index + 1, 'what no snapshot covers is not dropped')
  state.snapshot = snapshot
  forgetBelow(state, dropBelow)
  for (const [peer, follower] of state.leading?.followers ?? []) offerToShorten(state, peer, follower)
}

/** Whether there is nothing in the snapshot that this member's own does not cover. */
function covered(state: RaftState, at: LogPosition): boolean {
  return at.index <= state.base.index || (at.index <= (state.snapshot?.at.index ?? 0) && positionAt(state, at.index)?.chain === at.chain)
}

export function onInstall(state: RaftState, from: PeerId, install: LogInstall, nowMs: InstantMs): void {
  if (!acceptLeader(state, from, install, nowMs)) return
  const { as, epoch, snapshot, round } = install
  if (!isForeign(state, epoch) && covered(state, snapshot.at)) return answer(state, from, install, true, snapshot.at.index)
  if (state.installing !== undefined) {
    if (state.installing.from === from && state.installing.snapshot.at.chain === snapshot.at.chain) state.installing.round = round
    return
  }
  state.installing = { from, as, epoch, snapshot, round }
  boxOf(state).install = { from, snapshot }
}

/** The state that came with a snapshot is here, or cannot be had: then the leader offers it again some time. */
export function onInstalled(state: RaftState, ok: boolean): void {
  const { installing } = state
  state.installing = undefined
  if (!ok || installing === undefined || state.epoch?.lineage !== installing.epoch.lineage) return
  const { snapshot, from } = installing
  if (isForeign(state, installing.epoch) || !covered(state, snapshot.at)) put(state, snapshot, isForeign(state, installing.epoch))
  if (compareWithOurs(state, installing.epoch) === 0 && state.leader === from) answer(state, from, installing, true, snapshot.at.index)
}

function put(state: RaftState, snapshot: LogSnapshot, foreign: boolean): void {
  const { at } = snapshot
  const ours = positionAt(state, at.index)
  const shortens = ours?.chain === at.chain
  invariant(shortens || foreign || at.index > state.commit, `${state.init.group}: a snapshot of ${at.index} contradicts what is committed here`)
  if (!shortens) emptyLog(state)
  const box = boxOf(state)
  box.dirty = true
  box.snapshot = snapshot
  const { state: _folded, ...mark } = snapshot
  state.snapshot = mark
  if (shortens) {
    const dropBelow = Math.max(1, at.index + 1 - state.init.snapshotTailEntries)
    box.dropBelow = dropBelow
    forgetBelow(state, dropBelow)
  } else {
    Object.assign(state, { base: at, last: at, membership: snapshot.membership, membershipIndex: at.index })
  }
  moveCommit(state, at.index)
}
