/** Additions to a plan: in rounds, after what it had has ended; what has died may be done without. */
import { describe, expect, it } from 'vitest'
import type { Json } from '../../../protocols/kernel/payload.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { judgeEvent } from '../../../protocols/tasking/append-rules.ts'
import { decodeFold, encodeFold, foldSlice } from '../../../protocols/tasking/fold-snapshot.ts'
import { planFault } from '../../../protocols/tasking/plan.ts'
import { MissionEvent, Plan, type TaskSpec } from '../../../protocols/tasking/schema.ts'
import { accepted, awarded, dead, fold, id, planned, spec, taskIn, type EventOf } from './histories.ts'

const refused = (code: string, detail: string) => expect.objectContaining({ code, detail: expect.stringContaining(detail) }) as unknown
const waiting = (path: string, ...after: string[]): TaskSpec => ({ ...spec(path), after: after.map(id) })

function addition(round: number, givesUp: readonly string[], ...children: TaskSpec[]): EventOf<'planned'> {
  return { ...planned('root', ...children), round, givesUp: givesUp.map(id) }
}

/** a is accepted, b is dead, c waits for b, d for c, e for a. */
const broken = (...rest: MissionEvent[]) => fold(planned('root', spec('root/a'), spec('root/b'), waiting('root/c', 'root/b'), waiting('root/d', 'root/c'), waiting('root/e', 'root/a')), awarded('root/a'), accepted('root/a'), dead('root/b'), ...rest)

describe('an addition', () => {
  it('comes after the plan, in rounds one after the other', () => {
    const [first, second, third] = [1, 2, 3].map((round) => addition(round, [], spec(`root/x${round}`))) as [MissionEvent, MissionEvent, MissionEvent]
    expect(judgeEvent(fold(), first)).toEqual(refused('wrong-state', 'added to 0 times'))
    expect(judgeEvent(broken(), first)).toBe('apply')
    expect(judgeEvent(broken(), second)).toEqual(refused('wrong-state', 'added to 0 times'))
    expect(judgeEvent(broken(first), first)).toBe('already')
    expect(judgeEvent(broken(first), second)).toBe('apply')
    expect(judgeEvent(broken(first), third)).toEqual(refused('wrong-state', 'added to 1 times'))
    expect(judgeEvent(broken(first, second), first)).toBe('already')
  })

  it('is of a plan: a second plan without a round is known already', () => {
    expect(judgeEvent(broken(), planned('root', spec('root/x')))).toBe('already')
  })

  it('has so many rounds and no more, on the wire and on disk', () => {
    expect(MissionEvent.safeParse(addition(limits.revisionsMax, [], spec('root/x'))).success).toBe(true)
    for (const round of [0, limits.revisionsMax + 1, 1.5]) expect(MissionEvent.safeParse(addition(round, [], spec('root/x'))).success, String(round)).toBe(false)
  })

  it('gives up children that are dead, and nothing else', () => {
    expect(judgeEvent(broken(), addition(1, ['root/b']))).toBe('apply')
    for (const other of ['root/a', 'root/c', 'root/missing', 'root', 'root/b/x']) expect(judgeEvent(broken(), addition(1, [other])), other).toEqual(refused('bad-plan', `${other} is not a dead child of root`))
    expect(judgeEvent(broken(), addition(1, ['root/b', 'root/a']))).toEqual(refused('bad-plan', 'root/a is not a dead child'))
  })

  it('brings new children, within the mission’s leaves', () => {
    expect(judgeEvent(broken(), addition(1, [], spec('root/a')))).toEqual(refused('bad-plan', 'root/a is not a new child of root'))
    expect(judgeEvent(broken(), addition(1, [], ...Array.from({ length: 25 }, (_, i) => spec(`root/x${i}`))))).toBe('apply')
    expect(judgeEvent(broken(), addition(1, [], ...Array.from({ length: 26 }, (_, i) => spec(`root/x${i}`))))).toEqual(refused('over-limit', '31 leaves, 30 are allowed'))
  })

  it('is not made to a task that has ended', () => {
    expect(judgeEvent(fold(planned('root', spec('root/c', 'composite')), planned('root/c', spec('root/c/x')), dead('root/c')), { ...planned('root/c', spec('root/c/y')), round: 1 })).toEqual(refused('wrong-state', 'root/c is dead'))
  })
})

