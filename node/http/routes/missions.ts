import { z } from 'zod'
import { fault } from '../../../protocols/kernel/errors.ts'
import { MissionId, TaskId } from '../../../protocols/kernel/ids.ts'
import { BlobRef } from '../../../protocols/kernel/payload.ts'
import { missionStates } from '../../../protocols/tasking/schema.ts'
import type { MissionOperation } from '../../../protocols/tasking/schema.ts'
import { MissionView, ResultView, TaskView, WhyView } from '../../../protocols/tasking/views.ts'
import { jsonAnswer } from '../answer.ts'
import { blobLinkOf } from '../blob-link.ts'
import { forkedRequest, ForkRequest, MissionChange, parseForkRequest, parseMissionChange, parseMissionRequest, SubmitBody } from '../mission-request.ts'
import type { BridgeParts } from '../parts.ts'
import { HttpFault } from '../problem.ts'
import { readDocument } from '../request-body.ts'
import { defineRoute } from '../route-table.ts'
import type { Call, Route } from '../route-table.ts'

const tag = 'missions'
const params = z.object({ id: MissionId })
const noQuery = z.object({})
const reachFaults = ['unknown-mission', 'owner-unreachable', 'timeout', 'overloaded'] as const

/** What a submission's answer is made of. */
const Begun = MissionView.pick({ id: true, state: true })

export const MissionLinks = z.object({ self: z.string(), tasks: z.string(), events: z.string(), result: z.string(), artifacts: z.string(), why: z.string() })
export const Accepted = z.object({ id: MissionId, state: z.enum(missionStates), links: MissionLinks })
export type Accepted = z.infer<typeof Accepted>
/** An artifact of a result: a blob, and where to get it. */
export const ArtifactView = BlobRef.extend({ url: z.string() })
export const ArtifactsView = z.object({ id: MissionId, state: z.enum(missionStates), artifacts: z.array(ArtifactView) })
export type ArtifactsView = z.infer<typeof ArtifactsView>

