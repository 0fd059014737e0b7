/** What the nodes of a soak are asked and looked at for, every few seconds. */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { BenchNode } from '../bench/replication/nodes.ts'
import { cpuMicrosOf } from '../bench/process-cpu.ts'

export interface Sample {
  readonly atMs: number
  readonly node: string
  /** Of the process, as the system counts it. */
  readonly rssBytes: number
  /** JavaScript's heap in use, what of it was not collected yet included; and what its objects hold outside of it. */
  readonly heapBytes: number
  readonly externalBytes: number
  /** In the data directory: logs, archives, blobs, identity. */
  readonly files: number
  readonly storeBytes: number
  /** Files and sockets that the process has open. */
  readonly descriptors: number
  /** Since the last sample. */
  readonly loopDelayP99Ms: number
  readonly loopDelayMaxMs: number
  readonly cpuMicros: number
}

const metricsPatienceMs = 4_000

/** NaN for what could not be had: a node that is too busy to answer is a sample too. */
export async function sampleOf({ name, child, client, dataDir }: BenchNode): Promise<Sample> {
  const pid = child.pid ?? 0
  const [metrics, folder, rssBytes, descriptors] = await Promise.all([metricsOf(client.url), sizeOfFolder(dataDir), rssOf(pid), readdir(`/proc/${pid}/fd`).then((names) => names.length, () => Number.NaN)])
  const seconds = (metric: string): number => (metrics.get(metric) ?? Number.NaN) * 1_000
  return {
    atMs: performance.now(), node: name,
    rssBytes: Number.isNaN(rssBytes) ? metrics.get('process_resident_memory_bytes') ?? Number.NaN : rssBytes,
    heapBytes: metrics.get('nodejs_heap_size_used_bytes') ?? Number.NaN, externalBytes: metrics.get('nodejs_external_memory_bytes') ?? Number.NaN,
    ...folder, descriptors,
    loopDelayP99Ms: seconds('nodejs_eventloop_lag_p99_seconds'), loopDelayMaxMs: seconds('nodejs_eventloop_lag_max_seconds'),
    cpuMicros: cpuMicrosOf(pid),
  }
}

/** Those of the node's metrics that have no labels, by name. Empty when it does not answer in time. */
async function metricsOf(url: string): Promise<ReadonlyMap<string, number>> {
  try {
    const answer = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(metricsPatienceMs) })
    return metricsIn(await answer.text())
  } catch {
    return new Map()
  }
}

/** @param text Prometheus' text format. */
export function metricsIn(text: string): ReadonlyMap<string, number> {
  return new Map([...text.matchAll(/^([a-z_0-9]+) (\S+)$/gm)].map(([, name = '', value]) => [name, Number(value)]))
}

async function rssOf(pid: number): Promise<number> {
  try {
    const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? []
    return Number(kib) * 1024
  } catch {
    return Number.NaN
  }
}

/** Every file below. What goes away meanwhile is not counted. */
export async function sizeOfFolder(folder: string): Promise<{ readonly files: number; readonly storeBytes: number }> {
  let files = 0
  let storeBytes = 0
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) {
      const inner = await sizeOfFolder(path)
      files += inner.files
      storeBytes += inner.storeBytes
    } else {
      files += 1
      storeBytes += (await stat(path).catch(() => ({ size: 0 }))).size
    }
  }
  return { files, storeBytes }
}
