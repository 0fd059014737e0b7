import { describe, expect, it } from 'vitest'
import { awardIdOf, callIdOf, CapabilityName, childTaskId, compareEpochs, formatEpoch, MissionId, parentTaskId, Principal, taskDepth, TaskId, type Epoch } from '../../../protocols/kernel/ids.ts'

const missionId = 'm-aaaaaaaa-bbbbbbbbbbbb' as MissionId
const at = (lineage: number, term: number): Epoch => ({ lineage, term })

describe('names', () => {
  it.each([
    [MissionId, ['m-0a1b2c3d-abcdefghijkl'], ['', 'm-short-abcdefghijkl', 'm-0A1B2C3D-abcdefghijkl', 'x-0a1b2c3d-abcdefghijkl', 'm-0a1b2c3d-abcdefghijkl\n']],
    [TaskId, ['root', 'root/a', 'root/a.b-c_D/3'], ['', 'a', 'root/', 'root//a', '/root', 'root/a b', 'root/../a b', `root/${'x'.repeat(65)}`, 'root/a/']],
    [CapabilityName, ['llm', 'llm.chat', 'repo.report-2'], ['', 'LLM', 'llm.', '.llm', 'llm..chat', '2llm', 'llm chat', 'llm/chat', 'x'.repeat(65)]],
    [Principal, ['local', 'ann@example.org'], ['', 'a b', 'a/b', 'a\n', 'x'.repeat(65)]],
  ])('are taken or refused as a whole', (schema, good, bad) => {
    for (const name of good) expect(schema.safeParse(name).success, name).toBe(true)
    for (const name of bad) expect(schema.safeParse(name).success, JSON.stringify(name)).toBe(false)
  })
})

describe('the tree', () => {
  it('is in the ids of its tasks', () => {
    const child = childTaskId(childTaskId('root' as TaskId, 'build'), '3')
    expect(child).toBe('root/build/3')
    expect([parentTaskId(child), parentTaskId('root' as TaskId)]).toEqual(['root/build', undefined])
    expect([taskDepth('root' as TaskId), taskDepth(child)]).toEqual([0, 2])
    for (const name of ['', 'a b', 'é', '/', 'x'.repeat(65)]) expect(() => childTaskId('root' as TaskId, name)).toThrow()
  })
})

describe('epochs', () => {
  it('are compared lineage first', () => {
    const ordered = [at(1, 1), at(1, 2), at(1, 10), at(2, 1), at(10, 1)]
    for (const [i, left] of ordered.entries()) for (const [j, right] of ordered.entries()) expect(Math.sign(compareEpochs(left, right))).toBe(Math.sign(i - j))
    expect(formatEpoch(at(2, 13))).toBe('2.13')
  })
})

describe('an award’s identity', () => {
  it('is a function of what it awards, and another for anything else', () => {
    const given = [[missionId, 'root/a', 1, at(1, 1)], [missionId, 'root/a', 2, at(1, 1)], [missionId, 'root/a', 1, at(1, 2)], [missionId, 'root/a', 1, at(2, 1)], [missionId, 'root/b', 1, at(1, 1)], [missionId, 'root/a', 11, at(1, 1)], [missionId, 'root/a', 1, at(11, 1)], ['m-aaaaaaaa-cccccccccccc', 'root/a', 1, at(1, 1)]] as unknown as Parameters<typeof awardIdOf>[]
    const ids = given.flatMap((parts) => [awardIdOf(...parts), callIdOf(...parts)])
    expect(new Set(ids).size).toBe(ids.length)
    expect(awardIdOf(...(given[0] as Parameters<typeof awardIdOf>))).toBe('m-aaaaaaaa-bbbbbbbbbbbb:root/a#1@1.1')
  })
})
