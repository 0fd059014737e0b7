/** One life of one virtual node, and what it is started with. */
import type { MeshNode, MeshNodePorts } from '../actors/mesh-node.ts'
import type { HardwareSample } from '../actors/ports/hardware.ts'
import type { Tuning } from '../actors/tuning.ts'
import type { Duty } from '../protocols/capability/schema.ts'
import type { PeerId } from '../protocols/kernel/ids.ts'
import type { Bytes } from '../protocols/kernel/units.ts'
import type { ConductParts } from './adversary/parts.ts'
import type { CrashTrap } from './crash-trap.ts'
import type { NodeClock, NodeClockInit } from './node-clock.ts'
import type { ScriptedSkill, ScriptedSkillRunner } from './skill-runner-scripted-adapter.ts'
import type { MemoryTelemetry } from './telemetry-memory-adapter.ts'
import type { WireCodec } from './wire-codec.ts'

export interface VirtualNodeInit {
  readonly name: string
  readonly skills: readonly ScriptedSkill[]
  readonly slots?: number
  readonly duties?: readonly Duty[]
  /** Below 1 is slow: every skill's course is divided by it. */
  readonly speed?: number
  readonly machine?: Partial<HardwareSample>
  readonly tuning?: Partial<Tuning>
  /** Of its blobs; default: as much as the disk holds. */
  readonly quotaBytes?: Bytes
  readonly site?: string
  readonly clock?: NodeClockInit
  /** How many nodes it thinks the mesh has until it has counted; default: as in the real node. */
  readonly nodesExpected?: number
  /** What it speaks; default: this release's. */
  readonly codec?: WireCodec
  /** Misconduct: what the node's actors do to the world, and hear of it, goes through this. */
  readonly conduct?: (ports: MeshNodePorts, parts: ConductParts) => MeshNodePorts
}

export interface VirtualNode {
  readonly name: string
  readonly peer: PeerId
  readonly mesh: MeshNode
  readonly skills: ScriptedSkillRunner
  readonly telemetry: MemoryTelemetry
  readonly clock: NodeClock
  /** Ends the process at a point between two effects; undefined in a mesh without traps. */
  readonly trap: CrashTrap | undefined
  /** Why the node gave up, once it did. */
  gaveUp: string | undefined
  alive: boolean
}
