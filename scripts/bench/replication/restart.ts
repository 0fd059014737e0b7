/** How long a node with many finished missions takes to start: their records in the store, their archives among the blobs. */
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLevelLogStore } from '../../../node/storage/log-store-level-adapter.ts'
import type { Digest, MissionId, Principal } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import type { EndedMission } from '../../../protocols/replicated-log/schema.ts'
import type { Figure } from './figures.ts'
import { startNode, stopNode } from './nodes.ts'

export interface RestartOptions {
  readonly runs: number
  readonly missions: number
  /** Also a blob for each archive, as a real node has it. */
  readonly archives: boolean
  say(text: string): void
}

const recordsPerBatch = 1_000

export async function restarts({ runs, missions, archives, say }: RestartOptions): Promise<Figure[]> {
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
    say('restart: with their records')
    const recorded = await measured()
    const figures: Figure[] = [
      { name: 'started, ready, no finished missions', unit: 'ms', values: empty },
      { name: `the same with ${missions.toLocaleString('en-US')} finished missions, records only`, unit: 'ms', values: recorded },
    ]
    if (archives) {
      say('restart: writing their archives')
      await fillBlobs(join(dataDir, 'blobs'), missions)
      say('restart: with their archives')
      figures.push({ name: `the same with ${missions.toLocaleString('en-US')} finished missions and their archives`, unit: 'ms', values: await measured() })
    }
    return figures
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function archiveOf(number: number): { readonly digest: Digest; readonly content: Buffer } {
  const content = Buffer.from(JSON.stringify({ bench: number, filler: 'x'.repeat(1_500) }))
  return { digest: createHash('sha256').update(content).digest('hex') as Digest, content }
}

async function fillStore(directory: string, missions: number): Promise<void> {
  const store = await openLevelLogStore(directory)
  try {
    const nowMs = Date.now()
    for (let first = 0; first < missions; first += recordsPerBatch) {
      const ended = Array.from({ length: Math.min(recordsPerBatch, missions - first) }, (_, offset): EndedMission => {
        const number = first + offset
        const { digest, content } = archiveOf(number)
        const endedAtWallMs = nowMs - number * 1_000
        return {
          missionId: `m-bench000-${String(number).padStart(12, '0')}` as MissionId, name: `bench ${number}`, principal: 'local' as Principal, state: 'completed',
          submittedAtWallMs: endedAtWallMs - 5_000, endedAtWallMs, keptUntilWallMs: endedAtWallMs + limits.archiveKeptMs, archive: { $blob: digest, sizeBytes: content.byteLength, mediaType: 'application/json' },
        }
      })
      await store.write({ writes: [], ended })
    }
  } finally {
    await store.close()
  }
}

/** Written without a sync each: it is the start that is measured. */
async function fillBlobs(directory: string, missions: number): Promise<void> {
  for (let byte = 0; byte < 256; byte++) await mkdir(join(directory, byte.toString(16).padStart(2, '0')), { recursive: true })
  for (let first = 0; first < missions; first += recordsPerBatch) {
    await Promise.all(Array.from({ length: Math.min(recordsPerBatch, missions - first) }, async (_, offset) => {
      const { digest, content } = archiveOf(first + offset)
      await writeFile(join(directory, digest.slice(0, 2), digest.slice(2)), content)
    }))
  }
}