export function missionRoutes({ mesh, limits }: BridgeParts): Route[] {
  /** A route that asks the mission's owner one thing and hands its answer on. */
  function asking(init: { method: 'GET' | 'POST' | 'DELETE'; path: string; summary: string; schema: z.ZodType; description: string; conflicts?: boolean; query?: z.ZodObject; operation: (missionId: MissionId, query: Record<string, unknown>) => MissionOperation }): Route {
    return defineRoute({
      ...init,
      tag,
      params,
      query: init.query ?? noQuery,
      answers: [{ status: 200, description: init.description, schema: init.schema }],
      faults: init.conflicts === true ? [...reachFaults, 'wrong-state', 'unknown-task'] : reachFaults,
      serve: async ({ c, params: { id }, query, principal }) => jsonAnswer(c, await mesh.ask(init.operation(id, query), principal)),
    })
  }

  async function submit({ c, principal }: Call<unknown, unknown>): Promise<Response> {
    const key = idempotencyKeyOf(c.req.header('idempotency-key'))
    const request = parseMissionRequest(await readDocument(c.env.incoming, limits))
    const view = Begun.parse(await mesh.ask({ op: 'submit', request, ...(key === undefined ? {} : { key }) }, principal))
    const accepted: Accepted = { ...view, links: linksOf(view.id) }
    return jsonAnswer(c, accepted, 202, { location: accepted.links.self })
  }

  return [
    defineRoute({
      method: 'POST',
      path: '/v1/missions',
      summary: 'Submit a mission: a capability with its input, or a plan (as a mission\'s "plan" or bare).',
      tag,
      headers: [{ name: 'Idempotency-Key', description: 'At most 256 printable characters. The same key with the same request gives the same mission, with another request 409.' }],
      body: { required: true, content: { 'application/json': SubmitBody, 'application/yaml': SubmitBody } },
      answers: [{ status: 202, description: 'The mission is safe to the degree asked for (`acknowledgement`). `Location` is its address.', schema: Accepted }],
      faults: ['bad-plan', 'bad-input', 'unknown-capability', 'version-mismatch', 'no-provider', 'over-limit', 'key-conflict', 'too-large', 'overloaded', 'storage-failed', 'timeout', 'owner-unreachable'],
      serve: submit,
    }),
    defineRoute({
      method: 'GET',
      path: '/v1/missions',
      summary: 'The missions of the mesh, newest first.',
      tag,
      query: z.object({ limit: z.coerce.number().int().min(1).max(1_000).default(100).describe('How many at most.') }),
      answers: [{ status: 200, description: 'The missions that the reachable nodes own.', schema: z.array(MissionView) }],
      faults: ['timeout', 'overloaded'],
      serve: async ({ c, query: { limit }, principal }) => jsonAnswer(c, await mesh.ask({ op: 'list', limit }, principal)),
    }),
    asking({ method: 'GET', path: '/v1/missions/{id}', summary: 'One mission.', description: 'The mission as its owner sees it.', schema: MissionView, operation: (missionId) => ({ op: 'view', missionId }) }),
    defineRoute({
      method: 'PATCH',
      path: '/v1/missions/{id}',
      summary: 'Change a mission\'s priority or limits.',
      tag,
      params,
      body: { required: true, content: { 'application/json': MissionChange, 'application/yaml': MissionChange } },
      answers: [{ status: 200, description: 'The mission after the change.', schema: MissionView }],
      faults: [...reachFaults, 'wrong-state', 'over-limit', 'too-large'],
      async serve({ c, params: { id }, principal }) {
        const { priority, limits: changed } = parseMissionChange(await readDocument(c.env.incoming, limits))
        return jsonAnswer(c, await mesh.ask({ op: 'change', missionId: id, ...(priority === undefined ? {} : { priority }), ...(changed === undefined ? {} : { limits: changed }) }, principal))
      },
    }),
    asking({
      method: 'DELETE', path: '/v1/missions/{id}', summary: 'Cancel a mission, all its running tasks included.', description: 'The mission; its cancellation is on its way down the tree.', schema: MissionView, conflicts: true,
      query: z.object({ reason: z.string().max(500).optional().describe('Why; it stands in the mission\'s log.') }),
      operation: (missionId, query) => ({ op: 'cancel', missionId, reason: typeof query['reason'] === 'string' ? query['reason'] : 'cancelled by its submitter' }),
    }),
    asking({ method: 'POST', path: '/v1/missions/{id}/pause', summary: 'Award no more tasks until it is resumed; running ones finish.', description: 'The paused mission.', schema: MissionView, conflicts: true, operation: (missionId) => ({ op: 'pause', missionId }) }),
    asking({ method: 'POST', path: '/v1/missions/{id}/resume', summary: 'Go on with a paused mission.', description: 'The resumed mission.', schema: MissionView, conflicts: true, operation: (missionId) => ({ op: 'resume', missionId }) }),
    asking({
      method: 'POST', path: '/v1/missions/{id}/retry', summary: 'Try dead tasks of a mission again: one, or all.', description: 'The mission.', schema: MissionView, conflicts: true,
      query: z.object({ taskId: TaskId.optional().describe('Only this task.') }),
      operation: (missionId, query) => ({ op: 'retry', missionId, ...taskOf(query) }),
    }),
    asking({
      method: 'POST', path: '/v1/missions/{id}/takeover', summary: 'Go on without a lost owner, by hand, on the node that is asked and has a copy of the log. Only when the owner will not come back: what it did that this copy has not seen is lost, and the mission is outside the promises of `quorum` from then on.',
      description: 'The mission, led by the node that was asked; its `epoch.lineage` has grown by one.', schema: MissionView, conflicts: true, operation: (missionId) => ({ op: 'takeover', missionId }),
    }),
    defineRoute({
      method: 'POST',
      path: '/v1/missions/{id}/fork',
      summary: 'Another mission that begins where this one stood before one of its tasks: earlier results are taken over, that task and what depends on it run again.',
      tag,
      params,
      headers: [{ name: 'Idempotency-Key', description: 'As for a submission.' }],
      body: { required: true, content: { 'application/json': ForkRequest, 'application/yaml': ForkRequest } },
      answers: [{ status: 202, description: 'The fork is accepted like any mission.', schema: Accepted }],
      faults: [...reachFaults, 'bad-request', 'unknown-task', 'wrong-state', 'over-limit', 'key-conflict', 'too-large', 'storage-failed'],
      async serve({ c, params: { id }, principal }) {
        const key = idempotencyKeyOf(c.req.header('idempotency-key'))
        const asked = parseForkRequest(await readDocument(c.env.incoming, limits))
        const draft = await mesh.ask({ op: 'fork', missionId: id, taskId: asked.at, ...(asked.model === undefined ? {} : { model: asked.model }) }, principal)
        const { request, fork } = forkedRequest(draft, asked)
        const view = Begun.parse(await mesh.ask({ op: 'submit', request, fork, ...(key === undefined ? {} : { key }) }, principal))
        const accepted: Accepted = { ...view, links: linksOf(view.id) }
        return jsonAnswer(c, accepted, 202, { location: accepted.links.self })
      },
    }),
    asking({ method: 'GET', path: '/v1/missions/{id}/tasks', summary: 'The tree of tasks.', description: 'The root task, children nested.', schema: TaskView, operation: (missionId) => ({ op: 'tasks', missionId }) }),
    asking({ method: 'GET', path: '/v1/missions/{id}/result', summary: 'The result, once there is one.', description: 'State, result or fault, and the blobs the result refers to.', schema: ResultView, operation: (missionId) => ({ op: 'result', missionId }) }),
    defineRoute({
      method: 'GET',
      path: '/v1/missions/{id}/artifacts',
      summary: 'The blobs that the result refers to, with their addresses.',
      tag,
      params,
      answers: [{ status: 200, description: 'Each artifact once.', schema: ArtifactsView }],
      faults: reachFaults,
      async serve({ c, params: { id }, principal }) {
        const { state, artifacts } = ResultView.parse(await mesh.ask({ op: 'result', missionId: id }, principal))
        const view: ArtifactsView = { id, state, artifacts: artifacts.map((ref) => ({ ...ref, url: blobLinkOf(ref) })) }
        return jsonAnswer(c, view)
      },
    }),
    asking({
      method: 'GET', path: '/v1/missions/{id}/why', summary: 'Why each task went where it went, or waits: attempts, bids, refusals.', description: 'Per task, every attempt with its bids and refusals.', schema: WhyView,
      query: z.object({ taskId: TaskId.optional().describe('Only this task.') }),
      operation: (missionId, query) => ({ op: 'why', missionId, ...taskOf(query) }),
    }),
  ]
}

function taskOf(query: Record<string, unknown>): { taskId?: TaskId } {
  const taskId = TaskId.optional().parse(query['taskId'])
  return taskId === undefined ? {} : { taskId }
}

export function linksOf(id: MissionId): z.infer<typeof MissionLinks> {
  const self = `/v1/missions/${id}`
  return { self, tasks: `${self}/tasks`, events: `${self}/events`, result: `${self}/result`, artifacts: `${self}/artifacts`, why: `${self}/why` }
}

function idempotencyKeyOf(header: string | undefined): string | undefined {
  if (header === undefined) return undefined
  if (/^[\x20-\x7e]{1,256}$/.test(header)) return header
  throw new HttpFault(fault('bad-request', `the Idempotency-Key has ${header.length} characters or some that are not printable ASCII`, { next: 'use 1 to 256 printable characters, such as a UUID' }))
}
