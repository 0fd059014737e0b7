import { afterEach } from 'vitest'
import type { Fact } from '../../../actors/ports/telemetry.ts'
import { createBridge } from '../../../node/http/bridge.ts'
import type { Bridge, BridgeInit } from '../../../node/http/bridge.ts'
import type { Problem } from '../../../node/http/problem.ts'
import type { StreamingBlobStore } from '../../../node/http/upload.ts'
import { createMetrics } from '../../../node/telemetry/metrics.ts'
import type { NodeMetrics } from '../../../node/telemetry/metrics.ts'
import { createBlobDouble, createMeshDouble } from './mesh-double.ts'
import type { BlobDouble, MeshDouble } from './mesh-double.ts'

export interface BridgeFixture {
  readonly bridge: Bridge
  readonly mesh: MeshDouble
  /** Unless the test brought its own. */
  readonly blobs: BlobDouble
  readonly metrics: NodeMetrics
  readonly facts: Fact[]
  /** Sends a request to a path of the bridge. */
  send(path: string, init?: RequestInit): Promise<Response>
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Response>
}

const open: Bridge[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((bridge) => bridge.close()))
})

/** A bridge on a port of the system's choice, closed after the test. */
export async function startBridge(init: Partial<Omit<BridgeInit, 'mesh' | 'blobs'>> & { mesh?: MeshDouble; blobs?: StreamingBlobStore } = {}): Promise<BridgeFixture> {
  const mesh = init.mesh ?? createMeshDouble()
  const blobs = createBlobDouble()
  const metrics = init.metrics ?? createMetrics()
  const facts: Fact[] = []
  const bridge = await createBridge({ host: '127.0.0.1', port: 0, portIsDefault: false, version: '9.9.9', log: { record: (fact) => facts.push(fact) }, ...init, limits: { drainMs: 1_000, ...init.limits }, mesh, blobs: init.blobs ?? blobs, metrics })
  open.push(bridge)
  const send = (path: string, request?: RequestInit) => fetch(bridge.url + path, request)
  return {
    bridge, mesh, blobs, metrics, facts, send,
    post: (path, body, headers = {}) => send(path, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers } }),
  }
}

/** The problem that an answer must be. */
export async function problemIn(answer: Response): Promise<Problem> {
  const type = answer.headers.get('content-type')
  const text = await answer.text()
  if (type !== 'application/problem+json') throw new Error(`no problem but ${answer.status} ${type}: ${text.slice(0, 300)}`)
  return JSON.parse(text) as Problem
}
