/**
 * The HTTP bridge of a node: any bridge answers for any mission of the mesh.
 *
 * @packageDocumentation
 */
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { MeshApi } from '../../actors/mesh-api.ts'
import type { Telemetry } from '../../actors/ports/telemetry.ts'
import { fault, MeshError } from '../../protocols/kernel/errors.ts'
import type { NodeMetrics } from '../telemetry/metrics.ts'
import { bridgeLimits } from './bridge-limits.ts'
import type { BridgeLimits } from './bridge-limits.ts'
import { answerBrokenRequest } from './broken-request.ts'
import { createGatekeeper } from './gatekeeper.ts'
import type { Gatekeeper } from './gatekeeper.ts'
import { listen } from './listen.ts'
import type { BridgeParts } from './parts.ts'
import { faultAnswer, HttpFault } from './problem.ts'
import { findRoute, methodsOf, serveRoutes } from './route-table.ts'
import type { BridgeEnv, Route } from './route-table.ts'
import { blobRoutes } from './routes/blobs.ts'
import { deadRoutes } from './routes/dead.ts'
import { laterRoutes } from './routes/later.ts'
import { missionEventRoutes } from './routes/mission-events.ts'
import { missionRoutes } from './routes/missions.ts'
import { nodeRoutes } from './routes/nodes.ts'
import { openAiRoutes } from './routes/openai.ts'
import { serviceRoutes } from './routes/service.ts'
import { createStreamSet } from './stream-set.ts'
import { createTableRouter } from './table-router.ts'
import type { StreamingBlobStore } from './upload.ts'

export interface BridgeInit {
  readonly mesh: MeshApi
  readonly blobs: StreamingBlobStore
  readonly metrics: NodeMetrics
  readonly log: Telemetry
  /** Token → principal. Demanded unless the host is loopback; without any, everybody on loopback is `local`. */
  readonly tokens?: Readonly<Record<string, string>>
  readonly host: string
  /** 0: one that the system chooses. */
  readonly port: number
  /** The port is a default: when it is taken, the next free one is used. */
  readonly portIsDefault: boolean
  /** Skein's release. */
  readonly version: string
  readonly limits?: Partial<BridgeLimits>
}

export interface Bridge {
  /** `http://127.0.0.1:7420`; a bridge on every address is named by its loopback one. */
  readonly url: string
  readonly port: number
  /** Takes no new request, ends the streams, lets requests under way finish (at most `drainMs`). */
  close(): Promise<void>
}

/**
 * Starts listening.
 * @throws MeshError `bad-request` when the host needs a token and there is none, or cannot be listened on; `wrong-state` when the port is taken.
 */
export async function createBridge(init: BridgeInit): Promise<Bridge> {
  const { mesh, metrics, log, host, port, portIsDefault } = init
  const limits = { ...bridgeLimits, ...init.limits }
  const gatekeeper = createGatekeeper(host, init.tokens)
  const streams = createStreamSet(limits, metrics)
  const { app } = createBridgeApp({ ...init, limits, streams }, gatekeeper)

  const listener = getRequestListener(app.fetch, {
    // The library would replace the process's own Request and Response.
    overrideGlobalObjects: false,
    errorHandler: () => faultAnswer(fault('bad-request', 'the request\'s address or Host is malformed', { next: 'send a valid HTTP/1.1 request' }), '/'),
  })
  const server = createServer({ requestTimeout: 60 * 60_000, headersTimeout: 20_000, keepAliveTimeout: 5_000 }, (incoming, outgoing) => void listener(incoming, outgoing))
  server.maxConnections = 2_048
  // A socket on which nothing moves: streams have their heartbeats, bodies their own shorter limit.
  server.timeout = limits.stallMs * 4
  server.on('clientError', answerBrokenRequest)
  await listen(server, host, port, portIsDefault)
  server.on('error', (error) => log.record({ name: 'http.server-failed', level: 'error', fields: { detail: error.message } }))

  keepGauges(mesh, metrics)
  const address = server.address() as AddressInfo
  const url = urlOf(host, address.port)
  log.record({ name: 'http.listening', level: 'info', fields: { url } })
  let closing: Promise<void> | undefined
  return {
    url,
    port: address.port,
    close() {
      closing ??= closeServer(server, limits.drainMs, () => streams.endAll('bridge is stopping, reconnect to any bridge with Last-Event-ID'))
      return closing
    },
  }
}

