/**
 * Follows one mission for one front end, whoever owns it and however often the owner restarts: asks again from the last
 * index it has seen, and passes every event on once.
 */
import type { ActorAddress, MissionId } from '../../protocols/kernel/ids.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext, Behaviour } from '../runtime/actor.ts'
import { tell, type Effect } from '../runtime/effects.ts'

interface FeedState {
  lastIndex: number
}

const renewMs = 5_000
const retryMs = 1_000

export function feed(missionId: MissionId, fromIndex: number, listener: ActorAddress): Behaviour<FeedState> {
  const ask = (state: FeedState, context: ActorContext): Effect => tell(at(context.self.peer, actorNames.missions), { kind: 'local-watch', missionId, fromIndex: state.lastIndex, subscriber: context.self })
  const again = (delayMs: number): Effect => ({ type: 'set-timer', key: 'again', delayMs, message: { kind: 'tick' } })
  return {
    kind: 'feed',
    supervision: 'stop',
    start(context) {
      const state = { lastIndex: fromIndex }
      return { state, effects: [tell(at(context.self.peer, actorNames.directory), { kind: 'watch-peers' }), ask(state, context), again(renewMs)] }
    },
    receive(state, { message }, context) {
      // A node that comes back may be the owner.
      if (message.kind === 'tick' || message.kind === 'peer-up') return [ask(state, context), again(renewMs)]
      if (message.kind === 'drain') return [tell(at(context.self.peer, actorNames.directory), { kind: 'unwatch-peers' }), tell(at(context.self.peer, actorNames.missions), { kind: 'unwatch', missionId, subscriber: context.self }), { type: 'stop-self' }]
      if (message.kind !== 'watched' || message.missionId !== missionId) return []
      if (message.fault?.retryable === true) return [again(retryMs)]
      const events = message.events.filter(({ index }) => index > state.lastIndex)
      // Events of a log have no gaps: frames between were lost with a connection, so they are asked for again.
      if (events[0] !== undefined && events[0].index > state.lastIndex + 1) return [ask(state, context)]
      state.lastIndex = events.at(-1)?.index ?? state.lastIndex
      if (events.length === 0 && message.notes.length === 0 && message.fault === undefined) return []
      return [tell(listener, { ...message, events })]
    },
  }
}
