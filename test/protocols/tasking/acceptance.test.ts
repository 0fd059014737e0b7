import { describe, expect, it } from 'vitest'
import { failedCheck } from '../../../protocols/tasking/acceptance.ts'
import { AcceptanceCheck } from '../../../protocols/tasking/schema.ts'

const output = { count: 3, name: 'abc', list: [1, 2], nothing: null, flag: false, deep: { a: { b: 'x' } } }

function verdict(check: Record<string, unknown>, of: unknown = output): string | undefined {
  return failedCheck([AcceptanceCheck.parse(check)], of)
}

describe('a check that holds', () => {
  it.each([
    { exists: true }, { path: 'count', exists: true }, { path: 'missing', exists: false }, { path: 'nothing', exists: false }, { path: 'flag', exists: true }, { path: 'count', equals: 3 }, { path: 'list', equals: [1, 2] },
    { path: 'deep', equals: { a: { b: 'x' } } }, { path: 'missing', equals: null }, { path: 'flag', equals: false }, { path: 'name', matches: '^[a-c]+$' }, { path: 'count', atLeast: 3 }, { path: 'count', atMost: 3 },
    { path: 'count', atLeast: 1, atMost: 5 },
  ])('%j', (check) => {
    expect(verdict(check)).toBeUndefined()
  })
})

describe('a check that fails says what is wrong', () => {
  it.each([
    [{ path: 'missing', exists: true }, '"missing" is missing'],
    [{ path: 'name', exists: false }, '"name" should not be there'],
    [{ path: 'count', equals: 4 }, '"count" is 3, not 4'],
    [{ path: 'list', equals: [2, 1] }, '"list" is [1,2], not [2,1]'],
    [{ path: 'name', matches: '^\\d+$' }, '"name" does not match /^\\d+$/'],
    [{ path: 'count', matches: '3' }, '"count" does not match /3/'],
    [{ path: 'count', atLeast: 4 }, '"count" is 3, at least 4 is asked for'],
    [{ path: 'count', atMost: 2 }, '"count" is 3, at most 2 is asked for'],
    [{ path: 'missing', atMost: 2 }, '"missing" is missing, at most 2 is asked for'],
    [{ equals: 1 }, 'the output is {"count":3'],
  ])('%j', (check, expected) => {
    expect(verdict(check)).toContain(expected)
  })
})

describe('checks', () => {
  it('are all looked at, the first that fails is told', () => {
    expect(failedCheck([{ path: 'count', atLeast: 1 }, { path: 'name', equals: 'x' }, { path: 'gone', exists: true }].map((check) => AcceptanceCheck.parse(check)), output)).toBe('"name" is "abc", not "x"')
    expect(failedCheck([], undefined)).toBeUndefined()
  })

  it('equality does not depend on the order of keys', () => {
    expect(verdict({ equals: { b: 1, a: { d: 2, c: 3 } } }, { a: { c: 3, d: 2 }, b: 1 })).toBeUndefined()
  })

  it('take any output, also none', () => {
    for (const of of [undefined, null, 7, 'text', [], [[]]]) {
      expect(verdict({ path: 'a.b', exists: false }, of)).toBeUndefined()
      expect(verdict({ path: 'a.b', atLeast: 1 }, of)).toBeDefined()
    }
  })
})
