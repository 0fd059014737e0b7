/**
 * A handful of members of one log in virtual time, with everything that can go wrong between and below them, and what must hold
 * nevertheless. One seed is one run.
 */
import { formatEpoch, type Epoch, type Incarnation, type PeerId } from '../../../protocols/kernel/ids.ts'
import { seededRandom, type Random } from '../../../protocols/kernel/prng.ts'
import type { Member, Membership } from '../../../protocols/membership/schema.ts'
import { extend } from '../../../protocols/replicated-log/chain.ts'
import { entriesOf, foundGroup, headOf, installFor, joinGroup, openRaft, stepRaft, viewOf, type RaftInit, type RaftInput, type RaftNow, type RaftOutputs, type RaftPersist, type RaftSend, type RaftState } from '../../../protocols/replicated-log/raft.ts'
import type { LogEntry, LogHead, LogRecord, LogSnapshot } from '../../../protocols/replicated-log/schema.ts'

export interface ClusterOptions {
  readonly seed: number
  readonly nodes: number
  /** How many of the nodes found the group; the others may join. */
  readonly founders: number
  readonly lossPercent?: number
  readonly doublePercent?: number
  readonly delayMsMax?: number
  readonly syncMsMax?: number
  /** Take a snapshot when so many entries were committed since the last one; 0: never. */
  readonly snapshotEvery?: number
}

interface Disk { head: LogHead | undefined; snapshot: LogSnapshot | undefined; entries: LogEntry[] }

export interface Node {
  readonly peer: PeerId
  readonly member: Member
  readonly index: number
  disk: Disk
  state: RaftState | undefined
  /** Of this life: what a crash cuts off. */
  life: number
  unsynced: RaftPersist[]
  held: { send: RaftSend; life: number }[]
  syncing: boolean
  wakeAtMs: number
  syncMsMax: number
}

interface Due { readonly atMs: number; readonly run: () => void }

const groupPulseMs = 300

export class Cluster {
  readonly random: Random
  readonly nodes: Node[]
  nowMs = 0
  readonly cut = new Set<string>()
  lossPercent: number
  doublePercent: number
  delayMsMax: number
  readonly snapshotEvery: number
  /** What anybody has seen committed, by index. */
  readonly committed: string[] = []
  readonly committedEntries: LogEntry[] = []
  private readonly leaders = new Map<string, PeerId>()
  private readonly chains = new Map<string, string>()
  private readonly appends = new Map<string, { readonly index: number; readonly chain: string }>()
  private readonly reads = new Map<string, { readonly settledBefore: number }>()
  /** The highest index that any host was told to be committed. */
  settledIndex = 0
  settledAppends = 0
  settledReads = 0
  elections = 0
  installs = 0
  /** The next thing to happen is at the end. */
  private readonly queue: Due[] = []
  private tag = 0

  constructor(options: ClusterOptions) {
    this.random = seededRandom([options.seed, 77])
    this.lossPercent = options.lossPercent ?? 0
    this.doublePercent = options.doublePercent ?? 0
    this.delayMsMax = options.delayMsMax ?? 20
    this.snapshotEvery = options.snapshotEvery ?? 0
    this.nodes = Array.from({ length: options.nodes }, (_, index) => ({
      peer: `peer-${index}` as PeerId, member: { peer: `peer-${index}` as PeerId, incarnation: `store${index}x` as Incarnation }, index,
      disk: { head: undefined, snapshot: undefined, entries: [] }, state: undefined, life: 0, unsynced: [], held: [], syncing: false,
      wakeAtMs: Number.POSITIVE_INFINITY, syncMsMax: options.syncMsMax ?? 5,
    }))
    const [founder, ...others] = this.nodes as [Node, ...Node[]]
    const { state, outputs } = foundGroup(this.initOf(founder), { voters: this.nodes.slice(0, options.founders).map(({ member }) => member), learners: [] }, this.now())
    founder.state = state
    for (const node of others) node.state = joinGroup(this.initOf(node))
    this.perform(founder, outputs)
    this.run(1_000, () => founder.disk.head !== undefined)
    this.at(groupPulseMs, () => this.pulse())
  }

