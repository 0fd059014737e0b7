import { describe, expect, it } from 'vitest'
import type { ActorAddress, AwardId } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { adopt, finish, isForgettable, newHolder, outcomeDue, pulse, renewal, renewed, stillWanted, type Outcome } from '../../../protocols/leasing/holder.ts'
import { grantLease, renewLease, type LeaseTable } from '../../../protocols/leasing/lease.ts'
import { award, peer } from '../bidding/offers.ts'

const { leaseMs } = limits
const marginMs = limits.pulseMs
const done: Outcome = { kind: 'result', awardId: award('c').awardId, result: { inline: 1 }, cites: [], stats: { queueMs: 0, transferMs: 0, runMs: 1, costUsd: 0 } }
const successor: ActorAddress = { peer: peer('successor'), actor: 'manager' }

describe('a lease is renewed', () => {
  it('by the pulse of the thread that works, once per pulse', () => {
    const holder = newHolder(award('c'), 0)
    expect(renewal(holder, 0, 0)).toEqual({ awardId: 'award-c' })
    expect(renewal(holder, 1, 500)).toBeUndefined()
    pulse(holder, 0.5, 'half way')
    pulse(holder, undefined, undefined)
    expect(renewal(holder, 2, 1_000)).toEqual({ awardId: 'award-c', fraction: 0.5, text: 'half way' })
    expect(renewal(holder, 3, 1_500)).toBeUndefined()
  })

  it('no more when the work is over', () => {
    const holder = newHolder(award('c'), 0)
    finish(holder, done, 1)
    pulse(holder, 1, undefined)
    expect(renewal(holder, 0, 2)).toBeUndefined()
  })

  it('with a text of bounded length', () => {
    const holder = newHolder(award('c'), 0)
    pulse(holder, undefined, 'x'.repeat(10_000))
    expect(renewal(holder, 0, 0)?.text).toHaveLength(500)
  })
})

describe('the holder stops before its grantor gives up', () => {
  it('it counts from when it sent, less a margin', () => {
    const holder = newHolder(award('c'), 0)
    expect(holder.leaseEndsAtMs).toBe(leaseMs - marginMs)
    expect(renewal(holder, 3, 1_000)).toBeDefined()
    renewed(holder, 3, leaseMs, 5_900)
    expect(holder.leaseEndsAtMs).toBe(1_000 + leaseMs - marginMs)
  })

  it('answers that were not asked for extend nothing', () => {
    const holder = newHolder(award('c'), 0)
    renewed(holder, 7, leaseMs, 3_000)
    expect(holder.leaseEndsAtMs).toBe(leaseMs - marginMs)
    expect(holder.heardAtMs).toBe(3_000)
  })

  it('however slow the messages are, in whatever order, and whichever are lost', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = seededRandom([seed, 8])
      const table: LeaseTable = new Map()
      const given = award('c')
      const worker = peer('w')
      grantLease(table, given.awardId, worker, leaseMs, 0)
      // The award itself is under way for less than both margins together.
      const holder = newHolder(given, random.below(marginMs * 2))
      let round = 0
      let toGrantor: { round: number; atMs: number }[] = []
      let toHolder: { round: number; atMs: number }[] = []
      const slowness = [50, 800, 5_000][random.below(3)] as number
      for (let nowMs = holder.startedAtMs; nowMs < 40_000; nowMs += 25) {
        if (nowMs % limits.pulseMs < 25) {
          pulse(holder, undefined, undefined)
          const asked = renewal(holder, round, nowMs)
          if (asked !== undefined && random.below(8) > 0) toGrantor.push({ round, atMs: nowMs + random.below(slowness) })
          round += 1
        }
        for (const { round: heard } of toGrantor.filter(({ atMs }) => atMs <= nowMs)) {
          if (renewLease(table, given.awardId, worker, leaseMs, nowMs) && random.below(8) > 0) toHolder.push({ round: heard, atMs: nowMs + random.below(slowness) })
        }
        for (const { round: heard } of toHolder.filter(({ atMs }) => atMs <= nowMs)) renewed(holder, heard, leaseMs, nowMs)
        toGrantor = toGrantor.filter(({ atMs }) => atMs > nowMs)
        toHolder = toHolder.filter(({ atMs }) => atMs > nowMs)
        const grantedUntilMs = table.get(given.awardId)?.expiresAtMs ?? 0
        expect(holder.leaseEndsAtMs, `seed ${seed} at ${nowMs} ms`).toBeLessThanOrEqual(grantedUntilMs)
      }
    }
  })

  it('and keeps its lease for as long as both are there: lost answers do not add up', () => {
    const holder = newHolder(award('c'), 0)
    let round = 0
    for (let nowMs = 500; nowMs < 120_000; nowMs += 500) {
      pulse(holder, undefined, undefined)
      round += 1
      expect(renewal(holder, round, nowMs)).toBeDefined()
      // Every other answer is lost.
      if (nowMs % 1_000 !== 0) renewed(holder, round, leaseMs, nowMs + 20)
      expect(holder.sentRounds.size).toBeLessThanOrEqual(leaseMs / limits.pulseMs)
      expect(holder.leaseEndsAtMs).toBeGreaterThanOrEqual(nowMs + leaseMs - marginMs - 1_000)
    }
  })
})

