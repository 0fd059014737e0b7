import { describe, expect, it } from 'vitest'
import type { TaskId } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { cycleIn, dependenciesOf, dependencyIds, isReference, planFault, referencesIn, resolveReferences, valueAt } from '../../../protocols/tasking/plan.ts'
import { MissionRequest, Plan } from '../../../protocols/tasking/schema.ts'

type Sketch = Record<string, { after?: string[]; input?: unknown; accept?: unknown[] }>

function plan(tasks: Sketch, result?: unknown): Plan {
  return Plan.parse({ tasks: Object.fromEntries(Object.entries(tasks).map(([name, task]) => [name, { capability: 'number.double', ...task }])), ...(result === undefined ? {} : { result }) })
}

const nested = (levels: number): unknown => {
  let value: unknown = 1
  for (let i = 0; i < levels; i++) value = [value]
  return value
}

describe('references', () => {
  it('are objects that say from where', () => {
    expect([{ $from: 'a' }, { $from: 'a', path: 'b.0' }].map(isReference)).toEqual([true, true])
    expect([null, 'a', 7, {}, [], { $from: 7 }, { from: 'a' }].map(isReference)).toEqual([false, false, false, false, false, false, false])
  })

  it('are found anywhere in a value, each task once', () => {
    expect(referencesIn({ a: [{ $from: 'x', path: '0' }, { b: { $from: 'y' } }], c: { $from: 'x' }, d: null }).sort()).toEqual(['x', 'y'])
    expect(referencesIn(7)).toEqual([])
  })

  it('are found among a million values', () => {
    expect(referencesIn([Array.from({ length: 1_000_000 }, () => 0), { $from: 'x' }])).toEqual(['x'])
  })

  it('stand for what the other task gave; null where it gave nothing', () => {
    const outputs = new Map<string, unknown>([['a', { list: [1, { deep: 'yes' }], nothing: null }]])
    expect(resolveReferences({ all: { $from: 'a' }, one: { $from: 'a', path: 'list.1.deep' }, none: { $from: 'a', path: 'list.9.deep' }, gone: { $from: 'b' }, kept: [true, 'text'] }, outputs)).toEqual({
      all: { list: [1, { deep: 'yes' }], nothing: null }, one: 'yes', none: null, gone: null, kept: [true, 'text'],
    })
  })

  it('a reference inside an output is data: it is not followed', () => {
    expect(resolveReferences({ $from: 'a' }, new Map<string, unknown>([['a', { $from: 'b' }], ['b', 'secret']]))).toEqual({ $from: 'b' })
  })
})

describe('a path', () => {
  const value = { a: { b: [10, { c: 'x' }] }, '': 1, length: 2 }

  it.each([['', value], ['a', value.a], ['a.b.0', 10], ['a.b.1.c', 'x'], ['length', 2], ['a.b.2', undefined], ['a.x.y', undefined], ['a.b.c', undefined], ['a.b.0.toFixed', undefined]])('%j', (path, expected) => {
    expect(valueAt(value, path)).toEqual(expected)
  })

  it('never reaches what a value inherits', () => {
    for (const path of ['constructor', '__proto__', 'a.toString', 'a.b.length', 'a.b.map', 'a.b.-1']) expect(valueAt(value, path), path).toBeUndefined()
    expect(valueAt('text', 'length')).toBeUndefined()
  })
})

describe('dependencies', () => {
  it('are those named and those referred to, each once', () => {
    const { tasks } = plan({ a: {}, b: {}, c: { after: ['a'], input: { x: { $from: 'b' }, y: { $from: 'a' } } } })
    expect(dependenciesOf(tasks['c'] as Plan['tasks'][string])).toEqual(['a', 'b'])
    expect(dependencyIds('root/p' as TaskId, tasks['c'] as Plan['tasks'][string])).toEqual(['root/p/a', 'root/p/b'])
  })
})

