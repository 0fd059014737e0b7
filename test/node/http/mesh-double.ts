/** A mesh of one file: missions are lists of events, faults are what the test says. */
import type { MeshApi, WatchFrame } from '../../../actors/mesh-api.ts'
import type { StreamingBlobStore } from '../../../node/http/upload.ts'
import type { CapabilityView, NodeView } from '../../../protocols/capability/views.ts'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import { digestOf } from '../../../protocols/kernel/hashing.ts'
import type { Digest} from '../../../protocols/kernel/ids.ts'
import { MissionId, PeerId, Principal } from '../../../protocols/kernel/ids.ts'
import type { BlobRef, Json } from '../../../protocols/kernel/payload.ts'
import { taskStates } from '../../../protocols/tasking/schema.ts'
import type { IndexedEvent, MissionEvent, MissionOperation, MissionState, ProgressNote } from '../../../protocols/tasking/schema.ts'
import { DeadView, MissionView, QueueView, ResultView, TaskView, WhyView } from '../../../protocols/tasking/views.ts'

export const selfPeer = PeerId.parse('12D3KooWSelf')
export const otherPeer = PeerId.parse('12D3KooWOther')

interface DoubleMission {
  readonly view: MissionView
  readonly log: IndexedEvent[]
  readonly watchers: Set<(frame: WatchFrame) => void>
}

export interface MeshDouble extends MeshApi {
  readonly asked: { operation: MissionOperation; principal: Principal }[]
  readonly missions: Map<MissionId, DoubleMission>
  /** The next ask throws it. */
  failNext(error: Error): void
  addMission(): MissionId
  append(id: MissionId, ...events: MissionEvent[]): void
  note(id: MissionId, note: ProgressNote): void
  breakWatch(id: MissionId, error: MeshError): void
  setNodes(nodes: NodeView[]): void
  ready: boolean
  watchCalls: number
}

const endStates: Partial<Record<MissionEvent['type'], MissionState>> = { completed: 'completed', failed: 'failed', cancelled: 'cancelled', retried: 'running' }