describe('an outcome', () => {
  it('is sent at once, then again ever more seldom until it is acknowledged', () => {
    const holder = newHolder(award('c'), 0)
    expect(outcomeDue(holder, 0)).toBeUndefined()
    finish(holder, done, 100)
    const sentAtMs: number[] = []
    for (let nowMs = 100; nowMs <= 60_100; nowMs += 100) if (outcomeDue(holder, nowMs) === done) sentAtMs.push(nowMs)
    const gaps = sentAtMs.slice(1).map((at, i) => at - (sentAtMs[i] ?? 0))
    expect(sentAtMs[0]).toBe(100)
    expect(gaps).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 16_000])
  })

  it('is the first one: what comes after changes nothing', () => {
    const holder = newHolder(award('c'), 0)
    finish(holder, done, 100)
    finish(holder, { ...done, kind: 'failure', fault: { code: 'skill-exited', detail: 'late', retryable: true } } as Outcome, 200)
    expect(holder).toMatchObject({ outcome: done, outcomeAtMs: 100 })
  })

  it('is kept for its time, and forgotten after it', () => {
    const holder = newHolder(award('c'), 0)
    expect(isForgettable(holder, 1e12)).toBe(false)
    finish(holder, done, 100)
    expect(isForgettable(holder, 100 + limits.resultKeptMs)).toBe(false)
    expect(isForgettable(holder, 101 + limits.resultKeptMs)).toBe(true)
  })
})

describe('another manager adopts it', () => {
  const message = (term: number) => ({ kind: 'adopt' as const, awardId: 'award-c' as AwardId, epoch: { lineage: 1, term }, manager: successor, orchestrator: successor, leaseMs })

  it('of the same or a newer epoch, not of an older one', () => {
    const holder = newHolder(award('c', { epoch: { lineage: 1, term: 3 } }), 0)
    expect(adopt(holder, message(2), 10)).toBe(false)
    expect(holder.manager.peer).toBe('manager')
    expect(adopt(holder, message(3), 10)).toBe(true)
    expect(adopt(holder, message(5), 20)).toBe(true)
    expect(adopt(holder, message(4), 30)).toBe(false)
    expect(holder).toMatchObject({ manager: successor, orchestrator: successor, epoch: { lineage: 1, term: 5 }, leaseEndsAtMs: 20 + leaseMs - marginMs })
  })

  it('and hears the outcome at once, even if it was sent to the last one a moment ago', () => {
    const holder = newHolder(award('c'), 0)
    finish(holder, done, 100)
    expect(outcomeDue(holder, 100)).toBe(done)
    expect(outcomeDue(holder, 200)).toBeUndefined()
    adopt(holder, message(2), 210)
    expect(outcomeDue(holder, 210)).toBe(done)
  })

  it('the answers that the last one owed are not waited for', () => {
    const holder = newHolder(award('c'), 0)
    expect(renewal(holder, 5, 3_900)).toBeDefined()
    adopt(holder, message(2), 4_000)
    renewed(holder, 5, 60_000, 4_100)
    expect(holder.leaseEndsAtMs).toBe(4_000 + leaseMs - marginMs)
  })
})

describe('a holder that hears nothing', () => {
  it('asks the owner whether it is still wanted, once per lease', () => {
    const holder = newHolder(award('c'), 0)
    const askedAtMs: number[] = []
    for (let nowMs = 0; nowMs <= 30_000; nowMs += 100) if (stillWanted(holder, nowMs) !== undefined) askedAtMs.push(nowMs)
    expect(askedAtMs).toEqual([6_500, 12_500, 18_500, 24_500])
  })

  it('and does not while its manager is heard', () => {
    const holder = newHolder(award('c'), 0)
    for (let nowMs = 0; nowMs <= 30_000; nowMs += 500) {
      pulse(holder, undefined, undefined)
      expect(renewal(holder, nowMs, nowMs)).toBeDefined()
      renewed(holder, nowMs, leaseMs, nowMs)
      expect(stillWanted(holder, nowMs)).toBeUndefined()
    }
  })
})
