/**
 * The initiator's side of the contract net: a book of open calls, one per attempt of a task.
 *
 * A call is announced, collects proposals for a window (closed early when every provider that was expected has
 * answered), and is awarded to the best. Without a usable proposal it stays open: participants that were busy bid when a
 * slot comes free, and the call is announced again, wider each time. See SPEC.md.
 */
import type { CallId, PeerId } from '../kernel/ids.ts'
import type { ActorAddress } from '../kernel/ids.ts'
import { limits } from '../kernel/limits.ts'
import type { DurationMs, InstantMs } from '../kernel/units.ts'
import type { Assessment } from './calibration.ts'
import type { Bid, BidSummary, Call, Refusal, RefusalSummary } from './schema.ts'
import { explain, rank } from './score.ts'

interface Proposal {
  readonly pool: PoolKey
  readonly participant: ActorAddress
  readonly name: string
  readonly bid: Bid
  readonly expiresAtMs: InstantMs
}

/** Leaves and composite tasks fill different places of a node, and so do capabilities with places of their own: they are counted apart. */
type PoolKey = `${Call['kind']} ${string} ${PeerId}`

function poolOf(kind: Call['kind'], { pool }: Pick<Bid, 'pool'>, peer: PeerId): PoolKey {
  return `${kind} ${pool ?? ''} ${peer}`
}

/** The same, of a bid: its pool's name is the bidder's choice, and nobody fills this memory with them. */
function poolOfBid({ freePlaces }: CallBook, kind: Call['kind'], bid: Pick<Bid, 'pool'>, peer: PeerId): PoolKey {
  const pool = poolOf(kind, bid, peer)
  if (bid.pool === undefined || freePlaces.has(pool)) return pool
  let known = 0
  for (const one of freePlaces.keys()) if (one.endsWith(` ${peer}`)) known += 1
  return known < limits.poolsPerPeerMax ? pool : poolOf(kind, {}, peer)
}

interface Auction {
  call: Call
  expectedBidders: number
  readonly asksAll: boolean
  readonly proposals: Map<PeerId, Proposal>
  readonly refusals: Map<PeerId, { readonly name: string; readonly refusal: Refusal }>
  announcements: number
  readonly openedAtMs: InstantMs
  windowEndsAtMs: InstantMs
  announcedAtMs: InstantMs
  announceAtMs: InstantMs
  /** The peer that was awarded and has not confirmed yet. */
  decided?: PeerId | undefined
}

export interface CallBook {
  readonly auctions: Map<CallId, Auction>
  /** What a peer said last of its free places, whichever call it bid for. */
  readonly freePlaces: Map<PoolKey, number>
  /** Places taken by our own awards that a peer's last word does not count yet. */
  readonly takenSinceBid: Map<PoolKey, number>
  /** Awarded and not confirmed: a peer that bids now has not heard of these. And how many they are of each pool. */
  readonly unconfirmed: Map<CallId, PoolKey>
  readonly unconfirmedOf: Map<PoolKey, number>
  /** Every call that is undecided and has a proposal is in here; others may be, too. */
  readonly withBids: Set<CallId>
  /** Nothing is to be done by time alone before this. */
  dueAtMs: InstantMs
}

export interface OpenedCall {
  readonly call: Call
  readonly expectedBidders: number
  /** The first announcement asks everybody there is. If not, it is widened as soon as those expected have answered, none with a bid. */
  readonly asksAll: boolean
}

export type InitiatorInput =
  | { readonly type: 'open'; readonly windowMs: DurationMs; readonly calls: readonly OpenedCall[] }
  | { readonly type: 'propose'; readonly peer: PeerId; readonly participant: ActorAddress; readonly name: string; readonly bids: readonly Bid[] }
  | { readonly type: 'refuse'; readonly peer: PeerId; readonly name: string; readonly refusals: readonly Refusal[] }
  | { readonly type: 'award-refused'; readonly callId: CallId; readonly peer: PeerId; readonly refusal: Refusal }
  | { readonly type: 'confirmed'; readonly callId: CallId }
  /** Who offers the capability has changed: other peers are excluded, another number of answers is expected. */
  | { readonly type: 'update'; readonly callId: CallId; readonly excluded: readonly PeerId[]; readonly expectedBidders: number }
  | { readonly type: 'close'; readonly callIds: readonly CallId[] }
  | { readonly type: 'peer-down'; readonly peer: PeerId }
  | { readonly type: 'tick' }

