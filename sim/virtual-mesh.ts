/**
 * Whole nodes in one process: the production actors over virtual adapters. The world (network, disks, blobs) outlives its
 * nodes, so that one can be killed and started again on what it had synced.
 */
import { createMeshNode, type MeshNodePorts } from '../actors/mesh-node.ts'
import type { Duty } from '../protocols/capability/schema.ts'
import type { Gossip } from '../actors/ports/gossip.ts'
import type { SkillRunner } from '../actors/ports/skill-runner.ts'
import type { Telemetry } from '../actors/ports/telemetry.ts'
import { isMissionGroup, type PeerId } from '../protocols/kernel/ids.ts'
import { seededRandom } from '../protocols/kernel/prng.ts'
import { createVirtualBlobStore, createVirtualBlobSwarm, shelfOf, type VirtualBlobSwarm } from './blob-store-virtual-adapter.ts'
import { withCrashTrap } from './crash-trap.ts'
import { createVirtualDht, createVirtualDiscovery, type VirtualDht } from './discovery-virtual-adapter.ts'
import { createVirtualEntropy } from './entropy-virtual-adapter.ts'
import { createVirtualGossip } from './gossip-virtual-adapter.ts'
import { createVirtualHardware } from './hardware-virtual-adapter.ts'
import { createVirtualIdentity, virtualPeerId } from './identity-virtual-adapter.ts'
import { createVirtualLogDisk, type VirtualLogDisk } from './log-store-virtual-adapter.ts'
import type { Ending, MeshObserver } from './observer.ts'
import { withStirring } from './stirring.ts'
import { createScriptedSkillRunner, type ScriptedSkillRunner } from './skill-runner-scripted-adapter.ts'
import { createMemoryTelemetry, type MemoryTelemetry } from './telemetry-memory-adapter.ts'
import { createVirtualTransport } from './transport-virtual-adapter.ts'
import { createVirtualClock, type VirtualClock } from './virtual-clock.ts'
import { createVirtualGossipMesh, type VirtualGossip } from './virtual-gossip.ts'
import { createVirtualNetwork, type VirtualNetwork, type VirtualNetworkInit } from './virtual-network.ts'
import type { VirtualNode, VirtualNodeInit } from './virtual-node.ts'

export type { VirtualNode, VirtualNodeInit } from './virtual-node.ts'

export interface VirtualMeshInit extends Omit<VirtualNetworkInit, 'clock' | 'random'> {
  /** See `VirtualClockInit`. */
  readonly settle?: 'always' | 'stirred'
  readonly observer?: MeshObserver
  /** See `VirtualTransportInit`. */
  readonly decodeEvery?: number
  /** What a receiver refused: by default it ends the run, as in a mesh of honest nodes it is a bug. */
  readonly onViolation?: (from: PeerId, error: unknown) => void
  /** How many nodes the mesh is meant to have: sets the degree of the gossip overlay; default 10. */
  readonly nodesExpected?: number
  /** Whether processes can be made to end between two effects, which costs a little at every effect; default true. */
  readonly traps?: boolean
  /** Facts kept per node; default 100,000. */
  readonly factsMax?: number
}

export interface VirtualMesh {
  readonly clock: VirtualClock
  readonly network: VirtualNetwork
  readonly gossip: VirtualGossip
  readonly dht: VirtualDht
  readonly blobs: VirtualBlobSwarm
  disk(name: string): VirtualLogDisk
  /**
   * Starts a node, for the first time or again, and connects it: to all live ones, or, when `connectionsAimed` is stated, as a newcomer.
   * @param joinsAtOnce the mesh is already there when the story begins: connecting takes no time.
   */
  start(init: VirtualNodeInit, joinsAtOnce?: boolean): Promise<VirtualNode>
  /** The process is gone at once; peers notice as they would. */
  kill(node: VirtualNode, how?: Ending, reason?: string): void
  node(name: string): VirtualNode
}

