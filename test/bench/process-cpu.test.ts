import { describe, expect, it } from 'vitest'
import { cpuDuring, cpuMicrosIn, cpuMicrosOf } from '../../scripts/bench/process-cpu.ts'

describe('the processor time of a process', () => {
  it('is its user and system time, whatever its name', () => {
    expect(cpuMicrosIn('42 (a (b) c) S 1 42 42 0 -1 4194560 100 0 0 0 25 7 3 3 20 0 11 0 100 200 300')).toBe(320_000)
  })

  it('grows with what it does', async (context) => {
    if (process.platform !== 'linux') context.skip('needs /proc')
    const { value, micros } = await cpuDuring([{ name: 'this one', pid: process.pid }], async () => {
      const before = process.cpuUsage()
      let used: NodeJS.CpuUsage
      do used = process.cpuUsage(before)
      while (used.user + used.system < 100_000)
      return 'done'
    })
    expect(value).toBe('done')
    expect(micros.get('this one')).toBeGreaterThanOrEqual(80_000)
  })

  it('is not known of a process that is gone', async () => {
    expect(cpuMicrosOf(2 ** 30)).toBeNaN()
    expect((await cpuDuring([{ name: 'gone', pid: 2 ** 30 }], () => Promise.resolve())).micros.get('gone')).toBeNaN()
  })
})
