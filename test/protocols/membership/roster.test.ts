import { describe, expect, it } from 'vitest'
import { limits } from '../../../protocols/kernel/limits.ts'
import { decodeRoster, emptyRoster, encodeRoster, foldRoster, isNewerView, judgeRoster, rosterVersion, viewOfRoster, type RosterState } from '../../../protocols/membership/roster.ts'
import { RosterEvent, RosterView, type Replica } from '../../../protocols/membership/schema.ts'
import { incarnationOf, peerOf, replicaOf } from './members.ts'

const atWallMs = 1
const admitted = (replica: Replica): RosterEvent => ({ type: 'replica-admitted', atWallMs, replica })
const dropped = (name: string): RosterEvent => ({ type: 'replica-dropped', atWallMs, peer: peerOf(name), reason: 'gone' })
const served = (shard: number, ...names: string[]): RosterEvent => ({ type: 'shard-served', atWallMs, shard, members: names.map(peerOf) })

function fold(...events: RosterEvent[]): RosterState {
  return events.reduce((state, event) => foldRoster(state, RosterEvent.parse(event)), emptyRoster())
}

const verdictOf = (state: RosterState, event: RosterEvent) => {
  const verdict = judgeRoster(state, event)
  return typeof verdict === 'string' ? verdict : verdict.code
}

describe('the roster', () => {
  it('admits, changes and drops replicas', () => {
    const state = fold(admitted(replicaOf('a')), admitted(replicaOf('b')), admitted({ ...replicaOf('a'), domain: 'cellar' }), dropped('b'), admitted(replicaOf('c')))
    expect(state.replicas).toEqual([{ ...replicaOf('a'), domain: 'cellar' }, replicaOf('c')])
  })

  it.each([
    ['a newcomer', admitted(replicaOf('c')), 'apply'],
    ['the same again', admitted(replicaOf('a')), 'already'],
    ['another incarnation', admitted({ ...replicaOf('a'), incarnation: incarnationOf('a', 1) }), 'apply'],
    ['another name', admitted({ ...replicaOf('a'), name: 'anna' }), 'apply'],
    ['another domain', admitted({ ...replicaOf('a'), domain: 'attic' }), 'apply'],
    ['one that goes', dropped('a'), 'apply'],
    ['a stranger goes', dropped('x'), 'already'],
    ['a shard is served', served(4, 'a'), 'apply'],
    ['a shard is served as before', served(3, 'a', 'b'), 'already'],
    ['a shard is served in another order', served(3, 'b', 'a'), 'apply'],
    ['a shard is served by nobody', served(3), 'bad-request'],
  ])('%s', (_what, event, verdict) => {
    const state = fold(admitted(replicaOf('a')), admitted(replicaOf('b')), served(3, 'a', 'b'))
    expect(verdictOf(state, event)).toBe(verdict)
    const after = foldRoster(state, event)
    if (verdict === 'apply') expect(verdictOf(after, event)).toBe('already')
    else expect(after).toBe(state)
  })

  it('is full at some point: the others wait until one is dropped', () => {
    let state = emptyRoster()
    for (let i = 0; i < limits.rosterReplicasMax; i++) state = foldRoster(state, admitted(replicaOf(`n${i}`)))
    expect(judgeRoster(state, admitted(replicaOf('late')))).toMatchObject({ code: 'overloaded', next: expect.any(String) })
    expect(foldRoster(state, admitted(replicaOf('late')))).toBe(state)
    expect(verdictOf(state, admitted({ ...replicaOf('n3'), domain: 'attic' })), 'who is there may change').toBe('apply')
    expect(RosterView.safeParse(viewOfRoster(state, { index: 9, lineage: 1, keepers: [] })).success).toBe(true)
    expect(verdictOf(foldRoster(state, dropped('n3')), admitted(replicaOf('late')))).toBe('apply')
  })

  it('is the same after it was stored', () => {
    const state = fold(admitted(replicaOf('a')), served(63, 'a', 'b'), served(0, 'c'))
    const stored = JSON.parse(JSON.stringify(encodeRoster(state))) as unknown
    expect(decodeRoster(rosterVersion, stored)).toEqual(state)
    expect(decodeRoster(rosterVersion + 1, stored)).toMatchObject({ code: 'version-mismatch' })
    expect(decodeRoster(rosterVersion, { replicas: [] })).toMatchObject({ code: 'storage-failed' })
  })

  it('is seen from outside', () => {
    const view = viewOfRoster(fold(admitted(replicaOf('a')), served(5, 'a')), { index: 12, lineage: 2, keepers: [peerOf('a')] })
    expect(RosterView.parse(view)).toEqual(view)
    expect(view).toMatchObject({ index: 12, lineage: 2, keepers: [peerOf('a')], replicas: [replicaOf('a')] })
    expect(view.shards.map((members) => members.length)).toEqual(Array.from({ length: 64 }, (_, shard) => (shard === 5 ? 1 : 0)))
  })

  it('a later lineage is newer than any index of an earlier one', () => {
    const at = (lineage: number, index: number) => ({ lineage, index })
    expect([isNewerView(at(1, 1), undefined), isNewerView(at(1, 2), at(1, 1)), isNewerView(at(1, 1), at(1, 1)), isNewerView(at(2, 1), at(1, 9)), isNewerView(at(1, 9), at(2, 1))]).toEqual([true, true, false, true, false])
  })
})
