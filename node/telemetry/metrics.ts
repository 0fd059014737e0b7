import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Fact } from '../../actors/ports/telemetry.ts'

/** Facts are named in code, but a bug that puts an id into a name must not grow the registry without bound. */
const factNamesMax = 1_000

/** What a node tells about itself as a whole. */
export interface NodeGauges {
  /** Nodes of the mesh by `NodeView.state`. */
  readonly nodesByState: Readonly<Record<string, number>>
  readonly slots: number
  readonly slotsBusy: number
  readonly missionsLive: number
  readonly deadLetters: number
  /** Logs that this node is a member of, by its part in them. */
  readonly groupsLed: number
  readonly groupsFollowed: number
}

/** One answered HTTP request. `route` is the pattern (`/v1/missions/{id}`), never the path: it is a label. */
export interface HttpSample {
  readonly method: string
  readonly route: string
  readonly status: number
  readonly tookMs: number
}

/** A node's metrics in Prometheus' terms. Every node has its own registry. */
export interface NodeMetrics {
  readonly contentType: string
  /** Prometheus' text exposition format, version 0.0.4. Runs the listeners of `onScrape` first. */
  text(): Promise<string>
  countFact(fact: Pick<Fact, 'name' | 'level'>): void
  setGauges(gauges: Partial<NodeGauges>): void
  /** Called before each scrape, to bring gauges up to date. What it throws is ignored: a scrape always answers. */
  onScrape(listener: () => void | Promise<void>): void
  observeHttp(sample: HttpSample): void
  /** One write of the log, synced: what everything that is committed waits for. */
  observeSync(tookMs: number): void
  /** One more (1) or one less (-1) open stream of server-sent events. */
  streams(change: 1 | -1): void
}

/** @returns the process's own metrics (CPU, memory, event loop delay, collector) and the node's. */
export function createMetrics(): NodeMetrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 10 })
  const registers = [registry]

  const facts = new Counter({ name: 'skein_facts_total', help: 'Things that happened, by name and level', labelNames: ['name', 'level'], registers })
  const nodes = new Gauge({ name: 'skein_nodes', help: 'Nodes of the mesh that this node knows, itself included', labelNames: ['state'], registers })
  const slots = new Gauge({ name: 'skein_slots', help: 'Tasks that this node can run at once', registers })
  const slotsBusy = new Gauge({ name: 'skein_slots_busy', help: 'Slots in use', registers })
  const missionsLive = new Gauge({ name: 'skein_missions_live', help: 'Unfinished missions that this node owns', registers })
  const deadLetters = new Gauge({ name: 'skein_dead_letters', help: 'Dead letters that this node keeps', registers })
  const groupsLed = new Gauge({ name: 'skein_groups_led', help: 'Replicated logs that this node leads', registers })
  const groupsFollowed = new Gauge({ name: 'skein_groups_followed', help: 'Replicated logs that this node keeps a copy of and does not lead', registers })
  const elections = new Counter({ name: 'skein_elections_won_total', help: 'Times this node became the leader of a replicated log', registers })
  const syncs = new Histogram({ name: 'skein_log_sync_duration_seconds', help: 'Time of one synced write of the log: a part of every commit', buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1], registers })
  const openStreams = new Gauge({ name: 'skein_http_streams', help: 'Open streams of server-sent events', registers })
  const http = new Histogram({
    name: 'skein_http_request_duration_seconds',
    help: 'Time from request to the head of its answer',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers,
  })

  const factNames = new Set<string>()
  const scrapeListeners: (() => void | Promise<void>)[] = []
  const plainGauges = { slots, slotsBusy, missionsLive, deadLetters, groupsLed, groupsFollowed }

  return {
    contentType: registry.contentType,
    async text() {
      await Promise.allSettled(scrapeListeners.map(async (listener) => listener()))
      return registry.metrics()
    },
    countFact({ name, level }) {
      if (name === 'group.leads') elections.inc()
      if (!factNames.has(name) && factNames.size >= factNamesMax) {
        facts.inc({ name: 'other', level })
        return
      }
      factNames.add(name)
      facts.inc({ name, level })
    },
    setGauges({ nodesByState, ...numbers }) {
      if (nodesByState !== undefined) {
        nodes.reset()
        for (const [state, count] of Object.entries(nodesByState)) nodes.set({ state }, count)
      }
      for (const [name, value] of Object.entries(numbers)) {
        if (value !== undefined) plainGauges[name as keyof typeof plainGauges].set(value)
      }
    },
    onScrape(listener) {
      scrapeListeners.push(listener)
    },
    observeHttp({ method, route, status, tookMs }) {
      http.observe({ method, route, status: String(status) }, tookMs / 1000)
    },
    observeSync: (tookMs) => syncs.observe(tookMs / 1000),
    streams(change) {
      openStreams.inc(change)
    },
  }
}
