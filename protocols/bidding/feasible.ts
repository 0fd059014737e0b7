/** Feasibility comes before score: yes, or no with a reason and whether trying again can help. One rule each, in order. */
import type { CapabilityQuery, Match } from '../capability/schema.ts'
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
  readonly slotsFree: number
  readonly managersFree: number
  readonly priceUsd: number
  readonly inputBytesMax: number
}

type Verdict = { readonly reason: RefusalReason; readonly detail: string; readonly retryable: boolean; readonly waiting?: boolean } | undefined

const rules: readonly ((call: Call, own: OwnOffer) => Verdict)[] = [
  (call, own) => (call.excluded.includes(own.peer) ? { reason: 'excluded', detail: 'an earlier attempt failed here', retryable: false } : undefined),
  (_call, own) => (own.leaving ? { reason: 'leaving', detail: 'the node is stopping', retryable: false } : undefined),
  (call, own) => {
    const matched = own.match(call)
    return 'unmet' in matched ? { reason: matched.unmet, detail: matched.detail, retryable: false } : undefined
  },
  (call, own) => (own.priceUsd > call.budgetUsd ? { reason: 'over-budget', detail: `costs ${own.priceUsd} USD, ${call.budgetUsd} USD are left`, retryable: false } : undefined),
  (call, own) => (call.inputBytes > own.inputBytesMax ? { reason: 'input-too-large', detail: `${call.inputBytes} bytes of input, ${own.inputBytesMax} are taken`, retryable: false } : undefined),
  (call) => (call.remainingMs <= 0 ? { reason: 'too-late', detail: 'the mission has no time left', retryable: false } : undefined),
  (_call, own) => (own.onBattery ? { reason: 'on-battery', detail: 'the machine runs on battery', retryable: true } : undefined),
  (_call, own) => (own.stalled ? { reason: 'stalled', detail: 'the event loop is late', retryable: true, waiting: true } : undefined),
  (call, own) =>
    call.kind === 'composite'
      ? own.managersFree > 0 ? undefined : { reason: 'overloaded', detail: 'no more managers fit on this node', retryable: true, waiting: true }
      : own.slotsFree > 0 ? undefined : { reason: 'no-free-slot', detail: 'every slot is busy', retryable: true, waiting: true },
]

export function refusalOf(call: Call, own: OwnOffer): Refusal | undefined {
  for (const rule of rules) {
    const verdict = rule(call, own)
    if (verdict !== undefined) return { callId: call.callId, reason: verdict.reason, detail: verdict.detail.slice(0, 280), retryable: verdict.retryable, waiting: verdict.waiting ?? false }
  }
  return undefined
}
