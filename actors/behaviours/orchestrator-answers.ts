/** What an orchestrator answers about its mission, and what it is told to do with it. */
import { fault, type Fault } from '../../protocols/kernel/errors.ts'
import { parentTaskId, type ActorAddress, type Principal, type TaskId } from '../../protocols/kernel/ids.ts'
import type { Json } from '../../protocols/kernel/payload.ts'
import { judgeEvent } from '../../protocols/tasking/append-rules.ts'
import { forkEvents } from '../../protocols/tasking/fork.ts'
import { missionEnded, type MissionFold } from '../../protocols/tasking/mission-state.ts'
import type { MissionEvent, MissionOperation } from '../../protocols/tasking/schema.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext } from '../runtime/actor.ts'
import { tell, type Effect } from '../runtime/effects.ts'
import { deadTasks, resultView, taskTree, whyView } from './mission-views.ts'
import { append, endMission, keepersOf, viewNow, type OrchestratorInit, type OrchestratorState } from './orchestrator-state.ts'

export function answer(init: OrchestratorInit, state: OrchestratorState, requestId: string, operation: MissionOperation, by: Principal | undefined, to: ActorAddress, context: ActorContext): Effect[] {
  const reply = (value: unknown): Effect[] => [tell(to, { kind: 'local-answer', requestId, answer: value as Json })]
  const refused = (problem: Fault): Effect[] => [tell(to, { kind: 'local-answer', requestId, fault: problem })]
  const { fold } = state
  if (fold === undefined) return refused(state.damaged ?? fault('timeout', 'the mission is being recovered'))
  const commit = (event: MissionEvent, ...then: Effect[]): Effect[] => {
    const verdict = judgeEvent(fold, event)
    if (typeof verdict === 'object') return refused(verdict.code === 'cancelled' ? fault('wrong-state', `the mission is ${fold.state}`) : verdict)
    if (verdict === 'already') return reply(viewNow(init, state))
    return [...append(init, state, [event], { then: 'answer', to, requestId }, context), ...then]
  }
  const root = at(context.self.peer, actorNames.rootManager(init.missionId))
  const atWallMs = context.wallMs
  switch (operation.op) {
    case 'view':
      return reply(viewNow(init, state))
    case 'tasks':
      return reply(taskTree(fold, state.notes))
    case 'why':
      if (operation.taskId !== undefined && !fold.tasks.has(operation.taskId)) return refused(fault('unknown-task', `mission ${init.missionId} has no task ${operation.taskId}`, { next: 'list its tasks: skein mission show ID' }))
      return reply(whyView(fold, state.notes, operation.taskId))
    case 'fork': {
      const events = forkEvents(fold, operation.taskId, operation.model, atWallMs)
      if (!Array.isArray(events)) return refused(events)
      const tag = `result ${state.counter++}`
      state.results.set(tag, { to, requestId, fork: { of: fold.missionId, at: operation.taskId, events } })
      return [{ type: 'load-value', payload: fold.request, alsoTry: keepersOf(init, state).filter((peer) => peer !== context.self.peer), tag }]
    }
    case 'result': {
      if (fold.result === undefined) return reply(resultView(fold, undefined, []))
      const tag = `result ${state.counter++}`
      state.results.set(tag, { to, requestId })
      return [{ type: 'load-value', payload: fold.result, alsoTry: keepersOf(init, state).filter((peer) => peer !== context.self.peer), tag }]
    }
    case 'pause':
      return commit({ type: 'paused', atWallMs }, tell(root, { kind: 'control', missionId: init.missionId, action: 'pause' }))
    case 'resume':
      return commit({ type: 'resumed', atWallMs }, tell(root, { kind: 'control', missionId: init.missionId, action: 'resume' }))
    case 'change':
      return commit({ type: 'changed', atWallMs, ...(operation.priority === undefined ? {} : { priority: operation.priority }), ...(operation.limits === undefined ? {} : { limits: operation.limits }) }, tell(root, { kind: 'control', missionId: init.missionId, action: 'change', ...(operation.priority === undefined ? {} : { priority: operation.priority }) }))
    case 'cancel': {
      if (missionEnded(fold)) return fold.state === 'cancelled' ? reply(viewNow(init, state)) : refused(fault('wrong-state', `the mission is already ${fold.state}`))
      const requested = append(init, state, [{ type: 'cancel-requested', atWallMs, by: by ?? fold.principal, reason: operation.reason }], { then: 'nothing' }, context)
      return [...requested, ...endMission(init, state, { type: 'cancelled', atWallMs }, context, { then: 'answer', to, requestId })]
    }
    case 'drop-dead':
      return commit({ type: 'dead-dropped', atWallMs, taskId: operation.taskId, by: by ?? fold.principal })
    case 'retry':
      return retry(init, state, operation.taskId, to, requestId, context)
    default:
      return refused(fault('bad-request', `${operation.op} is not a question to one mission`))
  }
}

/** Dead tasks start again; what was accepted stays accepted. Without a task: all that are dead. */
function retry(init: OrchestratorInit, state: OrchestratorState, taskId: TaskId | undefined, to: ActorAddress, requestId: string, context: ActorContext): Effect[] {
  const fold = state.fold as MissionFold
  if (fold.state === 'cancelled') return [tell(to, { kind: 'local-answer', requestId, fault: fault('wrong-state', 'a cancelled mission cannot be retried', { next: 'submit it again' }) })]
  const dead = deadTasks(fold).map((task) => task.spec.taskId)
  // A mission that failed as a whole (its deadline, its synthesis) goes on from where it was.
  const tried = taskId !== undefined ? [taskId] : dead.length === 0 && fold.state === 'failed' ? ['root' as TaskId] : dead
  const events: MissionEvent[] = tried.map((id) => ({ type: 'retried', atWallMs: context.wallMs, taskId: id }))
  const problem = events.map((event) => judgeEvent(fold, event)).find((verdict) => typeof verdict === 'object') ?? (events.length === 0 ? fault('wrong-state', 'the mission has no dead task') : undefined)
  if (typeof problem === 'object') return [tell(to, { kind: 'local-answer', requestId, fault: problem })]
  state.restAtMs = Infinity
  for (const id of tried) for (let up: TaskId | undefined = id; up !== undefined; up = parentTaskId(up)) state.notes.delete(up)
  return append(init, state, events, { then: 'answer', to, requestId, restartManager: true }, context)
}
