/**
 * The composition root: the only place that builds adapters and puts a node together.
 *
 * Order matters: the data directory's lock comes first, so that a second process is refused before it can speak under the
 * same identity; the bridge comes last, so that nobody is answered by a node that cannot keep its promises yet.
 *
 * @packageDocumentation
 */
import { hash, randomBytes } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { createMeshNode, type MeshNode } from '../actors/mesh-node.ts'
import type { BlobStore } from '../actors/ports/blob-store.ts'
import type { Clock } from '../actors/ports/clock.ts'
import type { Json } from '../protocols/kernel/payload.ts'
import { MeshError } from '../protocols/kernel/errors.ts'
import { lendSha256 } from '../protocols/kernel/hashing.ts'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import type { PeerId } from '../protocols/kernel/ids.ts'
import type { NodeConfig } from './config.ts'
import { createSystemHardware } from './hardware/hardware-system-adapter.ts'
import { founding } from './founding.ts'
import { createBridge, type Bridge } from './http/bridge.ts'
import { loadIdentityKey, openNodeDatastore } from './identity.ts'
import { createHost, type Host } from './libp2p/host.ts'
import { adoptMeshKey, createInvite, fingerprintOf, loadOrCreateMeshKey, parseInvite } from './mesh-key.ts'
import type { StartedModels } from './models/start-models.ts'
import { release } from './release.ts'
import { loadSkills, watchSkill } from './skills/loader.ts'
import { readProgram } from './skills/program/declaration.ts'
import { createThreadSkillRunner } from './skills/skill-runner-thread-adapter.ts'
import { openFileBlobStore } from './storage/blob-store-file-adapter.ts'
import { openLevelLogStore } from './storage/log-store-level-adapter.ts'
import { measuredLogStore } from './storage/measured-log-store.ts'
import { type NodeTelemetry, createTelemetry } from './telemetry/telemetry.ts'

export interface RunningNode {
  readonly peerId: string
  readonly name: string
  readonly addrs: readonly string[]
  /** Undefined when the node serves no bridge. */
  readonly httpUrl: string | undefined
  /** The line that joins another machine. */
  invite(): string
  /** Drains and ends; with `force` ends at once what a first call is still waiting for. */
  stop(options?: { readonly force?: boolean }): Promise<void>
  /** Resolves once the node has ended, by `stop` or because it gave up. */
  readonly drained: Promise<void>
}

lendSha256((of) => hash('sha256', of))

const lateTimerMs = 50

const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  schedule(delayMs, callback) {
    let immediate: NodeJS.Immediate | undefined
    if (delayMs <= 0) immediate = setImmediate(callback)
    const dueAtMs = performance.now() + delayMs
    // Node fires timers before it reads its sockets. One that comes late lets them go first: what it would miss may be waiting there.
    const timer = delayMs <= 0 ? undefined : setTimeout(() => {
      if (performance.now() - dueAtMs < lateTimerMs) callback()
      else immediate = setImmediate(callback)
    }, Math.min(delayMs, 2 ** 31 - 1))
    return () => {
      clearTimeout(timer)
      clearImmediate(immediate)
    }
  },
  soon: (callback) => queueMicrotask(callback),
}

/**
 * Starts a node. Ready when it resolves: it listens, has its log open and answers on its bridge.
 * @throws MeshError `wrong-state` (directory or port in use, another mesh's key), `bad-request` (configuration), `storage-failed`.
 */