export type InitiatorOutput =
  | { readonly type: 'announce'; readonly calls: readonly Call[]; readonly round: number }
  | { readonly type: 'award'; readonly call: Call; readonly participant: ActorAddress; readonly winner: BidSummary; readonly bids: readonly BidSummary[]; readonly refusals: readonly RefusalSummary[]; readonly why: string }
  | { readonly type: 'reject'; readonly participant: PeerId; readonly callIds: readonly CallId[] }
  | { readonly type: 'silent'; readonly call: Call; readonly openForMs: DurationMs; readonly proposals: number; readonly refusals: readonly RefusalSummary[] }

export type Assess = (peer: PeerId) => Assessment

export function emptyCallBook(): CallBook {
  return { auctions: new Map(), freePlaces: new Map(), takenSinceBid: new Map(), unconfirmed: new Map(), unconfirmedOf: new Map(), withBids: new Set(), dueAtMs: Infinity }
}

/** @param assess what this node has learned of a peer; read at the moment of choosing. */
export function stepInitiator(book: CallBook, input: InitiatorInput, nowMs: InstantMs, assess: Assess): InitiatorOutput[] {
  switch (input.type) {
    case 'open':
      return open(book, input.calls, input.windowMs, nowMs)
    case 'propose': {
      const over: CallId[] = []
      for (const bid of input.bids) {
        const auction = book.auctions.get(bid.callId)
        if (auction === undefined) over.push(bid.callId)
        if (auction === undefined || auction.call.excluded.includes(input.peer)) continue
        // Who asks more than there is has not bid: a fast one must not keep a cheap one from it.
        if (bid.priceUsd > auction.call.budgetUsd) {
          auction.proposals.delete(input.peer)
          auction.refusals.set(input.peer, { name: input.name, refusal: overBudget(bid, auction.call) })
          continue
        }
        const pool = poolOfBid(book, auction.call.kind, bid, input.peer)
        book.freePlaces.set(pool, bid.slotsFree)
        book.takenSinceBid.set(pool, book.unconfirmedOf.get(pool) ?? 0)
        auction.refusals.delete(input.peer)
        auction.proposals.set(input.peer, { pool, participant: input.participant, name: input.name, bid, expiresAtMs: nowMs + bid.expiresInMs })
        book.withBids.add(bid.callId)
      }
      return [...tellOver(input.peer, over), ...choose(book, nowMs, assess)]
    }
    case 'refuse': {
      const over: CallId[] = []
      for (const refusal of input.refusals) {
        const auction = book.auctions.get(refusal.callId)
        if (auction === undefined && refusal.waiting) over.push(refusal.callId)
        if (auction === undefined) continue
        // Who says no now takes an earlier bid back.
        if (auction.decided !== input.peer) auction.proposals.delete(input.peer)
        auction.refusals.set(input.peer, { name: input.name, refusal })
        // Busy, all of those who were asked: others may not be. Silence says nothing: they may be far away.
        if (!auction.asksAll && auction.announcements === 1 && auction.proposals.size === 0 && answers(auction) >= auction.expectedBidders) announceAt(book, auction, nowMs)
      }
      return [...tellOver(input.peer, over), ...choose(book, nowMs, assess), ...announceAgain(book, nowMs)]
    }
    case 'award-refused': {
      const auction = book.auctions.get(input.callId)
      // Of an award that is over already: another may have the call by now.
      if (auction === undefined || auction.decided !== input.peer) return []
      confirm(book, input.callId)
      const name = auction.proposals.get(input.peer)?.name ?? input.peer
      auction.proposals.delete(input.peer)
      auction.refusals.set(input.peer, { name, refusal: input.refusal })
      reopen(book, input.callId, auction)
      return choose(book, nowMs, assess)
    }
    case 'confirmed':
      return close(book, [input.callId])
    case 'update':
      return update(book, input, nowMs, assess)
    case 'close':
      return close(book, input.callIds)
    case 'peer-down':
      for (const known of [book.takenSinceBid, book.freePlaces]) for (const pool of known.keys()) if (pool.endsWith(` ${input.peer}`)) known.delete(pool)
      for (const [callId, pool] of book.unconfirmed) if (pool.endsWith(` ${input.peer}`)) confirm(book, callId)
      for (const [callId, auction] of book.auctions) {
        auction.proposals.delete(input.peer)
        auction.refusals.delete(input.peer)
        if (auction.decided === input.peer) reopen(book, callId, auction)
      }
      return []
    case 'tick': {
      const outputs = [...choose(book, nowMs, assess), ...announceAgain(book, nowMs)]
      book.dueAtMs = Infinity
      for (const auction of book.auctions.values()) noteDue(book, auction, nowMs)
      return outputs
    }
  }
}

