/**
 * The groups of this node, and what a pulse says of all that it shares with another node: how many, under which epochs. That is kept
 * as it changes. A node may hold thousands of groups, most of them at rest, and a pulse several times a second must not look at each.
 */
import { hash32 } from '../../../protocols/kernel/hashing.ts'
import { formatEpoch, type Epoch, type GroupId, type PeerId } from '../../../protocols/kernel/ids.ts'
import { peersOf } from '../../../protocols/membership/members.ts'
import type { Membership } from '../../../protocols/membership/schema.ts'
import type { RaftState } from '../../../protocols/replicated-log/raft-state.ts'
import { viewOf } from '../../../protocols/replicated-log/raft.ts'

/** The groups of a pair of nodes that one of them leads: their number, and the exclusive or of what stands for each and its epoch. */
export interface Shared {
  groups: number
  digest: number
}

/** What is looked at of a group. */
export interface Countable {
  readonly group: GroupId
  readonly raft: RaftState
  readonly leader: PeerId | undefined
}

/** What a group was counted as. */
interface Counted {
  readonly epoch: Epoch | undefined
  readonly membership: Membership | undefined
  readonly isLed: boolean
  readonly leader: PeerId | undefined
  /** Whom it is shared with: while this node leads it, the other members; else its leader. */
  readonly peers: readonly PeerId[]
  readonly value: number
}

export class GroupTable<Group extends Countable = Countable> extends Map<GroupId, Group> {
  /** By the other member. */
  readonly led = new Map<PeerId, Shared>()
  /** By the leader. */
  readonly followed = new Map<PeerId, Shared>()
  /** Groups that somebody waits for, and perhaps some that nobody waits for any more. */
  readonly asked = new Set<Group>()
  readonly #counted = new Map<Group, Counted>()

  override set(id: GroupId, group: Group): this {
    const before = this.get(id)
    if (before !== undefined && before !== group) this.#forget(before)
    return super.set(id, group)
  }

  override delete(id: GroupId): boolean {
    const group = this.get(id)
    if (group !== undefined) this.#forget(group)
    return super.delete(id)
  }

  /** After a step of a group, and whenever its leader is another: what it adds to the pulses is worked out anew if it has changed. */
  note(group: Group, self: PeerId): void {
    if (this.get(group.group) !== group) return
    const { role, epoch, membership } = viewOf(group.raft)
    const isLed = role === 'leader'
    const { leader } = group
    const before = this.#counted.get(group)
    if (before !== undefined && before.epoch === epoch && before.membership === membership && before.isLed === isLed && before.leader === leader) return
    if (before !== undefined) this.#add(before, -1)
    const peers = isLed ? peersOf(membership).filter((peer) => peer !== self) : leader === undefined || leader === self ? [] : [leader]
    const value = before !== undefined && before.epoch === epoch ? before.value : hash32(`${group.group} ${epoch === undefined ? '' : formatEpoch(epoch)}`)
    const counted: Counted = { epoch, membership, isLed, leader, peers, value }
    this.#counted.set(group, counted)
    this.#add(counted, 1)
  }

  #forget(group: Group): void {
    const counted = this.#counted.get(group)
    if (counted !== undefined) this.#add(counted, -1)
    this.#counted.delete(group)
    this.asked.delete(group)
  }

  #add({ isLed, peers, value }: Counted, sign: 1 | -1): void {
    const sums = isLed ? this.led : this.followed
    for (const peer of peers) {
      const sum = sums.get(peer)
      if (sum === undefined) sums.set(peer, { groups: sign, digest: value >>> 0 })
      else if (sum.groups + sign === 0) sums.delete(peer)
      else {
        sum.groups += sign
        sum.digest = (sum.digest ^ value) >>> 0
      }
    }
  }
}
