/** What goes wrong in a run: the planned faults, done to the real cluster. */
import type { DurationMs, InstantMs } from '../../protocols/kernel/units.ts'
import { createFaultInjector } from '../faults/inject.ts'
import { planFaults } from '../faults/plan-faults.ts'
import type { FaultWorld } from '../faults/world.ts'
import type { HistoryRecord } from '../history/history.ts'
import { isMajority } from '../history/group-logs.ts'
import { virtualNodeName, virtualPeerId } from '../identity-virtual-adapter.ts'
import type { Tally } from '../measure/tally.ts'
import { streamOf } from '../scenario/streams.ts'
import type { FaultKind, Scenario } from '../scenario/schema.ts'
import type { VirtualMesh, VirtualNode } from '../virtual-mesh.ts'
import { newerMinorCodec, otherMajorCodec } from '../wire-codec.ts'
import type { Population } from './population.ts'
import type { Recorder } from './recorder.ts'

export interface TroubleInit {
  readonly scenario: Scenario
  readonly seed: number
  readonly untilMs: InstantMs
  readonly mesh: VirtualMesh
  readonly population: Population
  readonly recorder: Recorder
  readonly tally: Tally
}

export interface Trouble {
  /** Faults happen at their instants of the run, `offsetMs` later in the world. */
  expect(offsetMs: DurationMs): void
  /** Everything is mended, and everybody who can be is started. */
  healAll(): void
  /** Whoever supervises a process that ended by itself starts it again, unless a fault keeps it down. */
  gaveUp(name: string): void
}

/** What a service manager waits before it starts a process again. */
const restartMs: DurationMs = 1_000

export function createTrouble(init: TroubleInit): Trouble {
  const { mesh, population, scenario, seed } = init
  const faults = planFaults(scenario, population.planned, streamOf(seed, 'faults'), init.untilMs)
  const injector = createFaultInjector(faultWorld(init), streamOf(seed, 'fate').below(0x1_0000_0000))

  return {
    expect(offsetMs) {
      for (const fault of faults) {
        mesh.clock.schedule(fault.atMs + offsetMs - mesh.clock.nowMs(), () => {
          const struck = injector.inject(fault)
          // What never heals takes its nodes for good.
          if (fault.lastsMs === Infinity && goneByIt.has(fault.kind)) for (const name of [...fault.nodes, ...struck]) population.giveUp(name)
        })
      }
    },
    healAll: () => injector.healAll(),
    gaveUp(name) {
      mesh.clock.schedule(restartMs, () => {
        if (!injector.keepsDown(name)) population.start(name)
      })
    },
  }
}

const goneByIt: ReadonlySet<FaultKind> = new Set<FaultKind>(['crash', 'crash-between-effects', 'power-cut', 'leave', 'pause', 'suspend', 'isolate', 'owner-killed-for-good', 'leader-isolated'])

function faultWorld({ mesh, population, recorder, tally }: TroubleInit): FaultWorld {
  const { clock, network } = mesh
  const record = (one: HistoryRecord): void => recorder.add(one)

  function up(name: string): VirtualNode {
    const node = population.alive(name)
    if (node === undefined) throw new Error(`${name} is not up`)
    return node
  }

  function freeze(name: string, frozen: boolean): void {
    const node = up(name)
    node.clock.pause(frozen)
    network.pause(node.peer)
    record({ type: 'paused', atMs: clock.nowMs(), node: name, peer: node.peer })
  }

  function thaw(name: string): void {
    const node = up(name)
    node.clock.resume()
    network.resume(node.peer)
    record({ type: 'resumed', atMs: clock.nowMs(), node: name, peer: node.peer })
  }

  return {
    names: population.planned.map((node) => node.name),
    network,
    nowMs: () => clock.nowMs(),
    schedule: (delayMs, callback) => clock.schedule(delayMs, callback),
    record(one) {
      if (one.type === 'fault') tally.faultInjected(one.kind, one.atMs)
      record(one)
    },
    peerOf: (name) => virtualPeerId(name),
    disk: (name) => mesh.disk(name),
    clock: (name) => ({ jumpWall: (byMs) => population.jumpWall(name, byMs), setDrift: (fraction) => population.setDrift(name, fraction) }),
    leaders() {
      const owners = new Set([...recorder.missions.values()].filter(({ ended, damaged }) => !ended && !damaged).map(({ owner }) => owner))
      return population.planned.map(({ name }) => name).filter((name) => owners.has(name) && population.alive(name) !== undefined)
    },
    canSpare: (spared) => [...recorder.groups.values()].every(({ group, membership, committed }) => {
      if (membership === undefined || committed.some(({ event }) => event.type === 'archived')) return true
      return isMajority(membership, ({ peer }) => {
        const name = virtualNodeName(peer) ?? ''
        return name !== spared && !population.isGone(name) && !recorder.isHurt(group, peer)
      })
    }),
    isUp: (name) => population.alive(name) !== undefined,
    kill: (name, how) => mesh.kill(up(name), how),
    start: (name) => population.start(name),
    startOldProtocol: (name, speaks) => population.start(name, speaks === 'newer-minor' ? newerMinorCodec : otherMajorCodec),
    leave(name, left) {
      const node = up(name)
      void clock.awaited(node.mesh.drain()).then(() => {
        if (!node.alive) return
        mesh.kill(node, 'left')
        left()
      })
    },
    crashBetweenEffects: (name, effects) => up(name).trap?.arm(effects),
    pause: (name) => freeze(name, false),
    resume: thaw,
    suspend: (name) => freeze(name, true),
    wake: thaw,
  }
}
