import { describe, expect, it } from 'vitest'
import type { AwardId } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { expiredLeases, grantLease, leasesOf, nextExpiryMs, renewLease, type LeaseTable } from '../../../protocols/leasing/lease.ts'
import { peer } from '../bidding/offers.ts'

const one = 'one' as AwardId
const two = 'two' as AwardId
const leaseMs = limits.leaseMs
const endsMs = leaseMs + limits.pulseMs

describe('a granted lease', () => {
  it('holds for its time and a margin, not a millisecond longer', () => {
    const table: LeaseTable = new Map()
    grantLease(table, one, peer('w'), leaseMs, 0)
    expect(expiredLeases(table, endsMs - 1)).toEqual([])
    expect(expiredLeases(table, endsMs)).toEqual([one])
    expect(nextExpiryMs(table)).toBe(endsMs)
    expect(nextExpiryMs(new Map())).toBeUndefined()
  })

  it('is renewed by its holder, from then on', () => {
    const table: LeaseTable = new Map()
    grantLease(table, one, peer('w'), leaseMs, 0)
    expect(renewLease(table, one, peer('w'), leaseMs, 4_000)).toBe(true)
    expect(expiredLeases(table, endsMs)).toEqual([])
    expect(expiredLeases(table, 4_000 + endsMs)).toEqual([one])
  })

  it('is renewed by nobody else, and not when it is gone', () => {
    const table: LeaseTable = new Map()
    grantLease(table, one, peer('w'), leaseMs, 0)
    expect(renewLease(table, one, peer('thief'), leaseMs, 4_000)).toBe(false)
    expect(renewLease(table, two, peer('w'), leaseMs, 4_000)).toBe(false)
    expect(expiredLeases(table, endsMs)).toEqual([one])
  })

  it('is one of its worker’s', () => {
    const table: LeaseTable = new Map()
    grantLease(table, one, peer('w'), leaseMs, 0)
    grantLease(table, two, peer('v'), leaseMs, 100)
    expect(leasesOf(table, peer('w'))).toEqual([one])
    expect(leasesOf(table, peer('x'))).toEqual([])
    expect(nextExpiryMs(table)).toBe(endsMs)
  })
})
