import { describe, expect, it } from 'vitest'
import { accountOf, allowanceUsd, leftUsd, owedUsd, setAside, settle, type Account, type Accounts } from '../../../protocols/invoking/accounts.ts'
import { invocationCallId, isInvocationId } from '../../../protocols/invoking/schema.ts'
import { awardIdOf, callIdOf, type MissionId, type TaskId } from '../../../protocols/kernel/ids.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'

function account(budgetUsd: number): Account {
  return accountOf(new Map(), 'one', budgetUsd)
}

describe('an account', () => {
  it('is opened once, under a name that its user chooses; its budget is the first that was stated', () => {
    const accounts: Accounts = new Map()
    const first = accountOf(accounts, 'a', 2)
    expect(accountOf(accounts, 'a', 5)).toBe(first)
    expect(first).toEqual({ budgetUsd: 2, spentUsd: 0, setAsideUsd: 0 })
    expect(accountOf(accounts, 'b', 5)).toEqual({ budgetUsd: 5, spentUsd: 0, setAsideUsd: 0 })
  })

  it('has left what is neither spent nor set aside', () => {
    const one = account(1)
    expect(setAside(one, 0.75)).toBe(true)
    expect(leftUsd(one)).toBe(0.25)
    settle(one, 0.75, 0.5)
    expect(one).toEqual({ budgetUsd: 1, spentUsd: 0.5, setAsideUsd: 0 })
    expect(leftUsd(one)).toBe(0.5)
  })

  it('refuses what is more than that, and is as it was', () => {
    const one = account(1)
    setAside(one, 0.75)
    expect(setAside(one, 0.5)).toBe(false)
    expect(one.setAsideUsd).toBe(0.75)
    expect(setAside(one, 0.25)).toBe(true)
    expect(setAside(one, 0.001)).toBe(false)
    expect(setAside(one, 0)).toBe(true)
  })

  it('without money has places for what costs nothing', () => {
    const one = account(0)
    expect([setAside(one, 0), setAside(one, 0.000001)]).toEqual([true, false])
  })

  it('without a limit refuses nothing', () => {
    const one = account(Infinity)
    expect(setAside(one, 1e12)).toBe(true)
    expect(leftUsd(one)).toBe(Infinity)
    settle(one, 1e12, 3)
    expect(one.spentUsd).toBe(3)
  })

  it('gives back ten tenths as one, although they are added up in floating point', () => {
    const one = account(1)
    expect(Array.from({ length: 10 }, () => setAside(one, 0.1)).every(Boolean)).toBe(true)
    for (let i = 0; i < 10; i++) settle(one, 0.1, 0.1)
    expect(one.setAsideUsd).toBeLessThan(1e-9)
    expect(one.spentUsd).toBeCloseTo(1, 9)
    expect(setAside(one, 0.01)).toBe(false)
  })

  it('of a large budget settles what it set aside, though sums of money are not exact', () => {
    const large = account(1_000_000)
    const prices = Array.from({ length: 2_000 }, (_, i) => (i % 2 === 0 ? 0.1 * (i + 1) : 333_333.3 / (i + 1)))
    for (const price of prices) if (setAside(large, price)) settle(large, price, price / 3)
    expect(large.setAsideUsd).toBeCloseTo(0)
    expect(large.spentUsd).toBeLessThanOrEqual(large.budgetUsd)
  })

  it('gives a call that spends half of what is left, and one without a limit no more than its price', () => {
    const one = account(1)
    expect(allowanceUsd(one, 0, true)).toBe(0.5)
    expect(allowanceUsd(one, 0.75, true)).toBe(0.75)
    setAside(one, 0.5)
    expect(allowanceUsd(one, 0, true)).toBe(0.25)
    expect(allowanceUsd(account(0), 0, true)).toBe(0)
    expect(allowanceUsd(account(Infinity), 0.5, true)).toBe(0.5)
  })

  it('gives a call with a price three times of it, its price where there is less, and nothing to one without', () => {
    expect(allowanceUsd(account(1), 0.125, false)).toBe(0.375)
    expect(allowanceUsd(account(0.5), 0.125, false)).toBe(0.25)
    expect(allowanceUsd(account(0.125), 0.125, false)).toBe(0.125)
    expect(allowanceUsd(account(1), 0, false)).toBe(0)
    expect(allowanceUsd(account(Infinity), 0.125, false)).toBe(0.125)
  })

  it('pays what was agreed at most; one without a limit what it is told', () => {
    expect([owedUsd(account(1), 0.25, 0.125), owedUsd(account(1), 0.25, 1e300), owedUsd(account(1), 0, 5), owedUsd(account(Infinity), 0.25, 7)]).toEqual([0.125, 0.25, 0, 7])
  })

  it('is never overdrawn, however many calls are under way and whatever they say they have cost', () => {
    const random = seededRandom([7, 7])
    const one = account(3)
    const underWay: number[] = []
    let spentUsd = 0
    for (let i = 0; i < 5_000; i++) {
      const priceUsd = random.next() / 4
      if (random.next() < 0.6 && setAside(one, priceUsd)) underWay.push(priceUsd)
      else {
        const ended = underWay.shift()
        if (ended === undefined) continue
        const costUsd = owedUsd(one, ended, ended * 3 * random.next())
        settle(one, ended, costUsd)
        spentUsd += costUsd
      }
      expect(one.spentUsd + one.setAsideUsd).toBeLessThanOrEqual(3 + 1e-9)
    }
    expect(one.spentUsd).toBeCloseTo(spentUsd, 9)
    expect(one.spentUsd, 'it was used up').toBeGreaterThan(2.5)
  })
})

describe('the id of an invocation', () => {
  const [missionId, taskId] = ['m-aaaaaaaa-bbbbbbbbbbbb' as MissionId, 'root/a' as TaskId]

  it('is another for every call, attempt and life of the node that makes it', () => {
    const ids = [['x', 1, 1], ['x', 2, 1], ['x', 1, 2], ['y', 1, 1]] as const
    expect(new Set(ids.map(([life, number, attempt]) => invocationCallId({ missionId, taskId }, life, number, attempt))).size).toBe(4)
  })

  it('is told from those of awards and their calls', () => {
    expect(isInvocationId(invocationCallId({ missionId, taskId }, 'x', 1, 1))).toBe(true)
    const epoch = { lineage: 1, term: 1 }
    expect([awardIdOf(missionId, taskId, 1, epoch), callIdOf(missionId, taskId, 1, epoch)].map(isInvocationId)).toEqual([false, false])
  })
})
