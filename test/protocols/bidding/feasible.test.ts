import { describe, expect, it } from 'vitest'
import { refusalOf, type OwnOffer } from '../../../protocols/bidding/feasible.ts'
import { refusalReasons, Refusal, type Call, type RefusalReason } from '../../../protocols/bidding/schema.ts'
import type { Match } from '../../../protocols/capability/schema.ts'
import { call, peer } from './offers.ts'

const fit: OwnOffer = { peer: peer('me'), match: () => ({ capability: {} as never }), leaving: false, stalled: false, onBattery: false, placesFree: () => 1, priceUsd: () => 0, closed: () => undefined, inputBytesMax: 100 }
const noSlots: OwnOffer['placesFree'] = ({ kind }) => (kind === 'leaf' ? 0 : 1)
const noManagers: OwnOffer['placesFree'] = ({ kind }) => (kind === 'leaf' ? 1 : 0)
const unmet = (reason: Extract<Match, { unmet: string }>['unmet']) => (): Match => ({ unmet: reason, detail: 'x'.repeat(400) })

interface Case {
  readonly own?: Partial<OwnOffer>
  readonly asked?: Partial<Call>
  readonly retryable: boolean
  readonly waiting: boolean
}

/** Reasons of this release's rules; the others are said elsewhere or by later releases. */
const cases: Partial<Record<RefusalReason, Case>> = {
  excluded: { asked: { excluded: [peer('me')] }, retryable: false, waiting: false },
  leaving: { own: { leaving: true }, retryable: false, waiting: false },
  'no-capability': { own: { match: unmet('no-capability') }, retryable: false, waiting: false },
  'version-mismatch': { own: { match: unmet('version-mismatch') }, retryable: false, waiting: false },
  'attributes-unmet': { own: { match: unmet('attributes-unmet') }, retryable: false, waiting: false },
  'over-budget': { own: { priceUsd: () => 2 }, retryable: false, waiting: false },
  'input-too-large': { asked: { inputBytes: 101 }, retryable: false, waiting: false },
  'too-late': { asked: { remainingMs: 0 }, retryable: false, waiting: false },
  'on-battery': { own: { onBattery: true }, retryable: true, waiting: false },
  stalled: { own: { stalled: true }, retryable: true, waiting: true },
  closed: { own: { closed: () => 'its endpoint is down' }, retryable: true, waiting: true },
  overloaded: { own: { placesFree: noManagers }, asked: { kind: 'composite' }, retryable: true, waiting: true },
  'no-free-slot': { own: { placesFree: noSlots }, retryable: true, waiting: true },
}

describe('feasibility', () => {
  it('is yes for who can', () => {
    expect(refusalOf(call('c', { inputBytes: 100 }), fit)).toBeUndefined()
    expect(refusalOf(call('c'), { ...fit, placesFree: noManagers })).toBeUndefined()
    expect(refusalOf(call('c', { kind: 'composite' }), { ...fit, placesFree: noSlots })).toBeUndefined()
  })

  it.each(Object.entries(cases))('%s: with a reason, and whether a retry can help', (reason, { own, asked, retryable, waiting }) => {
    expect(refusalReasons).toContain(reason)
    const refusal = refusalOf(call('c', asked), { ...fit, ...own })
    expect(refusal).toMatchObject({ callId: 'c', reason, retryable, waiting })
    expect(Refusal.parse(refusal)).toEqual(refusal)
  })

  it('what can never be comes before what cannot be now', () => {
    const everything = { ...fit, ...Object.assign({}, ...Object.values(cases).map(({ own }) => own ?? {})) as Partial<OwnOffer> }
    expect(refusalOf(call('c'), everything)).toMatchObject({ reason: 'leaving' })
    expect(refusalOf(call('c', { inputBytes: 101 }), { ...fit, placesFree: noSlots, stalled: true })).toMatchObject({ reason: 'input-too-large' })
    expect(refusalOf(call('c'), { ...fit, placesFree: noSlots, onBattery: true })).toMatchObject({ reason: 'on-battery' })
  })
})
