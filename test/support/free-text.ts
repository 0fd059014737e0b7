/** Missions in free text on a real mesh: asked as a person asks, and looked into afterwards. */
import type { MeshClient } from '../../node/http/client.ts'
import type { PlanOutput } from '../../node/skills/agents/schema.ts'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import type { IndexedEvent } from '../../protocols/tasking/schema.ts'
import type { MissionView, TaskView } from '../../protocols/tasking/views.ts'
import type { RealMesh } from './real-mesh.ts'
import { runSkein } from './skein-command.ts'
import { until } from './until.ts'

export interface Asked extends MissionView {
  readonly result: PlanOutput
}

/** `skein ask` at a node. @throws Error with the mission's tree and what every node said last when it ends otherwise. */
export async function ask(mesh: RealMesh, at: string, text: string, flags: readonly string[] = [], code = 0): Promise<Asked> {
  const node = mesh.node(at)
  const { out, err, code: ended } = await runSkein(['ask', text, ...flags, '--data', node.dataDir, '--json'], { env: mesh.env })
  if (ended !== code) throw new Error(`exit code ${String(ended)}: ${out.slice(-2_000)}\n${err.slice(-2_000)}\n${await treesOf(node.client)}\n${mesh.lastWords()}`)
  return JSON.parse(out) as Asked
}

async function treesOf(client: MeshClient): Promise<string> {
  const missions = await client.missions()
  return (await Promise.all(missions.map(async ({ id }) => lines(await client.tasks(id), 0)))).join('\n')
}

function lines(task: TaskView, depth: number): string {
  const { name, capability, state, attempts, workerName = '', fault, children } = task
  return `${'  '.repeat(depth)}${name} ${capability} ${state} ×${attempts} ${workerName}${fault === undefined ? '' : ` ${fault.code}: ${fault.detail}`}\n${children.map((child) => lines(child, depth + 1)).join('')}`
}

/** Everything in the log of a mission that has ended. */
export async function eventsOf(client: MeshClient, id: MissionId): Promise<IndexedEvent['event'][]> {
  const events: IndexedEvent['event'][] = []
  for await (const news of client.watch(id)) if (news.type === 'event') events.push(news.event)
  return events
}

/** The accepted output of a task, by its id, like `root/mission/larder`. */
export function outputOf<T>(events: readonly IndexedEvent['event'][], taskId: string): T | undefined {
  const found = events.findLast((event) => event.type === 'accepted' && event.taskId === taskId)
  return found?.type === 'accepted' && 'inline' in found.result ? (found.result.inline as T) : undefined
}

/** A task below this one, by the names that lead to it. */
export function taskAt(tree: TaskView, ...path: readonly string[]): TaskView {
  return path.reduce((task, name) => {
    const child = task.children.find((one) => one.name === name)
    if (child === undefined) throw new Error(`there is no ${name} under ${task.name}, only ${task.children.map((one) => one.name).join(', ')}`)
    return child
  }, tree)
}

/** Until a node knows that these are offered. */
export function offered(mesh: RealMesh, at: string, ...capabilities: readonly string[]): Promise<true> {
  return until(async () => {
    const names = (await mesh.node(at).client.capabilities()).filter(({ providers }) => providers.length > 0).map(({ name }): string => name)
    return capabilities.every((name) => names.includes(name)) || undefined
  }, { what: `${at} to know of ${capabilities.join(', ')}`, context: mesh.lastWords })
}

export async function ended(mesh: RealMesh, at: string, id: MissionId): Promise<MissionView> {
  return until(async () => {
    const view = await mesh.node(at).client.mission(id)
    return view.endedAtWallMs === undefined ? undefined : view
  }, { what: `mission ${id} to end`, context: mesh.lastWords })
}
