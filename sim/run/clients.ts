/** The people and programs that hand missions in: each arrival is submitted at its bridge, again with the same key until the outcome is known. */
import { toFault, type Fault } from '../../protocols/kernel/errors.ts'
import type { MissionId, Principal } from '../../protocols/kernel/ids.ts'
import type { Random } from '../../protocols/kernel/prng.ts'
import type { Json } from '../../protocols/kernel/payload.ts'
import type { InstantMs } from '../../protocols/kernel/units.ts'
import { MissionRequest, type MissionOperation } from '../../protocols/tasking/schema.ts'
import type { MissionView } from '../../protocols/tasking/views.ts'
import type { Tally } from '../measure/tally.ts'
import type { VirtualMesh, VirtualNode } from '../virtual-mesh.ts'
import type { Arrival } from '../workload/arrivals.ts'
import type { Recorder } from './recorder.ts'

export interface ClientsInit {
  readonly mesh: VirtualMesh
  /** The bridge's node while it can be spoken to. */
  readonly reachable: (node: string) => VirtualNode | undefined
  readonly tally: Tally
  readonly recorder: Recorder
  readonly random: Random
  /** Share of the missions that a second node watches. */
  readonly watchedFraction: number
  /** Share of the missions that are handed in again with their key, once more as they are and once changed: what impatient programs do. */
  readonly repeatedFraction: number
  readonly bridges: readonly string[]
}

export interface Clients {
  /** Submits at `arrival.atMs` of the run, `offsetMs` later in the world. */
  expect(arrivals: readonly Arrival[], offsetMs: InstantMs): void
  /** Submissions whose outcome is not known yet. */
  open(): number
  readonly acknowledged: ReadonlyMap<MissionId, Arrival>
  /** No more retries: whoever does not know yet never will. */
  close(): void
  /** Everybody asks some bridge for the result of its mission. Resolves when all have an answer. */
  askResults(): Promise<void>
}

const retryMs = 1_500
const repeatMs = 4_000
/** How soon a watcher finds out that its bridge is gone. */
const lookMs = 1_500

/** Whether the same request may be tried again: it was not taken, or nobody can say. */
function judge(fault: Fault): 'unknown' | 'again' | 'refused' {
  if (fault.code === 'timeout' || fault.code === 'owner-unreachable' || fault.code === 'storage-failed') return 'unknown'
  // A bridge that has just started knows no provider yet, and says so.
  return fault.retryable || fault.code === 'unknown-capability' ? 'again' : 'refused'
}

