/** Shared set-up of the mission tests: a virtual mesh, a few scripted skills, and a way to submit and wait. */
import type { Capability } from '../../protocols/capability/schema.ts'
import type { MissionId, Principal } from '../../protocols/kernel/ids.ts'
import type { Json } from '../../protocols/kernel/payload.ts'
import type { MissionOperation } from '../../protocols/tasking/schema.ts'
import { MissionRequest } from '../../protocols/tasking/schema.ts'
import { MissionView, ResultView, WhyView } from '../../protocols/tasking/views.ts'
import type { ScriptedSkill } from '../../sim/skill-runner-scripted-adapter.ts'
import type { VirtualMesh, VirtualNode } from '../../sim/virtual-mesh.ts'

export const local = 'local' as Principal

export function capability(name: string, kind: 'leaf' | 'composite' = 'leaf', overrides: Partial<Capability> = {}): Capability {
  return { name: name as Capability['name'], version: '1.0', kind, effects: 'none', attributes: {}, summary: name, ...overrides }
}

/** Doubles a number after a while. */
export function doubling(afterMs: number): ScriptedSkill {
  return {
    capability: capability('number.double'),
    run: (run) => ({ afterMs, output: 'inline' in run.input ? 2 * Number((run.input.inline as { value: number }).value) : null }),
  }
}

/** Plans one `number.double` per value and adds up what they give. */
export function summing(): ScriptedSkill {
  return {
    capability: capability('number.sum', 'composite'),
    plan: (run) => {
      const values = 'inline' in run.input ? (run.input.inline as { values: number[] }).values : []
      return { afterMs: 5, output: { tasks: Object.fromEntries(values.map((value, i) => [`double-${i}`, { capability: 'number.double', input: { value } }])) } }
    },
    synthesise: (run) => ({ afterMs: 5, output: (run.children ?? []).reduce((sum, child) => sum + (child.output !== undefined && 'inline' in child.output ? Number(child.output.inline) : 0), 0) }),
  }
}

/** Asks and runs virtual time until the answer is there. */
export async function ask(world: VirtualMesh, node: VirtualNode, operation: MissionOperation, principal: Principal = local): Promise<Json> {
  let settled: { value: Json } | { thrown: unknown } | undefined
  node.mesh.ask(operation, principal).then(
    (value) => (settled = { value }),
    (thrown: unknown) => (settled = { thrown }),
  )
  await world.clock.runUntil(() => settled !== undefined, { what: `an answer to ${operation.op}` })
  if (settled !== undefined && 'value' in settled) return settled.value
  throw settled?.thrown
}

export async function submit(world: VirtualMesh, node: VirtualNode, request: unknown, key?: string, principal: Principal = local): Promise<MissionView> {
  return MissionView.parse(await ask(world, node, { op: 'submit', request: MissionRequest.parse(request), ...(key === undefined ? {} : { key }) }, principal))
}

export async function view(world: VirtualMesh, node: VirtualNode, missionId: MissionId): Promise<MissionView> {
  return MissionView.parse(await ask(world, node, { op: 'view', missionId }))
}

export async function result(world: VirtualMesh, node: VirtualNode, missionId: MissionId): Promise<ResultView> {
  return ResultView.parse(await ask(world, node, { op: 'result', missionId }))
}

export async function why(world: VirtualMesh, node: VirtualNode, missionId: MissionId): Promise<WhyView> {
  return WhyView.parse(await ask(world, node, { op: 'why', missionId }))
}

/** Runs until the mission has ended. */
export async function ended(world: VirtualMesh, node: VirtualNode, missionId: MissionId, withinMs = 600_000): Promise<MissionView> {
  const untilMs = world.clock.nowMs() + withinMs
  for (;;) {
    const now = await view(world, node, missionId)
    if (now.endedAtWallMs !== undefined) return now
    if (world.clock.nowMs() > untilMs) throw new Error(`mission ${missionId} has not ended: ${JSON.stringify(now)}`)
    await world.clock.runFor(50)
  }
}
