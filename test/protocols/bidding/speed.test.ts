import { describe, expect, it } from 'vitest'
import { estimate, learnSpeed, speedKey, type SpeedBook } from '../../../protocols/bidding/speed.ts'
import { call } from './offers.ts'

const key = speedKey('number.double', '1.0')

describe('an estimate', () => {
  it('is a guess before anything was measured, and says so', () => {
    expect(estimate(new Map(), key, call('c', { inputBytes: 1_000_000 }), 0, 2, 0)).toEqual({ queueMs: 0, warmUpMs: 50, transferMs: 20, runMs: 1_000, samples: 0 })
  })

  it('grows with the effort, by what runs have taken', () => {
    const book: SpeedBook = new Map()
    learnSpeed(book, key, 10, 500)
    expect(estimate(book, key, call('c', { effort: 10 }), 0, 1, 1)).toEqual({ queueMs: 0, warmUpMs: 0, transferMs: 0, runMs: 500, samples: 1 })
    expect(estimate(book, key, call('c', { effort: 40 }), 0, 1, 1).runMs).toBe(2_000)
    expect(estimate(book, speedKey('number.double', '2.0'), call('c'), 0, 1, 1).samples).toBe(0)
  })

  it('follows a machine that got slower within a few runs', () => {
    const book: SpeedBook = new Map()
    for (let i = 0; i < 20; i++) learnSpeed(book, key, 1, 100)
    for (let i = 0; i < 8; i++) learnSpeed(book, key, 1, 1_000)
    expect(estimate(book, key, call('c'), 0, 1, 1).runMs).toBeGreaterThan(900)
  })

  it('counts what waits ahead over the slots, and only the input that is not here', () => {
    const book: SpeedBook = new Map()
    learnSpeed(book, key, 1, 100)
    expect(estimate(book, key, call('c'), 4, 2, 1).queueMs).toBe(200)
    expect(estimate(book, key, call('c'), 4, 0, 1).queueMs).toBe(0)
    expect(estimate(book, key, call('c', { inputBytes: 100_000 }), 0, 1, 0.75).transferMs).toBe(0.5)
  })
})
