import { describe, expect, it } from 'vitest'
import { assess, calibrate, learnFailure, learnSuccess, type Calibration } from '../../../protocols/bidding/calibration.ts'
import { rank } from '../../../protocols/bidding/score.ts'
import type { PeerId } from '../../../protocols/kernel/ids.ts'
import { bid, peer } from './offers.ts'

/** What a node truly takes, and what it says. */
interface Machine {
  readonly name: string
  readonly takesMs: number
  readonly claimsMs: number
  readonly samples?: number
}

/** Tenders one task after the other; the best bid gets it, and what came of it is learned. @returns the winners in order. */
function tender(machines: readonly Machine[], rounds: number, calibration: Calibration = new Map()): string[] {
  return Array.from({ length: rounds }, (_, round) => {
    const ranked = rank(machines.map(({ name, claimsMs, samples = 5 }) => {
      const offered = bid(`call-${round}`, { estimatedFinishMs: claimsMs, breakdown: { queueMs: 0, warmUpMs: 0, transferMs: 0, runMs: claimsMs, samples } })
      return { peer: peer(name), name, bid: offered, slotsFree: 1, assessment: assess(calibration, peer(name), round) }
    }))
    const winner = machines.find(({ name }) => name === ranked[0]?.name) as Machine
    learnSuccess(calibration, peer(winner.name), winner.claimsMs, winner.takesMs, winner.samples ?? 5)
    return winner.name
  })
}

const wins = (winners: readonly string[], name: string): number => winners.filter((winner) => winner === name).length

describe('a node that lies about its speed stops winning', () => {
  it.each([200, 1_000, 5_000, 60_000])('when it claims five times its speed, against one as fast as it truly is (%i ms)', (takesMs) => {
    const winners = tender([{ name: 'liar', takesMs, claimsMs: takesMs / 5 }, { name: 'honest', takesMs, claimsMs: takesMs }], 40)
    expect(winners[0]).toBe('liar')
    expect(wins(winners.slice(0, 10), 'liar')).toBeLessThanOrEqual(6)
    expect(wins(winners.slice(10), 'liar')).toBe(0)
  })

  it('when it claims the speed of faster ones: at the latest with its second award', () => {
    const winners = tender([{ name: 'liar', takesMs: 5_000, claimsMs: 1_000 }, { name: 'fast', takesMs: 1_000, claimsMs: 1_000 }, { name: 'fast too', takesMs: 1_100, claimsMs: 1_100 }], 30)
    expect(wins(winners, 'liar')).toBeLessThanOrEqual(2)
  })

  it('when it calls every promise a first guess', () => {
    const winners = tender([{ name: 'liar', takesMs: 5_000, claimsMs: 1, samples: 0 }, { name: 'honest', takesMs: 1_000, claimsMs: 1_000 }], 100)
    expect(wins(winners.slice(50), 'liar')).toBe(0)
  })

  it('but is used again when it is the best that there is, at its true speed', () => {
    const calibration: Calibration = new Map()
    tender([{ name: 'liar', takesMs: 1_000, claimsMs: 200 }, { name: 'slow', takesMs: 9_000, claimsMs: 9_000 }], 20, calibration)
    expect(wins(tender([{ name: 'liar', takesMs: 1_000, claimsMs: 200 }, { name: 'slow', takesMs: 9_000, claimsMs: 9_000 }], 20, calibration), 'liar')).toBe(20)
  })
})

