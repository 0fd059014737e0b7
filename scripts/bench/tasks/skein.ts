/** Skein under the load of tasks: three real nodes, one that submits and two that work; missions are handed in over HTTP. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { MeshClient, MissionRequestInput } from '../../../node/http/client.ts'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import type { MissionId } from '../../../protocols/kernel/ids.ts'
import type { Acknowledgement } from '../../../protocols/tasking/schema.ts'
import type { MissionView } from '../../../protocols/tasking/views.ts'
import { quantileOf } from '../figure.ts'
import type { NamedProcess } from '../process-cpu.ts'
import { until } from '../replication/figures.ts'
import { type BenchMesh, createBenchMesh } from '../replication/nodes.ts'
import { fillStore } from '../replication/restart.ts'
import { fillWithTasks } from './finished-tasks.ts'
import { capabilitiesLeast, extraSkills, taskSkills } from './skills.ts'
import { type Aside, type OneByOne, type Saturated, type TaskSystem, expectedResult, taskInput, tasksPerWorker, workerCount } from './system.ts'

export interface SkeinOptions {
  /** `bench.noop` runs on the loop of its node, `bench.noop.thread` in a thread. */
  readonly noop?: 'bench.noop' | 'bench.noop.thread'
  /** A plan of the submitter's own, or one task that is planned by its skill on a worker. */
  readonly shape?: 'plan' | 'composite'
  /** Where each node leaves a profile of its processor time when it ends. */
  readonly profiles?: string
  /** How many nodes work; default: as many as of every peer. */
  readonly workers?: number
  /** So many are offered by every worker: besides those that come with Skein and those of the load, some that nobody asks for. */
  readonly capabilities?: number
  /** Missions that ended before, in the store of every node. */
  readonly finishedMissions?: number
  /** The same of tasks, a thousand to a mission. */
  readonly finishedTasks?: number
  /** Where the nodes keep their data, which stays there; default: a temporary folder. */
  readonly folder?: string
  /** For every node. */
  readonly flags?: readonly string[]
}

export interface SkeinUnderLoad {
  readonly mesh: BenchMesh
  at(acknowledgement: Acknowledgement): TaskSystem
  stop(): Promise<void>
}

const pollMs = 50
const missionPatienceMs = 300_000
/** For each node of the mesh: many on few processors take their time. */
const joinPatienceMs = 20_000

export async function startSkein({ noop = 'bench.noop', shape = 'plan', profiles, workers = workerCount, capabilities = 0, finishedMissions = 0, finishedTasks = 0, folder, flags = [] }: SkeinOptions = {}): Promise<SkeinUnderLoad> {
  const mesh = createBenchMesh((name) => (profiles === undefined ? [] : ['--cpu-prof', '--cpu-prof-interval', '500', '--cpu-prof-dir', profiles, `--cpu-prof-name=${name}-\${pid}.cpuprofile`]), folder)
  try {
    await mesh.start('submitter', ['--duties', 'replica,bridge', ...flags])
    const skills = [...taskSkills(mesh.folder), ...extraSkills(mesh.folder, capabilities - capabilitiesLeast)]
    for (let worker = 1; worker <= workers; worker++) await mesh.start(`worker-${worker}`, ['--slots', String(tasksPerWorker), ...skills, ...flags])
    await mesh.joined(joinPatienceMs * (workers + 1))
    if (finishedMissions > 0) await fillStores(mesh, (dataDir) => fillStore(join(dataDir, 'log'), finishedMissions))
    if (finishedTasks > 0) await fillStores(mesh, (dataDir, filled) => fillWithTasks(dataDir, finishedTasks, filled))
    const { client } = mesh.node('submitter')
    await keptByThree(client)
    const processes: NamedProcess[] = [
      { name: 'client (HTTP)', pid: process.pid },
      ...mesh.living().map(({ name, child }) => ({ name: name === 'submitter' ? 'submitter' : 'workers', pid: child.pid ?? 0 })),
    ]
    return { mesh, at: (acknowledgement) => skeinAt(client, acknowledgement, processes, noop, shape), stop: () => mesh.stop() }
  } catch (thrown) {
    await mesh.stop()
    throw thrown
  }
}

