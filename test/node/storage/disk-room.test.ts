import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type DiskReserve, openDiskReserve } from '../../../node/storage/disk-room.ts'
import { limits } from '../../../protocols/kernel/limits.ts'

describe('room on the disk', () => {
  let folder: string
  let free: number
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'skein-room-'))
    free = 1_000_000
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))
  const path = (): string => join(folder, 'reserve')
  const open = (): Promise<DiskReserve> => openDiskReserve({ path: path(), reserveBytes: 10_000, lowBytes: 50_000, freeBytes: async () => free })
  const reserved = (): Promise<number> => stat(path()).then(({ size, blocks }) => (blocks * 512 >= size ? size : -1), () => 0)

  it('is kept back in a file that takes it really', async () => {
    const reserve = await open()
    expect([await reserve.room(), await reserved()]).toEqual(['enough', 10_000])
  })

  it('runs low, is given up when it is full, and kept back again when there is more', async () => {
    const reserve = await open()
    free = 49_999
    expect(await reserve.room()).toBe('low')
    await reserve.giveUp()
    expect(await reserved()).toBe(0)
    free = 9_999
    expect([await reserve.room(), await reserved()]).toEqual(['full', 0])
    free = 59_999
    expect([await reserve.room(), await reserved()]).toEqual(['low', 0])
    free = 60_000
    expect([await reserve.room(), await reserved()]).toEqual(['enough', 10_000])
  })

  it('is not kept back on a disk that is nearly full at first, and found again later', async () => {
    free = 100
    expect([await (await open()).room(), await reserved()]).toEqual(['full', 0])
    free = 1_000_000
    await open()
    free = 100
    expect([await (await open()).room(), await reserved()]).toEqual(['low', 10_000])
  })

  it('is measured where the file is', async () => {
    const reserve = await openDiskReserve({ path: path(), reserveBytes: 1, lowBytes: 1 })
    expect(await reserve.room()).toBe('enough')
    expect(limits.diskReserveBytes).toBeLessThan(limits.diskLowBytes)
  })
})
