/** What the invoker of a node remembers between two messages. */
import type { Assessment } from '../../protocols/bidding/calibration.ts'
import { emptyCallBook, type CallBook } from '../../protocols/bidding/initiator.ts'
import type { Call } from '../../protocols/bidding/schema.ts'
import type { ActorAddress, CallId, PeerId } from '../../protocols/kernel/ids.ts'
import type { InstantMs } from '../../protocols/kernel/units.ts'
import type { Account, Accounts } from '../../protocols/invoking/accounts.ts'
import type { AskedInvocation } from '../messages.ts'

/** One invocation from the asking to its end. */
export interface Invocation {
  readonly asked: AskedInvocation
  readonly asker: ActorAddress
  readonly account: Account
  readonly accountName: string
  readonly deadlineAtMs: InstantMs
  /** Of the attempt that is under way, once its providers are known. */
  call: Call | undefined
  /** What it calls itself costs money: a part of the account is set aside for that, besides its price. */
  spends: boolean
  attempt: number
  /** Whoever was lost with it. */
  readonly lost: PeerId[]
  /** Where it runs. */
  at: { readonly peer: PeerId; readonly name: string; readonly setAsideUsd: number; readonly sinceMs: InstantMs; readonly promisedMs: number; readonly samples: number; heardAtMs: InstantMs } | undefined
  /** Of earlier attempts: what they have cost, or may have. */
  spentUsd: number
  /** Pieces that were passed on. */
  chunks: number
  /** It has been looked for where only the whole mesh knows. */
  searched: boolean
}

export interface InvokerState {
  readonly book: CallBook
  /** By asker and the tag that it gave. */
  readonly invocations: Map<string, Invocation>
  /** Which of them a call is for. */
  readonly byCall: Map<CallId, string>
  readonly accounts: Accounts
  readonly assessments: Map<PeerId, Assessment>
  /** By capability and what is asked of it. */
  readonly populations: Map<string, { readonly population: number; readonly shards: number; readonly all: readonly PeerId[] | undefined }>
  /** Distinguishes the calls of this life of the node from those of another. */
  readonly life: string
  made: number
  tickAtMs: InstantMs
}

export function newInvokerState(life: string): InvokerState {
  return { book: emptyCallBook(), invocations: new Map(), byCall: new Map(), accounts: new Map(), assessments: new Map(), populations: new Map(), life, made: 0, tickAtMs: Infinity }
}

export function keyOf({ actor }: ActorAddress, tag: string): string {
  return `${actor} ${tag}`
}