/** One node after the other, so that there is always one to come back to. @param fill gets the folder of one that was filled before, if there is one. */
async function fillStores(mesh: BenchMesh, fill: (dataDir: string, filled: string | undefined) => Promise<void>): Promise<void> {
  let filled: string | undefined
  for (const { name, dataDir } of mesh.living()) {
    await mesh.kill(name)
    await fill(dataDir, filled)
    filled ??= dataDir
    await mesh.restart(name)
    await mesh.joined()
  }
}

/** Until new missions get three voters: the nodes have to be admitted to the roster first. */
async function keptByThree(client: MeshClient): Promise<void> {
  await until('that a mission is kept by three nodes', async () => {
    const { id } = await client.submit({ plan: { tasks: { only: { capability: 'bench.noop', input: taskInput() } } } } as MissionRequestInput)
    const { members = [] } = await ended(client, id)
    return members.filter(({ votes }) => votes).length >= 3 ? true : undefined
  }, 120_000)
}

/** Waits for a mission. @throws Error unless it completes in time. */
export async function ended(client: MeshClient, id: MissionId): Promise<MissionView> {
  const deadlineMs = performance.now() + missionPatienceMs
  while (performance.now() < deadlineMs) {
    const view = await client.mission(id).catch(unlessBusy)
    if (view?.state === 'completed') return view
    if (view?.endedAtWallMs !== undefined) throw await failureOf(client, view)
    await sleep(pollMs)
  }
  throw new Error(`${id} is not done after ${missionPatienceMs / 1_000} s`)
}

/** With what its first dead task died of. */
async function failureOf(client: MeshClient, { id, state, fault }: MissionView): Promise<Error> {
  const dead = (await client.dead().catch(() => [])).find(({ missionId }) => missionId === id)
  return new Error(`${id} is ${state}: ${fault?.detail ?? 'without a word'}${dead === undefined ? '' : ` (${dead.taskId ?? dead.id}: ${dead.reason})`}`)
}

/** An owner that is too busy to answer in time is asked again: what is measured is how long its mission takes. */
function unlessBusy(thrown: unknown): undefined {
  if (!(thrown instanceof MeshError) || !thrown.fault.retryable) throw thrown
  console.error(`the owner does not answer: ${thrown.fault.detail}`)
}

