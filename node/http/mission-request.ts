/** What is posted to `/v1/missions`: a mission request, or a bare plan. */
import { z } from 'zod'
import { fault } from '../../protocols/kernel/errors.ts'
import { TaskId } from '../../protocols/kernel/ids.ts'
import { ForkSeed, MissionLimits, MissionRequest, Plan, Priority } from '../../protocols/tasking/schema.ts'
import { HttpFault } from './problem.ts'
import { issuesOf } from './route-table.ts'

export const SubmitBody = z.union([MissionRequest, Plan])

/**
 * A document with `tasks` and neither `plan`, `capability` nor `text` is a plan of one's own; anything else is a mission request.
 * @throws HttpFault `bad-plan` or `bad-request` that names each wrong path.
 */
export function parseMissionRequest(document: unknown): MissionRequest {
  if (document === null || typeof document !== 'object' || Array.isArray(document)) {
    throw new HttpFault(fault('bad-request', 'the body is not an object', { next: 'send a capability with its input, or a plan' }))
  }
  const isPlan = 'tasks' in document && !('plan' in document) && !('capability' in document) && !('text' in document)
  const parsed = MissionRequest.safeParse(isPlan ? { plan: document } : document)
  if (!parsed.success) {
    const planOnly = parsed.error.issues.every((issue) => issue.path[0] === 'plan')
    const issues = isPlan ? new z.ZodError(parsed.error.issues.map((issue) => ({ ...issue, path: issue.path.slice(1) }))) : parsed.error
    throw new HttpFault(planOnly
      ? fault('bad-plan', `the plan is not valid: ${issuesOf(issues)}`, { next: 'see Plan in /openapi.json' })
      : fault('bad-request', `the mission request is not valid: ${issuesOf(issues)}`, { next: 'see MissionRequest in /openapi.json' }))
  }
  const request = parsed.data
  const stated = (['capability', 'plan', 'text'] as const).filter((one) => request[one] !== undefined)
  if (stated.length !== 1) {
    throw new HttpFault(fault('bad-request', stated.length === 0 ? 'the mission names neither a capability nor a plan, and states no goal' : `the mission has ${stated.join(' and ')}: one of them is meant`, { next: 'give exactly one of "capability", "plan" and "text"' }))
  }
  if (request.plan === undefined) return request
  // What the plan says for the whole mission holds unless the request itself says otherwise.
  const { plan } = request
  const said = isPlan ? {} : document
  return {
    ...request,
    ...(plan.priority !== undefined && !('priority' in said) ? { priority: plan.priority } : {}),
    ...(plan.name !== undefined && request.name === undefined ? { name: plan.name } : {}),
  }
}

/** Limits without defaults: an absent one stays as it is. (`MissionLimits.partial()` would fill every absent one with its default.) */
const LimitChange = z.object({
  leavesMax: MissionLimits.shape.leavesMax.unwrap().optional(),
  depthMax: MissionLimits.shape.depthMax.unwrap().optional(),
  budgetUsd: MissionLimits.shape.budgetUsd.unwrap().optional(),
  durationMs: MissionLimits.shape.durationMs.unwrap().optional(),
}).strict()

/** What is posted to fork a mission. */
export const ForkRequest = z.object({
  /** The task to begin at: it, what depends on it and the syntheses above run again. */
  at: TaskId,
  /** The task's own calls go to this model. */
  model: z.string().min(1).max(256).optional(),
  /** Instead of those that the mission had. */
  limits: LimitChange.optional(),
  name: z.string().max(128).optional(),
}).strict()
export type ForkRequest = z.infer<typeof ForkRequest>

/** @throws HttpFault `bad-request` */
export function parseForkRequest(document: unknown): ForkRequest {
  const parsed = ForkRequest.safeParse(document)
  if (parsed.success) return parsed.data
  throw new HttpFault(fault('bad-request', `the fork is not valid: ${issuesOf(parsed.error)}`, { next: 'send { "at": "root/…" }; GET /v1/missions/{id}/tasks lists the tasks' }))
}

/** The request for a fork, from what the mission's owner has drafted. */
export function forkedRequest(draft: unknown, { limits, name }: ForkRequest): { readonly request: MissionRequest; readonly fork: ForkSeed } {
  const { request, fork } = z.object({ request: MissionRequest, fork: ForkSeed }).parse(draft)
  return { fork, request: { ...request, name: name ?? `fork of ${request.name ?? fork.of} at ${fork.at}`.slice(0, 128), ...(limits === undefined ? {} : { limits: { ...request.limits, ...limits } }) } }
}

export const MissionChange = z.object({ priority: Priority.optional(), limits: LimitChange.optional() }).strict()
export type MissionChange = z.infer<typeof MissionChange>

/** @throws HttpFault `bad-request` that names each wrong path, or says that nothing would change. */
export function parseMissionChange(document: unknown): MissionChange {
  const parsed = MissionChange.safeParse(document)
  if (!parsed.success) throw new HttpFault(fault('bad-request', `the change is not valid: ${issuesOf(parsed.error)}`, { next: 'a mission\'s priority and limits can be changed' }))
  if (parsed.data.priority === undefined && Object.keys(parsed.data.limits ?? {}).length === 0) {
    throw new HttpFault(fault('bad-request', 'the change names nothing to change', { next: 'give "priority", "limits" or both' }))
  }
  return parsed.data
}
