/** Missions of gated steps that write down what really ran, and the nodes that lead them: for tests in which nodes die. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import type { IndexedEvent } from '../../protocols/tasking/schema.ts'
import type { MissionView } from '../../protocols/tasking/views.ts'
import type { RealMesh, RealNode } from './real-mesh.ts'
import { until } from './until.ts'

export const ledgerSkill = fileURLToPath(new URL('../mesh/fixtures/ledger.skill.ts', import.meta.url))
/** Keeps missions and works at none. */
export const keeper = { flags: ['--slots', '0', '--duties', 'replica,bridge'] }
/** Works and keeps none. */
export const worker = { flags: ['--skill', ledgerSkill, '--slots', '8', '--duties', 'worker,bridge'] }

export interface LedgerStep {
  readonly capability: string
  readonly input: Record<string, unknown>
  readonly after: string[]
}

export interface Ledger {
  readonly path: string
  gate(step: string): string
  open(step: string): void
  /** What really ran. */
  countOf(step: string, what: 'started' | 'done'): number
  started(...steps: string[]): Promise<true>
  /** A task of a plan; gated, it ends once its gate is opened. */
  step(name: string, after?: string[], gated?: boolean): LedgerStep
}

/** @param name of this test's own ledger in the mesh's folder. */
export function openLedger(mesh: RealMesh, name: string): Ledger {
  const path = join(mesh.folder, name)
  const gate = (step: string): string => `${path}-gate-${step}`
  const countOf = (step: string, what: 'started' | 'done'): number =>
    (existsSync(path) ? readdirSync(path) : []).filter((run) => run.startsWith(`${step}.`) && run.endsWith(`.${what}`)).length
  return {
    path, gate, countOf,
    open: (step) => writeFileSync(gate(step), ''),
    started: (...steps) => until(() => (steps.every((step) => countOf(step, 'started') > 0) ? true : undefined), { what: `${steps.join(', ')} to run`, context: mesh.lastWords }),
    step: (step, after = [], gated = true) => ({ capability: 'ledger.step', input: { ledger: path, step, ...(gated ? { gate: gate(step) } : {}) }, after }),
  }
}

/** All logs are kept by as many as there should be: from then on any one node may be lost. */
export async function replicated(mesh: RealMesh): Promise<void> {
  interface Status { readonly replication: { readonly admitted: string; readonly roster: string; readonly underReplicated: number } }
  await until(async () => {
    const reports = await Promise.all(mesh.nodes.filter((node) => node.isRunning()).map(async ({ client, peerId }) => (await client.status(peerId as Parameters<typeof client.status>[0]) as unknown as Status).replication))
    return reports.every(({ admitted, roster, underReplicated }) => admitted !== 'not-yet' && roster === 'led' && underReplicated === 0) ? true : undefined
  }, { what: 'every log to be kept by enough nodes', context: mesh.lastWords })
}

export async function missionEnded(mesh: RealMesh, at: RealNode, id: MissionId): Promise<MissionView> {
  return until(async () => {
    const view = await at.client.mission(id)
    return view.endedAtWallMs === undefined ? undefined : view
  }, { what: `mission ${id} to end`, context: mesh.lastWords })
}

export async function logOf(at: RealNode, id: MissionId): Promise<IndexedEvent[]> {
  const events: IndexedEvent[] = []
  for await (const news of at.client.watch(id)) if (news.type === 'event') events.push({ index: news.index, event: news.event })
  return events
}

/** The node that leads a mission, as `witness` says, which keeps none. */
export async function leaderOf(mesh: RealMesh, witness: string, id: MissionId): Promise<RealNode> {
  return until(async () => {
    const view = await mesh.node(witness).client.mission(id)
    return mesh.nodes.find((node) => node.peerId === view.owner && node.isRunning())
  }, { what: `somebody to lead ${id}`, context: mesh.lastWords })
}

/** kill -9 of whoever leads; it comes back when another does. */
export async function crashLeader(mesh: RealMesh, witness: string, id: MissionId): Promise<void> {
  const leader = await leaderOf(mesh, witness, id)
  await mesh.kill(leader.name)
  const next = await leaderOf(mesh, witness, id)
  expect(next.name).not.toBe(leader.name)
  await mesh.restart(leader.name)
}

/** Asks until nobody can answer for the mission, and what the asker is told then. */
export async function refusalOf(mesh: RealMesh, at: RealNode, id: MissionId): Promise<{ readonly detail: string; readonly next?: string }> {
  return until(() => at.client.mission(id).then(() => undefined, (thrown: unknown) => {
    const { fault } = thrown as { fault: { code: string; detail: string; next?: string } }
    return fault.code === 'owner-unreachable' ? fault : undefined
  }), { what: 'a bridge to say that nobody leads', context: mesh.lastWords })
}
