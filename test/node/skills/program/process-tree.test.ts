import { describe, expect, it } from 'vitest'
import { parseProcStat, parsePs, readProcessTree, treeOf } from '../../../../node/skills/program/process-tree.ts'

describe('process tree', () => {
  it('reads a line of /proc/PID/stat whose name holds spaces and parentheses', () => {
    const line = '4242 (a (b) c) S 1 4242 4242 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 100 1000000 250 18446744073709551615 1 1 0'
    expect(parseProcStat(line, 4096)).toEqual({ pid: 4242, state: 'S', parentPid: 1, groupId: 4242, memoryBytes: 250 * 4096 })
    expect(parseProcStat('garbage', 4096)).toBeUndefined()
  })

  it('reads ps', () => {
    expect(parsePs('  10     1    10 Ss   2048\n  11    10    10 R+     16\n\n')).toEqual([
      { pid: 10, parentPid: 1, groupId: 10, state: 'S', memoryBytes: 2048 * 1024 },
      { pid: 11, parentPid: 10, groupId: 10, state: 'R', memoryBytes: 16 * 1024 },
    ])
  })

  it('takes descendants, and the orphans that stayed in the group', () => {
    const reading = (pid: number, parentPid: number, groupId: number) => ({ pid, parentPid, groupId, state: 'S', memoryBytes: 1 })
    const all = [reading(1, 0, 1), reading(10, 1, 10), reading(11, 10, 10), reading(12, 11, 12), reading(13, 1, 10), reading(20, 1, 20)]
    expect(treeOf(all, 10).map(({ pid }) => pid).sort()).toEqual([10, 11, 12, 13])
  })

  it('finds this very process and about its memory', async () => {
    const own = (await readProcessTree(process.pid)).find(({ pid }) => pid === process.pid)
    expect(own?.parentPid).toBe(process.ppid)
    expect(own?.memoryBytes).toBeGreaterThan(process.memoryUsage.rss() / 3)
    expect(own?.memoryBytes).toBeLessThan(process.memoryUsage.rss() * 3)
  })
})
