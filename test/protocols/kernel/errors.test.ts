import { describe, expect, it } from 'vitest'
import { errorCodes, fault, Fault, invariant, MeshError, toFault, type ErrorCode } from '../../../protocols/kernel/errors.ts'

describe('a fault', () => {
  it.each(Object.keys(errorCodes) as ErrorCode[])('%s: is valid, says what it means and whether a retry helps', (code) => {
    const problem = fault(code, 'what was wrong')
    expect(Fault.parse(problem)).toEqual(problem)
    expect(problem).toEqual({ code, detail: 'what was wrong', retryable: errorCodes[code].retryable })
    expect(errorCodes[code].means).toMatch(/^[a-z].{10,}[^.]$/)
  })

  it('stays within its bounds, whatever it is told', () => {
    const problem = fault('internal', 'x'.repeat(10_000), { next: 'y'.repeat(10_000), retryAfterMs: 0.5, retryable: true })
    expect(Fault.parse(problem)).toEqual({ code: 'internal', detail: 'x'.repeat(4_000), retryable: true, next: 'y'.repeat(1_000), retryAfterMs: 1 })
  })

  it('goes through an exception and back unchanged', () => {
    const problem = fault('overloaded', 'full', { next: 'try later', retryAfterMs: 2_000, retryable: false })
    expect(MeshError.from(problem).fault).toEqual(problem)
    expect(toFault(MeshError.from(problem), 'internal')).toEqual(problem)
    expect(MeshError.from(problem)).toMatchObject({ name: 'MeshError', message: 'full' })
  })

  it('is made of anything that is thrown', () => {
    expect(toFault(new TypeError('no'), 'skill-failed')).toMatchObject({ code: 'skill-failed', detail: 'no' })
    expect(toFault('just text')).toMatchObject({ code: 'internal', detail: 'just text' })
    expect(toFault(undefined)).toMatchObject({ code: 'internal', detail: 'undefined' })
  })

  it('is not what a broken invariant throws: that is a bug', () => {
    expect(() => { invariant(false, 'one is one') }).toThrow('invariant broken: one is one')
    expect(() => { invariant(1, 'one is one') }).not.toThrow()
  })
})
