import { expect, it } from 'vitest'
import { GroupTable, type Shared } from '../../actors/behaviours/replication/log-keeper-groups.ts'
import { newGroup, type Group } from '../../actors/behaviours/replication/log-keeper-state.ts'
import { hash32 } from '../../protocols/kernel/hashing.ts'
import { formatEpoch, type GroupId, type Incarnation, type PeerId } from '../../protocols/kernel/ids.ts'
import { seededRandom } from '../../protocols/kernel/prng.ts'
import { peersOf } from '../../protocols/membership/members.ts'
import { foundGroup, joinGroup, stepRaft, viewOf, type RaftInit, type RaftOutputs } from '../../protocols/replicated-log/raft.ts'
import type { RaftMessage } from '../../protocols/replicated-log/schema.ts'

const self = '12D3KooWself' as PeerId
const others = ['a', 'b', 'c'].map((name) => `12D3KooW${name}` as PeerId)
const incarnation = 'i-1' as Incarnation
const now = { nowMs: 0, wallMs: 0 }
const random = seededRandom([7, 27])
const member = (peer: PeerId) => ({ peer, incarnation })

function init(group: GroupId, peer: PeerId): RaftInit {
  return { group, self: peer, incarnation, random: random.split(), electionMsMin: 1_000, electionMsMax: 2_000, lostLeaderMsMax: 100, snapshotTailEntries: 10, likesToLead: true }
}

/** What the table keeps as it changes, by looking at every group. */
function counted(table: GroupTable): { led: Map<PeerId, Shared>; followed: Map<PeerId, Shared> } {
  const led = new Map<PeerId, Shared>()
  const followed = new Map<PeerId, Shared>()
  for (const group of table.values()) {
    const { role, epoch, membership } = viewOf(group.raft)
    const value = hash32(`${group.group} ${epoch === undefined ? '' : formatEpoch(epoch)}`)
    const peers = role === 'leader' ? peersOf(membership).filter((peer) => peer !== self) : group.leader === undefined ? [] : [group.leader]
    for (const peer of peers) {
      const sums = role === 'leader' ? led : followed
      const sum = sums.get(peer) ?? { groups: 0, digest: 0 }
      sums.set(peer, { groups: sum.groups + 1, digest: (sum.digest ^ value) >>> 0 })
    }
  }
  return { led, followed }
}

it('what pulses say is kept as groups come, change and go', () => {
  const table = new GroupTable<Group>()
  const said = (group: Group, outputs: RaftOutputs): void => {
    if (outputs.leader !== undefined) group.leader = outputs.leader.peer
    table.note(group, self)
  }
  const messages = (outputs: RaftOutputs): RaftMessage[] => outputs.send.filter(({ to }) => to === self).map(({ message }) => message)
  let most = 0
  for (let round = 0; round < 600; round++) {
    const id = `m-aaaaaaaa-${String(random.below(40)).padStart(12, '0')}` as GroupId
    const group = table.get(id)
    const some = others.filter(() => random.below(2) === 0)
    const what = random.below(5)
    if (what === 0) table.delete(id)
    else if (what === 1 || group === undefined) {
      // Led here, with some others or alone; one of that name goes.
      const founded = foundGroup(init(id, self), { voters: [self, ...some].map(member), learners: [] }, now)
      const fresh = newGroup(id, incarnation, founded.state, true, 3)
      table.set(id, fresh)
      said(fresh, founded.outputs)
    } else if (what === 2) {
      // A copy that another leads.
      const leader = others[random.below(3)] as PeerId
      const fresh = newGroup(id, incarnation, joinGroup(init(id, self)), true, 3)
      table.set(id, fresh)
      const founded = foundGroup(init(id, leader), { voters: [leader, self].map(member), learners: [] }, now)
      for (const message of messages(founded.outputs)) said(fresh, stepRaft(fresh.raft, { type: 'message', from: leader, message }, now))
    } else {
      // Somebody else leads under a newer epoch, or nobody knows who does.
      const from = others[random.below(3)] as PeerId
      const { epoch, last } = viewOf(group.raft)
      const newer = { lineage: 1, term: (epoch?.term ?? 0) + 1 }
      const between = { group: id, as: incarnation, toward: incarnation, epoch: newer }
      const message: RaftMessage = what === 3 ? { kind: 'log-append', ...between, previous: last, entries: [], commit: 0, round: 1 } : { kind: 'vote-ask', ...between, pre: false, transfer: true, last }
      said(group, stepRaft(group.raft, { type: 'message', from, message }, now))
    }
    const { led, followed } = counted(table)
    expect(new Map(table.led)).toEqual(led)
    expect(new Map(table.followed)).toEqual(followed)
    most = Math.max(most, Math.min(led.size, followed.size))
  }
  expect(most).toBe(3)
})

it('nothing is said of one that has gone', () => {
  const table = new GroupTable<Group>()
  const id = 'm-aaaaaaaa-000000000001' as GroupId
  const { state } = foundGroup(init(id, self), { voters: [self, ...others].map(member), learners: [] }, now)
  const group = newGroup(id, incarnation, state, true, 3)
  table.set(id, group)
  table.note(group, self)
  table.delete(id)
  table.note(group, self)
  expect([table.led.size, table.followed.size]).toEqual([0, 0])
})
