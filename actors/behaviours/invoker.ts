/**
 * Has capabilities executed for whoever on this node waits for one: skills that run here, and the bridge. Calls for proposals like a manager,
 * sends the best bidder `invoke`, and hands its output on. Tried elsewhere when a provider refuses or is lost, as long as nothing of the
 * output was handed on and there are no effects outside. Nothing is kept: see protocols/invoking/SPEC.md.
 */
import { nextInitiatorTickMs, openAuction, stepInitiator, type InitiatorInput, type InitiatorOutput } from '../../protocols/bidding/initiator.ts'
import type { Call, RunStats } from '../../protocols/bidding/schema.ts'
import { fault, type Fault } from '../../protocols/kernel/errors.ts'
import type { ActorAddress, CallId, PeerId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { blobRefsIn } from '../../protocols/kernel/payload.ts'
import { accountOf, allowanceUsd, leftUsd, owedUsd, setAside, settle } from '../../protocols/invoking/accounts.ts'
import { invocationCallId } from '../../protocols/invoking/schema.ts'
import { unitsOfPayload } from '../../protocols/models/units.ts'
import { howToGetAModel } from '../../protocols/models/schema.ts'
import type { MessageOf } from '../../protocols/wire.ts'
import type { AskedInvocation, Offer } from '../messages.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext, Behaviour, Delivery } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'
import type { Tuning } from '../tuning.ts'
import { announce, expectedOf, noAssessment } from './calling.ts'
import { keyOf, newInvokerState, type Invocation, type InvokerState } from './invoker-state.ts'
import { needOf } from './needs.ts'

export interface InvokerInit {
  readonly tuning: Tuning
}

const noStats: RunStats = { queueMs: 0, transferMs: 0, runMs: 0, costUsd: 0 }
/** Attempts after a provider was lost or could not take it. */
const attemptsMax = 4

export function invoker(init: InvokerInit): Behaviour<InvokerState> {
  return {
    kind: 'invoker',
    // One message that it cannot bear must not cost everybody else the answer they wait for.
    supervision: 'resume',
    start: (context) => ({ state: newInvokerState(context.random.text(8)), effects: [tell(at(context.self.peer, actorNames.directory), { kind: 'watch-peers' })] }),
    receive: (state, delivery, context) => receive(init, state, delivery, context),
    endTurn: (state, context) => timer(state, context),
    holds: ({ invocations }) => [...invocations.values()].map(({ asked }) => asked.input),
  }
}

function receive(init: InvokerInit, state: InvokerState, { message, from }: Delivery, context: ActorContext): readonly Effect[] {
  switch (message.kind) {
    case 'invoke-asked':
      return begin(state, from, message.tag, message.invocation, context)
    case 'invoke-withdrawn':
      return withdraw(state, keyOf(from, message.tag), message.reason, context)
    case 'account-closed':
      state.accounts.delete(message.account)
      return []
    case 'askers-gone':
      return forgetAskers(state, message.actor, context)
    case 'offers':
      return onOffers(state, message.tag, message.offers, context)
    case 'propose':
      return message.participant.peer === from.peer ? drive(state, { type: 'propose', peer: from.peer, participant: message.participant, name: message.name, bids: message.bids }, context) : []
    case 'refuse':
      return [...drive(state, { type: 'refuse', peer: from.peer, name: message.name, refusals: message.refusals }, context), ...message.refusals.flatMap(({ callId }) => hopeless(state, callId, context))]
    case 'invoke-taken': {
      const found = runningAt(state, message.callId, from.peer)
      if (found === undefined) return []
      found.heardAtMs = context.nowMs
      return drive(state, { type: 'confirmed', callId: message.callId }, context)
    }
    case 'invoke-refused':
      return onRefused(state, from.peer, message, context)
    case 'invoke-pulse':
      for (const callId of message.callIds) {
        const running = runningAt(state, callId, from.peer)
        if (running !== undefined) running.heardAtMs = context.nowMs
      }
      return []
    case 'invoke-chunks':
      return onChunks(state, from.peer, message, context)
    case 'invoke-ended':
      return onEnded(state, from.peer, message, context)
    case 'assessments':
      for (const [peer, assessment] of message.assessments) if (context.connected(peer)) state.assessments.set(peer, assessment)
      return []
    case 'peer-down':
      return onPeerDown(state, message.peer, context)
    case 'tick':
      state.tickAtMs = Infinity
      return [...drive(state, { type: 'tick' }, context), ...look(init, state, context)]
    default:
      return []
  }
}

// ---- asking ---------------------------------------------------------------------------------------------------------

function begin(state: InvokerState, asker: ActorAddress, tag: string, asked: AskedInvocation, context: ActorContext): Effect[] {
  const key = keyOf(asker, tag)
  if (state.invocations.has(key)) return []
  const accountName = asked.account ?? key
  const invocation: Invocation = {
    asked, asker, accountName, account: accountOf(state.accounts, accountName, asked.budgetUsd ?? Infinity), deadlineAtMs: context.nowMs + asked.timeLimitMs,
    call: undefined, spends: false, attempt: 0, lost: [], at: undefined, spentUsd: 0, chunks: 0, searched: false,
  }
  state.invocations.set(key, invocation)
  return [whoOffers(key, invocation, false, context)]
}

function whoOffers(key: string, { asked: { capability, version, attributes } }: Invocation, patient: boolean, context: ActorContext): Effect {
  return tell(at(context.self.peer, actorNames.directory), { kind: 'who-offers', tag: key, patient, queries: [{ capability, ...(version === undefined ? {} : { version }), ...(attributes === undefined ? {} : { attributes }) }] })
}

/** Who could do it is known: a call is opened, or the one that is open follows those who come and go. */
function onOffers(state: InvokerState, key: string, [offer]: readonly Offer[], context: ActorContext): Effect[] {
  const invocation = state.invocations.get(key)
  if (invocation === undefined || offer === undefined || invocation.at !== undefined) return []
  const { asked } = invocation
  if (offer.known?.kind === 'composite') return fail(state, key, fault('wrong-state', `${asked.capability} is a composite capability: it takes a mission`, { next: `skein run ${asked.capability}` }), context)
  if (offer.providers.length === 0 && offer.population === 0 && invocation.call === undefined) {
    if (invocation.searched) return fail(state, key, nobodyOffers(asked, offer), context)
    invocation.searched = true
    return [whoOffers(key, invocation, true, context)]
  }
  const { providers, excluded, expectedBidders, asksAll, all } = expectedOf(offer, invocation.lost)
  for (const { peer, assessment } of providers) state.assessments.set(peer, assessment)
  state.populations.set(needOf(asked), { population: offer.population, shards: offer.shards, all })
  if (invocation.call !== undefined) return drive(state, { type: 'update', callId: invocation.call.callId, excluded, expectedBidders }, context)
  invocation.spends = offer.known?.attributes['spends'] === true
  const call = callFor(state, invocation, excluded, offer, context)
  invocation.call = call
  state.byCall.set(call.callId, key)
  return drive(state, { type: 'open', windowMs: limits.bidWindowMs, calls: [{ call, expectedBidders, asksAll }] }, context)
}

function callFor(state: InvokerState, invocation: Invocation, excluded: PeerId[], { known }: Offer, context: ActorContext): Call {
  const { asked, account, deadlineAtMs } = invocation
  const refs = 'inline' in asked.input ? blobRefsIn(asked.input.inline) : blobRefsIn(asked.input)
  invocation.attempt += 1
  const { units = unitsOfPayload(asked.capability, asked.input), prefixes = [] } = asked
  return {
    callId: invocationCallId(asked, state.life, ++state.made, invocation.attempt), missionId: asked.missionId, taskId: asked.taskId, attempt: invocation.attempt, kind: 'leaf', capability: asked.capability,
    ...(asked.version === undefined ? {} : { version: asked.version }), ...(asked.attributes === undefined ? {} : { attributes: asked.attributes }), effects: known?.effects ?? 'external', priority: asked.priority, effort: asked.effort ?? 1,
    inputBytes: refs.reduce((sum, ref) => sum + ref.sizeBytes, 0), ...(units === undefined ? {} : { units }), ...(prefixes.length === 0 ? {} : { prefixes: [...prefixes] }), holders: [...new Set(refs.flatMap((ref) => ref.holders ?? []))].slice(0, limits.blobHoldersMax),
    excluded, budgetUsd: Math.min(leftUsd(account), Number.MAX_SAFE_INTEGER), remainingMs: deadlineAtMs - context.nowMs,
  }
}

function nobodyOffers({ capability, attributes }: AskedInvocation, { versions, nearest }: Offer): Fault {
  const wanted = `${capability}${attributes === undefined ? '' : ` with ${JSON.stringify(attributes)}`}`
  if (capability.startsWith('llm.')) return fault('no-provider', `no live node offers ${wanted}`, { next: `${howToGetAModel}; what there is: skein models` })
  if (versions.length === 0 && nearest.length > 0) return fault('unknown-capability', `no node of this mesh offers ${wanted}. Did you mean ${nearest.join(', ')}?`, { next: 'see what is offered: skein capabilities' })
  return fault('no-provider', `no live node offers ${wanted}${versions.length > 0 ? `; offered are ${versions.map((version) => `${capability}@${version}`).join(', ')}` : ''}`, { next: 'see what is offered: skein capabilities; or start a node that offers it: skein node start --skill FILE' })
}

// ---- the contract net -----------------------------------------------------------------------------------------------

/** One step of the initiator's machine, its outputs turned into effects. */
function drive(state: InvokerState, input: InitiatorInput, context: ActorContext): Effect[] {
  return step(state, input, context).flatMap((output) => perform(state, output, context))
}

function step(state: InvokerState, input: InitiatorInput, { nowMs }: ActorContext): InitiatorOutput[] {
  return stepInitiator(state.book, input, nowMs, (peer) => state.assessments.get(peer) ?? noAssessment)
}

function perform(state: InvokerState, output: InitiatorOutput, context: ActorContext): Effect[] {
  switch (output.type) {
    case 'announce':
      // The initiators of all of them are this actor, but each call has a principal of its own.
      return output.calls.flatMap((call) => {
        const invocation = invocationOf(state, call.callId)
        return invocation === undefined ? [] : announce({ self: context.self.peer, cfp: { initiator: context.self, principal: invocation.asked.principal }, population: (one) => state.populations.get(needOf(one)), all: (one) => state.populations.get(needOf(one))?.all }, [call], output.round)
      })
    case 'award':
      return place(state, output, context)
    case 'reject':
      return [tell(at(output.participant, actorNames.participant), { kind: 'reject-proposal', callIds: [...output.callIds] })]
    case 'silent': {
      const key = state.byCall.get(output.call.callId)
      const invocation = key === undefined ? undefined : state.invocations.get(key)
      return key === undefined || invocation === undefined ? [] : [whoOffers(key, invocation, false, context)]
    }
  }
}

/** The best bid gets it, if what it may cost is still there. */
function place(state: InvokerState, { call, winner, participant }: Extract<InitiatorOutput, { type: 'award' }>, context: ActorContext): Effect[] {
  const key = state.byCall.get(call.callId)
  const invocation = key === undefined ? undefined : state.invocations.get(key)
  if (key === undefined || invocation === undefined) return []
  const { asked, account, deadlineAtMs } = invocation
  const setAsideUsd = allowanceUsd(account, winner.priceUsd, invocation.spends)
  if (!setAside(account, setAsideUsd)) return fail(state, key, overBudget(invocation, setAsideUsd), context)
  invocation.at = { peer: winner.peer, name: winner.name, setAsideUsd, sinceMs: context.nowMs, promisedMs: winner.estimatedFinishMs, samples: winner.breakdown.samples, heardAtMs: context.nowMs }
  const heldUsd = invocation.spentUsd + setAsideUsd
  return [...(heldUsd > 0 && asked.account !== undefined ? [tell(invocation.asker, { kind: 'invoke-placed', tag: asked.tag, heldUsd })] : []), tell(participant, {
    kind: 'invoke', caller: context.self, principal: asked.principal, call: { ...call, budgetUsd: account.budgetUsd === Infinity ? call.budgetUsd : setAsideUsd }, version: winner.version, input: asked.input,
    timeLimitMs: Math.max(1, Math.round(deadlineAtMs - context.nowMs)), idempotencyKey: asked.key, streams: asked.streams && invocation.chunks === 0,
  }, asked.principal)]
}

function overBudget({ account, asked }: Invocation, priceUsd: number): Fault {
  return fault('over-limit', `${asked.capability} may cost ${priceUsd.toFixed(6)} USD, ${leftUsd(account).toFixed(6)} of ${account.budgetUsd} USD are left`, { next: 'raise the budget, or ask for less (maxTokens)' })
}

function onRefused(state: InvokerState, peer: PeerId, { callId, refusal }: MessageOf<'invoke-refused'>, context: ActorContext): Effect[] {
  const invocation = invocationOf(state, callId)
  if (invocation?.at?.peer !== peer) return []
  settle(invocation.account, invocation.at.setAsideUsd, 0)
  invocation.at = undefined
  return [...drive(state, { type: 'award-refused', callId, peer, refusal }, context), ...hopeless(state, callId, context)]
}

/** Everybody there is has said no for good. */
function hopeless(state: InvokerState, callId: CallId, context: ActorContext): Effect[] {
  const key = state.byCall.get(callId)
  const invocation = key === undefined ? undefined : state.invocations.get(key)
  const auction = openAuction(state.book, callId)
  if (key === undefined || invocation === undefined || auction === undefined || invocation.at !== undefined || auction.bids > 0) return []
  const population = state.populations.get(needOf(invocation.asked))?.population ?? Infinity
  const [first] = auction.refusals
  if (first === undefined || auction.refusals.length < population || auction.refusals.some(({ retryable }) => retryable)) return []
  const detail = auction.refusals.slice(0, 3).map(({ name, detail: why }) => `${name}: ${why}`).join('; ')
  const isMoney = auction.refusals.some(({ reason }) => reason === 'over-budget')
  return fail(state, key, isMoney ? fault('over-limit', `nobody does ${invocation.asked.capability} for what is left of the budget: ${detail}`, { next: 'raise the budget, or ask for less (maxTokens)' }) : fault('no-provider', `every node refused ${invocation.asked.capability}: ${detail}`, { retryable: false, next: 'see what is offered: skein capabilities' }), context)
}

// ---- running --------------------------------------------------------------------------------------------------------

function onChunks(state: InvokerState, peer: PeerId, { callId, at: from, chunks }: MessageOf<'invoke-chunks'>, context: ActorContext): Effect[] {
  const invocation = invocationOf(state, callId)
  if (invocation?.at?.peer !== peer) return []
  invocation.at.heardAtMs = context.nowMs
  // A stream is never begun again once a part of it was handed on, so the numbers only guard against what is repeated.
  const fresh = chunks.slice(Math.max(0, invocation.chunks - from))
  // Half an answer that looks like a whole one is worse than none.
  if (from > invocation.chunks) return [...cancelAt(invocation, 'a piece of its answer is missing'), ...lose(state, state.byCall.get(callId) ?? '', invocation, 'a piece of its answer is missing', context)]
  if (fresh.length === 0) return []
  invocation.chunks += fresh.length
  return [tell(invocation.asker, { kind: 'invoke-chunk', tag: invocation.asked.tag, chunks: fresh })]
}

function onEnded(state: InvokerState, peer: PeerId, { callId, output, fault: problem, stats: told }: MessageOf<'invoke-ended'>, context: ActorContext): Effect[] {
  const key = state.byCall.get(callId)
  const invocation = key === undefined ? undefined : state.invocations.get(key)
  if (key === undefined || invocation?.at === undefined || invocation.at.peer !== peer) return []
  const { at: where, account, asker, asked } = invocation
  const costUsd = owedUsd(account, where.setAsideUsd, told.costUsd)
  settle(account, where.setAsideUsd, costUsd)
  invocation.spentUsd += costUsd
  const stats = { ...told, costUsd: invocation.spentUsd }
  const learned = output === undefined
    ? (problem?.code === 'lost-worker' || problem?.code === 'provider-failed' || problem?.code === 'skill-failed' ? [{ peer, good: false as const }] : [])
    : [{ peer, good: true as const, promisedMs: where.promisedMs, actualMs: context.nowMs - where.sinceMs, samples: where.samples }]
  const effects: Effect[] = learned.length === 0 ? [] : [tell(at(context.self.peer, actorNames.directory), { kind: 'outcomes-learned', outcomes: learned })]
  if (costUsd < told.costUsd) effects.push(fact('warn', 'invocation.overcharged', { capability: asked.capability, by: where.name, toldUsd: told.costUsd, agreedUsd: where.setAsideUsd }))
  invocation.at = undefined
  if (output !== undefined) return [...effects, ...drive(state, { type: 'confirmed', callId }, context), ...end(state, key), tell(asker, { kind: 'invoke-done', tag: asked.tag, output, by: { peer, name: where.name }, stats })]
  const why = problem ?? fault('skill-failed', 'it ended without a word')
  // Elsewhere it may go better: its endpoint failed, or its node stops.
  if ((why.code === 'provider-failed' || why.code === 'lost-worker' || why.code === 'overloaded') && mayRepeat(invocation)) return [...effects, ...again(state, key, invocation, peer, context)]
  return [...effects, ...drive(state, { type: 'confirmed', callId }, context), ...fail(state, key, why, context, stats)]
}

function mayRepeat({ call, chunks, attempt }: Invocation): boolean {
  return chunks === 0 && attempt < attemptsMax && call?.effects === 'none'
}

/** Another attempt, with somebody else if there is somebody. */
function again(state: InvokerState, key: string, invocation: Invocation, lostPeer: PeerId, context: ActorContext): Effect[] {
  invocation.lost.push(lostPeer)
  const closed = invocation.call === undefined ? [] : closeCall(state, invocation.call.callId, context)
  invocation.call = undefined
  return [...closed, fact('info', 'invocation.repeated', { capability: invocation.asked.capability, attempt: invocation.attempt + 1, lost: lostPeer }), whoOffers(key, invocation, false, context)]
}

function onPeerDown(state: InvokerState, peer: PeerId, context: ActorContext): Effect[] {
  const effects = drive(state, { type: 'peer-down', peer }, context)
  state.assessments.delete(peer)
  for (const [key, invocation] of [...state.invocations]) if (invocation.at?.peer === peer) effects.push(...lose(state, key, invocation, 'the connection to its node was lost', context))
  return effects
}

function lose(state: InvokerState, key: string, invocation: Invocation, why: string, context: ActorContext): Effect[] {
  if (invocation.at === undefined) return []
  const { peer, name, setAsideUsd } = invocation.at
  // What became of it nobody knows: it has cost what it might have.
  settle(invocation.account, setAsideUsd, setAsideUsd)
  invocation.spentUsd += setAsideUsd
  invocation.at = undefined
  const learned: Effect = tell(at(context.self.peer, actorNames.directory), { kind: 'outcomes-learned', outcomes: [{ peer, good: false }] })
  if (mayRepeat(invocation)) return [learned, ...again(state, key, invocation, peer, context)]
  return [learned, ...fail(state, key, fault('lost-worker', `${name} was lost while it ran ${invocation.asked.capability}: ${why}`), context)]
}

/** What silence and time mean. */
function look(init: InvokerInit, state: InvokerState, context: ActorContext): Effect[] {
  const effects: Effect[] = []
  for (const [key, invocation] of [...state.invocations]) {
    const { at: where, deadlineAtMs, asked } = invocation
    if (context.nowMs >= deadlineAtMs) {
      const waited = where === undefined
      effects.push(...withdraw(state, key, 'its time is over', context), tell(invocation.asker, { kind: 'invoke-failed', tag: asked.tag, fault: waited ? fault('overloaded', `no node had a free place for ${asked.capability} within ${asked.timeLimitMs} ms`, { next: 'try again later, or start another node that offers it', retryAfterMs: 1_000 }) : fault('deadline-exceeded', `${asked.capability} did not end within ${asked.timeLimitMs} ms`, { next: 'give it more time, or ask for less' }), stats: { ...noStats, costUsd: invocation.spentUsd + (where?.setAsideUsd ?? 0) } }))
    } else if (where !== undefined && context.nowMs - where.heardAtMs > init.tuning.leaseMs) {
      effects.push(...cancelAt(invocation, 'it gave no sign of life'), ...lose(state, key, invocation, 'it gave no sign of life', context))
    }
  }
  return effects
}

// ---- ending ---------------------------------------------------------------------------------------------------------

function withdraw(state: InvokerState, key: string, reason: string, context: ActorContext): Effect[] {
  const invocation = state.invocations.get(key)
  if (invocation === undefined) return []
  const effects = cancelAt(invocation, reason)
  // It may have cost all of it by the time it hears.
  if (invocation.at !== undefined) settle(invocation.account, invocation.at.setAsideUsd, invocation.at.setAsideUsd)
  if (invocation.call !== undefined) effects.push(...closeCall(state, invocation.call.callId, context))
  return [...effects, ...end(state, key)]
}

function cancelAt({ at: where, call }: Invocation, reason: string): Effect[] {
  return where === undefined || call === undefined ? [] : [tell(at(where.peer, actorNames.participant), { kind: 'invoke-cancel', callId: call.callId, reason })]
}

function closeCall(state: InvokerState, callId: CallId, context: ActorContext): Effect[] {
  state.byCall.delete(callId)
  return drive(state, { type: 'close', callIds: [callId] }, context)
}

function fail(state: InvokerState, key: string, problem: Fault, context: ActorContext, told: RunStats = noStats): Effect[] {
  const invocation = state.invocations.get(key)
  if (invocation === undefined) return []
  const stats = { ...told, costUsd: invocation.spentUsd }
  const closed = invocation.call === undefined ? [] : closeCall(state, invocation.call.callId, context)
  return [...closed, ...end(state, key), tell(invocation.asker, { kind: 'invoke-failed', tag: invocation.asked.tag, fault: problem, stats })]
}

function end(state: InvokerState, key: string): Effect[] {
  const invocation = state.invocations.get(key)
  state.invocations.delete(key)
  if (invocation?.call !== undefined) state.byCall.delete(invocation.call.callId)
  // Nobody else uses an account that nobody has named.
  if (invocation !== undefined && invocation.asked.account === undefined) state.accounts.delete(invocation.accountName)
  if (state.populations.size > needsKept) forgetNeeds(state)
  return []
}

const needsKept = 256

/** What is asked of a capability may be another thing each time. */
function forgetNeeds({ populations, invocations }: InvokerState): void {
  const open = new Set([...invocations.values()].map(({ asked }) => needOf(asked)))
  for (const need of populations.keys()) if (!open.has(need)) populations.delete(need)
}

/** An actor of this node has failed: nobody hears what it asked for. */
function forgetAskers(state: InvokerState, actor: string, context: ActorContext): Effect[] {
  const theirs = [...state.invocations].filter(([, { asker }]) => asker.actor === actor)
  const accounts = new Set(theirs.map(([, { accountName }]) => accountName))
  const effects = theirs.flatMap(([key]) => withdraw(state, key, 'its asker has failed', context))
  for (const account of accounts) state.accounts.delete(account)
  return effects
}

function invocationOf(state: InvokerState, callId: CallId): Invocation | undefined {
  const key = state.byCall.get(callId)
  return key === undefined ? undefined : state.invocations.get(key)
}

function runningAt(state: InvokerState, callId: CallId, peer: PeerId): Invocation['at'] {
  const invocation = invocationOf(state, callId)
  return invocation?.at?.peer === peer ? invocation.at : undefined
}

/** One timer for all: the next thing that time alone brings. */
function timer(state: InvokerState, { nowMs }: ActorContext): Effect[] {
  if (state.invocations.size === 0) return []
  let dueAtMs = Math.min(nextInitiatorTickMs(state.book) ?? Infinity, nowMs + limits.pulseMs)
  for (const { deadlineAtMs } of state.invocations.values()) dueAtMs = Math.min(dueAtMs, deadlineAtMs)
  if (state.tickAtMs <= dueAtMs) return []
  state.tickAtMs = dueAtMs
  return [{ type: 'set-timer', key: 'tick', delayMs: Math.max(1, dueAtMs - nowMs), message: { kind: 'tick' } }]
}