function overBudget({ callId, priceUsd }: Bid, { budgetUsd }: Call): Refusal {
  return { callId, reason: 'over-budget', detail: `asks ${priceUsd} USD, ${budgetUsd} USD are left`.slice(0, 280), retryable: false, waiting: false }
}

/** Whether more bids are waited for before the call is decided. */
export function isCollecting({ auctions }: CallBook, callId: CallId, nowMs: InstantMs): boolean {
  const auction = auctions.get(callId)
  return auction !== undefined && auction.decided === undefined && nowMs < auction.windowEndsAtMs && answers(auction) < auction.expectedBidders
}

/** A place of that peer was taken without a call, by a standing bid. */
export function notePlaceTaken(book: CallBook, peer: PeerId, bid: Pick<Bid, 'pool'>): void {
  const pool = poolOfBid(book, 'leaf', bid, peer)
  book.takenSinceBid.set(pool, (book.takenSinceBid.get(pool) ?? 0) + 1)
}

/** The peer that was awarded the call has heard of it, or never will. */
function confirm(book: CallBook, callId: CallId): void {
  const pool = book.unconfirmed.get(callId)
  if (pool === undefined) return
  book.unconfirmed.delete(callId)
  const left = (book.unconfirmedOf.get(pool) ?? 1) - 1
  if (left === 0) book.unconfirmedOf.delete(pool)
  else book.unconfirmedOf.set(pool, left)
}

/** Whoever was to have the call does not: it is to be decided again. */
function reopen(book: CallBook, callId: CallId, auction: Auction): void {
  auction.decided = undefined
  if (auction.proposals.size > 0) book.withBids.add(callId)
  book.dueAtMs = Math.min(book.dueAtMs, auction.windowEndsAtMs, auction.announceAtMs)
}

function announceAt(book: CallBook, auction: Auction, atMs: InstantMs): void {
  auction.announceAtMs = atMs
  book.dueAtMs = Math.min(book.dueAtMs, atMs)
}

function noteDue(book: CallBook, auction: Auction, nowMs: InstantMs): void {
  if (auction.decided !== undefined) return
  book.dueAtMs = Math.min(book.dueAtMs, auction.windowEndsAtMs > nowMs ? Math.min(auction.windowEndsAtMs, auction.announceAtMs) : auction.announceAtMs)
}

/** Who answers too late would wait, or hold a place, for a call that is over. */
function tellOver(participant: PeerId, callIds: readonly CallId[]): InitiatorOutput[] {
  return callIds.length > 0 ? [{ type: 'reject', participant, callIds }] : []
}

/** When `tick` is needed next, at the latest; undefined when no call is open. */
export function nextInitiatorTickMs(book: CallBook): InstantMs | undefined {
  return book.auctions.size === 0 || book.dueAtMs === Infinity ? undefined : book.dueAtMs
}

export function openAuction(book: CallBook, callId: CallId): { announcements: number; bids: number; refusals: RefusalSummary[] } | undefined {
  const auction = book.auctions.get(callId)
  return auction && { announcements: auction.announcements, bids: auction.proposals.size, refusals: refusalSummaries(auction) }
}

function open(book: CallBook, opened: readonly OpenedCall[], windowMs: DurationMs, nowMs: InstantMs): InitiatorOutput[] {
  for (const { call, expectedBidders, asksAll } of opened) {
    const auction: Auction = {
      call, expectedBidders, asksAll, proposals: new Map(), refusals: new Map(), announcements: 1, openedAtMs: nowMs,
      windowEndsAtMs: nowMs + windowMs, announcedAtMs: nowMs, announceAtMs: nowMs + limits.reannounceMsMin,
    }
    book.auctions.set(call.callId, auction)
    noteDue(book, auction, nowMs)
  }
  return announcements(opened.map(({ call }) => call), 0)
}

