/**
 * A small typed client of a bridge, for the CLI, scripts and tests.
 *
 * @example
 * ```ts
 * const mesh = createMeshClient('http://127.0.0.1:7420')
 * const { id } = await mesh.submit({ capability: 'repo.report', input: {} }, { key: crypto.randomUUID() })
 * for await (const news of mesh.watch(id)) console.log(news.type)
 * console.log(await mesh.result(id))
 * ```
 *
 * @packageDocumentation
 */
import { Readable } from 'node:stream'
import type { z } from 'zod'
import type { CapabilityView, NodeView } from '../../protocols/capability/views.ts'
import { MeshError } from '../../protocols/kernel/errors.ts'
import type { Digest, MissionId, PeerId, TaskId } from '../../protocols/kernel/ids.ts'
import type { BlobRef, Json } from '../../protocols/kernel/payload.ts'
import type { MissionRequest } from '../../protocols/tasking/schema.ts'
import type { DeadView, MissionView, QueueView, ResultView, TaskView, WhyView } from '../../protocols/tasking/views.ts'
import type { LogLine } from '../telemetry/log-line.ts'
import { connectRoaming, type OnMoved } from './client-roaming.ts'
import { watchMission, watchStream } from './client-watch.ts'
import type { MissionNews, WatchOptions } from './client-watch.ts'
import type { ForkRequest, MissionChange } from './mission-request.ts'
import type { Accepted, ArtifactsView } from './routes/missions.ts'

/** A mission request as it is written: what has a default may be absent. */
export type MissionRequestInput = z.input<typeof MissionRequest>

export interface BlobContent {
  readonly mediaType: string
  readonly sizeBytes: number | undefined
  readonly stream: ReadableStream<Uint8Array>
}

/** Every method throws MeshError: the bridge's own fault, `owner-unreachable` when nothing answers, `timeout` when the outcome is unknown. */
export interface MeshClient {
  /** Of the bridge that is talked to now. */
  readonly url: string
  /** From now on the mesh's other bridges are learned, and one of them is used when this one answers no more; closed, no more are learned. */
  roam(onMoved: OnMoved): { close(): void }
  /** The same key with the same request gives the same mission: with one, a submission of unknown outcome can be repeated. */
  submit(request: MissionRequestInput, options?: { key?: string; signal?: AbortSignal }): Promise<Accepted>
  missions(limit?: number): Promise<MissionView[]>
  mission(id: MissionId): Promise<MissionView>
  change(id: MissionId, change: MissionChange): Promise<MissionView>
  cancel(id: MissionId, reason?: string): Promise<MissionView>
  pause(id: MissionId): Promise<MissionView>
  resume(id: MissionId): Promise<MissionView>
  retry(id: MissionId, taskId?: TaskId): Promise<MissionView>
  /** By hand, on a node that has a copy: it goes on without the owner, which must not come back. What nobody else saw of it is lost. */
  takeover(id: MissionId): Promise<MissionView>
  /** Another mission that begins where this one stood before a task. */
  fork(id: MissionId, request: ForkRequest, options?: { key?: string }): Promise<Accepted>
  tasks(id: MissionId): Promise<TaskView>
  result(id: MissionId): Promise<ResultView>
  artifacts(id: MissionId): Promise<ArtifactsView>
  why(id: MissionId, taskId?: TaskId): Promise<WhyView>
  watch(id: MissionId, options?: WatchOptions): AsyncGenerator<MissionNews>
  /** Does the bridge's node have it? Asks no other node. */
  hasBlob(digest: Digest): Promise<boolean>
  putBlob(digest: Digest, content: Uint8Array | AsyncIterable<Uint8Array>, about?: { mediaType?: string; name?: string; signal?: AbortSignal }): Promise<BlobRef>
  /** With a whole reference the bridge fetches what its node does not have from the holders named in it. */
  getBlob(blob: Digest | BlobRef, signal?: AbortSignal): Promise<BlobContent>
  dead(): Promise<DeadView[]>
  retryDead(id: string): Promise<MissionView>
  dropDead(id: string): Promise<void>
  nodes(): Promise<NodeView[]>
  /** The whole list now and after each change, until the connection ends. */
  watchNodes(signal?: AbortSignal): AsyncGenerator<NodeView[]>
  logs(peer: PeerId): Promise<LogLine[]>
  status(peer: PeerId): Promise<Json>
  peers(peer: PeerId): Promise<Json>
  queue(): Promise<QueueView[]>
  capabilities(): Promise<CapabilityView[]>
  /** `ok` and the release of the node behind the bridge; needs no token. */
  health(): Promise<{ ok: true; version: string }>
}