export async function startNode(config: NodeConfig): Promise<RunningNode> {
  const startedAtMs = performance.now()
  const telemetry = createTelemetry({ level: config.logLevel, stream: process.stderr, kept: 1_000, node: config.name, secrets: Object.keys(config.http.tokens) })
  // What was opened is closed again in reverse, whether the start fails half-way or the node ends.
  const opened: (() => Promise<void> | void)[] = []
  const closeAll = async (): Promise<void> => {
    for (const close of opened.splice(0).reverse()) await Promise.resolve(close()).catch((thrown: unknown) => telemetry.record({ name: 'node.close-failed', level: 'warn', fields: { detail: String(thrown) } }))
  }

  try {
    const datastore = await openNodeDatastore(config.data)
    opened.push(() => datastore.close())
    const privateKey = await loadIdentityKey(datastore)
    const self = peerIdFromPrivateKey(privateKey).toString() as PeerId
    const { meshKey, peers } = await joinMesh(config)
    telemetry.keepSecret(meshKey)

    await tellRoles(config.roles)
    const skills = config.duties.includes('worker') ? await loadSkills({ skills: config.skills, from: process.cwd() }) : []
    let host: Host | undefined = undefined as Host | undefined
    const levelStore = await openLevelLogStore(join(config.data, 'log'))
    opened.push(() => levelStore.close())
    const { founds, store: logStore } = await founding(config.data, config.join.length > 0, measuredLogStore(levelStore, (tookMs) => telemetry.metrics.observeSync(tookMs)))
    const blobStore = await openFileBlobStore({
      directory: join(config.data, 'blobs'),
      self,
      quotaBytes: config.limits.blobsBytesMax,
      fetchFrom: (peer, digest, options) => (host as Host).blobs.fetch(peer, digest, options),
      connectedPeers: () => host?.transport.connectedPeers() ?? [],
      onHolderFailed: (peer, digest, why) => telemetry.record({ name: 'blob.holder-failed', level: 'warn', fields: { peer, digest, why } }),
    })
    opened.push(() => blobStore.close())
    const programs = config.duties.includes('worker') ? config.programs.map((declared) => readProgram(declared, config.programsFrom)) : []
    let skillMesh: MeshNode | undefined = undefined as MeshNode | undefined
    const threads = createThreadSkillRunner({ skills, programs, blobs: blobStore, telemetry, threadsIdleMax: Math.max(1, config.slots), workRoot: await emptyWorkRoot(config.data), mesh: () => skillMesh })
    opened.push(() => threads.close())
    const models = await modelsOf(config, blobStore, telemetry)
    if (models !== undefined) opened.push(() => models.close())
    const skillRunner = models?.over(threads) ?? threads
    const hardware = createSystemHardware()
    opened.push(() => hardware.close())

    host = await createHost({
      privateKey, meshKey, telemetry, datastore: datastore.datastore, listen: [multiaddrOf(config.listen.host, config.listen.port)], portIsDefault: !config.asked.listenPort,
      announce: config.announce, peers, mdns: config.mdns,
    })
    const network = host
    opened.push(() => network.stop())
    network.blobs.serve(blobStore)

    let bridge: Bridge | undefined
    let resolveDrained: () => void = () => undefined
    const drained = new Promise<void>((resolve) => (resolveDrained = resolve))
    let ended: Promise<void> | undefined
    const end = (): Promise<void> => {
      ended ??= (async () => {
        mesh.stop()
        await closeAll()
        resolveDrained()
      })()
      return ended
    }

    const mesh = createMeshNode(
      {
        clock: systemClock, identity: network.identity, entropy: { seed: () => [randomBytes(4).readUInt32LE(), randomBytes(4).readUInt32LE()] }, transport: network.transport, gossip: network.gossip, discovery: network.discovery,
        logStore, blobStore, skillRunner, hardware, telemetry,
        giveUp(reason) {
          telemetry.record({ name: 'node.gave-up', level: 'error', fields: { reason } })
          process.exitCode = 1
          // Whoever waits for what just failed is told so first.
          setImmediate(() => void end())
        },
      },
      {
        name: config.name, release: release(), duties: config.duties, slots: config.slots, refuseOnBattery: config.onBattery === 'refuse', tuning: { ...config.limits, ...config.replication }, founds, domain: hostname(),
        addrs: () => network.addrs(), http: () => bridge?.url, report,
      },
    )
    skillMesh = mesh
    function report(about: 'status' | 'peers' | 'logs'): Json {
      if (about === 'logs') return telemetry.recent(500) as unknown as Json
      if (about === 'peers') return { dialFailures: network.dialFailures(), connections: network.connections() } as unknown as Json
      return {
        peerId: self, name: config.name, release: release(), mesh: fingerprintOf(meshKey), pid: process.pid, uptimeMs: Math.round(performance.now() - startedAtMs), wallMs: Date.now(), addrs: network.addrs(),
        memoryBytes: process.memoryUsage.rss(), actors: mesh.actorCount, deadLetters: mesh.deadLetters().count, blobs: { ...blobStore.usage() }, readiness: { ...mesh.readiness(), reasons: [...mesh.readiness().reasons] },
      }
    }
    telemetry.metrics.onScrape(async () => {
      telemetry.metrics.setGauges({ deadLetters: mesh.deadLetters().count })
      const { groups, leads } = await mesh.replication()
      telemetry.metrics.setGauges({ groupsLed: leads, groupsFollowed: groups - leads })
    })

    if (config.http.enabled && config.duties.includes('bridge')) {
      bridge = await createBridge({
        mesh, blobs: blobStore, metrics: telemetry.metrics, log: telemetry, tokens: config.http.tokens, host: config.http.host, port: config.http.port, portIsDefault: !config.asked.httpPort, version: release(),
        limits: { bodyBytesMax: config.limits.httpBodyBytesMax, uploadBytesMax: config.limits.httpUploadBytesMax, drainMs: config.limits.drainMs },
      })
      const served = bridge
      opened.push(() => served.close())
    }
    mesh.start()
    await advertised(mesh)
    if (config.watch) {
      for (const module of skills) {
        opened.push(watchSkill(module, process.cwd(), {
          onReloaded(next) {
            try {
              threads.replaceModule(next)
              telemetry.record({ name: 'skill.reloaded', level: 'info', fields: { origin: next.origin } })
            } catch (thrown) {
              telemetry.record({ name: 'skill.not-reloaded', level: 'warn', fields: { origin: next.origin, detail: thrown instanceof Error ? thrown.message : String(thrown) } })
            }
          },
          onBroken: (origin, why) => telemetry.record({ name: 'skill.not-reloaded', level: 'warn', fields: { origin, detail: why.detail } }),
        }))
      }
    }
    telemetry.record({ name: 'node.ready', level: 'info', fields: { peerId: self, http: bridge?.url, tookMs: Math.round(performance.now() - startedAtMs) } })

    let draining: Promise<void> | undefined
    return {
      peerId: self,
      name: config.name,
      addrs: network.addrs(),
      httpUrl: bridge?.url,
      invite: () => createInvite({ meshKey, addrs: reachableFirst(network.addrs()), name: config.name }),
      async stop(options = {}) {
        if (options.force !== true) {
          draining ??= mesh.drain()
          await Promise.race([draining, drained])
        }
        await end()
      },
      drained,
    }
  } catch (thrown) {
    await closeAll()
    throw thrown
  }
}

