/** Readers ask all bridges about all missions, all the time, and note when they asked, when they were answered, and what they saw accepted. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../protocols/kernel/prng.ts'
import { type BridgeAddress, ask } from './bridge.ts'
import type { History, MissionHistory, ReadOfMission, TaskSighting } from './history.ts'
import { something } from './linearizable.ts'
import { nowMs } from './machine.ts'

interface WhyDocument {
  readonly tasks: readonly { readonly id: string; readonly attempts: readonly { readonly awardId: string; readonly outcome: string; readonly endedAtWallMs?: number }[] }[]
}
export interface TreeDocument {
  readonly id: string
  readonly kind: string
  readonly state: string
  readonly children: readonly TreeDocument[]
}
interface MissionDocument {
  readonly state: string
  readonly owner: string
  readonly endedAtWallMs?: number
  readonly members?: readonly { readonly peer: string; readonly votes: boolean }[]
}

const readTimeoutMs = 5_000
const endStates = new Set(['completed', 'failed', 'cancelled'])

/** @returns false when the bridge gave no answer that tells anything. */
export async function readAwards(history: History, mission: MissionHistory, id: string, at: BridgeAddress): Promise<boolean> {
  const read = await timed<WhyDocument>(mission, at, `/v1/missions/${id}/why`)
  if (read === undefined) return false
  const tasks = read.body.tasks.filter((task) => task.id !== 'root').flatMap((task): TaskSighting[] => {
    const accepted = task.attempts.filter((attempt) => attempt.outcome === 'accepted')
    // Two in one answer are two sightings, which is one too many.
    return accepted.length === 0 ? [{ task: task.id, composite: false, value: undefined }] : accepted.map((attempt) => ({ task: task.id, composite: false, value: attempt.awardId }))
  })
  const progress = read.body.tasks.flatMap((task) => task.attempts.filter((attempt) => attempt.outcome === 'accepted').flatMap((attempt) => attempt.endedAtWallMs ?? []))
  history.read(mission, { ...read, tasks, rootless: true, progressWallMs: progress })
  return true
}

async function readTree(history: History, mission: MissionHistory, id: string, at: BridgeAddress): Promise<void> {
  const read = await timed<TreeDocument>(mission, at, `/v1/missions/${id}/tasks`)
  if (read === undefined) return
  history.read(mission, { ...read, tasks: sightingsIn(read.body) })
}

/** A tree says that a task was accepted, not as which award. */
export function sightingsIn(root: TreeDocument): TaskSighting[] {
  return [{ task: root.id, composite: root.kind === 'composite', value: root.state === 'accepted' ? something : undefined }, ...root.children.flatMap(sightingsIn)]
}

/** Its state, its owner, who keeps its log. */
export async function readMission(history: History, mission: MissionHistory, id: string, at: BridgeAddress): Promise<boolean> {
  const read = await timed<MissionDocument>(mission, at, `/v1/missions/${id}`)
  if (read === undefined) return false
  mission.owner = read.body.owner
  mission.members = (read.body.members ?? []).filter(({ votes }) => votes).map(({ peer }) => peer)
  if (endStates.has(read.body.state)) history.ended(mission, read.body.state, read.returnedMs)
  else if (mission.endedMs === undefined) mission.state = read.body.state
  return true
}

async function timed<T>(mission: MissionHistory, at: BridgeAddress, path: string): Promise<(Pick<ReadOfMission, 'invokedMs' | 'returnedMs' | 'by'> & { body: T }) | undefined> {
  const invokedMs = nowMs()
  const answer = await ask<T>(at, { path, timeoutMs: readTimeoutMs })
  if (answer.kind === 'answer' && answer.status === 404) mission.denials += 1
  if (answer.kind === 'unknown' || answer.status !== 200) return undefined
  return { invokedMs, returnedMs: nowMs(), by: at.name, body: answer.body }
}

export interface ReadersInit {
  readonly history: History
  readonly random: Random
  readonly bridges: () => readonly BridgeAddress[]
  readonly count: number
  readonly everyMs: number
}

/** @returns what ends them. */
export function startReaders({ history, random, bridges, count, everyMs }: ReadersInit): () => Promise<void> {
  let stopped = false
  let turn = 0
  const loop = async (): Promise<void> => {
    while (!stopped) {
      const open = history.inFlight()
      const mission = open[(turn += 1) % (open.length || 1)]
      const known = bridges()
      const at = known[random.below(known.length || 1)]
      const [id] = mission?.ids ?? []
      if (mission !== undefined && id !== undefined && at !== undefined) {
        const kind = random.below(4)
        if (kind === 0) await readMission(history, mission, id, at)
        else if (kind === 1) await readTree(history, mission, id, at)
        else await readAwards(history, mission, id, at)
      }
      await sleep(everyMs)
    }
  }
  const loops = Array.from({ length: count }, loop)
  return async () => {
    stopped = true
    await Promise.allSettled(loops)
  }
}
