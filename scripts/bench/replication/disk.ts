/** What no log on this disk can be faster than: a sync by itself, and LevelDB's synced batches by themselves. */
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Level } from 'level'

/** As large as an entry of a mission's log. */
const recordBytes = 300

/** Milliseconds of single appends, each with its fdatasync. */
export async function syncTimes(directory: string, count: number): Promise<number[]> {
  const path = join(directory, 'sync-probe')
  const file = await open(path, 'w')
  try {
    const record = Buffer.alloc(recordBytes, 7)
    const times: number[] = []
    for (let done = 0; done < count; done++) {
      const startedAtMs = performance.now()
      await file.write(record)
      await file.datasync()
      times.push(performance.now() - startedAtMs)
    }
    return times
  } finally {
    await file.close()
    await rm(path)
  }
}

/** Records per second that LevelDB takes in synced batches of so many, one batch after the other. */
export async function levelRate(directory: string, batchRecords: number, seconds: number): Promise<number> {
  const path = join(directory, 'level-probe')
  const database = new Level<string, Uint8Array>(path, { keyEncoding: 'utf8', valueEncoding: 'view' })
  await database.open()
  try {
    const value = new Uint8Array(recordBytes).fill(7)
    const untilMs = performance.now() + seconds * 1_000
    let records = 0
    const startedAtMs = performance.now()
    while (performance.now() < untilMs) {
      await database.batch(Array.from({ length: batchRecords }, () => ({ type: 'put' as const, key: String(records++).padStart(16, '0'), value })), { sync: true })
    }
    return records / ((performance.now() - startedAtMs) / 1_000)
  } finally {
    await database.close()
    await rm(path, { recursive: true, force: true })
  }
}