describe('what an addition changes', () => {
  const mended = () => broken(addition(1, ['root/b'], waiting('root/x', 'root/a')))
  const states = (mission = mended()) => Object.fromEntries(['a', 'b', 'c', 'd', 'e', 'x'].map((name) => [name, taskIn(mission, `root/${name}`).state]))

  it('cancels what waits for what was given up, however far, and nothing else', () => {
    expect(states()).toEqual({ a: 'accepted', b: 'dead', c: 'cancelled', d: 'cancelled', e: 'pending', x: 'pending' })
    expect([taskIn(mended(), 'root/b').givenUp, taskIn(mended(), 'root/c').givenUp]).toEqual([true, undefined])
  })

  it('whatever the order of the plan', () => {
    const mission = fold(planned('root', waiting('root/d', 'root/c'), waiting('root/c', 'root/b'), spec('root/b')), dead('root/b'), addition(1, ['root/b']))
    expect(['root/c', 'root/d'].map((path) => taskIn(mission, path).state)).toEqual(['cancelled', 'cancelled'])
  })

  it('counts its rounds, and the leaves and children that it brings', () => {
    const mission = broken(addition(1, ['root/b'], spec('root/x')), addition(2, [], spec('root/y'), spec('root/z', 'composite')))
    expect(taskIn(mission, 'root').rounds).toBe(2)
    expect(mission.leaves).toBe(7)
    expect(taskIn(mission, 'root').children).toEqual(['a', 'b', 'c', 'd', 'e', 'x', 'y', 'z'].map((name) => `root/${name}`))
  })

  it('and its synthesis cites what was accepted, of all rounds', () => {
    const done = broken(addition(1, ['root/b'], spec('root/x')), awarded('root/e'), accepted('root/e'), awarded('root/x'), accepted('root/x'))
    expect(judgeEvent(done, accepted('root', 1, ['root/a', 'root/e']))).toEqual(refused('wrong-state', 'does not cite'))
    expect(judgeEvent(done, accepted('root', 1, ['root/a', 'root/e', 'root/x']))).toBe('apply')
  })

  it('is the same after a snapshot, whole or of the subtree', () => {
    const mission = fold(planned('root', spec('root/s', 'composite')), awarded('root/s'), planned('root/s', spec('root/s/a'), waiting('root/s/b', 'root/s/a')), dead('root/s/a'), { ...planned('root/s', spec('root/s/x')), round: 1, givesUp: [id('root/s/a')], costUsd: 0.25 })
    const read = (value: Json) => decodeFold(JSON.parse(JSON.stringify(value)) as Json)
    expect(read(encodeFold(mission))).toStrictEqual(mission)
    const slice = read(foldSlice(mission, id('root/s')))
    expect(taskIn(slice, 'root/s')).toStrictEqual(taskIn(mission, 'root/s'))
    expect(taskIn(slice, 'root/s/a').givenUp).toBe(true)
    expect(judgeEvent(slice, { ...planned('root/s', spec('root/s/y')), round: 1 }, id('root/s'))).toBe('already')
    expect(judgeEvent(slice, { ...planned('root/s', spec('root/s/y')), round: 2 }, id('root/s'))).toBe('apply')
  })
})

describe('the plan of an addition', () => {
  const plan = (tasks: Record<string, unknown>, result?: unknown) => Plan.parse({ tasks, ...(result === undefined ? {} : { result }) })
  const known = new Set(['a', 'b'])

  it('may refer to earlier tasks by their names, in its result as well', () => {
    const document = plan({ x: { capability: 'number.double', after: ['a'], input: { value: { $from: 'b' } } } }, { $from: 'a' })
    expect(planFault(document, known)).toBeUndefined()
    expect(planFault(document)).toEqual(refused('bad-plan', '"a"'))
  })

  it('does not name one of them anew, and has no unknown names', () => {
    expect(planFault(plan({ a: { capability: 'number.double' } }), known)).toEqual(refused('bad-plan', 'there is a task "a" already'))
    expect(planFault(plan({ x: { capability: 'number.double', after: ['c'] } }), known)).toEqual(refused('bad-plan', 'needs "c"'))
    expect(planFault(plan({ x: { capability: 'number.double' } }, { $from: 'c' }), known)).toEqual(refused('bad-plan', 'the result refers to "c"'))
  })
})
