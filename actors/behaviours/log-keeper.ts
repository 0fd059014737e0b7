/**
 * Writes the logs of all missions of this node: everything that was asked for while one write was being synced
 * goes into the next (group commit). Nobody hears "appended" before the sync.
 */
import { fault } from '../../protocols/kernel/errors.ts'
import type { ActorAddress } from '../../protocols/kernel/ids.ts'
import type { LogMessage } from '../messages.ts'
import type { Behaviour } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'

type Append = Extract<LogMessage, { kind: 'append' }>

interface LogKeeperState {
  waiting: { append: Append; from: ActorAddress }[]
  writing: { append: Append; from: ActorAddress }[]
  broken: boolean
}

export function logKeeper(): Behaviour<LogKeeperState> {
  return {
    kind: 'log-keeper',
    supervision: 'escalate',
    start: () => ({ state: { waiting: [], writing: [], broken: false }, effects: [] }),
    receive(state, { message, from }) {
      if (message.kind === 'append') {
        if (state.broken) return [tell(from, { kind: 'appended', tag: message.tag, fault: fault('storage-failed', 'the log store failed earlier', { next: 'restart the node' }) })]
        state.waiting.push({ append: message, from })
        return state.writing.length === 0 ? writeNext(state) : []
      }
      if (message.kind === 'log-written') {
        const written = state.writing
        state.writing = []
        const answers = written.map(({ append, from: asker }) => tell(asker, { kind: 'appended', tag: append.tag, ...(message.fault === undefined ? {} : { fault: message.fault }) }))
        if (message.fault === undefined) return [...answers, ...writeNext(state)]
        // After a failed sync nobody knows what is on the disk: only opening it again tells.
        state.broken = true
        const refused = state.waiting.map(({ append, from: asker }) => tell(asker, { kind: 'appended', tag: append.tag, fault: message.fault as NonNullable<typeof message.fault> }))
        state.waiting = []
        return [...answers, ...refused, fact('error', 'log.write-failed', { detail: message.fault.detail }), { type: 'give-up', reason: `the log could not be written: ${message.fault.detail}` }]
      }
      return []
    },
  }
}

function writeNext(state: LogKeeperState): Effect[] {
  if (state.waiting.length === 0) return []
  state.writing = state.waiting
  state.waiting = []
  const heads = new Map(state.writing.map(({ append }) => [append.head.missionId, append.head]))
  const batch = {
    entries: state.writing.flatMap(({ append }) => append.entries.map((entry) => ({ missionId: append.head.missionId, entry }))),
    heads: [...heads.values()],
    claims: state.writing.flatMap(({ append }) => (append.claim === undefined ? [] : [append.claim])),
  }
  return [{ type: 'write-log', batch, tag: 'batch' }]
}