function update(book: CallBook, { callId, excluded, expectedBidders }: Extract<InitiatorInput, { type: 'update' }>, nowMs: InstantMs, assess: Assess): InitiatorOutput[] {
  const auction = book.auctions.get(callId)
  if (auction === undefined || auction.decided !== undefined) return []
  const before = auction.call.excluded
  auction.expectedBidders = expectedBidders
  if (before.length === excluded.length && before.every((peer) => excluded.includes(peer))) return choose(book, nowMs, assess, [callId])
  // Those who were excluded may bid now: they are asked at once.
  auction.call = { ...auction.call, excluded: [...excluded] }
  for (const peer of before) auction.refusals.delete(peer)
  for (const peer of excluded) auction.proposals.delete(peer)
  announceAt(book, auction, nowMs)
  return announceAgain(book, nowMs)
}

function announcements(calls: readonly Call[], round: number): InitiatorOutput[] {
  const outputs: InitiatorOutput[] = []
  for (let i = 0; i < calls.length; i += limits.callsPerAnnouncementMax) outputs.push({ type: 'announce', calls: calls.slice(i, i + limits.callsPerAnnouncementMax), round })
  return outputs
}

function announceAgain(book: CallBook, nowMs: InstantMs): InitiatorOutput[] {
  if (nowMs < book.dueAtMs) return []
  const byRound = new Map<number, Call[]>()
  const silent: InitiatorOutput[] = []
  for (const auction of book.auctions.values()) {
    if (auction.decided !== undefined || auction.announceAtMs > nowMs) continue
    const elapsedMs = nowMs - auction.openedAtMs
    auction.call = { ...auction.call, remainingMs: auction.call.remainingMs - (nowMs - auction.announcedAtMs) }
    auction.announcedAtMs = nowMs
    silent.push({ type: 'silent', call: auction.call, openForMs: elapsedMs, proposals: auction.proposals.size, refusals: refusalSummaries(auction) })
    byRound.set(auction.announcements, [...(byRound.get(auction.announcements) ?? []), auction.call])
    auction.announcements += 1
    // Enough wait for it to be sure of a bid when a place comes free; they are told again only so that they do not forget.
    auction.announceAtMs = nowMs + (waitersOf(auction) >= limits.biddersAimed && auction.announcements > 2 ? limits.refusalRepeatMs : backoffMs(auction.announcements))
  }
  return [...silent, ...[...byRound].flatMap(([round, calls]) => announcements(calls, round))]
}

function waitersOf(auction: Auction): number {
  let count = 0
  for (const { refusal } of auction.refusals.values()) if (refusal.waiting) count += 1
  return count
}

function backoffMs(announcements: number): DurationMs {
  return Math.min(limits.reannounceMsMax, limits.reannounceMsMin * 2 ** (announcements - 1))
}

/** @param among which of the undecided calls are looked at: by default all that somebody has bid for. */
function choose(book: CallBook, nowMs: InstantMs, assess: Assess, among: Iterable<CallId> = book.withBids): InitiatorOutput[] {
  const free = poolsWithPlaces(book)
  if (free.size === 0) return []
  const ready: Auction[] = []
  for (const callId of among) {
    const auction = book.auctions.get(callId)
    if (auction === undefined || auction.decided !== undefined || auction.proposals.size === 0) book.withBids.delete(callId)
    else if ((nowMs >= auction.windowEndsAtMs || answers(auction) >= auction.expectedBidders) && hasPlace(auction, free)) ready.push(auction)
  }
  // What was lost or failed before goes before what was never started: its mission has waited for it already.
  if (ready.length > 1) ready.sort((left, right) => right.call.priority - left.call.priority || right.call.attempt - left.call.attempt || left.openedAtMs - right.openedAtMs)
  const outputs: InitiatorOutput[] = []
  for (const auction of ready) {
    if (free.size === 0) break
    const output = hasPlace(auction, free) ? decide(book, auction, nowMs, assess) : undefined
    if (output === undefined) continue
    outputs.push(output)
    const pool = auction.proposals.get(output.winner.peer)?.pool
    if (pool !== undefined && placesLeft(book, pool) === 0) free.delete(pool)
  }
  return outputs
}

