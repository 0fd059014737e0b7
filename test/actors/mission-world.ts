/** A virtual mesh whose runs are written down, for tests that kill parts of it and then ask what was done twice. */
import type { MissionEvent, MissionOperation } from '../../protocols/tasking/schema.ts'
import { compareEpochs, type Epoch, type GroupId, type MissionId, type PeerId, type Principal } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Json } from '../../protocols/kernel/payload.ts'
import { shardGroup } from '../../protocols/membership/placement.ts'
import type { Membership } from '../../protocols/membership/schema.ts'
import { TaskView, type MissionView } from '../../protocols/tasking/views.ts'
import type { ScriptedSkill } from '../../sim/skill-runner-scripted-adapter.ts'
import { createVirtualMesh, type VirtualMesh, type VirtualNode, type VirtualNodeInit } from '../../sim/virtual-mesh.ts'
import { ask, ended, result, submit, view, why } from './virtual-missions.ts'

export interface RunStarted {
  readonly node: string
  readonly taskId: string
  readonly step: 'run' | 'plan' | 'synthesise'
  readonly attempt: number
  readonly principal: string
  readonly atMs: number
  /** What the manager of the run had it for: one award has one run. */
  readonly runId: string
}

/** Who keeps a log by the newest `members` that is on some disk, and on whose disks that is. */
export interface Kept {
  index: number
  epoch: Epoch
  membership: Membership
  readonly on: Set<string>
}

export interface MissionWorld {
  readonly mesh: VirtualMesh
  /** The logs of the mesh, as its disks tell. */
  readonly kept: ReadonlyMap<GroupId, Kept>
  readonly runs: RunStarted[]
  node(name: string): VirtualNode
  /** Nodes that are alive, in the order they were started. */
  live(): VirtualNode[]
  start(name: string, init?: Partial<VirtualNodeInit>): Promise<VirtualNode>
  kill(name: string): void
  /** With what it was started with before. */
  restart(name: string): Promise<VirtualNode>
  runFor(ms: number): Promise<void>
  until(condition: () => boolean, what: string, withinMs?: number): Promise<void>
  /** Until the roster, every registrar shard and the missions named have three voters or more. */
  grown(...missions: readonly MissionId[]): Promise<void>
  /** The name of the node that leads the log, when a live one does. */
  leader(group: GroupId): string | undefined
  /** Names of the voters, as the newest `members` on a disk says. */
  voters(group: GroupId): string[]
  submit(on: string, request: unknown, key?: string, principal?: Principal): Promise<MissionView>
  view(on: string, missionId: MissionId): Promise<MissionView>
  ended(on: string, missionId: MissionId, withinMs?: number): Promise<MissionView>
  result(on: string, missionId: MissionId): Promise<Json | undefined>
  ask(on: string, operation: MissionOperation, principal?: Principal): Promise<Json>
  tree(on: string, missionId: MissionId): Promise<TaskView>
  why(on: string, missionId: MissionId): ReturnType<typeof why>
  /** The mission's whole log, as a watcher on that node is told it. */
  events(on: string, missionId: MissionId): Promise<MissionEvent[]>
}

/** Into how many shards these meshes divide their registrar: a mesh of tests grows them every time. */
export const worldShards = 2
const meshGroups: readonly GroupId[] = ['roster' as GroupId, ...Array.from({ length: worldShards }, (_, shard) => shardGroup(shard))]

/** The newest epoch under which a node has led a log since it was started. */
function lastLed(node: VirtualNode, group: GroupId): Epoch | undefined {
  const fields = node.telemetry.facts.filter(({ name, fields }) => name === 'group.leads' && fields['group'] === group).at(-1)?.fields
  return fields === undefined ? undefined : { lineage: Number(fields['lineage']), term: Number(fields['term']) }
}

