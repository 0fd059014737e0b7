/** T6, S16: whose money a task draws on, and what becomes of what was set aside. */
import { describe, expect, it } from 'vitest'
import { judgeEvent } from '../../../protocols/tasking/append-rules.ts'
import { applyEvent } from '../../../protocols/tasking/mission-state.ts'
import type { MissionEvent, TaskSpec } from '../../../protocols/tasking/schema.ts'
import { balanceOf, isAffordable, purseOf, setAsideNext, type Purse } from '../../../protocols/tasking/spending.ts'
import { accepted, awarded, ended, fold, id, planned, spec, taskIn } from './histories.ts'

const withBudget = (path: string, budgetUsd: number, kind: 'leaf' | 'composite' = 'leaf'): TaskSpec => ({ ...spec(path, kind), budgetUsd })
const award = (path: string, setAsideUsd: number, attempt = 1): MissionEvent => {
  const event = awarded(path, attempt)
  return { ...event, award: { ...event.award, setAsideUsd } }
}
const costing = <Event extends MissionEvent>(event: Event, costUsd: number): Event => ({ ...event, costUsd })
const refused = expect.objectContaining({ code: 'over-limit' }) as unknown

describe('a purse', () => {
  const mission = fold(planned('root', withBudget('root/a', 0.5, 'composite'), spec('root/b', 'composite')), planned('root/a', spec('root/a/x', 'composite'), withBudget('root/a/y', 0.2, 'composite')), planned('root/a/y', spec('root/a/y/z')), planned('root/a/x', spec('root/a/x/z')), planned('root/b', spec('root/b/z')))

  it('is that of the composite task above that has a budget of its own, else the mission’s', () => {
    const purses = ['root/a', 'root/b', 'root/a/x', 'root/a/y', 'root/a/x/z', 'root/a/y/z', 'root/b/z'].map((path) => purseOf(mission, id(path)))
    expect(purses).toEqual(['mission', 'mission', 'root/a', 'root/a', 'root/a', 'root/a/y', 'mission'])
  })

  it('holds its task’s budget, that of the mission its limit', () => {
    expect(balanceOf(mission, id('root/a'))).toEqual({ heldUsd: 0, budgetUsd: 0.5 })
    expect(balanceOf(mission, 'mission')).toEqual({ heldUsd: 0, budgetUsd: 1 })
    expect(balanceOf(mission, id('root/b'))).toEqual({ heldUsd: 0, budgetUsd: 0 })
  })

  it('pays what it has and nothing more; what costs nothing is paid by an empty one', () => {
    expect([isAffordable(mission, id('root/a'), 0.5), isAffordable(mission, id('root/a'), 0.51), isAffordable(mission, id('root/b'), 0), isAffordable(mission, id('root/b'), 0.01)]).toEqual([true, false, true, false])
    expect([isAffordable(mission, 'mission', 0.6, 0.4), isAffordable(mission, 'mission', 0.6, 0.41)]).toEqual([true, false])
  })
})

describe('what a leaf’s award has set aside', () => {
  const begun = (...rest: MissionEvent[]) => fold(planned('root', withBudget('root/a', 0.4)), award('root/a', 0.4), ...rest)

  it('is its bid’s price, or its budget if that is more', () => {
    const task = taskIn(fold(planned('root', withBudget('root/a', 0.4))), 'root/a')
    expect([setAsideNext(task, 0.1), setAsideNext(task, 0.7)]).toEqual([0.4, 0.7])
    expect(setAsideNext(taskIn(fold(planned('root', spec('root/a'))), 'root/a'), 0.1)).toBe(0.1)
    expect(begun().spentUsd).toBe(0.4)
  })

  it.each([
    ['refused: all of it comes back', [ended('root/a', 'refused')], 0],
    ['refused, whatever it says: all of it comes back', [costing(ended('root/a', 'refused'), 0.3)], 0],
    ['lost: all of it is spent', [ended('root/a', 'lost')], 0.4],
    ['failed without a word: all of it is spent', [ended('root/a', 'failed')], 0.4],
    ['failed at a cost: the rest comes back', [costing(ended('root/a', 'failed'), 0.125)], 0.125],
    ['failed at no cost: all of it comes back', [costing(ended('root/a', 'failed'), 0)], 0],
    ['accepted without a word: all of it is spent', [accepted('root/a')], 0.4],
    ['accepted at a cost: the rest comes back', [costing(accepted('root/a'), 0.125)], 0.125],
    ['accepted at more than it has taken: it has that and no more', [costing(accepted('root/a'), 99)], 0.4],
    ['failed at more than it has taken: it has that and no more', [costing(ended('root/a', 'failed'), 1e300)], 0.4],
  ] as const)('%s', (_what, rest, spentUsd) => {
    expect(begun(...rest).spentUsd).toBeCloseTo(spentUsd, 12)
  })

  it('adds up over its attempts, in what it has cost as well', () => {
    const mission = begun(costing(ended('root/a', 'failed'), 0.25), award('root/a', 0.4, 2), costing(accepted('root/a', 2), 0.125))
    expect([mission.spentUsd, taskIn(mission, 'root/a').costUsd]).toEqual([0.375, 0.375])
  })

  it('and lost comes back when its result comes late after all', () => {
    expect(begun(ended('root/a', 'lost'), costing(accepted('root/a'), 0.1)).spentUsd).toBeCloseTo(0.1, 12)
  })
})

