import { availableParallelism } from 'node:os'
import { expect, it } from 'vitest'
import { createThreadPool, type SkillThread, type ThreadUser } from '../../../node/skills/thread-pool.ts'
import { until } from './conditions.ts'

const MiB = 1024 * 1024
const most = 8 * availableParallelism()
const user: ThreadUser = { onMessage: () => undefined, onEnd: () => undefined }

/** Asks for so many threads at once. */
function burstOf(count: number, idleMax: number) {
  const pool = createThreadPool(idleMax)
  const given: SkillThread[] = []
  const giveUps = Array.from({ length: count }, () => pool.acquire(16 * MiB, user, (thread) => given.push(thread)))
  return { pool, given, giveUps }
}

it('a burst begins only a few threads at a time, and everybody gets one', async () => {
  const { pool, given } = burstOf(most + 3, most + 3)
  expect(given).toHaveLength(most)
  await until(() => given.length === most + 3)
  expect(new Set(given).size).toBe(most + 3)
  await pool.close()
})

it('who waits gets a thread that another gives back, in the order in which they came', async () => {
  const pool = createThreadPool(1)
  const order: string[] = []
  const threads: SkillThread[] = []
  for (let i = 0; i < most; i++) pool.acquire(16 * MiB, user, (thread) => threads.push(thread))
  const [first] = threads
  if (first === undefined) throw new Error('no thread was begun')
  pool.acquire(16 * MiB, user, (thread) => order.push(thread === first ? 'one: the same' : 'one: another'))
  pool.acquire(16 * MiB, user, (thread) => order.push(thread === first ? 'two: the same' : 'two: another'))
  expect(order).toEqual([])
  pool.release(first)
  expect(order).toEqual(['one: the same'])
  pool.release(first)
  expect(order).toEqual(['one: the same', 'two: the same'])
  await pool.close()
})

it('who gave up waiting gets none', async () => {
  const { pool, given, giveUps } = burstOf(most + 2, 0)
  for (const giveUp of giveUps) giveUp()
  const [first] = given
  if (first !== undefined) pool.release(first)
  await Promise.all(given.slice(1).map((thread) => thread.end()))
  expect(given).toHaveLength(most)
  await pool.close()
})