export function missionWorld(seed: number, skillsOf: () => readonly ScriptedSkill[], network: Parameters<typeof createVirtualMesh>[1] = {}): MissionWorld {
  const mesh = createVirtualMesh(seed, network)
  const inits = new Map<string, VirtualNodeInit>()
  const alive = new Map<string, VirtualNode>()
  const runs: RunStarted[] = []
  const kept = new Map<GroupId, Kept>()
  const names = new Map<PeerId, string>()

  function note(name: string): void {
    mesh.disk(name).onSynced((group, entries) => {
      for (const { index, epoch, event } of entries) {
        if (event.type !== 'members') continue
        const known = kept.get(group)
        const newer = known === undefined ? 1 : compareEpochs(epoch, known.epoch) || index - known.index
        if (newer > 0) kept.set(group, { index, epoch, membership: event.membership, on: new Set([name]) })
        else if (newer === 0) known?.on.add(name)
      }
    })
  }

  function isGrown(group: GroupId): boolean {
    const found = kept.get(group)
    if (found === undefined || found.membership.outgoing !== undefined || found.membership.voters.length < limits.votersAimed) return false
    return found.membership.voters.filter(({ peer }) => found.on.has(names.get(peer) ?? '')).length > found.membership.voters.length / 2
  }

  function logged(node: string, skill: ScriptedSkill): ScriptedSkill {
    const steps = Object.fromEntries((['run', 'plan', 'synthesise'] as const).flatMap((step) => {
      const course = skill[step]
      if (course === undefined) return []
      return [[step, (run: Parameters<typeof course>[0]) => {
        runs.push({ node, taskId: run.taskId, step, attempt: run.attempt, principal: run.principal, atMs: mesh.clock.nowMs(), runId: run.runId })
        return course(run)
      }]]
    }))
    return { ...skill, ...steps }
  }

  const world: MissionWorld = {
    mesh, runs, kept,
    node(name) {
      const found = alive.get(name)
      if (found === undefined) throw new Error(`${name} is not alive`)
      return found
    },
    live: () => [...alive.values()],
    async start(name, init = {}) {
      const full: VirtualNodeInit = { name, ...init, tuning: { registrarShards: worldShards, ...init.tuning }, skills: (init.skills ?? skillsOf()).map((skill) => logged(name, skill)) }
      if (!inits.has(name)) note(name)
      inits.set(name, full)
      const node = await mesh.start(full)
      names.set(node.peer, name)
      alive.set(name, node)
      return node
    },
    kill(name) {
      mesh.kill(world.node(name))
      alive.delete(name)
    },
    async restart(name) {
      const init = inits.get(name)
      if (init === undefined) throw new Error(`${name} was never started`)
      const node = await mesh.start(init)
      alive.set(name, node)
      return node
    },
    runFor: (ms) => mesh.clock.runFor(ms),
    until: (condition, what, withinMs = 120_000) => mesh.clock.runUntil(condition, { what, withinMs }),
    grown: (...missions) => world.until(() => [...meshGroups, ...missions].every(isGrown), 'three voters of every log', 60_000),
    leader: (group) => {
      const led = [...alive.values()].flatMap((node) => {
        const epoch = lastLed(node, group)
        return epoch === undefined ? [] : [{ node, epoch }]
      })
      return led.sort((left, right) => compareEpochs(left.epoch, right.epoch)).at(-1)?.node.name
    },
    voters: (group) => (kept.get(group)?.membership.voters ?? []).map(({ peer }) => names.get(peer) ?? peer),
    submit: (on, request, key, principal) => submit(mesh, world.node(on), request, key, principal),
    view: (on, missionId) => view(mesh, world.node(on), missionId),
    ended: (on, missionId, withinMs) => ended(mesh, world.node(on), missionId, withinMs),
    result: async (on, missionId) => (await result(mesh, world.node(on), missionId)).result as Json | undefined,
    ask: (on, operation, principal) => ask(mesh, world.node(on), operation, principal),
    tree: async (on, missionId) => TaskView.parse(await ask(mesh, world.node(on), { op: 'tasks', missionId })),
    why: (on, missionId) => why(mesh, world.node(on), missionId),
    async events(on, missionId) {
      const { lastIndex } = await world.view(on, missionId)
      const found = new Map<number, MissionEvent>()
      const stop = world.node(on).mesh.watch(missionId, 0, 'local' as Principal, (frame) => {
        for (const { index, event } of frame.events) found.set(index, event)
      })
      await world.until(() => found.size >= lastIndex, 'the whole log')
      stop()
      return [...found].sort(([left], [right]) => left - right).map(([, event]) => event)
    },
  }
  return world
}

