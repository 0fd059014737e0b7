/** What `doctor` looks at. Every probe answers; one that could not look says why. */
import { existsSync, readFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { networkInterfaces } from 'node:os'
import { multiaddr } from '@multiformats/multiaddr'
import type { NodeView } from '../../../protocols/capability/views.ts'
import { type Fault, toFault } from '../../../protocols/kernel/errors.ts'
import type { PeerId } from '../../../protocols/kernel/ids.ts'
import type { Json } from '../../../protocols/kernel/payload.ts'
import { type LoadedConfig, loadConfig } from '../../config.ts'
import type { MeshClient } from '../../http/client.ts'
import { fingerprintOf, readMeshKey } from '../../mesh-key.ts'
import { type FoundServer, findLocalServers } from '../../models/local-servers.ts'
import type { LogLine } from '../../telemetry/log-line.ts'
import type { TalkFlags } from '../cli.ts'
import { connect } from '../connection.ts'
import type { CliWorld } from '../context.ts'
import { type RunFile, readRunFile } from '../run-file.ts'

export type Probed<T> = { readonly value: T } | { readonly fault: Fault }

export interface MachineView {
  readonly platform: string
  readonly node: string
  readonly container: boolean
  /** Undefined where it is not known how to tell. */
  readonly hasDefaultRoute?: boolean
  readonly addresses: readonly string[]
}

/** A dial that failed, as a node reports it. */
export interface DialReport {
  readonly addr: string
  readonly reason: string
  readonly peer?: string
  readonly kind?: string
  readonly attempts?: number
}

export interface BridgeView {
  readonly url: string
  readonly askedAtWallMs: number
  readonly release: string
  readonly nodes: readonly NodeView[]
  readonly dials: readonly DialReport[]
  readonly status: Probed<Json>
  readonly peers: Probed<Json>
  readonly logs: Probed<readonly LogLine[]>
}

export interface Probes {
  readonly machine: MachineView
  readonly config: Probed<LoadedConfig>
  readonly meshFingerprint: Probed<string | undefined>
  readonly run: RunFile | undefined
  readonly bridge: Probed<BridgeView>
  /** Servers of language models that run here and are in nobody's configuration. */
  readonly modelServers: readonly FoundServer[]
  /** Addresses tried from here, and what came of it. */
  readonly tried: readonly { readonly addr: string; readonly outcome: 'open' | string }[]
}

const dialTimeoutMs = 3_000

/** @param subject a node's name, peer id or address to look at closely */
export async function probeAll(flags: TalkFlags, world: CliWorld, subject: string | undefined): Promise<Probes> {
  const config = await probe(() => loadConfig({ flags: { data: flags.data }, env: world.env, cwd: world.cwd }))
  const dataDir = 'value' in config ? config.value.config.data : undefined
  const [modelServers, meshFingerprint, run, bridge] = await Promise.all([
    findLocalServers('value' in config ? config.value.config.endpoints.map(({ url }) => url) : []),
    probe(async () => {
      const key = dataDir === undefined ? undefined : await readMeshKey(dataDir)
      return key === undefined ? undefined : fingerprintOf(key)
    }),
    dataDir === undefined ? undefined : readRunFile(dataDir),
    probe(async () => probeBridge((await connect(flags, world)).client)),
  ])
  const addrs = addressesToTry(subject, 'value' in bridge ? bridge.value : undefined)
  const tried = await Promise.all(addrs.map(async (addr) => ({ addr, outcome: await tryAddress(addr) })))
  return { machine: lookAround(world), config, meshFingerprint, run, bridge, modelServers, tried }
}

async function probe<T>(look: () => Promise<T> | T): Promise<Probed<T>> {
  try {
    return { value: await look() }
  } catch (thrown) {
    return { fault: toFault(thrown) }
  }
}

async function probeBridge(client: MeshClient): Promise<BridgeView> {
  const [nodes, health] = await Promise.all([client.nodes(), client.health()])
  const askedAtWallMs = Date.now()
  const self = nodes.find((node) => node.self)?.peerId
  const ask = <T>(question: (peer: PeerId) => Promise<T>): Promise<Probed<T>> => probe(() => {
    if (self === undefined) throw new Error('the bridge does not know its own node')
    return question(self)
  })
  const [status, peers, logs] = await Promise.all([ask(client.status), ask(client.peers), ask(client.logs)])
  return { url: client.url, askedAtWallMs, release: health.version, nodes, dials: 'value' in peers ? dialsIn(peers.value) : [], status, peers, logs }
}

/** Every failed dial in a node's report, wherever in it they stand. */
export function dialsIn(report: Json): DialReport[] {
  if (Array.isArray(report)) return report.flatMap(dialsIn)
  if (typeof report !== 'object' || report === null) return []
  const { addr, reason, peer, kind, attempts } = report
  if (typeof addr === 'string' && typeof reason === 'string') {
    return [{ addr, reason, ...(typeof peer === 'string' ? { peer } : {}), ...(typeof kind === 'string' ? { kind } : {}), ...(typeof attempts === 'number' ? { attempts } : {}) }]
  }
  return Object.values(report).flatMap(dialsIn)
}

/** The node that a person means: by name, peer id or its end. */
export function nodeNamed(subject: string, nodes: readonly NodeView[]): NodeView | undefined {
  return nodes.find((node) => node.name === subject || node.peerId === subject) ?? nodes.find((node) => subject.length >= 6 && node.peerId.endsWith(subject.replace(/^…/, '')))
}

function addressesToTry(subject: string | undefined, bridge: BridgeView | undefined): string[] {
  if (subject === undefined) return []
  if (subject.startsWith('/') || /^[^/\s]+:\d+$/.test(subject)) return [subject]
  const node = bridge === undefined ? undefined : nodeNamed(subject, bridge.nodes)
  if (bridge === undefined || node === undefined) return []
  const dialled = bridge.dials.filter((dial) => dial.peer === node.peerId).map((dial) => dial.addr)
  // A node that dialled by peer id alone reports that in place of an address.
  return [...new Set([...(node.advert?.addrs ?? []), ...dialled])].filter((addr) => addr.startsWith('/')).slice(0, 8)
}

/** Opens a TCP connection and closes it. @returns `open`, or in words why not. */
function tryAddress(addr: string): Promise<string> {
  const target = hostAndPort(addr)
  if (target === undefined) return Promise.resolve('is no address that can be tried (like /ip4/192.0.2.7/tcp/4747 or host:4747)')
  return new Promise((resolve) => {
    const socket = createConnection({ host: target.host, port: target.port, timeout: dialTimeoutMs })
    const end = (outcome: string): void => {
      socket.destroy()
      resolve(outcome)
    }
    socket.once('connect', () => end('open'))
    socket.once('timeout', () => end(`no answer within ${dialTimeoutMs / 1_000} s: the machine is off, or a firewall drops the packets`))
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code === 'ECONNREFUSED' ? 'connection refused: nothing listens there' : error.code === 'EHOSTUNREACH' || error.code === 'ENETUNREACH' ? 'no route from here' : error.message))
  })
}