  private now(): RaftNow {
    return { nowMs: this.nowMs, wallMs: 1_700_000_000_000 + this.nowMs }
  }

  private initOf(node: Node): RaftInit {
    return { group: 'roster', self: node.peer, incarnation: node.member.incarnation, random: this.random.split(), electionMsMin: 1_500, electionMsMax: 3_000, lostLeaderMsMax: 150, snapshotTailEntries: 512, likesToLead: node.index !== 2 }
  }

  at(inMs: number, run: () => void): void {
    const due = { atMs: this.nowMs + inMs, run }
    let [low, high] = [0, this.queue.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.queue[middle] as Due).atMs > due.atMs) low = middle + 1
      else high = middle
    }
    this.queue.splice(low, 0, due)
  }

  /** Lets time pass: everything that is due until then happens, in order. */
  run(forMs: number, until?: () => boolean): boolean {
    const endMs = this.nowMs + forMs
    for (;;) {
      if (until?.() === true) return true
      const next = this.queue.at(-1)
      let waker: Node | undefined
      for (const node of this.nodes) if (node.state !== undefined && (waker === undefined || node.wakeAtMs < waker.wakeAtMs)) waker = node
      const wakeAtMs = Math.max(this.nowMs, waker?.wakeAtMs ?? Number.POSITIVE_INFINITY)
      const atMs = Math.min(next?.atMs ?? Number.POSITIVE_INFINITY, wakeAtMs)
      if (atMs > endMs) {
        this.nowMs = endMs
        return until?.() ?? true
      }
      this.nowMs = atMs
      if (next !== undefined && next.atMs <= atMs) {
        this.queue.pop()
        next.run()
      } else if (waker !== undefined) {
        this.step(waker, { type: 'tick' })
        if (waker.state !== undefined && waker.wakeAtMs <= this.nowMs) throw new Error(`${waker.peer} wants to be woken at once, again and again`)
      }
    }
  }

  step(node: Node, input: RaftInput): void {
    if (node.state === undefined) return
    this.perform(node, stepRaft(node.state, input, this.now()))
  }

  private perform(node: Node, outputs: RaftOutputs): void {
    const { life } = node
    const state = node.state as RaftState
    node.wakeAtMs = outputs.wakeAtMs
    if (outputs.persist !== undefined) node.unsynced.push(outputs.persist)
    const synced = node.unsynced[0] === undefined ? Number.POSITIVE_INFINITY : node.unsynced[0].number - 1
    for (const send of outputs.send) {
      if (send.after > synced) node.held.push({ send, life })
      else this.transmit(node, send)
    }
    if (!node.syncing && node.unsynced.length > 0) this.sync(node)
    if (outputs.role?.became === 'leads') {
      this.elections += 1
      const epoch = formatEpoch(outputs.role.epoch)
      const other = this.leaders.get(epoch)
      if (other !== undefined) throw new Error(`election safety: ${other} and ${node.peer} both lead under ${epoch}`)
      this.leaders.set(epoch, node.peer)
      const entries = new Map(entriesOf(state, 1).map((entry) => [entry.index, entry.chain]))
      const { base } = viewOf(state)
      this.committed.forEach((chain, index) => {
        if (index > base.index && entries.get(index) !== chain) throw new Error(`leader completeness: ${node.peer} leads under ${epoch} without the committed entry ${index}`)
      })
    }
    for (const entry of outputs.persist?.entries ?? []) {
      const key = `${entry.index} ${formatEpoch(entry.epoch)}`
      const chain = this.chains.get(key) ?? entry.chain
      if (chain !== entry.chain) throw new Error(`log matching: two entries at ${key}`)
      this.chains.set(key, chain)
    }
    if (outputs.committed !== undefined) this.check(node, outputs.committed.from, outputs.committed.to)
    for (const { tag, fault } of outputs.settled) if (fault === undefined) this.settle(node, tag)
    for (const peer of outputs.needsSnapshot) this.at(1, () => this.offer(node, peer, life))
    if (outputs.install !== undefined) {
      this.installs += 1
      this.at(1 + this.random.below(200), () => node.life === life && this.step(node, { type: 'installed', ok: this.random.below(10) > 0 }))
    }
    this.compact(node)
  }

  /** State-machine safety: what one member holds committed, every other does. */
  private check(node: Node, from: number, to: number): void {
    const state = node.state as RaftState
    for (const entry of entriesOf(state, from + 1)) {
      if (entry.index > to) break
      const known = this.committed[entry.index]
      if (known !== undefined && known !== entry.chain) throw new Error(`state-machine safety: ${node.peer} committed another entry ${entry.index}`)
      this.committed[entry.index] = entry.chain
      this.committedEntries[entry.index] = entry
    }
  }

  private settle(node: Node, tag: string): void {
    const append = this.appends.get(tag)
    if (append !== undefined) {
      if (this.committed[append.index] !== append.chain) throw new Error(`an acknowledged append is lost: entry ${append.index}`)
      this.settledAppends += 1
      this.settledIndex = Math.max(this.settledIndex, append.index)
    }
    const read = this.reads.get(tag)
    if (read === undefined) return
    if (viewOf(node.state as RaftState).commit < read.settledBefore) throw new Error(`a stale read: ${node.peer} answers at ${viewOf(node.state as RaftState).commit}, and ${read.settledBefore} had been settled before the question`)
    this.settledReads += 1
  }

  private sync(node: Node): void {
    node.syncing = true
    const { life } = node
    const batch = [...node.unsynced]
    this.at(1 + this.random.below(node.syncMsMax), () => {
      if (node.life !== life) return
      node.syncing = false
      for (const persist of batch) this.write(node, persist)
      node.unsynced.splice(0, batch.length)
      const upTo = (batch.at(-1) as RaftPersist).number
      for (const held of node.held.filter(({ send }) => send.after <= upTo)) this.transmit(node, held.send)
      node.held = node.held.filter(({ send }) => send.after > upTo)
      this.step(node, { type: 'persisted', upTo })
      if (!node.syncing && node.unsynced.length > 0) this.sync(node)
    })
  }

  private write(node: Node, persist: RaftPersist): void {
    const { disk } = node
    if (persist.wipe === true) Object.assign(disk, { snapshot: undefined, entries: [] })
    if (persist.snapshot !== undefined) disk.snapshot = persist.snapshot
    if (persist.dropBelow !== undefined) disk.entries = disk.entries.filter(({ index }) => index >= (persist.dropBelow as number))
    if (persist.truncateFrom !== undefined) disk.entries = disk.entries.filter(({ index }) => index < (persist.truncateFrom as number))
    disk.entries.push(...persist.entries)
    disk.head = persist.head
  }

  private transmit(from: Node, { to, message }: RaftSend): void {
    const target = this.nodes.find(({ peer }) => peer === to)
    if (target === undefined) return
    const copies = this.random.below(100) < this.doublePercent ? 2 : 1
    for (let i = 0; i < copies; i++) {
      if (this.random.below(100) < this.lossPercent) continue
      this.at(1 + this.random.below(this.delayMsMax), () => {
        if (!this.isCut(from, target)) this.step(target, { type: 'message', from: from.peer, message: structuredClone(message) })
      })
    }
  }

  isCut(one: Node, other: Node): boolean {
    return this.cut.has([one.index, other.index].sort().join())
  }

  /** What the keeper's coalesced pulses do. */
  private pulse(): void {
    for (const leader of this.nodes) {
      if (leader.state === undefined || viewOf(leader.state).role !== 'leader') continue
      const sentAtMs = this.nowMs
      const { life } = leader
      for (const peer of viewOf(leader.state).followers.keys()) {
        const follower = this.nodes.find((node) => node.peer === peer) as Node
        if (this.random.below(100) < this.lossPercent) continue
        const epoch = viewOf(leader.state).epoch as Epoch
        this.at(1 + this.random.below(this.delayMsMax), () => {
          if (this.isCut(leader, follower) || follower.state === undefined) return
          const view = viewOf(follower.state)
          if (view.epoch === undefined || formatEpoch(view.epoch) !== formatEpoch(epoch)) return
          this.step(follower, { type: 'pulse', peer: leader.peer, sentAtMs: this.nowMs })
          this.at(1 + this.random.below(this.delayMsMax), () => {
            if (this.isCut(leader, follower) || leader.life !== life || leader.state === undefined) return
            const now = viewOf(leader.state)
            if (now.role === 'leader' && formatEpoch(now.epoch as Epoch) === formatEpoch(epoch)) this.step(leader, { type: 'pulse', peer: follower.peer, sentAtMs })
          })
        })
      }
    }
    this.at(groupPulseMs, () => this.pulse())
  }

  private offer(node: Node, peer: PeerId, life: number): void {
    if (node.life !== life || node.state === undefined || node.disk.snapshot === undefined) return
    const message = installFor(node.state, peer, node.disk.snapshot)
    if (message !== undefined) this.transmit(node, { to: peer, message, after: 0 })
  }

  /** A host takes a snapshot of what is committed; as in the store, it is written with the head that is on the disk then. */
  private compact(node: Node): void {
    const { state } = node
    if (this.snapshotEvery === 0 || state === undefined || viewOf(state).role !== 'leader') return
    const { commit, snapshot } = viewOf(state)
    if (commit - (snapshot?.at.index ?? 0) < this.snapshotEvery || node.disk.head === undefined || node.disk.head.last.index < commit || node.unsynced.length > 0) return
    const at = entriesOf(state, commit)[0] as LogEntry
    const members = entriesOf(state, 1).filter(({ index, event }) => index <= commit && event.type === 'members').at(-1)?.event
    const membership = members?.type === 'members' ? members.membership : (snapshot?.membership as Membership)
    const taken: LogSnapshot = { at: { index: at.index, epoch: at.epoch, chain: at.chain }, membership, version: 1, state: { inline: at.index } }
    const dropBelow = Math.max(1, commit - 3)
    node.disk.snapshot = taken
    node.disk.entries = node.disk.entries.filter(({ index }) => index >= dropBelow)
    node.disk.head = headOf(state)
    const { state: _folded, ...mark } = taken
    this.step(node, { type: 'compacted', snapshot: mark, dropBelow })
  }

  // ---- what the tests do --------------------------------------------------------------------------------------------

  leader(): Node | undefined {
    let best: Node | undefined
    const rank = (node: Node): number => { const { epoch } = viewOf(node.state as RaftState); return (epoch?.lineage ?? 0) * 1e6 + (epoch?.term ?? 0) }
    for (const node of this.nodes) if (node.state !== undefined && viewOf(node.state).role === 'leader' && (best === undefined || rank(node) > rank(best))) best = node
    return best
  }

  everyLeader(): Node[] {
    return this.nodes.filter(({ state }) => state !== undefined && viewOf(state).role === 'leader')
  }

  append(node: Node, records?: readonly LogRecord[]): void {
    if (node.state === undefined) return
    const { last, epoch } = viewOf(node.state)
    const entries = extend(last, epoch as Epoch, records ?? [{ type: 'replica-dropped', atWallMs: this.nowMs, peer: 'x' as PeerId, reason: `n${++this.tag}` }])
    const tag = `append-${++this.tag}`
    const end = entries.at(-1) as LogEntry
    this.appends.set(tag, { index: end.index, chain: end.chain })
    this.step(node, { type: 'append', tag, entries })
  }

  /** Linearizable: whoever answers has committed whatever anybody was told before the question. */
  read(node: Node): void {
    if (node.state === undefined) return
    const tag = `read-${++this.tag}`
    this.reads.set(tag, { settledBefore: this.settledIndex })
    this.step(node, { type: 'barrier', tag })
  }

  crash(node: Node): void {
    // Writes are in order: of those that are not synced, none or the first few may have reached the disk.
    for (const persist of node.unsynced.slice(0, this.random.below(node.unsynced.length + 1))) this.write(node, persist)
    Object.assign(node, { state: undefined, life: node.life + 1, unsynced: [], held: [], syncing: false, wakeAtMs: Number.POSITIVE_INFINITY })
    for (const other of this.nodes) if (other !== node && !this.isCut(node, other)) this.step(other, { type: 'peer', peer: node.peer, connected: false })
  }

  start(node: Node): void {
    if (node.state !== undefined) return
    const { head, snapshot, entries } = node.disk
    if (head === undefined) node.state = joinGroup(this.initOf(node))
    else {
      const mark = snapshot === undefined ? undefined : { at: snapshot.at, membership: snapshot.membership, version: snapshot.version }
      node.state = openRaft(this.initOf(node), { head, entries: [...entries], ...(mark === undefined ? {} : { snapshot: mark }) }, this.now())
      node.wakeAtMs = this.nowMs
    }
    for (const other of this.nodes) {
      if (other === node || this.isCut(node, other) || other.state === undefined) continue
      this.step(other, { type: 'peer', peer: node.peer, connected: true })
    }
    for (const other of this.nodes) if (other !== node && (other.state === undefined || this.isCut(node, other))) this.step(node, { type: 'peer', peer: other.peer, connected: false })
  }

  /** @param told whether both ends notice. A connection that dies in silence is the worse one. */
  sever(one: Node, other: Node, told: boolean): void {
    this.cut.add([one.index, other.index].sort().join())
    if (!told) return
    this.step(one, { type: 'peer', peer: other.peer, connected: false })
    this.step(other, { type: 'peer', peer: one.peer, connected: false })
  }

  heal(): void {
    for (const one of this.nodes) {
      for (const other of this.nodes) {
        if (one.index >= other.index || !this.cut.delete([one.index, other.index].sort().join())) continue
        if (one.state === undefined || other.state === undefined) continue
        this.step(one, { type: 'peer', peer: other.peer, connected: true })
        this.step(other, { type: 'peer', peer: one.peer, connected: true })
      }
    }
  }

  /** The members as the leader would change them: a voter more or less, a learner more, by one step or by a joint one. */
  changeMembers(node: Node): void {
    const { membership } = viewOf(node.state as RaftState)
    if (membership === undefined) return
    const { voters, outgoing, learners } = membership
    if (outgoing !== undefined) return this.append(node, [this.members({ voters, learners: learners.filter(({ peer }) => !voters.some((voter) => voter.peer === peer)) })])
    const outside = this.nodes.filter(({ peer }) => ![...voters, ...learners].some((member) => member.peer === peer)).map(({ member }) => member)
    const any = <T>(list: readonly T[]): T => list[this.random.below(list.length)] as T
    switch (this.random.below(4)) {
      case 0:
        if (outside.length > 0) return this.append(node, [this.members({ voters, learners: [...learners, any(outside)] })])
        return
      case 1: {
        if (learners.length === 0 || voters.length >= 5) return
        const risen = any(learners)
        return this.append(node, [this.members({ voters: [...voters, risen], learners: learners.filter((other) => other !== risen) })])
      }
      case 2: {
        if (voters.length < 2) return
        const fallen = any(voters)
        return this.append(node, [this.members({ voters: voters.filter((other) => other !== fallen), learners: this.random.below(2) === 0 ? learners : [...learners, fallen] })])
      }
      default: {
        const next = [...voters, ...learners, ...outside].filter(() => this.random.below(3) > 0).slice(0, 5)
        if (next.length === 0) return
        return this.append(node, [this.members({ voters: next, outgoing: voters, learners: [] })])
      }
    }
  }

  members(membership: Membership): LogRecord {
    return { type: 'members', atWallMs: this.nowMs, membership }
  }
}
