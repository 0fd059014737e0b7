import { describe, expect, it } from 'vitest'
import { chaos } from './raft-chaos.ts'

describe('members of one log under any trouble', () => {
  // 6 s on an idle core; the limit is for busy ones.
  it('lose nothing, never disagree, answer nothing stale, and go on when the trouble is over', () => {
    const seen = { elections: 0, settledAppends: 0, settledReads: 0, installs: 0 }
    for (let seed = 1; seed <= 300; seed++) {
      try {
        const cluster = chaos(seed)
        for (const what of ['elections', 'settledAppends', 'settledReads', 'installs'] as const) seen[what] += cluster[what]
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
      }
    }
    expect(seen.elections).toBeGreaterThan(1_000)
    expect(seen.settledAppends).toBeGreaterThan(5_000)
    expect(seen.settledReads).toBeGreaterThan(2_000)
    expect(seen.installs).toBeGreaterThan(100)
  }, 120_000)
})