function skeinAt(client: MeshClient, acknowledgement: Acknowledgement, processes: readonly NamedProcess[], noop: string, shape: 'plan' | 'composite'): TaskSystem {
  /** @throws Error unless every task has its result. */
  async function resultsOf(id: MissionId, tasks: number): Promise<void> {
    const { result } = await client.result(id)
    const values = Object.values((result ?? {}) as Record<string, unknown>)
    if (values.length !== tasks || values.some((value) => value !== expectedResult)) throw new Error(`${id} has ${values.length} results of ${tasks}, or wrong ones`)
  }

  async function submit(tasks: number, capability: string, more: (index: number) => object): Promise<MissionId> {
    const limits = { leavesMax: tasks }
    const plan = { tasks: Object.fromEntries(Array.from({ length: tasks }, (_, index) => [`task-${index + 1}`, { capability, ...more(index) }])), limits }
    const request = shape === 'plan' || capability !== noop ? { plan, acknowledgement } : { capability: 'bench.split', input: { children: tasks, capability, ...taskInput() }, limits, acknowledgement }
    return (await client.submit(request as MissionRequestInput)).id
  }

  return {
    name: `Skein, ${acknowledgement}`,
    processes,
    async saturate(tasks): Promise<Saturated> {
      const startedAtMs = performance.now()
      const id = await submit(tasks, noop, () => ({ input: taskInput() }))
      const acknowledgedAtMs = performance.now()
      await ended(client, id)
      await resultsOf(id, tasks)
      const tookMs = performance.now() - startedAtMs
      return { tookMs, more: [{ what: 'of the same: until 202', unit: 'ms', value: acknowledgedAtMs - startedAtMs }, ...await phasesOf(client, id, tasks)] }
    },
    async oneByOne(tasks): Promise<OneByOne> {
      const id = await submit(tasks, noop, (index) => ({ input: taskInput(), ...(index === 0 ? {} : { after: [`task-${index}`] }) }))
      const heardAtMs: number[] = []
      const toAwardMs: number[] = []
      const toAcceptanceMs: number[] = []
      let lastAtMs = Number.NaN
      for await (const news of client.watch(id)) {
        if (news.type !== 'event') continue
        const { event } = news
        if (event.type === 'awarded' && event.award.taskId !== 'root') {
          if (heardAtMs.length > 0) toAwardMs.push(event.atWallMs - lastAtMs)
          lastAtMs = event.atWallMs
        } else if (event.type === 'accepted' && event.taskId !== 'root') {
          toAcceptanceMs.push(event.atWallMs - lastAtMs)
          lastAtMs = event.atWallMs
          heardAtMs.push(performance.now())
        }
      }
      await resultsOf(id, tasks)
      return {
        timesMs: heardAtMs.slice(1).map((atMs, index) => atMs - (heardAtMs[index] ?? Number.NaN)),
        more: [
          { what: 'of the same: from an acceptance to the award of the next, p50', unit: 'ms', value: quantileOf(toAwardMs, 0.5) },
          { what: 'of the same: from an award to its acceptance, p50', unit: 'ms', value: quantileOf(toAcceptanceMs, 0.5) },
        ],
      }
    },
    async fanOut(tasks, ms) {
      const startedAtMs = performance.now()
      const id = await submit(tasks, ms === 0 ? noop : 'bench.wait', () => ({ input: { ...taskInput(), ...(ms === 0 ? {} : { ms }) } }))
      for await (const news of client.watch(id)) if (news.type === 'end' && news.state !== 'completed') throw await failureOf(client, await client.mission(id))
      await resultsOf(id, tasks)
      return performance.now() - startedAtMs
    },
  }
}

/** Where the time of a mission went, by its own log, read when it is over. */
async function phasesOf(client: MeshClient, id: MissionId, tasks: number): Promise<Aside[]> {
  let submittedAtMs = Number.NaN
  let awardedAtMs: number | undefined
  let endedAtMs = Number.NaN
  const acceptedAtMs: number[] = []
  for await (const news of client.watch(id)) {
    if (news.type !== 'event') continue
    const { event } = news
    if (event.type === 'submitted') submittedAtMs = event.atWallMs
    else if (event.type === 'awarded' && event.award.taskId !== 'root') awardedAtMs ??= event.atWallMs
    else if (event.type === 'accepted' && event.taskId !== 'root') acceptedAtMs.push(event.atWallMs)
    else if (event.type === 'completed') endedAtMs = event.atWallMs
  }
  const [tenth = Number.NaN, nineTenths = Number.NaN, last = Number.NaN] = [acceptedAtMs[Math.floor(tasks * 0.1)], acceptedAtMs[Math.floor(tasks * 0.9)], acceptedAtMs.at(-1)]
  return [
    { what: 'of the same: until the first award', unit: 'ms', value: (awardedAtMs ?? Number.NaN) - submittedAtMs },
    { what: 'of the same: accepted between its first and its last tenth', unit: 'tasks/s', value: (tasks * 0.8) / ((nineTenths - tenth) / 1_000) },
    { what: 'of the same: from the last acceptance to the end', unit: 'ms', value: endedAtMs - last },
  ]
}
