import { describe, expect, it } from 'vitest'
import type { PeerId } from '../../../protocols/kernel/ids.ts'
import { isWithin, judgeEvent } from '../../../protocols/tasking/append-rules.ts'
import { applyEvent } from '../../../protocols/tasking/mission-state.ts'
import type { MissionEvent } from '../../../protocols/tasking/schema.ts'
import { sampleEvents } from '../../../scripts/wire-samples.ts'
import { accepted, awarded, dead, ended, fold, id, planned, spec } from './histories.ts'

const tree = () => fold(planned('root', spec('root/a'), spec('root/b'), spec('root/c', 'composite')))
const refused = (code: string, detail: string) => expect.objectContaining({ code, detail: expect.stringContaining(detail) }) as unknown

describe('S5: nothing is appended under a fenced epoch', () => {
  const takeover = (lineage: number, term: number): MissionEvent => ({ type: 'took-over', atWallMs: 1, epoch: { lineage, term }, owner: 'next' as PeerId })

  it('an owner takes over with a higher epoch only', () => {
    const mission = tree()
    applyEvent(mission, takeover(1, 3), 10)
    for (const [lineage, term] of [[1, 1], [1, 2], [1, 3]] as const) expect(judgeEvent(mission, takeover(lineage, term))).toEqual(refused('fenced', 'newer owner'))
    expect(judgeEvent(mission, takeover(1, 4))).toBe('apply')
    applyEvent(mission, takeover(2, 1), 11)
    expect(judgeEvent(mission, takeover(1, 99))).toEqual(refused('fenced', 'newer owner'))
  })

  it('no award is of an epoch that has not begun', () => {
    expect(judgeEvent(tree(), awarded('root/a', 1, { epoch: { lineage: 1, term: 2 } }))).toEqual(refused('fenced', 'does not exist yet'))
  })

  it('the root is never awarded: who owns the mission has it', () => {
    expect(judgeEvent(tree(), awarded('root'))).toEqual(refused('wrong-state', 'the root is not awarded'))
  })

  it('the root is accepted under its owner’s own epoch', () => {
    const mission = fold(planned('root'))
    applyEvent(mission, takeover(1, 2), 10)
    expect(judgeEvent(mission, accepted('root'))).toEqual(refused('fenced', 'newer owner'))
  })
})

describe('S7, S8: one accepted result per task, under a committed award', () => {
  it('there is none without an award', () => {
    expect(judgeEvent(tree(), accepted('root/a'))).toEqual(refused('wrong-state', 'newest award'))
    expect(judgeEvent(tree(), accepted('root/missing'))).toEqual(refused('unknown-task', 'root/missing'))
  })

  it('of two awards the newest counts', () => {
    const mission = fold(planned('root', spec('root/a')), awarded('root/a'), ended('root/a', 'lost'), awarded('root/a', 2))
    expect(judgeEvent(mission, accepted('root/a', 1))).toEqual(refused('wrong-state', 'newest award'))
    expect(judgeEvent(mission, accepted('root/a', 2))).toBe('apply')
  })

  it('a lost worker’s late result is taken while nothing newer was committed; a refused or failed award has none', () => {
    const late = (outcome: 'lost' | 'refused' | 'failed') => judgeEvent(fold(planned('root', spec('root/a')), awarded('root/a'), ended('root/a', outcome)), accepted('root/a'))
    expect(late('lost')).toBe('apply')
    expect(late('refused')).toEqual(refused('wrong-state', 'has ended: refused'))
    expect(late('failed')).toEqual(refused('wrong-state', 'has ended: failed'))
  })

  it('a repeated result is known already, a second one is refused', () => {
    const mission = fold(planned('root', spec('root/a')), awarded('root/a'), ended('root/a', 'lost'), awarded('root/a', 2), accepted('root/a', 2))
    expect(judgeEvent(mission, accepted('root/a', 2))).toBe('already')
    expect(judgeEvent(mission, accepted('root/a', 1))).toEqual(refused('wrong-state', 'accepted result already'))
  })
})

