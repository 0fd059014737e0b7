import { describe, expect, it } from 'vitest'
import { figureJson, figureRow, numberOf, quantileOf, text } from '../../scripts/bench/figure.ts'

describe('a figure of a benchmark', () => {
  it('is divided by each yardstick of the same run', () => {
    const figure = { name: 'tasks', unit: 'tasks/s', values: [90, 110, 100], against: [{ what: 'a peer', value: 400 }, { what: 'a limit', value: 50 }] }
    expect(figureRow(figure)).toBe('| tasks | tasks/s | 100 | – | 90.0–110 | 3 | 0.25 × a peer (400); 2.00 × a limit (50.0) |  |')
    expect(figureJson(figure)).toEqual({
      name: 'tasks', unit: 'tasks/s', median: 100, min: 90, max: 110, runs: 3, values: [90, 110, 100],
      against: [{ what: 'a peer', value: 400, ratio: 0.25 }, { what: 'a limit', value: 50, ratio: 2 }],
    })
  })

  it('has no spread of a single run, and says what it is to be read beside', () => {
    expect(figureRow({ name: 'start', unit: 'ms', values: [7], beside: 'a cold cache' })).toBe('| start | ms | 7.00 | – | – | 1 |  | a cold cache |')
  })

  it('has a 99th percentile of a hundred samples and more', () => {
    const values = Array.from({ length: 100 }, (_, index) => index + 1)
    expect(figureRow({ name: 'commit', unit: 'ms', values })).toContain('| 99.0 |')
    expect(figureJson({ name: 'commit', unit: 'ms', values })).toMatchObject({ p99: 99 })
    expect(figureJson({ name: 'commit', unit: 'ms', values: values.slice(1) })).not.toHaveProperty('p99')
  })

  it.each([[0.123, '0.12'], [12.34, '12.3'], [1234.5, '1,235'], [Number.NaN, '?']])('%d reads %s', (value, reads) => {
    expect(text(value)).toBe(reads)
  })

  it('takes the nearest rank of a quantile', () => {
    expect(quantileOf([4, 1, 3, 2], 0.5)).toBe(2)
    expect(quantileOf([4, 1, 3, 2], 0.95)).toBe(4)
    expect(quantileOf([], 0.5)).toBeNaN()
  })

  it.each(['0', '1.5', 'many', ''])('refuses --runs %j', (value) => {
    expect(() => numberOf('runs', value)).toThrow('--runs')
  })
})
