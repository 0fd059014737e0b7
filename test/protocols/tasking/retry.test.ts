import { describe, expect, it } from 'vitest'
import { fault } from '../../../protocols/kernel/errors.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { decideRetry } from '../../../protocols/tasking/retry.ts'
import { RetryPolicy } from '../../../protocols/tasking/schema.ts'

const policy = RetryPolicy.parse({})
const broke = fault('skill-failed', 'it broke')

describe('after an attempt', () => {
  it('that failed: again after 1 s, 2 s, 4 s, then it is poison', () => {
    const decisions = [1, 2, 3, 4, 5].map((failures) => decideRetry(policy, 'failed', broke, failures, 0))
    expect(decisions.slice(0, 3)).toEqual([{ retry: true, inMs: 1_000 }, { retry: true, inMs: 2_000 }, { retry: true, inMs: 4_000 }])
    expect(decisions[3]).toEqual({ retry: false, reason: 'failed 4 times, last: it broke' })
    expect(decisions[4]).toMatchObject({ retry: false })
  })

  it('that failed for good: never again', () => {
    expect(decideRetry(policy, 'failed', fault('bad-input', 'no such field'), 1, 0)).toEqual({ retry: false, reason: 'no such field' })
  })

  it('whose worker was lost: at once, as often as there are workers to lose', () => {
    for (let losses = 1; losses < limits.lostWorkersMax; losses++) expect(decideRetry(policy, 'lost', fault('lost-worker', 'gone'), 3, losses)).toEqual({ retry: true, inMs: 0 })
    expect(decideRetry(policy, 'lost', fault('lost-worker', 'gone'), 0, limits.lostWorkersMax)).toMatchObject({ retry: false, reason: expect.stringContaining(`${limits.lostWorkersMax} workers were lost`) })
  })

  it('that was refused: at once, and it costs nothing', () => {
    expect(decideRetry(policy, 'refused', fault('overloaded', 'busy'), 99, 99)).toEqual({ retry: true, inMs: 0 })
  })

  it('as the plan says, when it says something', () => {
    const own = RetryPolicy.parse({ attemptsMax: 2, backoffMs: 10_000 })
    expect(decideRetry(own, 'failed', broke, 1, 0)).toEqual({ retry: true, inMs: 10_000 })
    expect(decideRetry(own, 'failed', broke, 2, 0)).toMatchObject({ retry: false })
    expect(decideRetry(RetryPolicy.parse({ attemptsMax: 20, backoffMs: 0 }), 'failed', broke, 19, 0)).toEqual({ retry: true, inMs: 0 })
    expect(decideRetry(RetryPolicy.parse({ attemptsMax: 20 }), 'failed', broke, 15, 0)).toEqual({ retry: true, inMs: limits.retryBackoffMsMax })
  })
})