describe('S9: one live award per task', () => {
  it('the next comes once the last has ended', () => {
    const mission = fold(planned('root', spec('root/a')), awarded('root/a'))
    expect(judgeEvent(mission, awarded('root/a'))).toBe('already')
    expect(judgeEvent(mission, awarded('root/a', 2))).toEqual(refused('wrong-state', 'live award'))
    applyEvent(mission, ended('root/a', 'lost'), 10)
    expect(judgeEvent(mission, awarded('root/a'))).toBe('already')
    expect(judgeEvent(mission, awarded('root/a', 2))).toBe('apply')
  })

  it('an award ends once', () => {
    const mission = fold(planned('root', spec('root/a')), awarded('root/a'), ended('root/a', 'failed'))
    expect(judgeEvent(mission, ended('root/a', 'lost'))).toBe('already')
    expect(judgeEvent(mission, ended('root/a', 'lost', 2))).toEqual(refused('wrong-state', 'there is no award'))
  })
})

describe('S11: a synthesis cites exactly its accepted children', () => {
  const done = () => fold(planned('root', spec('root/a'), spec('root/b', 'leaf', true)), awarded('root/a'), accepted('root/a'), dead('root/b'))

  it('all of them, and no other award', () => {
    expect(judgeEvent(done(), accepted('root', 1, ['root/a']))).toBe('apply')
    expect(judgeEvent(done(), accepted('root', 1, []))).toEqual(refused('wrong-state', 'does not cite'))
    expect(judgeEvent(done(), accepted('root', 1, ['root/a', 'root/b']))).toEqual(refused('wrong-state', 'not an accepted child'))
  })

  it('and comes when none of them is open', () => {
    expect(judgeEvent(fold(planned('root', spec('root/a'), spec('root/b')), awarded('root/a'), accepted('root/a')), accepted('root', 1, ['root/a']))).toEqual(refused('wrong-state', 'root/b has not ended'))
  })

  it('as its own manager and the owner see it: a manager above hears nothing of what the children of its children did', () => {
    const above = fold(planned('root', spec('root/c', 'composite')), awarded('root/c'))
    const synthesis = accepted('root/c', 1, ['root/c/d'])
    expect(judgeEvent(above, synthesis)).toEqual(refused('wrong-state', 'not an accepted child'))
    expect(judgeEvent(above, synthesis, accepted('root/c').taskId)).toEqual(refused('wrong-state', 'not an accepted child'))
    expect(judgeEvent(above, synthesis, accepted('root').taskId)).toBe('apply')
  })

  it('a leaf cites nothing', () => {
    expect(judgeEvent(fold(planned('root', spec('root/a'), spec('root/b')), awarded('root/a'), accepted('root/a'), awarded('root/b')), accepted('root/b', 1, ['root/a']))).toEqual(refused('wrong-state', 'not an accepted child'))
  })
})

describe('S16: awards set their price aside', () => {
  const priced = (path: string, attempt: number, priceUsd: number) => awarded(path, attempt, { priceUsd })

  it('so that two that run at once cannot spend the same budget', () => {
    const mission = fold(planned('root', spec('root/a'), spec('root/b')), priced('root/a', 1, 0.6))
    expect(mission.spentUsd).toBe(0.6)
    expect(judgeEvent(mission, priced('root/b', 1, 0.6))).toEqual(refused('over-limit', 'over what is left of 1 USD'))
    expect(judgeEvent(mission, priced('root/b', 1, 0.4))).toBe('apply')
  })

  it('and only a refused one gives it back: what was lost, failed or cancelled counts as spent', () => {
    for (const [outcome, spentUsd] of [['refused', 0], ['lost', 0.25], ['failed', 0.25]] as const) expect(fold(planned('root', spec('root/a')), priced('root/a', 1, 0.25), ended('root/a', outcome)).spentUsd).toBe(spentUsd)
    expect(fold(planned('root', spec('root/a')), priced('root/a', 1, 0.25), { type: 'cancelled', atWallMs: 1 }).spentUsd).toBe(0.25)
  })

  it('and a result is paid once, even one that came late', () => {
    expect(fold(planned('root', spec('root/a')), priced('root/a', 1, 0.25), accepted('root/a')).spentUsd).toBe(0.25)
    expect(fold(planned('root', spec('root/a')), priced('root/a', 1, 0.25), ended('root/a', 'lost'), accepted('root/a')).spentUsd).toBe(0.25)
  })
})

