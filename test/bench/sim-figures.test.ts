import { describe, expect, it } from 'vitest'
import { cellsOf, figureOf, ratios } from '../../scripts/bench/sim/figures.ts'
import { spreadOf } from '../../scripts/bench/table.ts'

describe('figures of a benchmark', () => {
  it('has the median of an odd and of an even number of runs, none when a run could not be measured', () => {
    expect(spreadOf([3, 10, 2])).toEqual({ median: 3, least: 2, most: 10, runs: 3 })
    expect(spreadOf([4, 1, 2, 10])).toEqual({ median: 3, least: 1, most: 10, runs: 4 })
    expect(spreadOf([1, Number.NaN, 1])).toEqual({ median: Number.NaN, least: Number.NaN, most: Number.NaN, runs: 3 })
    expect(spreadOf([])).toEqual({ median: Number.NaN, least: Number.NaN, most: Number.NaN, runs: 0 })
  })

  it.each([
    [499, 'met'], [500, 'remarkable'], [99, 'missed'], [Number.NaN, 'missed'],
  ])('at least 100, remarkably 500: %d is %s', (value, verdict) => {
    expect(figureOf('pace', '', [value], { atLeast: true, target: 100, remarkable: 500 }).verdict).toBe(verdict)
  })

  it.each([
    [1.2, 'met'], [1.05, 'remarkable'], [1.21, 'missed'], [Number.NaN, 'missed'],
  ])('at most 1.2, remarkably 1.05: %d is %s', (value, verdict) => {
    expect(figureOf('ratio', '×', [value], { target: 1.2, remarkable: 1.05 }).verdict).toBe(verdict)
  })

  it('compares runs of the same seed', () => {
    expect(ratios([110, 300], [100, 200, 400])).toEqual([1.1, 1.5])
  })

  it('says no spread of a single run, and no verdict without a goal', () => {
    expect(cellsOf(figureOf('memory', 'GiB', [7.126], { target: 8 }))).toEqual(['memory', '7.13 GiB', '', '1', '≤ 8 GiB', '', 'met'])
    expect(cellsOf(figureOf('share', '%', [Number.NaN, 1], { target: 2 }))).toEqual(['share', '? %', '?–?', '2', '≤ 2 %', '', 'missed'])
    expect(cellsOf(figureOf('messages', '', [101, 99.5, 103]))).toEqual(['messages', '101', '99.5–103', '3', '', '', ''])
  })
})
