/** Feasibility comes before score: yes, or no with a reason and whether trying again can help. One rule each, in order. */
import type { Capability, CapabilityQuery, Match } from '../capability/schema.ts'
import type { PeerId } from '../kernel/ids.ts'
import type { Call, Refusal, RefusalReason } from './schema.ts'

/** What a participant knows of itself when a call arrives. */
export interface OwnOffer {
  readonly peer: PeerId
  /** What of its own capabilities answers a query: the capability room's rule, passed in. */
  readonly match: (query: CapabilityQuery) => Match
  readonly leaving: boolean
  /** The node's loop is late: a stalled node stops bidding. */
  readonly stalled: boolean
  readonly onBattery: boolean
  /** Free places for what answers the call: those of the capability, of the node, or for managers. */
  readonly placesFree: (call: Pick<Call, 'kind'>, capability: Capability) => number
  /** At most. */
  readonly priceUsd: (call: Pick<Call, 'units'>, capability: Capability) => number
  /** It takes nothing for now: in words, why. */
  readonly closed: (capability: Capability) => string | undefined
  readonly inputBytesMax: number
}

/** A call with what answers it here. */
interface Matched {
  readonly call: Call
  readonly capability: Capability
}

type Verdict = { readonly reason: RefusalReason; readonly detail: string; readonly retryable: boolean; readonly waiting?: boolean } | undefined

const rules: readonly ((call: Call, own: OwnOffer) => Verdict)[] = [
  (call, own) => (call.excluded.includes(own.peer) ? { reason: 'excluded', detail: 'an earlier attempt failed here', retryable: false } : undefined),
  (_call, own) => (own.leaving ? { reason: 'leaving', detail: 'the node is stopping', retryable: false } : undefined),
]

const rulesOfMatched: readonly ((matched: Matched, own: OwnOffer) => Verdict)[] = [
  ({ call, capability }, own) => {
    const priceUsd = own.priceUsd(call, capability)
    return priceUsd > call.budgetUsd ? { reason: 'over-budget', detail: `costs up to ${priceUsd} USD, ${call.budgetUsd} USD are left`, retryable: false } : undefined
  },
  ({ call }, own) => (call.inputBytes > own.inputBytesMax ? { reason: 'input-too-large', detail: `${call.inputBytes} bytes of input, ${own.inputBytesMax} are taken`, retryable: false } : undefined),
  ({ call }) => (call.remainingMs <= 0 ? { reason: 'too-late', detail: 'the mission has no time left', retryable: false } : undefined),
  (_matched, own) => (own.onBattery ? { reason: 'on-battery', detail: 'the machine runs on battery', retryable: true } : undefined),
  (_matched, own) => (own.stalled ? { reason: 'stalled', detail: 'the event loop is late', retryable: true, waiting: true } : undefined),
  ({ capability }, own) => {
    const closed = own.closed(capability)
    return closed === undefined ? undefined : { reason: 'closed', detail: closed, retryable: true, waiting: true }
  },
  ({ call, capability }, own) => {
    if (own.placesFree(call, capability) > 0) return undefined
    return call.kind === 'composite'
      ? { reason: 'overloaded', detail: 'no more managers fit on this node', retryable: true, waiting: true }
      : { reason: 'no-free-slot', detail: 'every slot is busy', retryable: true, waiting: true }
  },
]

export function refusalOf(call: Call, own: OwnOffer): Refusal | undefined {
  const verdict = verdictOf(call, own)
  return verdict === undefined ? undefined : { callId: call.callId, reason: verdict.reason, detail: verdict.detail.slice(0, 280), retryable: verdict.retryable, waiting: verdict.waiting ?? false }
}

function verdictOf(call: Call, own: OwnOffer): Verdict {
  for (const rule of rules) {
    const verdict = rule(call, own)
    if (verdict !== undefined) return verdict
  }
  const matched = own.match(call)
  if ('unmet' in matched) return { reason: matched.unmet, detail: matched.detail, retryable: false }
  for (const rule of rulesOfMatched) {
    const verdict = rule({ call, capability: matched.capability }, own)
    if (verdict !== undefined) return verdict
  }
  return undefined
}
