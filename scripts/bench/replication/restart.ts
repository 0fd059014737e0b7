/** How long a node with many finished missions takes to start: their records and small archives in the store, larger archives among the blobs. */
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLevelLogStore } from '../../../node/storage/log-store-level-adapter.ts'
import type { MissionId, PeerId, Principal } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import type { EndedMission } from '../../../protocols/replicated-log/schema.ts'
import { MissionLimits, taskStates } from '../../../protocols/tasking/schema.ts'
import type { MissionView } from '../../../protocols/tasking/views.ts'
import type { Figure } from './figures.ts'
import { startNode, stopNode } from './nodes.ts'

export interface RestartOptions {
  readonly runs: number
  readonly missions: number
  /** Also a blob for each, as missions have whose archive is too large for the record. */
  readonly blobs: boolean
  say(text: string): void
}

const recordsPerBatch = 1_000

export async function restarts({ runs, missions, blobs, say }: RestartOptions): Promise<Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), 'skein-bench-restart-'))
  const dataDir = join(folder, 'node')
  const flags: readonly string[] = []
  const measured = async (): Promise<number[]> => {
    const values: number[] = []
    for (let run = 0; run < runs; run++) {
      const node = await startNode('node', dataDir, flags)
      values.push(node.readyMs)
      await stopNode(node)
    }
    return values
  }
  try {
    // The first start makes the identity and the mesh key.
    await stopNode(await startNode('node', dataDir, flags))
    say('restart: without finished missions')
    const empty = await measured()
    say(`restart: writing ${missions.toLocaleString('en-US')} finished missions`)
    await fillStore(join(dataDir, 'log'), missions)
    say('restart: with them')
    const recorded = await measured()
    const figures: Figure[] = [
      { name: 'started, ready, no finished missions', unit: 'ms', values: empty },
      { name: `the same with ${missions.toLocaleString('en-US')} finished missions`, unit: 'ms', values: recorded },
    ]
    if (blobs) {
      say('restart: writing a blob for each')
      await fillBlobs(join(dataDir, 'blobs'), missions)
      say('restart: with the blobs')
      figures.push({ name: `the same with ${missions.toLocaleString('en-US')} finished missions and a blob of each`, unit: 'ms', values: await measured() })
    }
    return figures
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** As large as the archive of a mission of a few tasks. */
function archiveOf(number: number): { readonly bench: number; readonly filler: string } {
  return { bench: number, filler: 'x'.repeat(1_500) }
}

/** What a node keeps of a mission that ended so many seconds ago as its number says. */
export function endedMission(number: number, nowMs: number): EndedMission {
  const missionId = `m-bench000-${String(number).padStart(12, '0')}` as MissionId
  const endedAtWallMs = nowMs - number * 1_000
  const owner = '12D3KooWBenchBenchBenchBenchBenchBenchBenchBenchBench' as PeerId
  const view: MissionView = {
    id: missionId, name: `bench ${number}`, state: 'completed', principal: 'local' as Principal, owner, ownerName: 'bench', priority: 5, acknowledgement: 'quorum', limits: MissionLimits.parse({}),
    submittedAtWallMs: endedAtWallMs - 5_000, endedAtWallMs, tasks: countsOf(4), leaves: 4, spentUsd: 0, lastIndex: 20,
  }
  return { missionId, endedAtWallMs, keptUntilWallMs: endedAtWallMs + limits.archiveKeptMs, archive: { inline: archiveOf(number) }, cites: [], members: [owner], view }
}

function countsOf(accepted: number): MissionView['tasks'] {
  return { ...Object.fromEntries(taskStates.map((state) => [state, 0])), accepted } as MissionView['tasks']
}

/**
 * @param missionOf the record of each, of which the first ended last.
 * @throws Error when the store does not give back what was written: a start without it would be measured as fast.
 */
export async function fillStore(directory: string, missions: number, missionOf = endedMission): Promise<void> {
  const store = await openLevelLogStore(directory)
  try {
    const nowMs = Date.now()
    for (let first = 0; first < missions; first += recordsPerBatch) {
      const ended = Array.from({ length: Math.min(recordsPerBatch, missions - first) }, (_, offset) => missionOf(first + offset, nowMs))
      await store.write({ writes: [], ended })
    }
    const [newest] = await store.ended(nowMs + 1, 1)
    if (newest?.missionId !== missionOf(0, nowMs).missionId) throw new Error(`the store lists ${newest?.missionId ?? 'no mission'} as the newest of those that were written`)
  } finally {
    await store.close()
  }
}

/** Written without a sync each: it is the start that is measured. */
async function fillBlobs(directory: string, missions: number): Promise<void> {
  for (let byte = 0; byte < 256; byte++) await mkdir(join(directory, byte.toString(16).padStart(2, '0')), { recursive: true })
  for (let first = 0; first < missions; first += recordsPerBatch) {
    await Promise.all(Array.from({ length: Math.min(recordsPerBatch, missions - first) }, async (_, offset) => {
      const content = JSON.stringify(archiveOf(first + offset))
      const digest = createHash('sha256').update(content).digest('hex')
      await writeFile(join(directory, digest.slice(0, 2), digest.slice(2)), content)
    }))
  }
}
