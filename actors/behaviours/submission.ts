/** One submission on its way from a request to a committed mission: checks first, everything it cites made local, then the log. */
import { fault, type Fault } from '../../protocols/kernel/errors.ts'
import { canonicalJson, digestOfText } from '../../protocols/kernel/hashing.ts'
import type { CapabilityName, MissionId, PeerId, Principal, TaskId } from '../../protocols/kernel/ids.ts'
import { blobRefsIn, withHolder, type Json, type Payload } from '../../protocols/kernel/payload.ts'
import type { Replica } from '../../protocols/membership/schema.ts'
import { chatCapability, howToGetAModel } from '../../protocols/models/schema.ts'
import { planFault } from '../../protocols/tasking/plan.ts'
import type { ForkSeed, MissionRequest } from '../../protocols/tasking/schema.ts'
import { MissionLimits, Plan, RetryPolicy, type MissionEvent, type TaskSpec } from '../../protocols/tasking/schema.ts'
import { specify } from '../../protocols/tasking/specify.ts'
import { judgeEvent } from '../../protocols/tasking/append-rules.ts'
import { applyEvent, openMission } from '../../protocols/tasking/mission-state.ts'
import type { Offer } from '../messages.ts'

export interface Submission {
  readonly missionId: MissionId
  readonly principal: Principal
  readonly key: string | undefined
  readonly digest: string
  readonly request: MissionRequest
  /** It continues another mission. */
  readonly fork?: ForkSeed
  readonly plan: Plan
  readonly inputs: Map<string, Payload>
  requestPayload: Payload | undefined
  offers: readonly Offer[]
  inputsChecked: number
  /** Who will keep its log, the first of them leading. */
  members: readonly Replica[]
}

export function digestOfRequest(request: unknown): string {
  return digestOfText(canonicalJson(request))
}

/** What plans a goal in words, and what it cannot do without. */
export const planner = 'agent.plan' as CapabilityName
export const planningNeeds = chatCapability as CapabilityName

/** A request for one capability is a plan of one task whose output is the result; so is a goal in words, which is the planner's. */
export function planOf(request: MissionRequest): Plan | Fault {
  if ([request.plan, request.capability, request.text].filter((one) => one !== undefined).length > 1) return fault('bad-request', 'a mission asks for a capability, brings a plan or states a goal in words: one of them', { next: 'leave out all but one of "capability", "plan" and "text"' })
  if (request.text !== undefined) return Plan.parse({ tasks: { mission: { capability: planner, input: { goal: request.text, ...(request.input === undefined ? {} : { context: request.input }) } } }, result: { $from: 'mission' } })
  if (request.plan !== undefined) return planFault(request.plan) ?? request.plan
  if (request.capability === undefined) return fault('bad-request', 'the mission names neither a capability nor a plan, and states no goal', { next: 'give "capability" (see: skein capabilities), "plan" or "text"' })
  const name = request.capability.slice(0, 64)
  return Plan.parse({ tasks: { [name]: { capability: request.capability, ...(request.version === undefined ? {} : { version: request.version }), input: request.input ?? {} } }, result: { $from: name } })
}

export function limitsOf(submission: Submission): MissionLimits {
  return MissionLimits.parse({ ...submission.plan.limits, ...submission.request.limits })
}

/** Blobs that the request cites: they must be on the owner's node before the mission is accepted. */
export function citedBlobs(submission: Submission) {
  return blobRefsIn([submission.request, submission.fork?.events])
}

/** What was answered about each of the plan's tasks, in its order. */
export function offersByName(plan: Plan, offers: readonly Offer[]): Map<string, Offer> {
  return new Map(Object.keys(plan.tasks).flatMap((name, i) => (offers[i] === undefined ? [] : [[name, offers[i]]])))
}

/** The beginning of a goal, as a name for lists. */
function titleOf(text: string | undefined): string | undefined {
  const line = text?.trim().split(/\s+/).join(' ')
  return line === undefined || line === '' ? undefined : line.length <= titleCharsMax ? line : `${line.slice(0, titleCharsMax - 1)}…`
}

