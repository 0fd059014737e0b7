/**
 * Whole nodes in one process: the production actors over virtual adapters. The world (network, disks, blobs) outlives its
 * nodes, so that one can be killed and started again on what it had synced.
 */
import { createMeshNode, type MeshNode } from '../actors/mesh-node.ts'
import type { Duty } from '../protocols/capability/schema.ts'
import type { PeerId } from '../protocols/kernel/ids.ts'
import { seededRandom } from '../protocols/kernel/prng.ts'
import type { HardwareSample } from '../actors/ports/hardware.ts'
import { createVirtualBlobStore, createVirtualBlobSwarm, type VirtualBlobSwarm } from './blob-store-virtual-adapter.ts'
import { createVirtualDht, createVirtualDiscovery } from './discovery-virtual-adapter.ts'
import { createVirtualEntropy } from './entropy-virtual-adapter.ts'
import { createVirtualGossip } from './gossip-virtual-adapter.ts'
import { createVirtualHardware } from './hardware-virtual-adapter.ts'
import { createVirtualIdentity, virtualPeerId } from './identity-virtual-adapter.ts'
import { createVirtualLogDisk, type VirtualLogDisk } from './log-store-virtual-adapter.ts'
import { createScriptedSkillRunner, type ScriptedSkill, type ScriptedSkillRunner } from './skill-runner-scripted-adapter.ts'
import { createMemoryTelemetry, type MemoryTelemetry } from './telemetry-memory-adapter.ts'
import { createVirtualTransport } from './transport-virtual-adapter.ts'
import { createVirtualClock, type VirtualClock } from './virtual-clock.ts'
import { createVirtualGossipMesh } from './virtual-gossip.ts'
import { createVirtualNetwork, type VirtualNetwork, type VirtualNetworkInit } from './virtual-network.ts'
import type { Tuning } from '../actors/tuning.ts'

export interface VirtualNodeInit {
  readonly name: string
  readonly skills: readonly ScriptedSkill[]
  readonly slots?: number
  readonly duties?: readonly Duty[]
  /** Below 1 is slow: every skill's course is divided by it. */
  readonly speed?: number
  readonly machine?: Partial<HardwareSample>
  readonly tuning?: Partial<Tuning>
}

export interface VirtualNode {
  readonly name: string
  readonly peer: PeerId
  readonly mesh: MeshNode
  readonly skills: ScriptedSkillRunner
  readonly telemetry: MemoryTelemetry
  /** Why the node gave up, once it did. */
  gaveUp: string | undefined
}

export interface VirtualMesh {
  readonly clock: VirtualClock
  readonly network: VirtualNetwork
  readonly blobs: VirtualBlobSwarm
  disk(name: string): VirtualLogDisk
  /** Starts a node, for the first time or again, and connects it to all live ones. */
  start(init: VirtualNodeInit): Promise<VirtualNode>
  /** The process is gone at once; peers notice as they would. */
  kill(node: VirtualNode): void
  node(name: string): VirtualNode
}

/** @param init what the network is like, beyond its defaults. */
export function createVirtualMesh(seed: number, init: Pick<VirtualNetworkInit, 'latencyMsMin' | 'latencyMsMax' | 'crashDetectionMs' | 'cutDetectionMs' | 'dialTimeoutMs' | 'gossipLossFraction'> = {}): VirtualMesh {
  const random = seededRandom([seed, 0x5e1f])
  const clock = createVirtualClock()
  const network = createVirtualNetwork({ ...init, clock, random: random.split() })
  const gossipMesh = createVirtualGossipMesh(network, random.split())
  const dht = createVirtualDht()
  const blobs = createVirtualBlobSwarm({ clock, reaches: (from, to) => network.reaches(from, to) })
  const disks = new Map<string, VirtualLogDisk>()
  const nodes = new Map<string, VirtualNode>()

  function disk(name: string): VirtualLogDisk {
    let found = disks.get(name)
    if (found === undefined) disks.set(name, (found = createVirtualLogDisk({ clock: { schedule: (delayMs, callback) => clock.schedule(delayMs, callback), wallMs: () => clock.wallMs() } })))
    return found
  }

  return {
    clock, network, blobs, disk,
    async start(init) {
      const identity = createVirtualIdentity(init.name)
      const host = network.join(virtualPeerId(init.name))
      const nodeClock = clock.clockFor(init.name)
      const telemetry = createMemoryTelemetry()
      const blobStore = createVirtualBlobStore({ self: identity.peerId, swarm: blobs })
      const skills = createScriptedSkillRunner({ clock: nodeClock, skills: init.skills, blobs: blobStore, ...(init.speed === undefined ? {} : { speed: init.speed }) })
      const mesh = createMeshNode(
        {
          clock: nodeClock, identity, entropy: createVirtualEntropy(random.split()), transport: createVirtualTransport(host), gossip: createVirtualGossip(host, gossipMesh), discovery: createVirtualDiscovery(host, dht),
          logStore: await disk(init.name).open(), blobStore, skillRunner: skills, hardware: createVirtualHardware(init.machine), telemetry,
          giveUp: (reason) => {
            node.gaveUp = reason
          },
        },
        {
          name: init.name, release: '0.0.0', duties: init.duties ?? ['worker', 'replica', 'bridge'], slots: init.slots ?? 2, ...(init.tuning === undefined ? {} : { tuning: init.tuning }),
        },
      )
      const node: VirtualNode = { name: init.name, peer: identity.peerId, mesh, skills, telemetry, gaveUp: undefined }
      nodes.set(init.name, node)
      mesh.start()
      network.connectAll()
      return node
    },
    kill(node) {
      network.crash(node.peer)
      clock.kill(node.name)
      node.mesh.stop()
      disk(node.name).crash()
    },
    node(name) {
      const found = nodes.get(name)
      if (found === undefined) throw new Error(`there is no node ${name}`)
      return found
    },
  }
}
