/** A manager's contract net: it prepares tasks that are ready, calls for proposals, awards, and reacts to what contractors say. */
import { stepInitiator, nextInitiatorTickMs, type InitiatorInput, type InitiatorOutput, type OpenedCall } from '../../protocols/bidding/initiator.ts'
import type { Award, Call, Refusal } from '../../protocols/bidding/schema.ts'
import { announcementFor, callTopic } from '../../protocols/capability/shards.ts'
import { fault, type Fault } from '../../protocols/kernel/errors.ts'
import { awardIdOf, callIdOf, type ActorAddress, type AwardId, type CallId, type PeerId, type TaskId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { blobRefsIn, type Payload } from '../../protocols/kernel/payload.ts'
import { grantLease, leasesOf } from '../../protocols/leasing/lease.ts'
import { isTerminal, liveAttempt, type TaskNode } from '../../protocols/tasking/mission-state.ts'
import { referencesIn, resolveReferences } from '../../protocols/tasking/plan.ts'
import { decideRetry } from '../../protocols/tasking/retry.ts'
import type { MissionEvent } from '../../protocols/tasking/schema.ts'
import type { Offer } from '../messages.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'
import { childrenOf, foldOf, note, record, taskIdOf, taskName, taskOf, type ManagerState } from './manager-state.ts'

const noAssessment = { ratio: 1, reliability: 1, breakerOpen: false }

/** Starts whatever can be started now. */
export function startReadyTasks(state: ManagerState, context: ActorContext): Effect[] {
  if (state.phase !== 'running' || state.paused) return []
  const unsettled = tasksOfRecords(state)
  const ready: TaskNode[] = []
  for (const child of childrenOf(state)) {
    if (child.state !== 'pending' || state.preparing.has(child.spec.taskId) || state.callOf.has(child.spec.taskId) || child.notBeforeWallMs > context.wallMs) continue
    if (unsettled.has(child.spec.taskId)) continue
    if (child.spec.after.every((needed) => isTerminal(taskOf(state, needed).state))) ready.push(child)
  }
  for (const child of ready) state.preparing.add(child.spec.taskId)
  return [...ready.flatMap((child) => resolveInput(state, child)), ...lookUpProviders(state, ready.filter((child) => state.inputs.has(child.spec.taskId)), context)]
}

/** Tasks that something proposed and not yet committed is about. */
function tasksOfRecords(state: ManagerState): Set<TaskId> {
  const taskIds = new Set<TaskId>()
  for (const { events } of state.records.values()) {
    for (const event of events) {
      if (event.type === 'awarded') taskIds.add(event.award.taskId)
      else if ('taskId' in event) taskIds.add(event.taskId)
    }
  }
  return taskIds
}

/** An input that refers to other tasks' outputs is put together once all of those are loaded. */
function resolveInput(state: ManagerState, task: TaskNode): Effect[] {
  const { taskId, input, after } = task.spec
  if (state.inputs.has(taskId)) return []
  if (after.length === 0) {
    state.inputs.set(taskId, input)
    return []
  }
  const inputKey = `input of ${taskId}`
  const own = 'inline' in input ? input.inline : state.values.get(inputKey)
  if (own === undefined) return load(state, inputKey, input)
  const names = referencesIn(own)
  if (names.length === 0) {
    state.inputs.set(taskId, input)
    return []
  }
  const outputs = new Map<string, unknown>()
  const loads: Effect[] = []
  for (const neededId of after) {
    const needed = taskOf(state, neededId)
    const name = taskName(neededId)
    if (!names.includes(name) || needed.result === undefined) continue
    const value = 'inline' in needed.result ? needed.result.inline : state.values.get(neededId)
    if (value === undefined) loads.push(...load(state, neededId, needed.result))
    else outputs.set(name, value)
  }
  if (loads.length > 0 || [...after].some((neededId) => state.loading.has(neededId))) return loads
  return [{ type: 'store-value', value: resolveReferences(own, outputs), tag: `resolved ${taskId}` }]
}

function load(state: ManagerState, key: string, payload: Payload): Effect[] {
  if (state.loading.has(key)) return []
  state.loading.add(key)
  return [{ type: 'load-value', payload, alsoTry: [state.orchestrator.peer], tag: `load ${key}` }]
}

/** A value arrived that some task's input waited for. */
export function onValueForInput(state: ManagerState, context: ActorContext): Effect[] {
  const waiting = [...state.preparing].filter((taskId) => !state.inputs.has(taskId)).map((taskId) => taskOf(state, taskId))
  return [...waiting.flatMap((task) => resolveInput(state, task)), ...lookUpProviders(state, waiting.filter((task) => state.inputs.has(task.spec.taskId)), context)]
}

export function onInputResolved(state: ManagerState, taskId: TaskId, payload: Payload, context: ActorContext): Effect[] {
  state.inputs.set(taskId, payload)
  return lookUpProviders(state, [taskOf(state, taskId)], context)
}

function lookUpProviders(state: ManagerState, tasks: readonly TaskNode[], context: ActorContext, what: 'offers' | 'update' = 'offers'): Effect[] {
  if (tasks.length === 0) return []
  const tag = `${what} ${state.nextRequest++}`
  state.questions.set(tag, tasks.map((task) => task.spec.taskId))
  const queries = tasks.map(({ spec }) => ({ capability: spec.capability, ...(spec.version === undefined ? {} : { version: spec.version }), ...(spec.attributes === undefined ? {} : { attributes: spec.attributes }) }))
  return [tell(at(context.self.peer, actorNames.directory), { kind: 'who-offers', tag, patient: false, queries })]
}

/** The directory has answered. */
export function onOffers(state: ManagerState, tag: string, offers: readonly Offer[], context: ActorContext): Effect[] {
  return tag.startsWith('update ') ? updateCalls(state, tag, offers, context) : openCalls(state, tag, offers, context)
}

/** Notes who offers a task's capability. @returns whom to exclude from its call, and how many answers to expect. */
function weigh(state: ManagerState, task: TaskNode, offer: Offer, context: ActorContext): { excluded: PeerId[]; expectedBidders: number; asksAll: boolean; connected: number } {
  const { taskId, capability } = task.spec
  const providers = offer.providers.filter((provider) => provider.connected)
  state.providers.set(capability, { population: offer.population, shards: offer.shards })
  for (const provider of providers) state.assessments.set(provider.peer, provider.assessment)
  // In a mesh that is known in part, announcing is what connects.
  if (providers.length > 0 || (offer.partial && offer.population > 0)) state.unprovidedSinceMs.delete(taskId)
  else if (!state.unprovidedSinceMs.has(taskId)) state.unprovidedSinceMs.set(taskId, context.nowMs)
  const failedOn = task.attempts.filter((attempt) => attempt.outcome === 'failed' || attempt.outcome === 'lost').map((attempt) => attempt.award.worker)
  // Who failed at it or was lost with it is avoided, unless there is nobody else.
  const excluded = providers.some((provider) => !failedOn.includes(provider.peer)) ? [...new Set(failedOn)].slice(-64) : []
  const fit = providers.filter((provider) => !excluded.includes(provider.peer)).length
  // Known in part, the mesh is asked by threshold: how many of those asked there are is a matter of chance.
  const asksAll = offer.population <= limits.askedAllMax
  const known = fit > 0 && asksAll && !offer.partial
  const expectedBidders = known ? fit : asksAll ? Number.MAX_SAFE_INTEGER : limits.biddersEnough
  return { excluded, expectedBidders, asksAll, connected: offer.partial ? offer.population : providers.length }
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
  const effects: Effect[] = []
  taskIds.forEach((taskId, i) => {
    const task = taskOf(state, taskId)
    const offer = offers[i]
    // Withdrawn in the meantime, it is prepared again when its time has come.
    if (!state.preparing.delete(taskId)) return
    if (offer === undefined || task.state !== 'pending' || state.callOf.has(taskId)) return
    const { excluded, expectedBidders, asksAll, connected } = weigh(state, task, offer, context)
    const input = state.inputs.get(taskId) ?? task.spec.input
    const refs = 'inline' in input ? blobRefsIn(input.inline) : blobRefsIn(input)
    const attempt = attemptNumber(state, task)
    const call: Call = {
      callId: callIdOf(state.init.missionId, taskId, attempt, state.epoch), missionId: state.init.missionId, taskId, attempt, kind: task.spec.kind, capability: task.spec.capability,
      ...(task.spec.version === undefined ? {} : { version: task.spec.version }), ...(task.spec.attributes === undefined ? {} : { attributes: task.spec.attributes }), effects: task.spec.effects,
      priority: state.priority ?? task.spec.priority, effort: task.spec.effort, inputBytes: refs.reduce((sum, ref) => sum + ref.sizeBytes, 0),
      holders: [...new Set(refs.flatMap((ref) => ref.holders ?? []))].slice(0, limits.blobHoldersMax), excluded, budgetUsd: Math.max(0, foldOf(state).limits.budgetUsd - foldOf(state).spentUsd), remainingMs: state.deadlineAtMs - context.nowMs,
    }
    state.callOf.set(taskId, call.callId)
    calls.push({ call, expectedBidders, asksAll })
    effects.push(note(state, { taskId, note: 'announced', attempt: call.attempt }))
    if (connected === 0) effects.push(note(state, { taskId, note: 'stalled', text: noProviderText(task) }))
  })
  return [...effects, ...drive(state, { type: 'open', windowMs: state.init.tuning.bidWindowMs, calls }, context)]
}

function noProviderText(task: TaskNode): string {
  const wanted = `${task.spec.capability}${task.spec.version === undefined ? '' : `@${task.spec.version}`}`
  return `no live node offers ${wanted}; start one that does: skein node start --join INVITE (see: skein capabilities)`
}

function attemptNumber(state: ManagerState, task: TaskNode): number {
  return Math.max(task.attempts.at(-1)?.award.attempt ?? 0, state.attemptsMade.get(task.spec.taskId) ?? 0) + 1
}

/** One step of the initiator's machine, its outputs turned into effects. */
export function drive(state: ManagerState, input: InitiatorInput, context: ActorContext): Effect[] {
  const outputs = stepInitiator(state.book, input, context.nowMs, (peer) => state.assessments.get(peer) ?? noAssessment)
  const effects = outputs.flatMap((output) => perform(state, output, context))
  const tickAtMs = nextInitiatorTickMs(state.book, context.nowMs)
  if (tickAtMs !== undefined) effects.push({ type: 'set-timer', key: 'auction', delayMs: Math.max(1, tickAtMs - context.nowMs), message: { kind: 'tick', what: 'auction' } })
  return effects
}

function perform(state: ManagerState, output: InitiatorOutput, context: ActorContext): Effect[] {
  switch (output.type) {
    case 'announce':
      return announce(state, output.calls, output.round, context)
    case 'award':
      return award(state, output, context)
    case 'reject':
      return [tell(at(output.participant, actorNames.participant), { kind: 'reject-proposal', callIds: [...output.callIds] })]
    case 'silent': {
      const task = taskOf(state, output.call.taskId)
      const sinceMs = state.unprovidedSinceMs.get(output.call.taskId)
      if (sinceMs !== undefined && output.proposals === 0 && output.refusals.length === 0 && context.nowMs - sinceMs >= state.init.tuning.noProviderMs) {
        return giveUp(state, task, fault('no-provider', noProviderText(task), { retryable: false, next: 'start a node that offers it, then: skein mission retry' }), context)
      }
      const permanent = output.refusals.length > 0 && output.proposals === 0 && output.refusals.every((refusal) => !refusal.retryable)
      const text = output.refusals.length > 0 ? `${output.refusals.length} refused: ${output.refusals.slice(0, 3).map((refusal) => `${refusal.name}: ${refusal.detail}`).join('; ')}` : sinceMs !== undefined ? noProviderText(task) : 'no node has answered yet'
      if (permanent && output.openForMs >= state.init.tuning.noProviderMs) return giveUp(state, task, fault('no-provider', text.slice(0, 1_000), { retryable: false, next: 'see why: skein mission why' }), context)
      return [note(state, { taskId: output.call.taskId, note: 'stalled', text: text.slice(0, 500), refusals: [...output.refusals] }), ...lookUpProviders(state, [task], context, 'update')]
    }
  }
}

function announce(state: ManagerState, calls: readonly Call[], round: number, context: ActorContext): Effect[] {
  const groups = new Map<string, { readonly topic: string; readonly threshold: number; readonly calls: Call[] }>()
  for (const call of calls) {
    const known = state.providers.get(call.capability) ?? { population: 1, shards: 1 }
    const { shards, threshold } = announcementFor(context.self.peer, known.shards, known.population, round)
    for (const shard of shards) {
      const topic = callTopic(call.capability, shard)
      const group = groups.get(topic)
      if (group === undefined) groups.set(topic, { topic, threshold, calls: [call] })
      else group.calls.push(call)
    }
  }
  return [...groups.values()].map(({ topic, threshold, calls: grouped }) => ({
    type: 'publish', topic, to: actorNames.participant, principal: state.init.principal,
    message: { kind: 'cfp', initiator: context.self, principal: state.init.principal, threshold, expiresInMs: limits.callExpiryMs, calls: grouped },
  }))
}

/** The best bid is committed as an award first; the accept-proposal leaves when the log has it. */
function award(state: ManagerState, output: Extract<InitiatorOutput, { type: 'award' }>, context: ActorContext): Effect[] {
  const { call, winner } = output
  const task = taskOf(state, call.taskId)
  const attempt = attemptNumber(state, task)
  const awardId = awardIdOf(state.init.missionId, call.taskId, attempt, state.epoch)
  state.attemptsMade.set(call.taskId, attempt)
  const full: Award = {
    awardId, callId: call.callId, missionId: state.init.missionId, taskId: call.taskId, attempt, epoch: state.epoch, kind: task.spec.kind, manager: context.self, orchestrator: state.orchestrator, principal: state.init.principal,
    capability: call.capability, version: winner.version, effects: call.effects, effort: call.effort, input: state.inputs.get(call.taskId) ?? task.spec.input, priority: call.priority, timeLimitMs: task.spec.timeLimitMs,
    leaseMs: state.init.tuning.leaseMs, remainingMs: Math.max(1, state.deadlineAtMs - context.nowMs),
  }
  state.committing.set(awardId, { award: full, participant: output.participant })
  return record(state, [{
    type: 'awarded', atWallMs: context.wallMs,
    award: { awardId, taskId: call.taskId, attempt, epoch: state.epoch, worker: winner.peer, workerName: winner.name, capability: call.capability, version: winner.version, bid: winner, bids: [...output.bids], refusals: [...output.refusals], why: output.why.slice(0, 500) },
  }], context)
}

/** An award is in the log: now the worker may hear of it. */
export function onAwardCommitted(state: ManagerState, awardId: AwardId, context: ActorContext): Effect[] {
  const committed = state.committing.get(awardId)
  if (committed === undefined) return []
  state.committing.delete(awardId)
  const { peer } = committed.participant
  const attempt = liveAttempt(taskOf(state, committed.award.taskId))
  if (attempt?.award.awardId !== awardId) return []
  if (!context.connected(peer)) return endAward(state, awardId, 'lost', fault('lost-worker', `the connection to ${attempt.award.workerName} was lost before the award reached it`), context)
  state.contracts.set(awardId, { peer, actor: at(peer, actorNames.award(awardId)), promised: attempt.award.bid, sinceMs: context.nowMs, adopted: false })
  grantLease(state.leases, awardId, peer, state.init.tuning.leaseMs, context.nowMs)
  return [tell(committed.participant, { kind: 'accept-proposal', award: { ...committed.award, remainingMs: Math.max(1, state.deadlineAtMs - context.nowMs) } }, state.init.principal)]
}

export function onConfirm(state: ManagerState, awardId: AwardId, from: PeerId, context: ActorContext): Effect[] {
  const contract = state.contracts.get(awardId)
  const taskId = taskIdOf(awardId, state)
  if (contract?.peer !== from || taskId === undefined) return []
  const callId = state.callOf.get(taskId)
  if (callId === undefined) return []
  state.callOf.delete(taskId)
  return [note(state, { taskId, note: 'running', worker: contract.peer }), ...drive(state, { type: 'confirmed', callId }, context)]
}

/** The worker could not take it after all: the next bid is tried under a new award. */
export function onAwardRefused(state: ManagerState, peer: PeerId, awardId: AwardId, refusal: Refusal, context: ActorContext): Effect[] {
  const contract = state.contracts.get(awardId)
  if (contract?.peer !== peer) return []
  const ended = endAward(state, awardId, 'refused', fault('overloaded', refusal.detail), context)
  return [...ended, ...drive(state, { type: 'award-refused', callId: refusal.callId, peer, refusal }, context)]
}

/** Every award that ran on a lost peer ends, but those with effects outside: their lease must run out first. */
export function onPeerDown(state: ManagerState, peer: PeerId, context: ActorContext): Effect[] {
  // An award on its way into the log has its call closed here, and ends as lost when it is in.
  const effects = [...state.committing.values()].filter(({ participant }) => participant.peer === peer).flatMap(({ award: { taskId } }) => closeCall(state, taskId, context))
  effects.push(...drive(state, { type: 'peer-down', peer }, context))
  const adopting = [...state.adopting.keys()].filter((awardId) => workerOf(state, awardId) === peer)
  for (const awardId of [...leasesOf(state.leases, peer), ...adopting]) {
    const taskId = taskIdOf(awardId, state)
    if (taskId === undefined || state.settling.has(awardId) || taskOf(state, taskId).spec.effects === 'external') continue
    effects.push(...endAward(state, awardId, 'lost', fault('lost-worker', 'the connection to the worker was lost'), context))
  }
  const open = [...state.callOf.keys()].map((taskId) => taskOf(state, taskId))
  return [...effects, ...lookUpProviders(state, open, context, 'update')]
}

function workerOf(state: ManagerState, awardId: AwardId): PeerId | undefined {
  const taskId = taskIdOf(awardId, state)
  const attempt = taskId === undefined ? undefined : liveAttempt(taskOf(state, taskId))
  return attempt?.award.awardId === awardId ? attempt.award.worker : undefined
}

/** Calls off what runs under an award, by the way the award went. */
export function callOff(award: { readonly awardId: AwardId; readonly worker: PeerId }, reason: string): Effect {
  return tell(at(award.worker, actorNames.participant), { kind: 'cancel', awardId: award.awardId, reason })
}

/** Ends a live award that gave no result: retried, or the task is dead. */
export function endAward(state: ManagerState, awardId: AwardId, outcome: 'refused' | 'lost' | 'failed', problem: Fault, context: ActorContext): Effect[] {
  const taskId = taskIdOf(awardId, state)
  if (taskId === undefined) return []
  const task = taskOf(state, taskId)
  state.leases.delete(awardId)
  state.adopting.delete(awardId)
  const contract = state.contracts.get(awardId)
  state.contracts.delete(awardId)
  const decision = decideRetry(task.spec.retry, outcome, problem, task.failures + (outcome === 'failed' ? 1 : 0), task.losses + (outcome === 'lost' ? 1 : 0))
  const events: MissionEvent[] = [{ type: 'award-ended', atWallMs: context.wallMs, awardId, taskId, outcome, fault: problem, ...(decision.retry ? { retryInMs: decision.inMs } : {}) }]
  if (!decision.retry) events.push({ type: 'dead', atWallMs: context.wallMs, taskId, fault: { ...problem, detail: decision.reason.slice(0, 4_000), retryable: false } })
  const effects: Effect[] = []
  if (outcome !== 'refused') {
    effects.push(...closeCall(state, taskId, context))
    if (contract !== undefined) effects.push(tell(at(context.self.peer, actorNames.directory), { kind: 'outcome-learned', peer: contract.peer, good: false, promisedMs: 0, actualMs: 0, samples: 0 }))
    effects.push(fact('warn', 'award.ended', { award: awardId, outcome, detail: problem.detail, retry: decision.retry }))
  }
  return [...effects, ...record(state, events, context)]
}

export function closeCall(state: ManagerState, taskId: TaskId, context: ActorContext): Effect[] {
  const callId = state.callOf.get(taskId)
  if (callId === undefined) return []
  state.callOf.delete(taskId)
  return drive(state, { type: 'close', callIds: [callId] }, context)
}

/** A task that nobody can take is dead. */
function giveUp(state: ManagerState, task: TaskNode, problem: Fault, context: ActorContext): Effect[] {
  return [...closeCall(state, task.spec.taskId, context), ...record(state, [{ type: 'dead', atWallMs: context.wallMs, taskId: task.spec.taskId, fault: problem }], context)]
}

/** Every call ends. */
export function withdrawCalls(state: ManagerState, context: ActorContext): Effect[] {
  const callIds: CallId[] = [...state.callOf.values()]
  state.callOf.clear()
  state.preparing.clear()
  return drive(state, { type: 'close', callIds }, context)
}

/** Nothing more is awarded for now; an award that was made takes its course. */
export function withdrawUndecided(state: ManagerState, context: ActorContext): Effect[] {
  const decided = new Set<TaskId | undefined>([...state.committing.values()].map(({ award }) => award.taskId))
  for (const awardId of state.contracts.keys()) decided.add(taskIdOf(awardId, state))
  state.preparing.clear()
  return [...state.callOf.keys()].filter((taskId) => !decided.has(taskId)).flatMap((taskId) => closeCall(state, taskId, context))
}

/** Asks for every live award of an earlier manager by its id. */
export function adoptLiveAwards(state: ManagerState, context: ActorContext): Effect[] {
  const effects: Effect[] = []
  for (const child of childrenOf(state)) {
    const attempt = liveAttempt(child)
    if (attempt === undefined) continue
    const { award } = attempt
    // Who is not connected yet may be: this node has just started. Effects outside must have had their lease before they are tried again.
    const patienceMs = context.connected(award.worker) && child.spec.effects !== 'external' ? limits.adoptTimeoutMs : state.init.tuning.leaseMs + limits.pulseMs
    state.adopting.set(award.awardId, context.nowMs + patienceMs)
    effects.push(claim(state, award, context))
  }
  return effects
}

function claim(state: ManagerState, award: { readonly awardId: AwardId; readonly worker: PeerId }, context: ActorContext): Effect {
  return tell(at(award.worker, actorNames.participant), { kind: 'adopt', awardId: award.awardId, epoch: state.epoch, manager: context.self, orchestrator: state.orchestrator, leaseMs: state.init.tuning.leaseMs }, state.init.principal)
}

/** A worker that was away is back: claimed again, it answers now. */
export function claimAgain(state: ManagerState, peer: PeerId, context: ActorContext): Effect[] {
  return [...state.adopting.keys()].filter((awardId) => workerOf(state, awardId) === peer).map((awardId) => claim(state, { awardId, worker: peer }, context))
}

export function onHolding(state: ManagerState, awardId: AwardId, worker: ActorAddress, context: ActorContext): Effect[] {
  const taskId = taskIdOf(awardId, state)
  if (taskId === undefined || !state.adopting.has(awardId)) return []
  const attempt = liveAttempt(taskOf(state, taskId))
  if (attempt?.award.awardId !== awardId || attempt.award.worker !== worker.peer) return []
  state.adopting.delete(awardId)
  state.contracts.set(awardId, { peer: worker.peer, actor: worker, promised: attempt.award.bid, sinceMs: context.nowMs, adopted: true })
  grantLease(state.leases, awardId, worker.peer, state.init.tuning.leaseMs, context.nowMs)
  return [fact('info', 'award.adopted', { award: awardId, worker: worker.peer }), note(state, { taskId, note: 'running', worker: worker.peer })]
}
