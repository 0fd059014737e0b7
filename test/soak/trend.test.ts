import { describe, expect, it } from 'vitest'
import { type Point, lastTwoThirds, trendOf, verdictOf } from '../../scripts/soak/trend.ts'

const hourMs = 3_600_000
const minuteMs = 60_000

/** One sample every five seconds for twenty minutes, on a line with noise that repeats. */
function points(perHour: number, noise: (index: number) => number = () => 0): Point[] {
  return Array.from({ length: 241 }, (_, index) => ({ atMs: 7 + index * 5_000, value: 1_000 + (index * 5_000 / hourMs) * perHour + noise(index) }))
}

const alternating = (index: number): number => (index % 2 === 0 ? 10 : -10)
/** Up for a minute, then down at once: what a collected heap looks like. */
const sawtooth = (index: number): number => (index % 12) * 20

describe('a line through samples', () => {
  it('has the slope of the line, and no error when all lie on it', () => {
    expect(trendOf(points(120))).toMatchObject({ slopePerHour: expect.closeTo(120, 6) as number, standardError: expect.closeTo(0, 6) as number, points: 241, coveredMs: 20 * minuteMs })
  })

  it('has the standard error of the textbook when residuals do not depend on one another', () => {
    // 0, 3, 1, 4 at 0, 1, 2, 3 hours: slope 1, residuals -0.5, 1.5, -1.5, 0.5; √(5 ÷ 2 ÷ 5).
    const { slopePerHour, standardError } = trendOf([0, 3, 1, 4].map((value, index) => ({ atMs: index * hourMs, value })))
    expect(slopePerHour).toBeCloseTo(1, 9)
    expect(standardError).toBeCloseTo(Math.sqrt(0.5), 9)
  })

  it('is less certain of samples that follow one another alike', () => {
    // The same residuals in another order: first all below, then all above, and so on.
    const inRuns = (index: number): number => (Math.floor(index / 20) % 2 === 0 ? 10 : -10)
    expect(trendOf(points(0, inRuns)).standardError).toBeGreaterThan(3 * trendOf(points(0, alternating)).standardError)
  })

  it('is none of two samples', () => {
    expect(verdictOf(trendOf(points(0).slice(0, 2)))).toBe('too short to tell')
  })
})

describe('what is said of it', () => {
  it.each([
    ['flat', 0, alternating], ['flat', 0, sawtooth], ['grows', 2_000, sawtooth], ['shrinks', -2_000, alternating], ['grows', 100, alternating],
    // Certain, and of no matter: 0.5 % in an hour.
    ['flat', 5, () => 0],
  ] as const)('%s at %d an hour', (verdict, perHour, noise) => {
    expect(verdictOf(trendOf(points(perHour, noise)))).toBe(verdict)
  })

  it('nothing, when a real growth could not have been seen', () => {
    const wild = (index: number): number => (Math.floor(index / 40) % 2 === 0 ? 400 : -400)
    expect(verdictOf(trendOf(points(0, wild)))).toBe('too short to tell')
  })

  it('nothing of a few minutes, however certain they look', () => {
    expect(verdictOf(trendOf(points(2_000).slice(0, 100)))).toBe('too short to tell')
  })
})

it('leaves out the first third of the time, not of the samples', () => {
  const taken = [0, 1, 2, 3, 4, 5, 30, 60, 90].map((atMs) => ({ atMs, value: 1 }))
  expect(lastTwoThirds(taken).map(({ atMs }) => atMs)).toEqual([30, 60, 90])
})
