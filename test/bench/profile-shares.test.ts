import { describe, expect, it } from 'vitest'
import { type CpuProfile, shareOfFiles, shareOfFunctions } from '../../scripts/bench/profile/shares.ts'
import { repositoryRoot } from '../../scripts/bench/table.ts'

const frame = (functionName: string, url = '', lineNumber = 0) => ({ functionName, url, lineNumber })
const own = `file://${repositoryRoot}/node/main.ts`
const packaged = `file://${repositoryRoot}/node_modules/@libp2p/noise/dist/src/noise.js`

/** root → outer → (inner → outer), idle; a sample each second. */
const profile: CpuProfile = {
  nodes: [
    { id: 1, callFrame: frame('(root)'), children: [2, 5] },
    { id: 2, callFrame: frame('outer', own, 9), children: [3] },
    { id: 3, callFrame: frame('inner', packaged, 4), children: [4] },
    { id: 4, callFrame: frame('outer', own, 9) },
    { id: 5, callFrame: frame('(idle)') },
  ],
  samples: [2, 3, 4, 4, 5, 5],
  timeDeltas: [1e6, 1e6, 1e6, 1e6, 1e6, 1e6],
}

describe('a profile of processor time', () => {
  it('is shared out among functions, by themselves and with what they call, without what was idle', () => {
    const { busyMs, functions } = shareOfFunctions(profile)
    expect(busyMs).toBe(4_000)
    expect(functions).toEqual([
      { name: 'outer', where: 'node/main.ts:10', file: 'node/main.ts', self: 0.75, total: 1 },
      { name: 'inner', where: 'node_modules/@libp2p/noise/dist/src/noise.js:5', file: 'node_modules/@libp2p/noise/dist/src/noise.js', self: 0.25, total: 0.75 },
    ])
  })

  it('is shared out among files and packages', () => {
    expect(shareOfFiles(shareOfFunctions(profile).functions)).toEqual([{ file: 'node/main.ts', self: 0.75 }, { file: '@libp2p/noise', self: 0.25 }])
  })

  it('is read from one second to another', () => {
    const { busyMs, functions } = shareOfFunctions(profile, { fromS: 1.5, toS: 2.5 })
    expect(busyMs).toBe(1_000)
    expect(functions.map(({ name, self }) => [name, self])).toEqual([['inner', 1], ['outer', 0]])
  })
})