export interface MeshClientInit {
  readonly token?: string
}

/** @param url a bridge's address, `http://127.0.0.1:7420`. @throws MeshError `bad-request` when it is none. */
export function createMeshClient(url: string, { token }: MeshClientInit = {}): MeshClient {
  const bridge = connectRoaming(url, token)
  const { json, request } = bridge
  const at = (id: MissionId, rest = '') => `/v1/missions/${encodeURIComponent(id)}${rest}`
  const node = (peer: PeerId, about: string) => `/v1/nodes/${encodeURIComponent(peer)}/${about}`

  return {
    get url() {
      return bridge.url
    },
    roam: bridge.roam,
    submit: (mission, { key, signal } = {}) => json({ method: 'POST', path: '/v1/missions', json: mission, headers: { 'idempotency-key': key }, signal }),
    missions: (limit) => json({ path: '/v1/missions', query: { limit } }),
    mission: (id) => json({ path: at(id) }),
    change: (id, change) => json({ method: 'PATCH', path: at(id), json: change }),
    cancel: (id, reason) => json({ method: 'DELETE', path: at(id), query: { reason } }),
    pause: (id) => json({ method: 'POST', path: at(id, '/pause') }),
    resume: (id) => json({ method: 'POST', path: at(id, '/resume') }),
    retry: (id, taskId) => json({ method: 'POST', path: at(id, '/retry'), query: { taskId } }),
    takeover: (id) => json({ method: 'POST', path: at(id, '/takeover') }),
    fork: (id, fork, { key } = {}) => json({ method: 'POST', path: at(id, '/fork'), json: fork, headers: { 'idempotency-key': key } }),
    tasks: (id) => json({ path: at(id, '/tasks') }),
    result: (id) => json({ path: at(id, '/result') }),
    artifacts: (id) => json({ path: at(id, '/artifacts') }),
    why: (id, taskId) => json({ path: at(id, '/why'), query: { taskId } }),
    watch: (id, options) => watchMission(bridge, id, options),

    async hasBlob(digest) {
      try {
        await request({ method: 'HEAD', path: `/v1/blobs/${digest}` })
        return true
      } catch (thrown) {
        if (thrown instanceof MeshError && thrown.fault.code === 'unknown-blob') return false
        throw thrown
      }
    },
    putBlob: (digest, content, { mediaType, name, signal } = {}) => json({
      method: 'PUT', path: `/v1/blobs/${digest}`, query: { name }, headers: { 'content-type': mediaType ?? 'application/octet-stream' }, body: content, signal, timeoutMs: Infinity,
    }),
    async getBlob(blob, signal) {
      const ref = typeof blob === 'string' ? undefined : blob
      const holders = ref?.holders ?? []
      const answer = await request({
        path: `/v1/blobs/${ref?.$blob ?? blob}`,
        query: { size: ref?.sizeBytes, holder: holders.length > 0 ? holders.join(',') : undefined, type: ref?.mediaType },
        signal,
        timeoutMs: Infinity,
      })
      const length = answer.header('content-length')
      return {
        mediaType: answer.header('content-type') ?? 'application/octet-stream',
        sizeBytes: length === undefined ? undefined : Number(length),
        stream: Readable.toWeb(answer.body) as ReadableStream<Uint8Array>,
      }
    },

    dead: () => json({ path: '/v1/dead' }),
    retryDead: (id) => json({ method: 'POST', path: `/v1/dead/${encodeURIComponent(id)}` }),
    dropDead: (id) => json({ method: 'DELETE', path: `/v1/dead/${encodeURIComponent(id)}` }),
    nodes: () => json({ path: '/v1/nodes' }),
    watchNodes: (signal) => watchStream(bridge, '/v1/nodes/events', 'nodes', signal),
    logs: (peer) => json({ path: node(peer, 'logs') }),
    status: (peer) => json({ path: node(peer, 'status') }),
    peers: (peer) => json({ path: node(peer, 'peers') }),
    queue: () => json({ path: '/v1/queue' }),
    capabilities: () => json({ path: '/v1/capabilities' }),
    health: () => json({ path: '/healthz' }),
  }
}
