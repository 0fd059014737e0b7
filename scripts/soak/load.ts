/** Missions of many small tasks at an even pace, each result of each task looked at. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { MeshClient, MissionRequestInput } from '../../node/http/client.ts'
import { MeshError } from '../../protocols/kernel/errors.ts'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import type { Acknowledgement } from '../../protocols/tasking/schema.ts'
import { ended } from '../bench/tasks/skein.ts'

export interface LoadOptions {
  /** Who is asked for results, one after the other; the first takes the missions. */
  readonly clients: readonly MeshClient[]
  readonly acknowledgement: Acknowledgement
  readonly tasksPerMission: number
  readonly tasksPerSecond: number
  readonly durationMs: number
  /** Called as it happens, so that what there is can be told at any moment. */
  readonly tally: Tally
}

export interface Tally {
  /** Of missions that were acknowledged. */
  submitted: number
  done: number
  /** Tasks without their right result in a mission that is over, or that is not over after five minutes. */
  lost: number
  underWay: number
  /** Submissions that were turned away for a while, and repeated. */
  turnedAway: number
  /** Missions that began late because too many were under way. */
  late: number
  /** From when a mission was due until its results were looked at, in the order in which they ended. */
  readonly missionMs: number[]
  readonly completed: { readonly id: MissionId; readonly atMs: number }[]
  /** What went wrong, the first of it. */
  readonly complaints: string[]
}

export function emptyTally(): Tally {
  return { submitted: 0, done: 0, lost: 0, underWay: 0, turnedAway: 0, late: 0, missionMs: [], completed: [], complaints: [] }
}

const missionsUnderWayMax = 16
const complaintsKept = 20
const archiveMarginMs = 10_000
const patienceMs = 300_000
/** Texts of the tasks of a mission differ in length, and the result of each is its length: results that were exchanged are seen. */
const textLengths = 128
const textBytesMin = 126

/** What comes back from the task of this number: the length of the text that it is given. */
export function expectedOf(index: number): number {
  return textBytesMin + (index % textLengths)
}

/** Resolves when all missions have ended. A mission that fails is counted, not thrown. */
export async function load(options: LoadOptions): Promise<void> {
  const { tally, tasksPerMission } = options
  const everyMs = tasksPerMission / options.tasksPerSecond * 1_000
  const startedAtMs = performance.now()
  const running = new Set<Promise<void>>()
  for (let number = 0; number * everyMs < options.durationMs; number++) {
    const dueAtMs = startedAtMs + number * everyMs
    await sleep(Math.max(0, dueAtMs - performance.now()))
    if (running.size >= missionsUnderWayMax) tally.late++
    while (running.size >= missionsUnderWayMax) await Promise.race(running)
    const mission = oneMission(options, dueAtMs).finally(() => running.delete(mission))
    running.add(mission)
  }
  await Promise.all(running)
}

async function oneMission(options: LoadOptions, dueAtMs: number): Promise<void> {
  const { tally, tasksPerMission: tasks, clients: [client] } = options
  if (client === undefined) return
  let id: MissionId | undefined
  tally.underWay += tasks
  try {
    id = await submitted(options, client)
    tally.submitted += tasks
    const { tasks: { accepted = 0 } } = await ended(client, id)
    const right = await rightResults(client, id, tasks)
    if (accepted !== tasks) complain(tally, `${id} counts ${accepted} accepted tasks of ${tasks}`)
    tally.done += right
    tally.lost += tasks - right
    if (right < tasks) complain(tally, `${id} has ${right} right results of ${tasks}`)
    tally.completed.push({ id, atMs: performance.now() })
    tally.missionMs.push(performance.now() - dueAtMs)
  } catch (thrown) {
    // What was never acknowledged is not lost: it is known not to have been begun, or its key finds it again.
    if (id !== undefined) tally.lost += tasks
    complain(tally, thrown instanceof Error ? thrown.message : String(thrown))
  } finally {
    tally.underWay -= tasks
  }
}

/** Handed in under one key until it is acknowledged. */
async function submitted({ acknowledgement, tasksPerMission, tally }: LoadOptions, client: MeshClient): Promise<MissionId> {
  const plan = {
    tasks: Object.fromEntries(Array.from({ length: tasksPerMission }, (_, index) => [`task-${index}`, { capability: 'bench.noop', input: { text: 'x'.repeat(expectedOf(index)) } }])),
    limits: { leavesMax: tasksPerMission },
  }
  const key = crypto.randomUUID()
  for (;;) {
    try {
      return (await client.submit({ plan, acknowledgement } as MissionRequestInput, { key })).id
    } catch (thrown) {
      if (!(thrown instanceof MeshError) || !thrown.fault.retryable) throw thrown
      tally.turnedAway++
      await sleep(1_000)
    }
  }
}

/** @returns how many tasks have the result that they must have; none when there are results of others among them. */
async function rightResults(client: MeshClient, id: MissionId, tasks: number): Promise<number> {
  const { result } = await patiently(() => client.result(id))
  const results = (result ?? {}) as Record<string, unknown>
  if (Object.keys(results).length > tasks) return 0
  return Array.from({ length: tasks }, (_, index) => results[`task-${index}`] === expectedOf(index)).filter(Boolean).length
}

/** A node that is too busy, or that has just lost its owner, is asked again: a result is lost only when it is not there. */
async function patiently<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  for (const deadlineMs = performance.now() + patienceMs; ;) {
    try {
      return await ask()
    } catch (thrown) {
      if (!(thrown instanceof MeshError) || !thrown.fault.retryable || performance.now() > deadlineMs) throw thrown
      await sleep(1_000)
    }
  }
}

/** Every completed mission of the last `keptMs` once more, from each node in turn. @returns how many there were, and how many tasks have lost their result since. */
export async function lookAgain({ clients, tasksPerMission, tally }: LoadOptions, keptMs: number): Promise<{ readonly missions: number; readonly missing: number }> {
  let missions = 0
  let missing = 0
  for (const { id, atMs } of tally.completed) {
    const client = clients[missions % clients.length]
    // Seconds before its time is over it may be gone already.
    if (client === undefined || performance.now() - atMs > keptMs - archiveMarginMs) continue
    missions++
    try {
      const right = await rightResults(client, id, tasksPerMission)
      if (right < tasksPerMission) complain(tally, `${id}, looked at again, has ${right} right results of ${tasksPerMission}`)
      missing += tasksPerMission - right
    } catch (thrown) {
      missing += tasksPerMission
      complain(tally, `${id}, looked at again: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
    }
  }
  return { missions, missing }
}

function complain(tally: Tally, what: string): void {
  if (tally.complaints.length < complaintsKept) tally.complaints.push(what)
}