/** @param init what the network is like, beyond its defaults. */
export function createVirtualMesh(seed: number, init: VirtualMeshInit = {}): VirtualMesh {
  const random = seededRandom([seed, 0x5e1f])
  const clock = createVirtualClock(init.settle === undefined ? {} : { settle: init.settle })
  const network = createVirtualNetwork({ ...init, clock, random: random.split() })
  const dht = createVirtualDht()
  const gossip = createVirtualGossipMesh(network, random.split(), { dht, takesUplink: init.bandwidthBytesPerSecond !== undefined, ...(init.nodesExpected === undefined ? {} : { nodesExpected: init.nodesExpected }) })
  const blobs = createVirtualBlobSwarm({ clock, nowMs: () => clock.nowMs(), reaches: (from, to) => network.canDial(from, to) })
  const fate = random.split()
  const disks = new Map<string, VirtualLogDisk>()
  const nodes = new Map<string, VirtualNode>()
  /** Who makes the mesh: the first keeper of logs that is ever started, until the roster was on its disk once. */
  let founder: { readonly name: string; founded: boolean } | undefined
  const { observer } = init

  function disk(name: string): VirtualLogDisk {
    let found = disks.get(name)
    if (found === undefined) {
      found = createVirtualLogDisk({ name, shelf: shelfOf(blobs, virtualPeerId(name)), clock: { schedule: (delayMs, callback) => clock.schedule(delayMs, callback), wallMs: () => clock.wallMs(), stir: () => clock.stir() } })
      found.onSynced((group, entries, truncateFrom) => {
        if (group === 'roster' && founder?.name === name) founder.founded = true
        if (isMissionGroup(group)) observer?.synced?.(name, group, entries, truncateFrom)
        else observer?.groupSynced?.(name, group, entries, truncateFrom)
      })
      disks.set(name, found)
    }
    return found
  }

  /** With an empty disk it would make a second mesh: once is enough, whatever happens to that disk later. */
  function founds(name: string, duties: readonly Duty[]): boolean {
    if (!duties.includes('replica')) return false
    founder ??= { name, founded: false }
    return founder.name === name && !founder.founded
  }

  function kill(node: VirtualNode, how: Ending = 'crash', reason?: string): void {
    if (!node.alive) return
    node.alive = false
    for (const run of node.skills.running()) observer?.runEnded?.(node, run, { type: 'lost' })
    network.crash(node.peer, how === 'power-cut' ? 'machine' : 'process')
    clock.kill(node.name)
    node.mesh.stop()
    if (how === 'power-cut') disk(node.name).powerCut(fate)
    else disk(node.name).kill()
    observer?.nodeStopped?.(node, how, reason)
  }

  /** Asks the observer before the node hears. */
  function observed(runner: ScriptedSkillRunner, node: () => VirtualNode): SkillRunner {
    if (observer?.runStarted === undefined) return runner
    return {
      ...runner,
      start(run, listener) {
        observer.runStarted?.(node(), run)
        runner.start(run, (event) => {
          if (event.type === 'done' || event.type === 'failed') observer.runEnded?.(node(), run, event)
          listener(event)
        })
      },
    }
  }

  function overheard(port: Gossip, peer: PeerId): Gossip {
    if (observer?.published === undefined) return port
    return {
      ...port,
      publish(topic, envelope) {
        observer.published?.(peer, topic, envelope)
        port.publish(topic, envelope)
      },
      onGossip(listener) {
        port.onGossip((topic, received) => {
          observer.gossiped?.(peer, received)
          listener(topic, received)
        })
      },
    }
  }

  function telling(telemetry: MemoryTelemetry, node: () => VirtualNode): Telemetry {
    if (observer?.fact === undefined) return telemetry
    return {
      record(fact) {
        observer.fact?.(node(), fact)
        telemetry.record(fact)
      },
    }
  }

  return {
    clock, network, gossip, dht, blobs, disk, kill,
    async start(nodeInit, joinsAtOnce = false) {
      const { name } = nodeInit
      const identity = createVirtualIdentity(name)
      const host = network.join(virtualPeerId(name), nodeInit.site)
      const nodeClock = clock.clockFor(name, nodeInit.clock)
      const telemetry = createMemoryTelemetry(init.factsMax)
      const awaited = withStirring({
        logStore: await disk(name).open(), blobStore: createVirtualBlobStore({ self: identity.peerId, swarm: blobs, drive: disk(name).drive, ...(nodeInit.quotaBytes === undefined ? {} : { quotaBytes: nodeInit.quotaBytes }) }),
        discovery: createVirtualDiscovery(host, dht), hardware: createVirtualHardware(nodeInit.machine),
      }, clock)
      const skills = createScriptedSkillRunner({ clock: nodeClock, skills: nodeInit.skills, blobs: awaited.blobStore, stir: () => clock.stir(), ...(nodeInit.speed === undefined ? {} : { speed: nodeInit.speed }) })
      const self = (): VirtualNode => node
      const missionsOnDisk = disk(name).missionsStored()
      const codec = nodeInit.codec === undefined ? {} : { codec: nodeInit.codec }
      // A node of another release may read nobody.
      const onViolation = nodeInit.codec !== undefined ? { onViolation: () => undefined } : init.onViolation === undefined ? {} : { onViolation: init.onViolation }
      const transport = createVirtualTransport(host, { ...onViolation, ...codec, ...(init.decodeEvery === undefined ? {} : { decodeEvery: init.decodeEvery }), ...(observer?.delivered === undefined ? {} : { onDelivered: (received) => observer.delivered?.(host.peer, received) }), ...(observer?.sent === undefined ? {} : { onSent: (to, envelope) => observer.sent?.(host.peer, to, envelope) }) })
      const gossipPort = overheard(createVirtualGossip(host, gossip, { ...onViolation, ...codec }), host.peer)
      const ports: MeshNodePorts = {
        ...awaited, clock: nodeClock, identity, entropy: createVirtualEntropy(random.split()), transport, gossip: gossipPort, skillRunner: observed(skills, self), telemetry: telling(telemetry, self),
        giveUp: (reason) => {
          node.gaveUp = reason
          // As the real process does: it ends, and whoever supervises it starts it again.
          clock.soon(() => kill(node, 'gave-up', reason))
        },
      }
      const misconduct = nodeInit.conduct?.(ports, { host, clock: nodeClock, random: random.split() }) ?? ports
      const trap = init.traps === false ? undefined : withCrashTrap(misconduct, () => clock.soon(() => kill(node)))
      const duties = nodeInit.duties ?? ['worker', 'replica', 'bridge']
      const mesh = createMeshNode(trap?.ports ?? misconduct, {
        name, release: '0.0.0', duties, founds: founds(name, duties), domain: nodeInit.site ?? name, slots: nodeInit.slots ?? 2, ...(nodeInit.nodesExpected === undefined ? {} : { nodesExpected: nodeInit.nodesExpected }), ...(nodeInit.tuning === undefined ? {} : { tuning: nodeInit.tuning }),
      })
      const node: VirtualNode = { name, peer: identity.peerId, mesh, skills, telemetry, clock: nodeClock, trap, gaveUp: undefined, alive: true }
      nodes.set(name, node)
      observer?.nodeStarted?.(node, missionsOnDisk)
      mesh.start()
      if (init.connectionsAimed === undefined) network.connectAll()
      else network.connectNewcomer(node.peer, init.connectionsAimed, joinsAtOnce)
      return node
    },
    node(name) {
      const found = nodes.get(name)
      if (found === undefined) throw new Error(`there is no node ${name}`)
      return found
    },
  }
}
