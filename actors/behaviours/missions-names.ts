/** A mission's view as its leader gives it has peer ids only: whoever hands it to a person adds the names it knows. */
import type { PeerId } from '../../protocols/kernel/ids.ts'
import type { Json } from '../../protocols/kernel/payload.ts'
import type { MissionOperation } from '../../protocols/tasking/schema.ts'
import type { MissionView } from '../../protocols/tasking/views.ts'
import type { MissionsState } from './missions-state.ts'

const answeredByView: ReadonlySet<MissionOperation['op']> = new Set(['submit', 'view', 'pause', 'resume', 'cancel', 'retry', 'change', 'drop-dead', 'takeover'])

/** @returns the answer to this question with its members' names, where it has members. */
export function withNames(state: MissionsState, op: MissionOperation['op'], answer: Json): Json {
  if (op === 'list' && Array.isArray(answer)) return answer.map((view) => named(state, view))
  return answeredByView.has(op) ? named(state, answer) : answer
}

function named(state: MissionsState, answer: Json): Json {
  const { members } = (answer ?? {}) as Partial<MissionView>
  if (!Array.isArray(members)) return answer
  const shown: MissionView['members'] = members.map((member) => {
    const name = nameOf(state, member.peer)
    return name === undefined ? member : { ...member, name }
  })
  return { ...(answer as object), members: shown } as unknown as Json
}

function nameOf(state: MissionsState, peer: PeerId): string | undefined {
  return state.members.get(peer)?.name ?? state.roster?.replicas.find((replica) => replica.peer === peer)?.name
}