function hostAndPort(addr: string): { host: string; port: number } | undefined {
  const plain = /^(\[[^\]]+\]|[^/:\s]+):(\d+)$/.exec(addr)
  if (plain !== null) return { host: (plain[1] ?? '').replace(/^\[|\]$/g, ''), port: Number(plain[2]) }
  try {
    const parts = multiaddr(addr).getComponents()
    const host = parts.find((part) => /^(ip[46]|dns[46]?)$/.test(part.name))?.value
    const port = parts.find((part) => part.name === 'tcp')?.value
    return host === undefined || port === undefined ? undefined : { host, port: Number(port) }
  } catch {
    return undefined
  }
}

function lookAround(world: CliWorld): MachineView {
  const hasDefaultRoute = defaultRoute()
  return {
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
    container: existsSync('/.dockerenv') || existsSync('/run/.containerenv') || (world.env['KUBERNETES_SERVICE_HOST'] ?? '') !== '',
    ...(hasDefaultRoute === undefined ? {} : { hasDefaultRoute }),
    addresses: Object.values(networkInterfaces()).flatMap((all) => all ?? []).filter((address) => !address.internal).map((address) => address.address),
  }
}

/** Linux tells in /proc; elsewhere it is not looked up. */
function defaultRoute(): boolean | undefined {
  try {
    const routes = readFileSync('/proc/net/route', 'utf8').split('\n').slice(1)
    return routes.some((line) => line.split('\t')[1] === '00000000')
  } catch {
    return undefined
  }
}
