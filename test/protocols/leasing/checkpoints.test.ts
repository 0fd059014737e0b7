import { describe, expect, it } from 'vitest'
import type { AwardId } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { checkpointDue, checkpointHeard, newCheckpoints, publish, sayCheckpointAgain } from '../../../protocols/leasing/checkpoints.ts'

const awardId = 'm:root/t#1@1.1' as AwardId
const gapMs = limits.checkpointGapMs
const of = (step: number) => ({ inline: { step } })

describe('the checkpoints of a holder', () => {
  it('are sent at once, then the newest at most once per gap', () => {
    const checkpoints = newCheckpoints(awardId, undefined)
    expect(checkpointDue(checkpoints, 0)).toBeUndefined()
    publish(checkpoints, of(1))
    expect(checkpointDue(checkpoints, 0)).toEqual({ kind: 'checkpoint', awardId, number: 1, checkpoint: of(1) })
    publish(checkpoints, of(2))
    publish(checkpoints, of(3))
    expect(checkpointDue(checkpoints, gapMs - 1)).toBeUndefined()
    expect(checkpointDue(checkpoints, gapMs)).toMatchObject({ number: 3, checkpoint: of(3) })
  })

  it('are sent again until they are heard, and no older one settles a newer one', () => {
    const checkpoints = newCheckpoints(awardId, undefined)
    publish(checkpoints, of(1))
    checkpointDue(checkpoints, 0)
    expect(checkpointDue(checkpoints, gapMs)).toMatchObject({ number: 1 })
    publish(checkpoints, of(2))
    checkpointHeard(checkpoints, 1)
    expect(checkpointDue(checkpoints, 2 * gapMs)).toMatchObject({ number: 2 })
    checkpointHeard(checkpoints, 7)
    expect(checkpointDue(checkpoints, 3 * gapMs), 'nobody heard what was not said').toMatchObject({ number: 2 })
    checkpointHeard(checkpoints, 2)
    checkpointHeard(checkpoints, 1)
    expect(checkpointDue(checkpoints, 4 * gapMs)).toBeUndefined()
    expect(checkpointDue(checkpoints, 4 * gapMs, true)).toBeUndefined()
  })

  it('are due at once to another manager, and at the end', () => {
    const checkpoints = newCheckpoints(awardId, undefined)
    publish(checkpoints, of(1))
    checkpointDue(checkpoints, 0)
    sayCheckpointAgain(checkpoints)
    expect(checkpointDue(checkpoints, 1)).toMatchObject({ number: 1 })
    expect(checkpointDue(checkpoints, 2)).toBeUndefined()
    expect(checkpointDue(checkpoints, 2, true)).toMatchObject({ number: 1 })
  })

  it('that say what the last one or the attempt before has said are none', () => {
    const checkpoints = newCheckpoints(awardId, of(4))
    publish(checkpoints, of(4))
    expect(checkpointDue(checkpoints, 0, true)).toBeUndefined()
    publish(checkpoints, of(5))
    publish(checkpoints, of(5))
    expect(checkpointDue(checkpoints, 0)).toMatchObject({ number: 1 })
  })
})
