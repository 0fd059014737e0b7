/** A log whose members are looked after step by step, and the mesh around it: for tests of `maintenance.ts`. */
import { expect } from 'vitest'
import type { GroupId, Incarnation, PeerId } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { nextMembership, waitsForSpare, type MaintenanceInput } from '../../../protocols/membership/maintenance.ts'
import type { Member, Membership, Replica } from '../../../protocols/membership/schema.ts'
import { incarnationOf, memberOf, peerOf, replicaOf } from './members.ts'

export const names = new Map(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((name) => [peerOf(name), name]))
export const group = 'm-00abcdef-abcdefghijkl' as GroupId

/** `a b|c` : voters a and b, learner c; `a>b c` : from a to b and c. A `*` marks a later life. */
export function drawn(membership: Membership | undefined): string {
  if (membership === undefined) return 'nothing'
  const list = (members: readonly Member[] | undefined) => (members ?? []).map(({ peer, incarnation }) => `${names.get(peer)}${incarnation.includes('.') ? '*' : ''}`).sort().join(' ')
  return `${membership.outgoing === undefined ? '' : `${list(membership.outgoing)}>`}${list(membership.voters)}${membership.learners.length > 0 ? `|${list(membership.learners)}` : ''}`
}

export function members(...list: string[]): Member[] {
  return list.map((name) => memberOf(name))
}

/** A group whose members answer at once, but for those that are dead. What is appended is committed if a majority of each side lives. */
export class World {
  current: Membership
  leader: string
  replicas: Replica[]
  aimed = 3
  restless = false
  newcomers: ReadonlySet<PeerId> = new Set()
  reach = true
  nowMs = 10_000_000
  lastIndex = 1_000
  /** Who has said that it is about to stop, and who of them has been away for long. */
  readonly leaving = new Set<string>()
  readonly left = new Set<string>()
  readonly dead = new Map<string, number>()
  readonly behind = new Map<string, number>()
  readonly lives = new Map<string, number>()
  readonly history: string[] = []

  constructor(current: { voters: Member[]; learners?: Member[] }, replicas: string[], leader = 'a') {
    this.current = { voters: current.voters, learners: current.learners ?? [] }
    this.replicas = replicas.map((name) => replicaOf(name))
    this.leader = leader
  }

  /** Silent for so long by now. */
  kill(name: string, silentMs = 60_000): void {
    this.dead.set(name, this.nowMs - silentMs)
  }

  /** Its copy is gone; it answers as another. */
  wipe(name: string): void {
    this.lives.set(name, (this.lives.get(name) ?? 0) + 1)
  }

  input(): MaintenanceInput {
    const all = [...this.current.voters, ...(this.current.outgoing ?? []), ...this.current.learners]
    const followers = new Map(all.filter(({ peer }) => peer !== peerOf(this.leader)).map(({ peer }) => {
      const name = names.get(peer) ?? ''
      return [peer, { matched: this.isDead(name) ? 0 : this.lastIndex - (this.behind.get(name) ?? 0), heardAtMs: this.dead.get(name) ?? this.nowMs }] as const
    }))
    const incarnationsHeard = new Map<PeerId, Incarnation>([...this.lives].map(([name, life]) => [peerOf(name), incarnationOf(name, life)]))
    const reachable = (peer: PeerId): boolean => !this.dead.has(names.get(peer) ?? '')
    return { group, current: this.current, self: memberOf(this.leader, this.lives.get(this.leader)), aimed: this.aimed, replicas: this.replicas, followers, lastIndex: this.lastIndex, nowMs: this.nowMs, incarnationsHeard, memberSilentMs: limits.memberSilentMs, restless: this.restless, newcomers: this.newcomers, leaving: new Set([...this.leaving].map(peerOf)), left: new Set([...this.left].map(peerOf)), ...(this.reach ? { reachable } : {}) }
  }

  /** By its own account, whoever leads. */
  waits(name: string): boolean {
    return waitsForSpare({ ...this.input(), self: memberOf(name) })
  }

  isDead(name: string): boolean {
    return this.dead.has(name)
  }

  votes({ peer, incarnation }: Member): boolean {
    const name = names.get(peer) ?? ''
    return !this.isDead(name) && incarnation === incarnationOf(name, this.lives.get(name))
  }

  /** @returns false when there was nothing to do. Throws when the step could not be committed, or is none. */
  step(): boolean {
    const next = nextMembership(this.input())
    if (next === undefined) return false
    expect(nextMembership(this.input()), 'the same again').toEqual(next)
    for (const side of [next.voters, next.outgoing ?? next.voters, this.current.voters]) {
      expect(side.filter((member) => this.votes(member)).length, `${drawn(next)} after ${drawn(this.current)} cannot be committed`).toBeGreaterThan(side.length / 2)
    }
    this.checkShape(next)
    this.history.push(drawn(next))
    this.current = next
    this.lastIndex += 1
    // A leader that is no voter any more steps down once that is committed.
    if (next.outgoing === undefined && !next.voters.some(({ peer }) => peer === peerOf(this.leader))) this.leader = names.get(next.voters.find((member) => this.votes(member))?.peer ?? ('' as PeerId)) ?? ''
    return true
  }

  checkShape(next: Membership): void {
    const key = (list: readonly Member[] = []) => list.map(({ peer, incarnation }) => `${peer} ${incarnation}`).sort().join()
    // Voters change jointly, from what they were to what they will be, and no other way.
    if (next.outgoing !== undefined) expect(key(next.outgoing)).toBe(key(this.current.voters))
    else expect(key(next.voters)).toBe(key(this.current.voters))
    expect(`${key(next.voters)}/${key(next.learners)}/${key(next.outgoing)}`, 'a step changes something').not.toBe(`${key(this.current.voters)}/${key(this.current.learners)}/${key(this.current.outgoing)}`)
    const peers = [...next.voters, ...next.learners].map(({ peer }) => peer)
    expect(new Set(peers).size, 'nobody is there twice').toBe(peers.length)
    expect(next.voters.length).toBeLessThanOrEqual(limits.votersMax)
    expect(next.learners.length).toBeLessThanOrEqual(limits.learnersMax)
  }

  settle(): string[] {
    for (let steps = 0; this.step(); steps++) if (steps > 30) throw new Error(`it does not come to rest: ${this.history.join(' → ')}`)
    return this.history.splice(0)
  }
}