/** The application without its socket: `routes` is the table that serves, describes and is tested. */
export function createBridgeApp(parts: BridgeParts, gatekeeper: Gatekeeper): { app: Hono<BridgeEnv>; routes: readonly Route[] } {
  const { metrics, log } = parts
  const app = new Hono<BridgeEnv>({ router: createTableRouter() })
  const routes: Route[] = [
    ...missionRoutes(parts),
    ...missionEventRoutes(parts),
    ...blobRoutes(parts),
    ...deadRoutes(parts),
    ...nodeRoutes(parts),
    ...openAiRoutes(parts),
    ...laterRoutes(),
    ...serviceRoutes(parts, () => routes),
  ]

  app.use(async (c, next) => {
    const startedMs = performance.now()
    await next()
    const sample = { method: c.req.method, route: c.get('route') ?? 'none', status: c.res.status, tookMs: performance.now() - startedMs }
    metrics.observeHttp(sample)
    log.record({ name: 'http.request', level: 'debug', fields: sample })
  })
  app.use(async (c, next) => {
    const { method, path } = c.req
    c.set('principal', gatekeeper.admit({ method, header: (name) => c.req.header(name), open: findRoute(routes, method, path)?.open === true }))
    await next()
  })
  serveRoutes(app, routes)

  app.notFound((c) => {
    const { method, path } = c.req
    const allowed = methodsOf(routes, path)
    if (allowed.length > 0) return faultAnswer(fault('bad-request', `${method} is not served on ${path.slice(0, 200)}`, { next: `use ${allowed.join(' or ')}` }), path, { status: 405, headers: { allow: allowed.join(', ') } })
    return faultAnswer(fault('bad-request', `there is no ${path.slice(0, 200)}`, { next: 'see /openapi.json for what there is' }), path, { status: 404 })
  })
  app.onError((thrown, c) => {
    const { path } = c.req
    if (thrown instanceof HttpFault) return faultAnswer(thrown.fault, path, thrown.options)
    if (thrown instanceof MeshError) return faultAnswer(thrown.fault, path)
    // What a bug says may hold what a stranger must not read: it goes to the log.
    log.record({ name: 'http.failed', level: 'error', fields: { method: c.req.method, route: c.get('route'), detail: thrown.message, stack: thrown.stack } })
    return faultAnswer(fault('internal', 'an unexpected error inside the node', { next: 'see the node\'s log (http.failed) and report it' }), path)
  })
  return { app, routes }
}

/** Brings the node's gauges up to date at each scrape, from what the node knows without asking others. */
function keepGauges(mesh: MeshApi, metrics: NodeMetrics): void {
  metrics.onScrape(async () => {
    const nodesByState: Record<string, number> = {}
    for (const node of await mesh.nodes()) {
      nodesByState[node.state] = (nodesByState[node.state] ?? 0) + 1
      const load = node.self ? node.advert?.load : undefined
      if (load !== undefined) metrics.setGauges({ slots: load.slots, slotsBusy: load.slotsBusy, missionsLive: load.missionsOwned })
    }
    metrics.setGauges({ nodesByState })
  })
}

async function closeServer(server: Server, drainMs: number, endStreams: () => void): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  endStreams()
  // A connection becomes idle when its request ends, and would then be kept alive for the next one.
  const sweep = setInterval(() => server.closeIdleConnections(), 20)
  const force = setTimeout(() => server.closeAllConnections(), drainMs)
  try {
    await closed
  } finally {
    clearInterval(sweep)
    clearTimeout(force)
  }
}

function urlOf(host: string, port: number): string {
  const bare = host.replace(/^\[|\]$/g, '')
  const reachable = bare === '0.0.0.0' || bare === '' ? '127.0.0.1' : bare === '::' ? '::1' : bare
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}
