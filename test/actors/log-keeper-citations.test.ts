import { expect, it } from 'vitest'
import { findCitations } from '../../actors/behaviours/replication/log-keeper-citations.ts'
import { newLogKeeperState, type LogKeeperState } from '../../actors/behaviours/replication/log-keeper-state.ts'
import type { LogMessage } from '../../actors/messages.ts'
import { here, other, own, record, shared } from './retention-sweeping.ts'

/** What the keeper of these logs answers. */
function answer(state: LogKeeperState): Extract<LogMessage, { kind: 'citations-found' }> {
  const [told] = findCitations(state, { tag: 't', digests: new Set([own, shared]) }, { peer: here, actor: 'retention' })
  if (told?.type !== 'tell' || told.message.kind !== 'citations-found') throw new Error('it does not answer')
  return told.message
}

it('archives that are on their way to the disk cite what they will cite there', () => {
  for (const put of [(state: LogKeeperState) => state.ending.set('t', record(1, [own, other])), (state: LogKeeperState) => state.waitingEnded.push(record(1, [own, other])), (state: LogKeeperState) => Object.assign(state, { writingEnded: [record(1, [own, other])] })]) {
    const state = newLogKeeperState()
    put(state)
    expect(answer(state)).toMatchObject({ cited: [own], within: [] })
  }
})

it('nothing can be told while a snapshot is being fetched or written, or a log cannot be read', () => {
  const written = { persist: { number: 1, snapshot: {} } } as unknown as LogKeeperState['waiting'][number]
  for (const put of [(state: LogKeeperState) => state.installing.set('t', record(1, []).missionId), (state: LogKeeperState) => state.waiting.push(written), (state: LogKeeperState) => state.writing.push(written), (state: LogKeeperState) => state.damaged.add('roster')]) {
    const state = newLogKeeperState()
    expect(answer(state)).not.toHaveProperty('doubt')
    put(state)
    expect(answer(state).doubt).toBeTruthy()
  }
})