export function createMeshDouble(): MeshDouble {
  const missions = new Map<MissionId, DoubleMission>()
  const keys = new Map<string, { id: MissionId; request: string }>()
  const asked: MeshDouble['asked'] = []
  const nodeListeners = new Set<() => void>()
  let failure: Error | undefined
  const letters = new Set(['letter-1'])
  let nodes: NodeView[] = [{ peerId: selfPeer, name: 'node-a', self: true, state: 'connected' }, { peerId: otherPeer, name: 'node-b', self: false, state: 'gone', lastSeenAgoMs: 10 }]

  function mission(id: MissionId): DoubleMission {
    const found = missions.get(id)
    if (found === undefined) throw new MeshError('unknown-mission', `no node knows ${id}`, { next: 'list them with: skein mission list' })
    return found
  }

  function addMission(principal = Principal.parse('local')): MissionId {
    const id = MissionId.parse(`m-abcdefgh-${String(missions.size).padStart(12, '0')}`)
    missions.set(id, {
      view: MissionView.parse({
        id, name: 'test', state: 'running', principal, owner: selfPeer, ownerName: 'node-a', priority: 5, acknowledgement: 'local',
        limits: { leavesMax: 30, depthMax: 3, budgetUsd: 1, durationMs: 1000 }, submittedAtWallMs: 1, tasks: Object.fromEntries(taskStates.map((state) => [state, 0])), leaves: 0, spentUsd: 0, lastIndex: 0,
      }),
      log: [],
      watchers: new Set(),
    })
    return id
  }

  function answer(operation: MissionOperation, principal: Principal): unknown {
    switch (operation.op) {
      case 'submit': {
        const request = JSON.stringify(operation.request)
        const claim = operation.key === undefined ? undefined : keys.get(`${principal} ${operation.key}`)
        if (claim !== undefined && claim.request !== request) throw new MeshError('key-conflict', 'the key was used for another request')
        const id = claim?.id ?? addMission(principal)
        if (operation.key !== undefined) keys.set(`${principal} ${operation.key}`, { id, request })
        return mission(id).view
      }
      case 'tasks': return mission(operation.missionId) && TaskView.parse({ id: 'root', name: 'root', kind: 'composite', capability: 'repo.report', state: 'running', priority: 5, after: [], attempts: 1, children: [] })
      case 'result': return ResultView.parse({ id: operation.missionId, state: mission(operation.missionId).view.state, result: { lines: 3 }, artifacts: [{ $blob: 'ab'.repeat(32), sizeBytes: 5, name: 'rép ort.html', mediaType: 'text/html', holders: [otherPeer] }] })
      case 'why': return WhyView.parse({ id: mission(operation.missionId).view.id, tasks: [] })
      case 'list': return [...missions.values()].slice(0, operation.limit).map(({ view }) => view)
      case 'dead': return [...letters].map((id) => DeadView.parse({ id, kind: 'message', atWallMs: 1, reason: 'no such actor' }))
      case 'queue': return [QueueView.parse({ node: selfPeer, slots: 2, running: [], waiting: [] })]
      default: return mission(operation.missionId).view
    }
  }

  const double: MeshDouble = {
    self: selfPeer,
    name: 'node-a <b>',
    asked,
    missions,
    ready: true,
    watchCalls: 0,
    failNext(error) {
      failure = error
    },
    inputSchema: () => Promise.resolve(undefined),
    addMission: () => addMission(),
    append(id, ...events) {
      const { log, view, watchers } = mission(id)
      const added = events.map((event, i): IndexedEvent => ({ index: log.length + 1 + i, event }))
      log.push(...added)
      Object.assign(view, { lastIndex: log.length, state: events.reduce((state, event) => endStates[event.type] ?? state, view.state) })
      for (const watcher of [...watchers]) watcher({ events: added, notes: [] })
    },
    note(id, note) {
      for (const watcher of mission(id).watchers) watcher({ events: [], notes: [note] })
    },
    breakWatch(id, error) {
      for (const watcher of [...mission(id).watchers]) watcher({ events: [], notes: [], fault: error.fault })
    },
    setNodes(changed) {
      nodes = changed
      for (const listener of nodeListeners) listener()
    },
    async ask(operation, principal) {
      asked.push({ operation, principal })
      const error = failure
      failure = undefined
      if (error !== undefined) throw error
      return answer(operation, principal) as Json
    },
    watch(id, fromIndex, _principal, listener) {
      double.watchCalls += 1
      const { log, watchers } = mission(id)
      watchers.add(listener)
      queueMicrotask(() => {
        if (watchers.has(listener)) listener({ events: log.filter(({ index }) => index > fromIndex), notes: [] })
      })
      return () => watchers.delete(listener)
    },
    dropLetter: (id) => letters.delete(id),
    async invoke({ capability }) {
      throw new MeshError('no-provider', `no node offers ${capability}`)
    },
    nodes: async () => nodes,
    watchNodes(listener) {
      nodeListeners.add(listener)
      return () => nodeListeners.delete(listener)
    },
    capabilities: async () => [] satisfies CapabilityView[],
    async askNode(peer, about) {
      if (peer !== selfPeer) throw new MeshError('owner-unreachable', 'node-b cannot be reached')
      return about === 'logs' ? [{ atWallMs: 1, level: 'info', name: 'node.started', fields: { port: 1 } }] : { about }
    },
    replication: async () => ({ admitted: 'yes', roster: 'led', keepers: [], groups: 0, leads: 0, leaderless: 0, underReplicated: 0, damaged: [], room: 'enough' }),
    readiness: () => ({ ready: double.ready, reasons: double.ready ? [] : ['draining'] }),
  }
  return double
}

export interface BlobDouble extends StreamingBlobStore {
  put(bytes: Uint8Array): void
  readonly held: Map<Digest, Uint8Array>
  /** What other nodes hold. */
  readonly elsewhere: Map<PeerId, Uint8Array>
  readonly fetched: BlobRef[]
}

export function createBlobDouble(): BlobDouble {
  const held = new Map<Digest, Uint8Array>()
  const elsewhere = new Map<PeerId, Uint8Array>()
  const fetched: BlobRef[] = []
  return {
    held,
    elsewhere,
    fetched,
    has: async (digest) => held.has(digest),
    put(bytes) {
      held.set(digestOf(bytes), bytes)
    },
    async putStream(chunks, { expected, sizeBytesMax, ...about }) {
      const parts: Uint8Array[] = []
      for await (const chunk of chunks) parts.push(chunk)
      const bytes = Buffer.concat(parts)
      const digest = digestOf(bytes)
      if (bytes.byteLength > sizeBytesMax) throw new MeshError('too-large', 'over the limit')
      if (digest !== expected) throw new MeshError('bad-input', `the content has the digest ${digest}, not ${expected}`)
      held.set(digest, bytes)
      return { $blob: digest, sizeBytes: bytes.byteLength, ...about, holders: [selfPeer] }
    },
    async open(digest) {
      const bytes = held.get(digest)
      return bytes && { sizeBytes: bytes.byteLength, async* read() {
        for (let at = 0; at < bytes.byteLength; at += 65_536) yield bytes.subarray(at, at + 65_536)
      } }
    },
    async fetch(ref) {
      fetched.push(ref)
      for (const holder of ref.holders ?? []) {
        const bytes = elsewhere.get(holder)
        if (bytes !== undefined && digestOf(bytes) === ref.$blob) {
          held.set(ref.$blob, bytes)
          return
        }
      }
      throw new MeshError('unknown-blob', 'no reachable node has it')
    },
  }
}