describe('a plan is refused', () => {
  const refusal = (tasks: Sketch, result?: unknown) => planFault(plan(tasks, result))

  it('when it has no tasks', () => {
    expect(refusal({})).toMatchObject({ code: 'bad-plan', detail: 'the plan has no tasks', next: expect.any(String) })
  })

  it('when a task needs one that is not there, even by a name that every object has', () => {
    expect(refusal({ a: { after: ['b'] } })).toMatchObject({ code: 'bad-plan', detail: 'task "a" needs "b", which the plan does not have' })
    expect(refusal({ a: { input: { $from: 'constructor' } } })).toMatchObject({ detail: 'task "a" needs "constructor", which the plan does not have' })
    expect(refusal({ a: {} }, { x: { $from: 'toString' } })).toMatchObject({ detail: 'the result refers to "toString", which the plan does not have' })
  })

  it('when it is cyclic, naming the cycle', () => {
    expect(refusal({ a: { after: ['a'] } })).toMatchObject({ code: 'bad-plan', detail: 'the plan is cyclic: a → a' })
    expect(refusal({ start: { after: ['a'] }, a: { after: ['b'] }, b: { input: { $from: 'c' } }, c: { after: ['a'] } })?.detail).toBe('the plan is cyclic: a → b → c → a')
  })

  it('when a check cannot be understood, before anything runs', () => {
    expect(refusal({ a: { accept: [{ path: 'x', matches: '(' }] } })).toMatchObject({ code: 'bad-plan', detail: expect.stringContaining('task "a"'), next: expect.any(String) })
    expect(refusal({ a: { accept: [{ path: 'x' }] } })).toMatchObject({ code: 'bad-plan', detail: expect.stringContaining('says nothing') })
    expect(refusal({ a: { accept: [{ path: 'x', matches: '^a+$' }, { exists: true }, { equals: null }] } })).toBeUndefined()
  })

  it('not when it is a diamond', () => {
    expect(refusal({ a: {}, b: { after: ['a'] }, c: { after: ['a'] }, d: { after: ['b', 'c'] } }, { $from: 'd' })).toBeUndefined()
  })
})

describe('cycles', () => {
  const chain = (length: number): Sketch => Object.fromEntries(Array.from({ length }, (_, i) => [`t${i}`, i === 0 ? {} : { after: [`t${i - 1}`] }]))

  it(`are looked for in a chain of ${limits.planTasksMax} without a deep stack`, () => {
    const long = chain(limits.planTasksMax)
    expect(planFault(plan(long))).toBeUndefined()
    long['t0'] = { after: [`t${limits.planTasksMax - 1}`] }
    expect(cycleIn(plan(long))).toHaveLength(limits.planTasksMax + 1)
    // The longest way to look at it first.
    expect(planFault(plan(Object.fromEntries(Object.entries(chain(limits.planTasksMax)).reverse())))).toBeUndefined()
  })

  it('are found exactly when there is one', () => {
    const random = seededRandom([6, 6])
    for (let round = 0; round < 200; round++) {
      const size = 2 + random.below(12)
      const names = Array.from({ length: size }, (_, i) => `t${i}`)
      const forward: Sketch = Object.fromEntries(names.map((name, i) => [name, { after: names.slice(0, i).filter(() => random.below(3) === 0) }]))
      expect(cycleIn(plan(forward)), 'edges that all point back make no cycle').toBeUndefined()
      const target = random.below(size)
      const from = random.below(size)
      const back: Sketch = { ...forward, [names[target] as string]: { after: [...(forward[names[target] as string]?.after ?? []), names[from] as string] } }
      const reaches = (start: number, end: number): boolean => start === end || (forward[names[start] as string]?.after ?? []).some((name) => reaches(names.indexOf(name), end))
      const cycle = cycleIn(plan(back))
      expect(cycle !== undefined).toBe(reaches(from, target))
      if (cycle !== undefined) {
        expect(cycle[0]).toBe(cycle.at(-1))
        for (let i = 0; i + 1 < cycle.length; i++) expect(back[cycle[i] as string]?.after).toContain(cycle[i + 1])
      }
    }
  })
})

describe('a request', () => {
  it('says clearly when its input is nested too deep', () => {
    const asked = (input: unknown) => MissionRequest.safeParse({ capability: 'number.double', input })
    expect(asked(nested(limits.jsonDepthMax)).success).toBe(true)
    for (const levels of [limits.jsonDepthMax + 1, 100_000]) expect(asked(nested(levels)).error?.issues[0]).toMatchObject({ path: ['input'], message: expect.stringContaining('nested') })
    const planned = MissionRequest.safeParse({ plan: { tasks: { a: { capability: 'number.double', input: nested(100_000) } }, result: nested(100_000) } })
    expect(planned.error?.issues.map(({ path }) => path.join('.'))).toEqual(['plan.tasks.a.input', 'plan.result'])
  })
})
