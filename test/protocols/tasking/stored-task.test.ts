import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Json } from '../../../protocols/kernel/payload.ts'
import { decodeFold, encodeFold } from '../../../protocols/tasking/fold-snapshot.ts'
import { applyEvent } from '../../../protocols/tasking/mission-state.ts'
import { AwardRecord, TaskSpec } from '../../../protocols/tasking/schema.ts'
import { attemptLooks, awardLooks, specLooks, StoredAttempt, StoredTask, taskLooks } from '../../../protocols/tasking/stored-task.ts'
import { faultOf } from '../../contracts/log-store.ts'
import { accepted, awarded, checkpointed, dead, ended, fold, planned, spec } from './histories.ts'

type Path = readonly (string | number)[]

const mission = () => fold(planned('root', spec('root/a'), spec('root/b', 'composite'), spec('root/c')), awarded('root/a'), checkpointed('root/a', 1), ended('root/a', 'failed'), awarded('root/a', 2), accepted('root/a', 2), dead('root/c'), awarded('root/b'))

/** What is stored, with something else in one place; undefined takes away what is there. */
function spoilt(path: Path, value: unknown): Json {
  const whole = JSON.parse(JSON.stringify(encodeFold(mission()))) as Json
  const inner = path.slice(0, -1).reduce<Record<string | number, unknown>>((at, key) => at[key] as Record<string | number, unknown>, whole as Record<string, unknown>)
  inner[path.at(-1) as string] = value
  return JSON.parse(JSON.stringify(whole)) as Json
}

describe('a stored task', () => {
  afterEach(() => void vi.restoreAllMocks())

  it('is looked at in every field that its schema has', () => {
    for (const [looks, schema] of [[taskLooks, StoredTask], [attemptLooks, StoredAttempt], [specLooks, TaskSpec], [awardLooks, AwardRecord]] as const) expect(Object.keys(looks).sort()).toEqual(Object.keys(schema.shape).sort())
  })

  it('goes through the whole schema only when it does not look right', () => {
    const asked = vi.spyOn(StoredTask, 'parse')
    expect(decodeFold(JSON.parse(JSON.stringify(encodeFold(mission()))) as Json)).toStrictEqual(mission())
    expect(asked).not.toHaveBeenCalled()
    expect(() => decodeFold(spoilt(['tasks', 1, 'state'], 'lost'))).toThrow('malformed')
    expect(asked).toHaveBeenCalledTimes(1)
  })

  it.each<[string, Path, unknown]>([
    ['no task', ['tasks', 1], 7],
    ['no specification', ['tasks', 1, 'spec'], undefined],
    ['no id', ['tasks', 1, 'spec', 'taskId'], undefined],
    ['an id of something else', ['tasks', 1, 'spec', 'taskId'], 'elsewhere/a'],
    ['an unknown kind', ['tasks', 2, 'spec', 'kind'], 'branch'],
    ['an input that is no payload', ['tasks', 2, 'spec', 'input'], {}],
    ['an input whose blob has no digest', ['tasks', 2, 'spec', 'input'], { blob: {} }],
    ['an unknown state', ['tasks', 3, 'state'], 'lost'],
    ['children that are no list', ['tasks', 0, 'children'], 'root/a'],
    ['attempts that are no list', ['tasks', 1, 'attempts'], {}],
    ['an award without an id', ['tasks', 1, 'attempts', 1, 'award', 'awardId'], undefined],
    ['an award without an epoch', ['tasks', 1, 'attempts', 1, 'award', 'epoch'], null],
    ['an award without its bid', ['tasks', 1, 'attempts', 1, 'award', 'bid'], undefined],
    ['an attempt without an outcome', ['tasks', 1, 'attempts', 0, 'outcome'], undefined],
    ['a fault without a code', ['tasks', 3, 'fault', 'code'], undefined],
    ['failures that are no number', ['tasks', 1, 'failures'], '1'],
    ['a result that is no payload', ['tasks', 1, 'result'], 'root/a'],
    ['no such mission', ['missionId'], 'mission'],
    ['no list of tasks', ['tasks'], {}],
  ])('with %s is refused, and the place is named', async (_what, path, value) => {
    const problem = await faultOf(Promise.resolve().then(() => decodeFold(spoilt(path, value))))
    expect(problem.code).toBe('storage-failed')
    expect(problem.detail).toContain(path.slice(0, 4).join('.'))
  })

  it('is copied as far as folding on changes it', () => {
    const stored = encodeFold(mission())
    const before = JSON.stringify(stored)
    const read = decodeFold(stored)
    const index = read.lastIndex
    for (const [i, event] of [ended('root/b', 'failed'), awarded('root/b', 2), planned('root/b', spec('root/b/d')), accepted('root/b', 2, [])].entries()) applyEvent(read, event, index + 1 + i)
    expect(JSON.stringify(stored)).toBe(before)
  })
})
