import { z } from 'zod'
import { fault } from '../../../protocols/kernel/errors.ts'
import { MissionId, TaskId } from '../../../protocols/kernel/ids.ts'
import { DeadView, MissionView } from '../../../protocols/tasking/views.ts'
import { jsonAnswer } from '../answer.ts'
import type { BridgeParts } from '../parts.ts'
import { HttpFault } from '../problem.ts'
import { defineRoute } from '../route-table.ts'
import type { Route } from '../route-table.ts'

const tag = 'dead letters'
const params = z.object({ id: z.string().min(1).max(700) })

export function deadRoutes({ mesh }: BridgeParts): Route[] {
  return [
    defineRoute({
      method: 'GET', path: '/v1/dead', summary: 'Tasks that ran out of attempts, and messages that reached nobody.', tag,
      answers: [{ status: 200, description: 'Newest first.', schema: z.array(DeadView) }],
      faults: ['timeout', 'overloaded'],
      serve: async ({ c, principal }) => jsonAnswer(c, await mesh.ask({ op: 'dead' }, principal)),
    }),
    defineRoute({
      method: 'POST', path: '/v1/dead/{id}', summary: 'Try a dead task again. Its id is `missionId:taskId` (slashes as %2F).', tag, params,
      answers: [{ status: 200, description: 'The task\'s mission.', schema: MissionView }],
      faults: ['unknown-mission', 'unknown-task', 'wrong-state', 'owner-unreachable', 'timeout', 'overloaded'],
      async serve({ c, params: { id }, principal }) {
        if (/^letter-/.test(id)) throw new HttpFault(fault('wrong-state', 'a message that reached nobody cannot be sent again: its sender has long dealt with its loss', { next: 'retry the mission it belonged to' }))
        return jsonAnswer(c, await mesh.ask({ op: 'retry', ...deadTask(id) }, principal))
      },
    }),
    defineRoute({
      method: 'DELETE', path: '/v1/dead/{id}', summary: 'Drop a dead letter: it is listed no more. A dropped task can still be tried again with its mission; a dropped message is known to the bridge that listed it only.', tag, params,
      answers: [{ status: 200, description: 'It is dropped, now or before.', schema: z.object({ dropped: z.string() }) }],
      faults: ['unknown-mission', 'unknown-task', 'wrong-state', 'owner-unreachable', 'timeout', 'overloaded'],
      async serve({ c, params: { id }, principal }) {
        if (!/^letter-/.test(id)) await mesh.ask({ op: 'drop-dead', ...deadTask(id) }, principal)
        else if (!mesh.dropLetter(id)) throw new HttpFault(fault('unknown-task', `this node has no dead letter "${id.slice(0, 100)}"`, { next: 'take an id from GET /v1/dead of the same node: it may have been dropped, or the node started again' }))
        return jsonAnswer(c, { dropped: id })
      },
    }),
  ]
}

/** The mission and task that an id of a dead task names. */
function deadTask(id: string): { missionId: MissionId; taskId: TaskId } {
  const [missionId, taskId] = [MissionId.safeParse(id.split(':')[0]), TaskId.safeParse(id.slice(id.indexOf(':') + 1))]
  if (!missionId.success || !taskId.success) throw new HttpFault(fault('unknown-task', `"${id.slice(0, 100)}" is not the id of a dead task`, { next: 'take an id from GET /v1/dead' }))
  return { missionId: missionId.data, taskId: taskId.data }
}