/** Nodes a, b, c, … that know each other; three or more keep every log with three voters. */
export async function startNodes(world: MissionWorld, names: readonly string[], init: Partial<VirtualNodeInit> = {}): Promise<void> {
  for (const name of names) await world.start(name, init)
  await world.runFor(1_500)
  const replicas = names.filter(() => init.duties?.includes('replica') ?? true).length
  if (replicas >= limits.votersAimed) await world.grown()
}

/** Runs of a task that were started after its result was accepted: there must be none. */
export function repeatedAfterAcceptance(world: MissionWorld, events: readonly MissionEvent[]): string[] {
  const startWallMs = world.mesh.clock.wallMs() - world.mesh.clock.nowMs()
  const accepted = new Map<string, number>()
  for (const event of events) if (event.type === 'accepted') accepted.set(event.taskId, event.atWallMs - startWallMs)
  return world.runs.filter((run) => run.step === 'run' && run.atMs > (accepted.get(run.taskId) ?? Infinity)).map((run) => `${run.taskId} on ${run.node} at ${run.atMs}`)
}

/** Leaf runs by task. */
export function runsByTask(world: MissionWorld): Map<string, RunStarted[]> {
  const byTask = new Map<string, RunStarted[]>()
  for (const run of world.runs) if (run.step === 'run') byTask.set(run.taskId, [...(byTask.get(run.taskId) ?? []), run])
  return byTask
}

/** What every mission's log must satisfy, however it came about. */
export function logProblems(events: readonly MissionEvent[]): string[] {
  const problems: string[] = []
  const live = new Map<string, string>()
  const accepted = new Set<string>()
  const awarded = new Set<string>()
  let term = 1
  for (const event of events) {
    if (event.type === 'took-over') {
      if (event.epoch.term <= term) problems.push(`term ${event.epoch.term} follows ${term}`)
      term = event.epoch.term
    } else if (event.type === 'awarded') {
      const { awardId, taskId } = event.award
      if (awarded.has(awardId)) problems.push(`${awardId} was given twice`)
      if (live.has(taskId)) problems.push(`${taskId} was awarded while ${live.get(taskId)} ran`)
      if (accepted.has(taskId)) problems.push(`${taskId} was awarded after its acceptance`)
      awarded.add(awardId)
      live.set(taskId, awardId)
    } else if (event.type === 'award-ended') {
      if (live.get(event.taskId) === event.awardId) live.delete(event.taskId)
    } else if (event.type === 'accepted') {
      if (accepted.has(event.taskId)) problems.push(`${event.taskId} was accepted twice`)
      if (event.taskId !== 'root' && !awarded.has(event.awardId)) problems.push(`${event.taskId} was accepted without an award`)
      accepted.add(event.taskId)
      live.delete(event.taskId)
    } else if (event.type === 'dead') {
      live.delete(event.taskId)
    }
  }
  return problems
}

/** Nothing of any mission runs on any live node. */
export function stillRunning(world: MissionWorld): string[] {
  return world.live().flatMap((node) => node.skills.running().map((run) => `${run.taskId} on ${node.name}`))
}

/** Actors that failed: an invariant broke. */
export function failedActors(world: MissionWorld): string[] {
  return world.live().flatMap((node) => node.telemetry.facts.filter((fact) => fact.name === 'actor.failed' || fact.name === 'actor.effect-failed').map((fact) => `${node.name}: ${JSON.stringify(fact.fields).slice(0, 400)}`))
}

export function seeds(count: number, from = 1): number[] {
  return Array.from({ length: count }, (_, i) => from + i)
}
