/** A manager's contract net, as its initiator: it puts tasks out to tender, follows those who come and go, and awards to the best. */
import { notePlaceTaken, stepInitiator, nextInitiatorTickMs, type InitiatorInput, type InitiatorOutput, type OpenedCall } from '../../protocols/bidding/initiator.ts'
import type { ChosenOffer } from '../../protocols/bidding/offer-book.ts'
import { explain } from '../../protocols/bidding/score.ts'
import type { Award, Call } from '../../protocols/bidding/schema.ts'
import type { SchemaVersion } from '../../protocols/capability/schema.ts'
import { fault, type Fault } from '../../protocols/kernel/errors.ts'
import { awardIdOf, callIdOf, type ActorAddress, type CallId, type PeerId, type TaskId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { blobRefsIn } from '../../protocols/kernel/payload.ts'
import { balanceOf, purseOf, setAsideNext } from '../../protocols/tasking/spending.ts'
import type { TaskNode } from '../../protocols/tasking/mission-state.ts'
import type { AwardRecord } from '../../protocols/tasking/schema.ts'
import { unitsOfPayload } from '../../protocols/models/units.ts'
import type { Offer } from '../messages.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext } from '../runtime/actor.ts'
import { tell, type Effect } from '../runtime/effects.ts'
import { announce, expectedOf, noAssessment } from './calling.ts'
import { noteChild } from './manager-children.ts'
import { noteTender, releaseOffers, takePlace, tasksToCome } from './manager-offers.ts'
import { lookUpProviders } from './manager-providers.ts'
import { beginCall, endCall, foldOf, note, record, taskIdOf, taskOf, type Committing, type ManagerState } from './manager-state.ts'
import { needOf } from './needs.ts'

/** The directory has answered. */
export function onOffers(state: ManagerState, tag: string, offers: readonly Offer[], context: ActorContext): Effect[] {
  return tag.startsWith('update ') ? updateCalls(state, tag, offers, context) : openCalls(state, tag, offers, context)
}

/** Notes who offers a task's capability. @returns whom to exclude from its call, and how many answers to expect. */
function weigh(state: ManagerState, task: TaskNode, offer: Offer, context: ActorContext): { excluded: PeerId[]; expectedBidders: number; asksAll: boolean; connected: number } {
  const need = needOf(task.spec)
  const { providers, excluded, expectedBidders, asksAll, all } = expectedOf(offer, task.attempts.filter(({ outcome }) => outcome === 'failed' || outcome === 'lost').map(({ award }) => award.worker))
  state.providers.set(task.spec.capability, { population: offer.population, shards: offer.shards })
  if (all === undefined) state.allProviders.delete(need)
  else state.allProviders.set(need, all)
  for (const provider of providers) state.assessments.set(provider.peer, provider.assessment)
  // In a mesh that is known in part, announcing is what connects.
  if (providers.length > 0 || (offer.partial && offer.population > 0)) state.unprovided.delete(need)
  else noteUnprovided(state, need, context)
  return { excluded, expectedBidders, asksAll, connected: offer.partial ? offer.population : providers.length }
}

/** What nobody has asked for in a while may have been offered meanwhile. */
function noteUnprovided(state: ManagerState, need: string, { nowMs }: ActorContext): void {
  const known = state.unprovided.get(need)
  const isFollowed = known !== undefined && nowMs - known.lookedAtMs < state.init.tuning.noProviderMs
  state.unprovided.set(need, { sinceMs: isFollowed ? known.sinceMs : nowMs, lookedAtMs: nowMs })
}

/** A call that stays open follows those who come and go. */
function updateCalls(state: ManagerState, tag: string, offers: readonly Offer[], context: ActorContext): Effect[] {
  const taskIds = state.questions.get(tag) ?? []
  state.questions.delete(tag)
  return taskIds.flatMap((taskId, i) => {
    const offer = offers[i]
    const callId = state.callOf.get(taskId)
    if (offer === undefined || callId === undefined) return []
    const { excluded, expectedBidders } = weigh(state, taskOf(state, taskId), offer, context)
    return drive(state, { type: 'update', callId, excluded, expectedBidders }, context)
  })
}

/** Puts tasks out to tender. */
function openCalls(state: ManagerState, tag: string, offers: readonly Offer[], context: ActorContext): Effect[] {
  const taskIds = state.questions.get(tag) ?? []
  state.questions.delete(tag)
  const calls: OpenedCall[] = []
  taskIds.forEach((taskId, i) => {
    const task = taskOf(state, taskId)
    const offer = offers[i]
    // Withdrawn in the meantime, it is prepared again when its time has come.
    if (!state.preparing.has(taskId)) return
    // A result of an earlier attempt may have come meanwhile.
    if (offer === undefined || task.state !== 'pending' || state.unsettledOf.has(taskId)) {
      endCall(state, taskId)
      noteChild(state, taskId)
      return
    }
    const { excluded, expectedBidders, asksAll, connected } = weigh(state, task, offer, context)
    const input = state.inputs.get(taskId) ?? task.spec.input
    const refs = 'inline' in input ? blobRefsIn(input.inline) : blobRefsIn(input)
    const attempt = attemptNumber(state, task)
    const units = unitsOfPayload(task.spec.capability, input)
    const call: Call = {
      callId: callIdOf(state.init.missionId, taskId, attempt, state.epoch), missionId: state.init.missionId, taskId, attempt, kind: task.spec.kind, capability: task.spec.capability,
      ...(task.spec.version === undefined ? {} : { version: task.spec.version }), ...(task.spec.attributes === undefined ? {} : { attributes: task.spec.attributes }), effects: task.spec.effects,
      priority: state.priority ?? task.spec.priority, effort: task.spec.effort, inputBytes: refs.reduce((sum, ref) => sum + ref.sizeBytes, 0), ...(units === undefined ? {} : { units }),
      holders: [...new Set(refs.flatMap((ref) => ref.holders ?? []))].slice(0, limits.blobHoldersMax), excluded, budgetUsd: leftFor(state, taskId), remainingMs: state.deadlineAtMs - context.nowMs,
    }
    beginCall(state, taskId, call.callId)
    calls.push({ call, expectedBidders, asksAll })
    note(state, { taskId, note: 'announced', attempt: call.attempt })
    if (connected === 0) note(state, { taskId, note: 'stalled', text: noProviderText(task) })
    noteTender(state, task, call.callId, asksAll, context)
  })
  return drive(state, { type: 'open', windowMs: state.init.tuning.bidWindowMs, calls }, context)
}

/** What may be spent on a task: what is left of the money that it draws on. */
function leftFor(state: ManagerState, taskId: TaskId): number {
  const { heldUsd, budgetUsd } = balanceOf(foldOf(state), purseOf(foldOf(state), taskId))
  return Math.max(0, budgetUsd - heldUsd)
}

function noProviderText(task: TaskNode): string {
  const wanted = `${task.spec.capability}${task.spec.version === undefined ? '' : `@${task.spec.version}`}`
  return `no live node offers ${wanted}; start one that does: skein node start --join INVITE (see: skein capabilities)`
}

/**
 * An award's identity is never given twice. What an earlier manager of the same task has begun ahead of the log (under the same epoch) may
 * never have come there, so each manager begins to count where none before it has.
 */
function attemptNumber(state: ManagerState, task: TaskNode): number {
  const made = state.attemptsMade.get(task.spec.taskId)
  const earlierManagers = made === undefined ? (state.init.award?.attempt ?? 1) - 1 : 0
  return Math.max(task.attempts.at(-1)?.award.attempt ?? 0, made ?? 0) + earlierManagers + 1
}

/** One step of the initiator's machine, its outputs turned into effects. */
export function drive(state: ManagerState, input: InitiatorInput, context: ActorContext): Effect[] {
  const outputs = stepInitiator(state.book, input, context.nowMs, (peer) => state.assessments.get(peer) ?? noAssessment)
  const effects = outputs.flatMap((output) => perform(state, output, context))
  const tickAtMs = nextInitiatorTickMs(state.book)
  // One that rings too early finds nothing to do, and is set anew then.
  if (tickAtMs !== undefined && (input.type === 'tick' || tickAtMs < state.auctionTickAtMs)) {
    state.auctionTickAtMs = tickAtMs
    effects.push({ type: 'set-timer', key: 'auction', delayMs: Math.max(1, tickAtMs - context.nowMs), message: { kind: 'tick', what: 'auction' } })
  } else if (input.type === 'tick') state.auctionTickAtMs = Infinity
  return effects
}

function perform(state: ManagerState, output: InitiatorOutput, context: ActorContext): Effect[] {
  switch (output.type) {
    case 'announce':
      return announceCalls(state, output.calls, output.round, context)
    case 'award':
      return award(state, output, context)
    case 'reject':
      return [tell(at(output.participant, actorNames.participant), { kind: 'reject-proposal', callIds: [...output.callIds] })]
    case 'silent': {
      const { proposals, refusals, openForMs } = output
      const task = taskOf(state, output.call.taskId)
      const sinceMs = state.unprovided.get(needOf(task.spec))?.sinceMs
      const isHopeless = proposals === 0 && refusals.every(({ retryable }) => !retryable)
      const hopelessForMs = sinceMs !== undefined ? context.nowMs - sinceMs : refusals.length > 0 ? openForMs : 0
      const text = refusals.length > 0 ? `${refusals.length} refused: ${refusals.slice(0, 3).map(({ name, detail }) => `${name}: ${detail}`).join('; ')}` : sinceMs !== undefined ? noProviderText(task) : 'no node has answered yet'
      if (isHopeless && hopelessForMs >= state.init.tuning.noProviderMs) {
        const next = refusals.length > 0 ? 'see why: skein mission why' : 'start a node that offers it, then: skein mission retry'
        return giveUp(state, task, fault('no-provider', text.slice(0, 1_000), { retryable: false, next }), context)
      }
      note(state, { taskId: output.call.taskId, note: 'stalled', text: text.slice(0, 500), refusals: [...refusals] })
      return lookUpProviders(state, [task], context, 'update')
    }
  }
}

function announceCalls(state: ManagerState, calls: readonly Call[], round: number, context: ActorContext): Effect[] {
  const standing = tasksToCome(state)
  return announce({
    self: context.self.peer, cfp: { initiator: context.self, principal: state.init.principal, ...(standing > 0 ? { standing } : {}) },
    population: ({ capability }) => state.providers.get(capability), all: (call) => state.allProviders.get(needOf(call)),
  }, calls, round)
}

/** The best bid is proposed to the log as an award. */
function award(state: ManagerState, output: Extract<InitiatorOutput, { type: 'award' }>, context: ActorContext): Effect[] {
  const { call, winner } = output
  const { capability, effects, effort, priority } = call
  commitAward(state, taskOf(state, call.taskId), call.callId, { worker: winner.peer, participant: output.participant, name: winner.name, version: winner.version, capability, effects, effort, priority },
    { bid: winner, bids: [...output.bids], refusals: [...output.refusals], why: output.why.slice(0, 500) }, context)
  return []
}

interface Winner extends Pick<Call, 'capability' | 'effects' | 'effort' | 'priority'> {
  readonly worker: PeerId
  readonly participant: ActorAddress
  readonly name: string
  readonly version: SchemaVersion
}

function commitAward(state: ManagerState, task: TaskNode, callId: CallId | undefined, winner: Winner, choice: Pick<AwardRecord, 'bid' | 'bids' | 'refusals' | 'why' | 'offer'>, context: ActorContext): void {
  const { missionId, principal, tuning } = state.init
  const { taskId, kind, input, timeLimitMs, attributes, budgetUsd } = task.spec
  const { worker, participant, name, version, capability, effects, effort, priority } = winner
  const attempt = attemptNumber(state, task)
  const { epoch } = state
  const awardId = awardIdOf(missionId, taskId, attempt, epoch)
  state.attemptsMade.set(taskId, attempt)
  const setAsideUsd = setAsideNext(task, choice.bid.priceUsd)
  const full: Award = {
    awardId, callId: callId ?? callIdOf(missionId, taskId, attempt, epoch), missionId, taskId, attempt, epoch, kind, manager: context.self, orchestrator: state.orchestrator, principal, capability, version, ...(attributes === undefined ? {} : { attributes }), effects, effort,
    input: state.inputs.get(taskId) ?? input, ...(task.checkpoint === undefined || kind !== 'leaf' ? {} : { checkpoint: task.checkpoint }), priority, timeLimitMs, ...(budgetUsd === undefined ? {} : { budgetUsd }), leaseMs: tuning.leaseMs, remainingMs: Math.max(1, state.deadlineAtMs - context.nowMs),
  }
  if (kind === 'leaf') takePlace(state, awardId, worker, capability)
  // A pure task does no harm if its award is never committed; that of another node may begin at once (on one's own it would save nothing).
  // An owner that commits nothing any more may be cut off, and others may do the same work: nothing is begun ahead of it then.
  const isEarly = kind === 'leaf' && effects === 'none' && worker !== context.self.peer && context.connected(worker) && commits(state, context)
  const committing: Committing = { award: full, participant, isCalled: callId !== undefined, sentAtMs: isEarly ? context.nowMs : undefined, isDoubtful: false, heard: [] }
  state.committing.set(awardId, committing)
  if (isEarly) state.said.awards.push({ to: participant, award: full, isCalled: committing.isCalled })
  record(state, [{ type: 'awarded', atWallMs: context.wallMs, award: { awardId, taskId, attempt, epoch, worker, workerName: name, capability, version, ...(setAsideUsd === choice.bid.priceUsd ? {} : { setAsideUsd }), ...choice } }])
}

/** What was proposed is answered as fast as it should be. */
function commits({ records }: ManagerState, { nowMs }: ActorContext): boolean {
  const [oldest] = records.values()
  return oldest === undefined || nowMs - oldest.sentAtMs < limits.pulseMs
}

/** An award without a call, against a standing offer. */
export function awardByOffer(state: ManagerState, task: TaskNode, { offer, summary, among }: ChosenOffer, context: ActorContext): void {
  const { spec } = task
  const { breakdown: _breakdown, terms: _terms, ...brief } = summary
  const choice = offer.cited
    ? { bid: brief, bids: [], why: 'by its standing offer' }
    : { bid: summary, bids: among.slice(0, limits.bidsRecordedMax), why: `by its standing offer of ${offer.slots} places, ${explain(among)}`.slice(0, 500) }
  offer.cited = true
  notePlaceTaken(state.book, offer.peer, offer.bid)
  commitAward(state, task, undefined, { worker: offer.peer, participant: offer.participant, name: offer.name, version: offer.bid.version, capability: spec.capability, effects: spec.effects, effort: spec.effort, priority: state.priority ?? spec.priority },
    { ...choice, refusals: [], offer: offer.offerId }, context)
}

/** Nobody need bid for it any more. */
export function closeCall(state: ManagerState, taskId: TaskId, context: ActorContext): Effect[] {
  if (!state.callOf.has(taskId)) return []
  const callId = endCall(state, taskId) as CallId
  noteChild(state, taskId)
  return drive(state, { type: 'close', callIds: [callId] }, context)
}

/** A task that nobody can take is dead. */
function giveUp(state: ManagerState, task: TaskNode, problem: Fault, context: ActorContext): Effect[] {
  return [...closeCall(state, task.spec.taskId, context), ...record(state, [{ type: 'dead', atWallMs: context.wallMs, taskId: task.spec.taskId, fault: problem }])]
}

/** Every call ends. */
export function withdrawCalls(state: ManagerState, context: ActorContext): Effect[] {
  const callIds: CallId[] = [...state.callOf.values()]
  state.callOf.clear()
  state.preparing.clear()
  state.underWay.clear()
  return [...releaseOffers(state), ...drive(state, { type: 'close', callIds }, context)]
}

/** Nothing more is awarded for now; an award that was made takes its course. */
export function withdrawUndecided(state: ManagerState, context: ActorContext): Effect[] {
  const decided = new Set<TaskId | undefined>([...state.committing.values()].map(({ award }) => award.taskId))
  for (const awardId of state.contracts.keys()) decided.add(taskIdOf(awardId, state))
  for (const taskId of [...state.preparing]) {
    endCall(state, taskId)
    noteChild(state, taskId)
  }
  return [...releaseOffers(state), ...[...state.callOf.keys()].filter((taskId) => !decided.has(taskId)).flatMap((taskId) => closeCall(state, taskId, context))]
}