const titleCharsMax = 60

/** A goal in words needs a model, and somebody who plans with it. */
function unplannable({ offers, request }: Submission): Fault | undefined {
  const model = request.text === undefined ? undefined : offers.find(({ query }) => query.capability === planningNeeds)
  if (model === undefined || model.population > 0) return undefined
  const others = model.others ?? []
  return fault('no-provider', `a goal in words needs a language model, and no node of this mesh has one${others.length === 0 ? '' : `; these capabilities work meanwhile: ${others.join(', ')}`}`, {
    retryable: false, next: howToGetAModel,
  })
}

/** @returns the mission's first events, or why it cannot be accepted. */
export function firstEvents(submission: Submission, owner: PeerId, atWallMs: number): MissionEvent[] | Fault {
  const { plan, request } = submission
  const problem = unplannable(submission)
  if (problem !== undefined) return problem
  const offers = offersByName(plan, submission.offers)
  const root = 'root' as TaskId
  const priority = request.plan?.priority ?? request.priority
  if (submission.fork !== undefined) return forkedEvents(submission, submission.fork, owner, atWallMs)
  const specs = specify(plan, {
    parent: root, priority,
    input: (name) => withHolder(submission.inputs.get(name) ?? { inline: {} }, owner),
    capability: (name) => offers.get(name) ?? { versions: [], nearest: [] },
    budgetUsd: limitsOf(submission).budgetUsd,
  })
  if (!Array.isArray(specs)) return specs
  const missionLimits = limitsOf(submission)
  const leaves = specs.filter((spec) => spec.kind === 'leaf').length
  if (leaves > missionLimits.leavesMax) return fault('over-limit', `the plan has ${leaves} leaves, ${missionLimits.leavesMax} are allowed`, { next: `raise the limit: --limit leaves=${leaves}` })
  return [
    opening(submission, owner, atWallMs, request.name ?? plan.name ?? request.capability ?? titleOf(request.text) ?? 'mission'),
    { type: 'planned', atWallMs, taskId: root, children: specs, ...(plan.result === undefined ? {} : { result: { inline: plan.result as Json } }) },
  ]
}

function opening(submission: Submission, owner: PeerId, atWallMs: number, name: string): Extract<MissionEvent, { type: 'submitted' }> {
  const { request } = submission
  const priority = request.plan?.priority ?? request.priority
  const missionLimits = limitsOf(submission)
  const rootSpec: TaskSpec = {
    taskId: 'root' as TaskId, kind: 'composite', capability: 'mission.plan' as TaskSpec['capability'], effects: 'none', input: { inline: {} }, after: [], priority, effort: 1, accept: [], retry: RetryPolicy.parse({}),
    timeLimitMs: missionLimits.durationMs, optional: false,
  }
  return {
    type: 'submitted', atWallMs, missionId: submission.missionId, principal: submission.principal, owner, name, request: withHolder(submission.requestPayload ?? { inline: {} }, owner),
    rootSpec, priority, limits: missionLimits, acknowledgement: request.acknowledgement, ...(submission.key === undefined ? {} : { key: submission.key }), requestDigest: submission.digest,
    ...(submission.fork === undefined ? {} : { forkOf: { missionId: submission.fork.of, taskId: submission.fork.at } }),
  }
}

/** What the other mission had is taken over, and must have been: nothing else may stand in a seed. */
function forkedEvents(submission: Submission, { events }: ForkSeed, owner: PeerId, atWallMs: number): MissionEvent[] | Fault {
  const first = opening(submission, owner, atWallMs, submission.request.name ?? 'a fork')
  const fold = openMission(first, 1)
  for (const given of events) {
    if (given.type !== 'planned' && given.type !== 'reused' && given.type !== 'task-cancelled') return fault('bad-request', `a fork does not begin with ${given.type}`)
    const verdict = judgeEvent(fold, given)
    if (typeof verdict === 'object') return verdict
    applyEvent(fold, given, fold.lastIndex + 1)
  }
  return [first, ...events.map((event) => ({ ...withHolder(event, owner), atWallMs }))]
}