describe('honest nodes', () => {
  it('share the work when they are equally fast', () => {
    const winners = tender([{ name: 'a', takesMs: 700, claimsMs: 700 }, { name: 'b', takesMs: 700, claimsMs: 700 }], 200)
    for (const name of ['a', 'b']) expect(wins(winners, name)).toBeGreaterThan(70)
  })

  it('are not held to a first guess', () => {
    const calibration: Calibration = new Map()
    learnSuccess(calibration, peer('a'), 1_050, 60_000, 0)
    expect(assess(calibration, peer('a'), 0)).toEqual({ ratio: 1, reliability: 1, breakerOpen: false })
  })

  it('are forgiven a little lateness, and noise in very short tasks', () => {
    const calibration: Calibration = new Map()
    for (let i = 0; i < 30; i++) {
      learnSuccess(calibration, peer('a'), 1_000, 1_200, 3)
      learnSuccess(calibration, peer('b'), 2, 20, 3)
    }
    for (const name of ['a', 'b']) expect(assess(calibration, peer(name), 0).reliability, name).toBe(1)
  })

  it('that got slower are believed again once their bids say so', () => {
    const calibration: Calibration = new Map()
    for (let i = 0; i < 10; i++) learnSuccess(calibration, peer('a'), 1_000, 8_000, 9)
    expect(assess(calibration, peer('a'), 0).reliability).toBeLessThan(0.3)
    for (let i = 0; i < 15; i++) learnSuccess(calibration, peer('a'), 8_000, 8_000, 9)
    const again = assess(calibration, peer('a'), 0)
    expect(again.ratio).toBeLessThan(1.05)
    expect(again.reliability).toBe(1)
  })
})

describe('what a promise is worth', () => {
  it('is what the peer has truly taken, at any scale', () => {
    for (const [promisedMs, actualMs] of [[100, 500], [1_000, 5_000], [20_000, 15_000], [0, 900]] as const) {
      const calibration: Calibration = new Map()
      for (let i = 0; i < 60; i++) learnSuccess(calibration, peer('a'), promisedMs, actualMs, 3)
      const worthMs = calibrate(promisedMs, assess(calibration, peer('a'), 0))
      expect(worthMs).toBeGreaterThan(actualMs * 0.99 - 1)
      expect(worthMs).toBeLessThan(actualMs * 1.01 + 1)
    }
  })

  it('is taken at its word without a history, and stays finite and bounded whatever is claimed', () => {
    expect(assess(new Map(), peer('new'), 0)).toEqual({ ratio: 1, reliability: 1, breakerOpen: false })
    expect(calibrate(1_234, assess(new Map(), peer('new'), 0))).toBe(1_234)
    const calibration: Calibration = new Map()
    for (let i = 0; i < 100; i++) learnSuccess(calibration, peer('a'), 0, 1e12, 3)
    expect(assess(calibration, peer('a'), 0).ratio).toBeLessThanOrEqual(20)
    for (let i = 0; i < 100; i++) learnSuccess(calibration, peer('a'), 1e12, 0, 3)
    expect(assess(calibration, peer('a'), 0).ratio).toBeGreaterThanOrEqual(0.5)
    expect(calibrate(0, assess(calibration, peer('a'), 0))).toBe(0)
  })
})

describe('a node that keeps failing', () => {
  const failing = (failures: number): { calibration: Calibration; of: (nowMs: number) => ReturnType<typeof assess> } => {
    const calibration: Calibration = new Map()
    for (let i = 0; i < failures; i++) learnFailure(calibration, peer('a'), 1_000)
    return { calibration, of: (nowMs) => assess(calibration, peer('a') as PeerId, nowMs) }
  }

  it('loses reliability with every failure, and never all of it', () => {
    const scores = [0, 1, 2, 5, 20, 200].map((failures) => failing(failures).of(1e9).reliability)
    expect(scores).toEqual([...scores].sort((left, right) => right - left))
    expect(new Set(scores).size).toBe(scores.length)
    for (const score of scores) expect(score > 0 && score <= 1).toBe(true)
  })

  it('is left alone from the third failure in a row on, longer each time, at most a minute', () => {
    const leftAloneMs = (failures: number): number => {
      const { of } = failing(failures)
      let ms = 0
      while (of(1_000 + ms).breakerOpen) ms += 500
      return ms
    }
    expect([1, 2, 3, 4, 5, 6, 7, 8, 20].map(leftAloneMs)).toEqual([0, 0, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000])
  })

  it('starts anew with one success', () => {
    const { calibration, of } = failing(3)
    learnSuccess(calibration, peer('a'), 100, 100, 1)
    learnFailure(calibration, peer('a'), 90_000)
    expect(of(90_000).breakerOpen).toBe(false)
  })

  it('is believed again when it has mended', () => {
    const { calibration, of } = failing(20)
    for (let i = 0; i < 100; i++) learnSuccess(calibration, peer('a'), 1_000, 1_000, 1)
    expect(of(1e9).reliability).toBe(1)
  })
})