function poolsWithPlaces(book: CallBook): Set<PoolKey> {
  const free = new Set<PoolKey>()
  for (const pool of book.freePlaces.keys()) if (placesLeft(book, pool) > 0) free.add(pool)
  return free
}

/** Whether anybody who has bid has a place left, as far as is known. */
function hasPlace({ proposals }: Auction, free: ReadonlySet<PoolKey>): boolean {
  for (const { pool } of proposals.values()) if (free.has(pool)) return true
  return false
}

function decide(book: CallBook, auction: Auction, nowMs: InstantMs, assess: Assess): Extract<InitiatorOutput, { type: 'award' }> | undefined {
  const bidders = [...auction.proposals]
    .filter(([, proposal]) => proposal.expiresAtMs > nowMs)
    .map(([peer, proposal]) => ({ peer, name: proposal.name, bid: proposal.bid, slotsFree: placesLeft(book, proposal.pool), assessment: assess(peer) }))
  const willing = bidders.filter((bidder) => bidder.slotsFree > 0)
  // A peer whose breaker is open is used only when nobody else bids, nor will when a place comes free.
  const trusted = willing.filter((bidder) => !bidder.assessment.breakerOpen)
  if (trusted.length === 0 && nowMs - auction.openedAtMs < limits.untrustedPatienceMs && isAwaited(auction, bidders, assess)) return undefined
  const ranked = rank(trusted.length > 0 ? trusted : willing)
  const winner = ranked[0]
  const proposal = winner === undefined ? undefined : auction.proposals.get(winner.peer)
  if (winner === undefined || proposal === undefined) return undefined
  auction.decided = winner.peer
  const { pool } = proposal
  book.unconfirmed.set(auction.call.callId, pool)
  book.unconfirmedOf.set(pool, (book.unconfirmedOf.get(pool) ?? 0) + 1)
  book.takenSinceBid.set(pool, (book.takenSinceBid.get(pool) ?? 0) + 1)
  return { type: 'award', call: auction.call, participant: proposal.participant, winner, bids: ranked.slice(0, limits.bidsRecordedMax), refusals: refusalSummaries(auction), why: explain(ranked) }
}

/** How many of those that were expected to answer have: the excluded were not. */
function answers(auction: Auction): number {
  let count = auction.proposals.size
  for (const peer of auction.refusals.keys()) if (!auction.proposals.has(peer) && !auction.call.excluded.includes(peer)) count += 1
  return count
}

/** Whether somebody who can be trusted has bid before, or waits for a free place. */
function isAwaited(auction: Auction, bidders: readonly { readonly assessment: Assessment; readonly slotsFree: number }[], assess: Assess): boolean {
  if (bidders.some(({ assessment }) => !assessment.breakerOpen)) return true
  return [...auction.refusals].some(([peer, { refusal }]) => refusal.waiting && !assess(peer).breakerOpen)
}

function placesLeft(book: CallBook, pool: PoolKey): number {
  return Math.max(0, (book.freePlaces.get(pool) ?? 0) - (book.takenSinceBid.get(pool) ?? 0))
}

function refusalSummaries(auction: Auction): RefusalSummary[] {
  return [...auction.refusals]
    .slice(0, limits.refusalsRecordedMax)
    .map(([peer, { name, refusal }]) => ({ peer, name, reason: refusal.reason, detail: refusal.detail, retryable: refusal.retryable }))
}

/** Closing tells everybody who still waits for the call, but not the one who has it. */
function close(book: CallBook, callIds: readonly CallId[]): InitiatorOutput[] {
  const byPeer = new Map<PeerId, CallId[]>()
  for (const callId of callIds) {
    const auction = book.auctions.get(callId)
    confirm(book, callId)
    if (auction === undefined) continue
    book.auctions.delete(callId)
    book.withBids.delete(callId)
    const waiting = [...auction.refusals].filter(([, { refusal }]) => refusal.waiting).map(([peer]) => peer)
    for (const peer of [...auction.proposals.keys(), ...waiting]) {
      if (peer !== auction.decided) byPeer.set(peer, [...(byPeer.get(peer) ?? []), callId])
    }
  }
  return [...byPeer].map(([participant, ids]) => ({ type: 'reject', participant, callIds: ids }))
}
