import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openLevelLogStore } from '../../node/storage/log-store-level-adapter.ts'
import { EndedMission } from '../../protocols/replicated-log/schema.ts'
import { fillWithTasks, tasksPerMission } from '../../scripts/bench/tasks/finished-tasks.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skein-finished-tasks-'))
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

it('finished tasks are archives that a node would have written, the same on every node', async () => {
  const [first, second] = [join(folder, 'first'), join(folder, 'second')]
  for (const dataDir of [first, second]) mkdirSync(dataDir)
  await fillWithTasks(first, 2 * tasksPerMission + 1)
  await fillWithTasks(second, 2 * tasksPerMission + 1, first)
  for (const dataDir of [first, second]) {
    const store = await openLevelLogStore(join(dataDir, 'log'))
    try {
      const ended = await store.ended(Date.now() + 1, 10)
      expect(ended).toHaveLength(3)
      for (const mission of ended.map((one) => EndedMission.parse(one))) {
        expect(mission.view).toMatchObject({ tasks: { accepted: tasksPerMission } })
        if (!('blob' in mission.archive)) throw new Error('an archive of a thousand tasks is no blob')
        const { $blob: digest, sizeBytes } = mission.archive.blob
        const file = join(dataDir, 'blobs', digest.slice(0, 2), digest.slice(2))
        expect(statSync(file).size).toBe(sizeBytes)
        expect(createHash('sha256').update(readFileSync(file)).digest('hex')).toBe(digest)
      }
    } finally {
      await store.close()
    }
  }
})
