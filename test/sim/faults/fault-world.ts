/** A cluster that only keeps books, and complains when it is asked for what the injector promised not to ask. */
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import type { FaultWorld } from '../../../sim/faults/world.ts'
import type { HistoryRecord } from '../../../sim/history/history.ts'
import { virtualPeerId } from '../../../sim/identity-virtual-adapter.ts'
import { createVirtualLogDisk, type VirtualLogDisk } from '../../../sim/log-store-virtual-adapter.ts'
import type { LinkConditions } from '../../../sim/network/network.ts'
import { createVirtualClock } from '../../../sim/virtual-clock.ts'
import { entriesAfter, missionA, writeOf } from '../../contracts/log-store.ts'

interface FakeNode {
  state: 'up' | 'down'
  frozen: 'no' | 'pause' | 'suspend'
  release: string
  dyingAfter: number
  left: (() => void) | undefined
  wallOffMs: number
  drift: number
  syncFactor: number
  full: boolean
  stuck: boolean
}

export function fakeCluster(names: readonly string[], conditions: LinkConditions = { lossFraction: 0.1, duplicationFraction: 0, reorderingFraction: 0 }) {
  const time = createVirtualClock()
  const random = seededRandom([7, 7])
  const records: HistoryRecord[] = []
  const calls: string[] = []
  const walls = new Set<string>()
  const slow = new Map<string, number>()
  let present = conditions
  const leaders = new Set<string>()
  const needed = new Set<string>()
  const nodes = new Map<string, FakeNode>(names.map((name) => [name, { state: 'up', frozen: 'no', release: 'own', dyingAfter: Infinity, left: undefined, wallOffMs: 0, drift: 0, syncFactor: 1, full: false, stuck: false }]))
  const disks = new Map<string, VirtualLogDisk>(names.map((name) => [name, createVirtualLogDisk({ clock: time })]))
  const node = (name: string): FakeNode => nodes.get(name)!
  const disk = (name: string): VirtualLogDisk => disks.get(name)!

  function must(condition: boolean, what: string): void {
    if (!condition) throw new Error(`the injector broke its word: ${what}`)
  }

  function wall(what: string): () => void {
    const own = `${what} #${walls.size}-${random.text(6)}`
    walls.add(own)
    return () => void walls.delete(own)
  }

  function begin(name: string, release: string): void {
    must(node(name).state === 'down', `${name} is started while it is up`)
    Object.assign(node(name), { state: 'up', frozen: 'no', release, dyingAfter: Infinity, left: undefined })
    calls.push(`start ${name}${release === 'own' ? '' : ` ${release}`}`)
  }

  function end(name: string, how: string): void {
    must(node(name).state === 'up', `${name} is ended while it is down`)
    Object.assign(node(name), { state: 'down', frozen: 'no', left: undefined })
    if (how === 'power-cut') disk(name).powerCut(random)
    else disk(name).kill()
    calls.push(`${how} ${name}`)
  }

  function change(name: string, from: FakeNode['frozen'], to: FakeNode['frozen'], what: string): void {
    must(node(name).state === 'up' && node(name).frozen === from, `${name} is to ${what} while it is ${node(name).state} and frozen: ${node(name).frozen}`)
    node(name).frozen = to
    calls.push(`${what} ${name}`)
  }

  const world: FaultWorld = {
    names,
    nowMs: () => time.nowMs(),
    schedule: (delayMs, callback) => time.schedule(delayMs, callback),
    record: (record) => void records.push(record),
    peerOf: virtualPeerId,
    leaders: () => names.filter((name) => leaders.has(name) && node(name).state === 'up'),
    canSpare: (name) => !needed.has(name),
    isUp: (name) => node(name).state === 'up',
    kill: end,
    start: (name) => begin(name, 'own'),
    startOldProtocol: begin,
    leave(name, left) {
      must(node(name).state === 'up' && node(name).frozen === 'no', `${name} is to leave while it cannot`)
      node(name).left = left
      calls.push(`leave ${name}`)
    },
    crashBetweenEffects(name, effects) {
      must(node(name).state === 'up', `${name} is to crash while it is down`)
      node(name).dyingAfter = effects
    },
    pause: (name) => change(name, 'no', 'pause', 'pause'),
    resume: (name) => change(name, 'pause', 'no', 'resume'),
    suspend: (name) => change(name, 'no', 'suspend', 'suspend'),
    wake: (name) => change(name, 'suspend', 'no', 'wake'),
    clock: (name) => ({
      jumpWall: (byMs) => void (node(name).wallOffMs += byMs),
      setDrift: (fraction) => void (node(name).drift = fraction),
    }),
    disk: (name) => ({
      ...disk(name),
      setFull: (full) => void (node(name).full = full),
      setSyncFactor: (factor) => void (node(name).syncFactor = factor),
      setStuck: (stuck) => void (node(name).stuck = stuck),
    }),
    network: {
      partition: (left, right) => wall(`${left.length}|${right.length}`),
      partitionOneWay: (from, to) => wall(`${from.length}>${to.length}`),
      isolate: (peer) => wall(peer),
      slowLink: (left, right, factor) => void slow.set(`${left} ${right}`, factor),
      restoreLink: (left, right) => void slow.delete(`${left} ${right}`),
      resetAfterSend: (from, to) => void calls.push(`reset ${from} ${to}`),
      conditions: () => present,
      setConditions: (change) => void (present = { ...present, ...change }),
    },
  }

  return {
    world, time, records, calls, walls, slow, node, disk, leaders, needed,
    conditions: () => present,
    /** The process of a node ends by itself. */
    end: (name: string, how: string) => end(name, how),
    /** It has drained. */
    goAway(name: string) {
      const { left } = node(name)
      if (node(name).state !== 'up' || left === undefined) return
      end(name, 'left')
      left()
    },
    async write(name: string, index: number): Promise<void> {
      const store = await disk(name).open()
      void store.write({ writes: [writeOf(missionA, entriesAfter(index), { fresh: 1 })] }).catch(() => undefined)
    },
    kinds: (type: 'fault' | 'healed') => records.flatMap((record) => (record.type === type ? [record.kind] : [])),
  }
}