describe('a composite task with a budget', () => {
  const begun = (...rest: MissionEvent[]) => fold(planned('root', withBudget('root/a', 0.8, 'composite')), award('root/a', 0.8), costing(planned('root/a', spec('root/a/x'), spec('root/a/y')), 0.1), ...rest)

  it('sets it aside once; what is below draws on it and not on the mission', () => {
    const mission = begun(award('root/a/x', 0.3))
    expect([mission.spentUsd, taskIn(mission, 'root/a').heldUsd]).toEqual([0.8, 0.4])
    expect(judgeEvent(mission, award('root/a/y', 0.4))).toBe('apply')
    expect(judgeEvent(mission, award('root/a/y', 0.41))).toEqual(refused)
  })

  it('is judged with what the same batch sets aside already, by purse', () => {
    const mission = begun()
    const also = (purse: Purse, usd: number) => judgeEvent(mission, award('root/a/y', 0.4), undefined, new Map([[purse, usd]]))
    expect([also(id('root/a'), 0.3), also(id('root/a'), 0.31), also('mission', 5)]).toEqual(['apply', refused, 'apply'])
  })

  it('by its own manager, which knows its purse, but not what is left of the mission’s', () => {
    expect(judgeEvent(begun(), award('root/a/y', 0.71), id('root/a'))).toEqual(refused)
    const other = fold(planned('root', spec('root/b', 'composite')), awarded('root/b'), planned('root/b', spec('root/b/x')))
    expect(judgeEvent(other, award('root/b/x', 5), id('root/b'))).toBe('apply')
    expect(judgeEvent(other, award('root/b/x', 5))).toEqual(refused)
  })

  it('gives back what is left of it with its result, and what it has given once it keeps', () => {
    const mission = begun(award('root/a/x', 0.3), costing(accepted('root/a/x'), 0.2), award('root/a/y', 0.3), ended('root/a/y', 'lost'), award('root/a/y', 0, 2), accepted('root/a/y', 2), costing(accepted('root/a', 1, ['root/a/x']), 0.05))
    // Its plan 0.1, a child 0.2, a lost one 0.3, its synthesis 0.05.
    expect(taskIn(mission, 'root/a').heldUsd).toBeCloseTo(0.65, 12)
    expect(mission.spentUsd).toBeCloseTo(0.65, 12)
  })

  it('awarded again sets aside nothing twice, unless the first award was refused', () => {
    const lost = begun(ended('root/a', 'lost'))
    expect(setAsideNext(taskIn(lost, 'root/a'), 0)).toBe(0)
    const again = begun(ended('root/a', 'lost'), award('root/a', 0, 2))
    expect(again.spentUsd).toBe(0.8)
    const refusedOnce = fold(planned('root', withBudget('root/a', 0.8, 'composite')), award('root/a', 0.8), ended('root/a', 'refused'))
    expect(refusedOnce.spentUsd).toBe(0)
    expect(setAsideNext(taskIn(refusedOnce, 'root/a'), 0)).toBe(0.8)
  })

  it('failed pays what its skill has spent out of it, and keeps the rest for the next attempt', () => {
    const mission = begun(costing(ended('root/a', 'failed'), 0.2))
    expect([mission.spentUsd, taskIn(mission, 'root/a').heldUsd]).toEqual([0.8, expect.closeTo(0.3, 12)])
  })

  it('whose manager says that its steps have cost more than was left has spent what was left', () => {
    const mission = begun(award('root/a/x', 0.3), costing(accepted('root/a/x'), 0.3), award('root/a/y', 0), accepted('root/a/y'), costing(accepted('root/a', 1, ['root/a/x', 'root/a/y']), 1e300))
    expect(taskIn(mission, 'root/a').heldUsd).toBeCloseTo(0.8, 12)
    expect(mission.spentUsd).toBeCloseTo(0.8, 12)
    const plan = fold(planned('root', withBudget('root/a', 0.8, 'composite')), award('root/a', 0.8), costing(planned('root/a', spec('root/a/x')), 7))
    expect(taskIn(plan, 'root/a').heldUsd).toBe(0.8)
  })
})

describe('budgets within budgets', () => {
  const nested = () => fold(planned('root', withBudget('root/a', 0.8, 'composite')), award('root/a', 0.8), planned('root/a', withBudget('root/a/b', 0.5, 'composite')))

  it('are set aside of the one above', () => {
    const mission = nested()
    applyEvent(mission, award('root/a/b', 0.5), 20)
    applyEvent(mission, planned('root/a/b', spec('root/a/b/x')), 21)
    applyEvent(mission, award('root/a/b/x', 0.4), 22)
    expect([mission.spentUsd, taskIn(mission, 'root/a').heldUsd, taskIn(mission, 'root/a/b').heldUsd]).toEqual([0.8, 0.5, 0.4])
    expect(judgeEvent(mission, award('root/a/b/y', 0.1))).toMatchObject({ code: 'unknown-task' })
  })

  it('cannot be larger than what is left there', () => {
    const mission = nested()
    applyEvent(mission, { ...planned('root/a', withBudget('root/a/c', 0.4, 'composite')), round: 1 }, 20)
    applyEvent(mission, award('root/a/b', 0.5), 21)
    expect(judgeEvent(mission, award('root/a/c', 0.4))).toEqual(refused)
  })

  it('give back level by level', () => {
    const mission = nested()
    const events = [award('root/a/b', 0.5), planned('root/a/b', spec('root/a/b/x')), award('root/a/b/x', 0.4), costing(accepted('root/a/b/x'), 0.1), costing(accepted('root/a/b', 1, ['root/a/b/x']), 0)]
    events.forEach((event, i) => applyEvent(mission, event, 20 + i))
    expect([mission.spentUsd, taskIn(mission, 'root/a').heldUsd]).toEqual([0.8, expect.closeTo(0.1, 12)])
    applyEvent(mission, costing(accepted('root/a', 1, ['root/a/b']), 0), 40)
    expect(mission.spentUsd).toBeCloseTo(0.1, 12)
  })
})
