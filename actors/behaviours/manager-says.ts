/** What a manager has to say in one turn, gathered: however many tasks it is about, it is one message for each who is to hear it. */
import type { AwardedTask, AwardTerms } from '../../protocols/bidding/schema.ts'
import type { ActorAddress } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { blobRefsIn } from '../../protocols/kernel/payload.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext } from '../runtime/actor.ts'
import { tell, type Effect } from '../runtime/effects.ts'
import { byAddress, parts } from './batches.ts'
import { newSaid, type EventGroup, type Said } from './manager-said.ts'
import { countUnsettled, type ManagerState } from './manager-state.ts'

const eventsPerRecord = 256
const notesPerMessage = 256
const acknowledgementsPerMessage = 4_096

export function flushSaid(state: ManagerState, context: ActorContext): Effect[] {
  const { said, init } = state
  const { groups, awards, acknowledged, notes, outcomes } = said
  if (groups.length + awards.length + acknowledged.length + notes.length + outcomes.length === 0) return []
  Object.assign(said, newSaid())
  const effects = groups.length === 0 ? [] : propose(state, groups, context)
  effects.push(...tellAwards(state, awards))
  for (const { to, items } of byAddress(acknowledged, (one) => one.to)) for (const part of parts(items, acknowledgementsPerMessage)) effects.push(tell(to, { kind: 'acknowledge', awardIds: part.map(({ awardId }) => awardId) }))
  for (const part of parts(notes, notesPerMessage)) effects.push(tell(state.orchestrator, { kind: 'progress', missionId: init.missionId, notes: part }))
  if (outcomes.length > 0) effects.push(tell(at(context.self.peer, actorNames.directory), { kind: 'outcomes-learned', outcomes }))
  return effects
}

/** One request for all, but for what cites blobs: those have to be fetched first, and nothing else is to wait for them. And one for each change of the same task: a batch is judged by the state before it. */
function propose(state: ManagerState, groups: readonly EventGroup[], context: ActorContext): Effect[] {
  const effects: Effect[] = []
  let together: EventGroup[] = []
  let count = 0
  let named = new Set<string>()
  const send = (sent: readonly EventGroup[]): void => {
    const requestId = state.nextRequest++
    state.records.set(requestId, { groups: sent, sentAtMs: context.nowMs })
    effects.push(recordMessage(state, requestId, sent))
  }
  for (const group of groups) {
    if (citesBlobs(group)) {
      send([group])
      continue
    }
    const tasks = group.map((event) => (event.type === 'awarded' ? event.award.taskId : 'taskId' in event ? event.taskId : ''))
    if (count > 0 && (count + group.length > eventsPerRecord || tasks.some((taskId) => named.has(taskId)))) {
      send(together)
      together = []
      count = 0
      named = new Set()
    }
    for (const taskId of tasks) named.add(taskId)
    together.push(group)
    count += group.length
  }
  if (together.length > 0) send(together)
  return effects
}

export function recordMessage({ init, orchestrator }: ManagerState, requestId: number, groups: readonly EventGroup[]): Effect {
  return tell(orchestrator, { kind: 'record', missionId: init.missionId, taskId: init.taskId, awardId: init.awardId, requestId, events: groups.flat() }, init.principal)
}

function citesBlobs(group: EventGroup): boolean {
  return group.some((event) => event.type !== 'awarded' && blobRefsIn(event).length > 0)
}

/** Alone this time, whatever else was proposed with it. */
export function proposeAgain(state: ManagerState, group: EventGroup, context: ActorContext): Effect[] {
  countUnsettled(state, group, 1)
  return propose(state, [group], context)
}

function tellAwards(state: ManagerState, awards: Said['awards']): Effect[] {
  const groups = new Map<string, { readonly to: ActorAddress; readonly terms: AwardTerms; readonly tasks: AwardedTask[] }>()
  for (const { to, award, isCalled } of awards) {
    const { awardId: _, callId, taskId, attempt, effort, input, checkpoint, priority, timeLimitMs, budgetUsd, ...terms } = award
    const key = `${to.peer} ${to.actor} ${terms.kind} ${terms.capability} ${terms.version} ${terms.effects} ${terms.attributes === undefined ? '' : JSON.stringify(terms.attributes)}`
    let group = groups.get(key)
    if (group === undefined) groups.set(key, (group = { to, terms, tasks: [] }))
    group.tasks.push({ taskId, attempt, effort, input, priority, timeLimitMs, ...(isCalled ? { callId } : {}), ...(checkpoint === undefined ? {} : { checkpoint }), ...(budgetUsd === undefined ? {} : { budgetUsd }) })
  }
  return [...groups.values()].flatMap(({ to, terms, tasks }) => parts(tasks, limits.awardsPerMessageMax).map((part) => tell(to, { kind: 'accept-proposal', terms, tasks: part }, state.init.principal)))
}