describe('plans', () => {
  it('are made once, by a task that is there and open', () => {
    expect(judgeEvent(tree(), planned('root', spec('root/d')))).toBe('already')
    expect(judgeEvent(tree(), planned('root/missing'))).toEqual(refused('unknown-task', 'root/missing'))
    expect(judgeEvent(fold(planned('root', spec('root/c', 'composite')), dead('root/c')), planned('root/c', spec('root/c/x')))).toEqual(refused('wrong-state', 'root/c is dead'))
  })

  it('hold new children of that task, and of no other', () => {
    for (const stray of ['root', 'root/a', 'root/a/x', 'root/c', 'root/c/x/y', 'root/cc/x']) expect(judgeEvent(tree(), planned('root/c', spec('root/c/ok'), spec(stray))), stray).toEqual(refused('bad-plan', `${stray} is not a new child of root/c`))
    expect(judgeEvent(tree(), planned('root/c', spec('root/c/x'), spec('root/c/x')))).toEqual(refused('bad-plan', 'root/c/x is not a new child'))
    expect(judgeEvent(tree(), planned('root/c', spec('root/c/x'), spec('root/c/y')))).toBe('apply')
  })

  it('keep to the mission’s leaves and depth, counted over the whole tree', () => {
    const leaves = (count: number) => Array.from({ length: count }, (_, i) => spec(`root/c/${i}`))
    expect(judgeEvent(tree(), planned('root/c', ...leaves(28)))).toBe('apply')
    const tooMany = judgeEvent(tree(), planned('root/c', ...leaves(29)))
    expect(tooMany).toEqual(refused('over-limit', '31 leaves, 30 are allowed'))
    expect(tooMany).toMatchObject({ next: expect.stringContaining('--limit leaves=60') })
    const deep = fold(planned('root', spec('root/c', 'composite')), planned('root/c', spec('root/c/c', 'composite')), planned('root/c/c', spec('root/c/c/c', 'composite')))
    expect(judgeEvent(deep, planned('root/c/c/c', spec('root/c/c/c/x')))).toEqual(refused('over-limit', '4 levels deep, 3 are allowed'))
  })
})

describe('what a manager may write', () => {
  it.each(Object.values(sampleEvents).map((event) => [event.type, event] as const))('%s: about its own subtree only', (_type, event) => {
    const taskId = event.type === 'awarded' ? event.award.taskId : 'taskId' in event ? event.taskId : undefined
    if (taskId === undefined) {
      for (const subtree of ['root', 'root/measure-3']) expect(isWithin(id(subtree), event)).toBe(false)
      return
    }
    // People drop the dead and fork missions, through the owner.
    if (event.type === 'dead-dropped' || event.type === 'reused') return expect(isWithin(id('root'), event)).toBe(false)
    expect(isWithin(id('root'), event)).toBe(true)
    expect(isWithin(id('root/other'), event)).toBe(false)
    expect(isWithin(id(`${taskId}/below`), event)).toBe(false)
    // Its own plan it writes itself; that it was awarded or accepted, its parent does.
    expect(isWithin(taskId, event)).toBe(event.type === 'planned' || taskId === 'root')
  })

  it('a task whose name begins alike is not in its subtree', () => {
    expect(isWithin(id('root/a'), dead('root/ab'))).toBe(false)
    expect(isWithin(id('root/a'), dead('root/a/b'))).toBe(true)
    expect(isWithin(id('root/a'), planned('root/a/b'))).toBe(false)
  })
})