export function createClients(init: ClientsInit): Clients {
  const { mesh, tally, recorder } = init
  const acknowledged = new Map<MissionId, Arrival>()
  const waiting = new Set<Arrival>()
  let operations = 0
  let closed = false

  function later(arrival: Arrival): void {
    mesh.clock.schedule(retryMs * (0.5 + init.random.next()), () => attempt(arrival))
  }

  function anyBridge(): VirtualNode | undefined {
    const up = init.bridges.flatMap((name) => init.reachable(name) ?? [])
    return up.length === 0 ? undefined : up[init.random.below(up.length)]
  }

  function giveUp(arrival: Arrival, wasTaken: boolean): void {
    if (!waiting.delete(arrival)) return
    if (wasTaken) tally.missionUnknown(arrival.key, mesh.clock.nowMs())
    else tally.missionRefused(arrival.key, mesh.clock.nowMs())
  }

  function attempt(arrival: Arrival, maybeTaken = false): void {
    if (!waiting.has(arrival)) return
    // Whoever had no answer, or finds its bridge gone, goes to another with the same key.
    const node = (maybeTaken ? undefined : init.reachable(arrival.node)) ?? anyBridge()
    if (node === undefined) {
      if (closed) giveUp(arrival, maybeTaken)
      else later(arrival)
      return
    }
    const asked = { op: 'submit' as const, request: MissionRequest.parse(arrival.request), key: arrival.key }
    void ask(arrival, node, asked).then(({ answer, fault }) => {
      if (fault === undefined) return onAcknowledged(arrival, answer as unknown as MissionView)
      const verdict = judge(fault)
      if (verdict === 'refused' || closed) giveUp(arrival, verdict === 'unknown')
      else mesh.clock.schedule(fault.retryAfterMs ?? retryMs * (0.5 + init.random.next()), () => attempt(arrival, maybeTaken || verdict === 'unknown'))
    })
  }

  /** One operation, written down from its call to its outcome. */
  async function ask(arrival: Arrival, node: VirtualNode, asked: MissionOperation): Promise<{ readonly answer?: Json; readonly fault?: Fault }> {
    const about = { operation: ++operations, client: `client-${arrival.index}`, node: node.name }
    const key = asked.op === 'submit' && asked.key !== undefined ? { key: asked.key } : {}
    recorder.add({ ...about, atMs: mesh.clock.nowMs(), type: 'invoke', asked, principal: arrival.principal, ...key })
    try {
      const answer = await mesh.clock.awaited(node.mesh.ask(asked, arrival.principal as Principal))
      recorder.add({ ...about, atMs: mesh.clock.nowMs(), type: 'ok', answer })
      return { answer }
    } catch (thrown) {
      const fault = toFault(thrown)
      recorder.add(judge(fault) === 'unknown' ? { ...about, atMs: mesh.clock.nowMs(), type: 'unknown', reason: `${fault.code}: ${fault.detail}` } : { ...about, atMs: mesh.clock.nowMs(), type: 'fail', fault })
      return { fault }
    }
  }

  /** Its first answer was lost on the way, or so it thinks; and another program uses the same key. */
  function repeat(arrival: Arrival): void {
    const request = MissionRequest.parse(arrival.request)
    const delayMs = repeatMs * init.random.next()
    // One is as it was, one is changed; each at whichever bridge.
    for (const again of [request, { ...request, priority: (request.priority % 10) + 1 }]) {
      mesh.clock.schedule(delayMs, () => {
        const node = anyBridge()
        if (node === undefined) return
        void ask(arrival, node, { op: 'submit', request: again, key: arrival.key }).then(({ answer }) => {
          // Where the disk has lost the first mission with its key, this is another one.
          if (answer !== undefined) acknowledged.set((answer as unknown as MissionView).id, arrival)
        })
      })
    }
  }

  function onAcknowledged(arrival: Arrival, view: MissionView): void {
    if (!waiting.delete(arrival)) return
    acknowledged.set(view.id, arrival)
    tally.missionAcknowledged(arrival.key, view.id, mesh.clock.nowMs())
    if (init.random.next() < init.repeatedFraction) repeat(arrival)
    if (init.random.next() >= init.watchedFraction || init.bridges.length === 0) return
    follow(arrival, view.id, 0)
  }

  /** Watches at some bridge, and when that is gone at another from the last event on that it saw. */
  function follow(arrival: Arrival, missionId: MissionId, fromIndex: number): void {
    if (closed) return
    let seen = fromIndex
    const watcher = anyBridge()
    const end = watcher?.mesh.watch(missionId, fromIndex, arrival.principal as Principal, ({ events }) => {
      for (const { index, event } of events) {
        seen = Math.max(seen, index)
        recorder.add({ type: 'told', atMs: mesh.clock.nowMs(), node: watcher.name, missionId, index, event })
      }
    })
    const look = (): void => {
      if (closed || recorder.missions.get(missionId)?.ended === true) return
      if (watcher?.alive === true) return void mesh.clock.schedule(lookMs, look)
      end?.()
      follow(arrival, missionId, seen)
    }
    mesh.clock.schedule(lookMs, look)
  }

  return {
    acknowledged,
    expect(arrivals, offsetMs) {
      for (const arrival of arrivals) {
        mesh.clock.schedule(arrival.atMs + offsetMs - mesh.clock.nowMs(), () => {
          waiting.add(arrival)
          tally.missionSubmitted(arrival.key, mesh.clock.nowMs())
          attempt(arrival)
        })
      }
    },
    async askResults() {
      const bridges = init.bridges.flatMap((name) => init.reachable(name) ?? [])
      if (bridges.length === 0) return
      await Promise.all([...acknowledged].map(([missionId, arrival]) => ask(arrival, bridges[init.random.below(bridges.length)] as VirtualNode, { op: 'result', missionId })))
    },
    open: () => waiting.size,
    close() {
      closed = true
    },
  }
}
