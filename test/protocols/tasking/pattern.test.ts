import { describe, expect, it } from 'vitest'
import { patternFault, patternMatches, patternTextLength } from '../../../protocols/tasking/pattern.ts'
import { failedCheck } from '../../../protocols/tasking/acceptance.ts'
import { planFault } from '../../../protocols/tasking/plan.ts'
import { Plan } from '../../../protocols/tasking/schema.ts'

describe('patterns of strangers', () => {
  it.each(['^(a+)+$', '(a|a)*b', '(a?){40}', '^a*a*a*a*a*b', '(?:x+x+)+y', '(.)\\1', '(?=a)b', `${'(a|a)'.repeat(30)}b`, `${'a?'.repeat(30)}${'a'.repeat(30)}`, '.*.*.*.*x', '(a{1,50}){1,50}'])('%s is refused before anything runs', (pattern) => {
    expect(patternFault(pattern)).toBeTypeOf('string')
    expect(patternMatches(pattern, 'a'.repeat(10_000))).toBe(false)
    const plan = Plan.parse({ tasks: { one: { capability: 'text.count', accept: [{ path: 'x', matches: pattern }] } } })
    expect(planFault(plan)).toMatchObject({ code: 'bad-plan' })
    expect(failedCheck(plan.tasks['one']?.accept ?? [], { x: 'a'.repeat(10_000) })).toContain('does not match')
  })

  it.each([['^ok$', 'ok'], ['^[0-9a-f]{64}$', 'ab'.repeat(32)], ['^v?\\d+\\.\\d+', '1.2'], ['error|warning', 'a warning'], ['^https://[^/]+/x', 'https://example/x'], ['\\(done\\)+', '(done)']])('%s is what people write', (pattern, text) => {
    expect(patternFault(pattern)).toBeUndefined()
    expect(patternMatches(pattern, text)).toBe(true)
    expect(patternMatches(pattern, '')).toBe(false)
  })

  it('says when it cannot be read', () => {
    expect(patternFault('(')).toContain('cannot be read')
  })

  it('looks at the beginning of a text only', () => {
    expect(patternMatches('b', `${'a'.repeat(patternTextLength)}b`)).toBe(false)
  })
})
