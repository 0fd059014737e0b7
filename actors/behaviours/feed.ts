/**
 * Follows one mission for one front end, whoever owns it and however often that changes: asks again from the last index it
 * has seen, and passes every event on once.
 */
import type { ActorAddress, MissionId, PeerId } from '../../protocols/kernel/ids.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext, Behaviour } from '../runtime/actor.ts'
import { tell, type Effect } from '../runtime/effects.ts'

interface FeedState {
  lastIndex: number
  /** Who sends the frames; undefined while nobody does. */
  source: PeerId | undefined
}

const renewMs = 5_000
const retryMs = 1_000
/** After its source is gone: by then there may be another owner. */
const lostMs = 300

export function feed(missionId: MissionId, fromIndex: number, listener: ActorAddress): Behaviour<FeedState> {
  const ask = (state: FeedState, context: ActorContext): Effect => tell(at(context.self.peer, actorNames.missions), { kind: 'local-watch', missionId, fromIndex: state.lastIndex, subscriber: context.self })
  const again = (delayMs: number): Effect => ({ type: 'set-timer', key: 'again', delayMs, message: { kind: 'tick' } })
  return {
    kind: 'feed',
    supervision: 'stop',
    start(context) {
      const state: FeedState = { lastIndex: fromIndex, source: undefined }
      return { state, effects: [tell(at(context.self.peer, actorNames.directory), { kind: 'watch-peers' }), ask(state, context), again(renewMs)] }
    },
    receive(state, { message, from }, context) {
      switch (message.kind) {
        case 'tick':
          return [ask(state, context), again(state.source === undefined ? retryMs : renewMs)]
        case 'peer-up':
          // A node that comes back may be the owner.
          return state.source === undefined ? [ask(state, context), again(retryMs)] : []
        case 'peer-down':
          if (message.peer !== state.source) return []
          state.source = undefined
          return [again(lostMs)]
        case 'drain':
          return [tell(at(context.self.peer, actorNames.directory), { kind: 'unwatch-peers' }), tell(at(context.self.peer, actorNames.missions), { kind: 'unwatch', missionId, subscriber: context.self }), { type: 'stop-self' }]
        case 'watched': {
          if (message.missionId !== missionId) return []
          if (message.fault?.retryable === true) {
            state.source = undefined
            return [again(retryMs)]
          }
          state.source = from.peer
          // What the log no longer holds cannot be told event by event.
          if (message.resetTo !== undefined && message.resetTo > state.lastIndex) {
            state.lastIndex = message.resetTo
            return [tell(listener, { ...message, events: [] })]
          }
          const events = message.events.filter(({ index }) => index > state.lastIndex)
          // Events of a log have no gaps: frames between were lost with a connection, so they are asked for again.
          if (events[0] !== undefined && events[0].index > state.lastIndex + 1) return [ask(state, context)]
          state.lastIndex = events.at(-1)?.index ?? state.lastIndex
          if (events.length === 0 && message.notes.length === 0 && message.fault === undefined) return []
          return [tell(listener, { ...message, events })]
        }
        default:
          return []
      }
    },
  }
}
