import { z } from 'zod'
import type { WatchFrame } from '../../../actors/mesh-api.ts'
import { fault, toFault } from '../../../protocols/kernel/errors.ts'
import { MissionId } from '../../../protocols/kernel/ids.ts'
import { missionStates } from '../../../protocols/tasking/schema.ts'
import type { MissionEvent } from '../../../protocols/tasking/schema.ts'
import { MissionView } from '../../../protocols/tasking/views.ts'
import type { BridgeParts } from '../parts.ts'
import { HttpFault, problemOf } from '../problem.ts'
import { defineRoute } from '../route-table.ts'
import type { Call, Route } from '../route-table.ts'

const params = z.object({ id: MissionId })
const query = z.object({ after: z.string().optional().describe('Only events after this index; the header Last-Event-ID goes before it.') })

/** What a stream begins from. */
const Followed = MissionView.pick({ state: true, lastIndex: true })

/** The last frame of a finished mission's stream. */
export const EndOfMission = z.object({ id: MissionId, state: z.enum(missionStates) })

const endStates: Partial<Record<MissionEvent['type'], (typeof missionStates)[number]>> = { completed: 'completed', failed: 'failed', cancelled: 'cancelled' }

export function missionEventRoutes({ mesh, streams }: BridgeParts): Route[] {
  async function follow({ c, params: { id }, query: { after }, principal }: Call<{ id: MissionId }, { after?: string | undefined }>): Promise<Response> {
    let lastIndex = indexOf(c.req.header('last-event-id') ?? after)
    // Asked first: an unknown mission is a 404, not an empty stream, and a stream that has nothing more to say must end.
    const view = Followed.parse(await mesh.ask({ op: 'view', missionId: id }, principal))
    const stream = streams.open(c)
    const endWith = (state: (typeof missionStates)[number]) => {
      stream.send({ event: 'end', data: { id, state } })
      stream.end()
    }
    if (view.state in endStates && lastIndex >= view.lastIndex) {
      endWith(view.state)
      return stream.response
    }

    let stopWatching: (() => void) | undefined
    // Every watch has a number, so that frames of one that was stopped are not taken for the present one's.
    let watching = 0
    const unwatch = () => {
      watching += 1
      stopWatching?.()
      stopWatching = undefined
    }
    const watch = () => {
      const mine = watching
      const stop = mesh.watch(id, lastIndex, principal, (frame) => {
        if (mine === watching) take(frame)
      })
      // The listener may have been called, and have ended the watch, before `watch` returned.
      if (mine === watching) stopWatching = stop
      else stop()
    }
    let isClosed = false
    /** The events up to there are folded into a snapshot: the client gets the mission as it is, and only then what came after. */
    const resetTo = async (index: number) => {
      try {
        const [mission, tasks] = [await mesh.ask({ op: 'view', missionId: id }, principal), await mesh.ask({ op: 'tasks', missionId: id }, principal)]
        stream.send({ event: 'reset', id: index, data: { index, mission, tasks } })
        if (!isClosed) watch()
      } catch (error) {
        stream.send({ event: 'fault', data: problemOf(toFault(error)) })
        stream.end()
      }
    }
    // Who leads and keeps the log may be said after the mission's end; a failed one that is retried goes on.
    let endState: (typeof missionStates)[number] | undefined = view.state in endStates ? view.state : undefined
    const take = (frame: WatchFrame) => {
      if (frame.resetTo !== undefined && frame.resetTo > lastIndex) {
        unwatch()
        lastIndex = frame.resetTo
        void resetTo(frame.resetTo)
        return
      }
      for (const { index, event } of frame.events) {
        if (index <= lastIndex) continue
        if (stream.full()) {
          // Nothing is lost: what the client has not been sent is read from the log again when it has caught up.
          unwatch()
          stream.onDrained(watch)
          return
        }
        stream.send({ event: 'mission', id: index, data: { index, event } })
        lastIndex = index
        if (event.type === 'retried') endState = undefined
        endState = endStates[event.type] ?? endState
      }
      if (endState !== undefined && lastIndex >= view.lastIndex) return endWith(endState)
      for (const note of frame.notes) stream.send({ event: 'progress', data: note })
      if (frame.fault !== undefined) {
        stream.send({ event: 'fault', data: problemOf(frame.fault) })
        stream.end()
      }
    }
    stream.onClosed(() => {
      isClosed = true
      unwatch()
    })
    watch()
    return stream.response
  }

  return [
    defineRoute({
      method: 'GET',
      path: '/v1/missions/{id}/events',
      summary: 'Follow a mission: `mission` events from its log (with id), `progress` notes (without), then `end`; `reset` with the mission and its tasks when the events asked for are not kept any more; `fault` when it cannot be followed.',
      tag: 'missions',
      params,
      query,
      headers: [{ name: 'Last-Event-ID', description: 'The index of the last event seen; the stream goes on after it.' }],
      answers: [{ status: 200, description: 'Server-sent events. `data` is one line of JSON: IndexedEvent, ProgressNote, `{id, state}` or Problem.', mediaType: 'text/event-stream', schema: z.string() }],
      faults: ['unknown-mission', 'owner-unreachable', 'timeout', 'overloaded'],
      serveHead: async ({ c, params: { id }, principal }) => {
        await mesh.ask({ op: 'view', missionId: id }, principal)
        return c.body(null, 200, { 'content-type': 'text/event-stream; charset=utf-8' })
      },
      serve: follow,
    }),
  ]
}

function indexOf(text: string | undefined): number {
  if (text === undefined || text === '') return 0
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new HttpFault(fault('bad-request', `"${text.slice(0, 40)}" is not the index of an event`, { next: 'send the id of the last event you saw, or nothing' }))
}