/** Agents' own roles are read by the skill threads, which are told where; what is wrong with them is said now. */
async function tellRoles(folder: string): Promise<void> {
  const variable = 'SKEIN_SKILL_ROLES'
  delete process.env[variable]
  if (folder === '') return
  const { loadRoles } = await import('./roles/load-roles.ts')
  await loadRoles(folder)
  process.env[variable] = folder
}

/** Most nodes have no models, and load nothing for them. */
async function modelsOf({ duties, models: files, endpoints, modelCache: cache }: NodeConfig, blobs: BlobStore, telemetry: NodeTelemetry): Promise<StartedModels | undefined> {
  if (files.length > 0 && !duties.includes('worker')) throw new MeshError('bad-request', 'a model is run by a worker, which this node is not', { next: 'add worker to its duties, or leave the model away' })
  if (!duties.includes('worker') || files.length + endpoints.length === 0) return undefined
  const { startModels } = await import('./models/start-models.ts')
  return await startModels({ files, endpoints, cache, blobs, clock: systemClock, telemetry })
}

/** A probe of the hardware that hangs must not keep the node from starting. */
const advertPatienceMs = 5_000

/** A node is ready once it has said what it offers: whoever asks it for that before would be told that nobody does. */
async function advertised(mesh: MeshNode): Promise<void> {
  const hasAdvert = async (): Promise<boolean> => (await mesh.nodes()).some((node) => node.self && node.advert !== undefined)
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      stopWatching()
      resolve()
    }
    const timer = setTimeout(done, advertPatienceMs)
    const look = (): void => void hasAdvert().then((has) => has && done(), done)
    const stopWatching = mesh.watchNodes(look)
    look()
  })
}

/** What a node that was killed left of its runs goes with the next start, or with its data. */
async function emptyWorkRoot(dataDir: string): Promise<string> {
  const workRoot = join(dataDir, 'work')
  await rm(workRoot, { recursive: true, force: true })
  await mkdir(workRoot, { mode: 0o700 })
  return workRoot
}

/** Invites bring a mesh key and addresses; a plain address is another node of the mesh this one is in already. */
async function joinMesh(config: NodeConfig): Promise<{ meshKey: Parameters<typeof fingerprintOf>[0]; peers: string[] }> {
  const invites = config.join.filter((entry) => entry.trim().startsWith('skein:')).map(parseInvite)
  const [first, ...others] = invites
  if (first !== undefined) {
    if (others.some((invite) => invite.meshKey !== first.meshKey)) throw new MeshError('bad-request', 'the invites are for different meshes', { next: 'a node is in one mesh: keep one of the invites' })
    await adoptMeshKey(config.data, first.meshKey)
  }
  const { meshKey } = await loadOrCreateMeshKey(config.data)
  const addrs = config.join.filter((entry) => !entry.trim().startsWith('skein:'))
  return { meshKey, peers: [...new Set([...invites.flatMap((invite) => invite.addrs), ...addrs])] }
}

function multiaddrOf(host: string, port: number): string {
  if (host.includes(':')) return `/ip6/${host}/tcp/${port}`
  return /^[\d.]+$/.test(host) ? `/ip4/${host}/tcp/${port}` : `/dns/${host}/tcp/${port}`
}

/** Loopback addresses last: they help only on this machine. */
function reachableFirst(addrs: readonly string[]): string[] {
  const isLoopback = (addr: string): boolean => addr.startsWith('/ip4/127.') || addr.startsWith('/ip6/::1/')
  return [...addrs].sort((left, right) => Number(isLoopback(left)) - Number(isLoopback(right)))
}
