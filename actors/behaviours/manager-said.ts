/** What a manager is to say at the end of its turn. */
import type { Award } from '../../protocols/bidding/schema.ts'
import type { ActorAddress, AwardId } from '../../protocols/kernel/ids.ts'
import type { MissionEvent, ProgressNote } from '../../protocols/tasking/schema.ts'
import type { LearnedOutcome } from '../messages.ts'

/** Events that are proposed together and stand or fall together. */
export type EventGroup = readonly MissionEvent[]

export interface Said {
  groups: EventGroup[]
  awards: { readonly to: ActorAddress; readonly award: Award; readonly isCalled: boolean }[]
  acknowledged: { readonly to: ActorAddress; readonly awardId: AwardId }[]
  notes: ProgressNote[]
  outcomes: LearnedOutcome[]
}

export function newSaid(): Said {
  return { groups: [], awards: [], acknowledged: [], notes: [], outcomes: [] }
}
