import { describe, expect, it } from 'vitest'
import type { Membership } from '../../../protocols/membership/schema.ts'
import { extend, logOrigin } from '../../../protocols/replicated-log/chain.ts'
import { entriesOf, installFor, joinGroup, viewOf } from '../../../protocols/replicated-log/raft.ts'
import type { RaftMessage} from '../../../protocols/replicated-log/schema.ts'
import { type LogEntry, type LogSnapshot } from '../../../protocols/replicated-log/schema.ts'
import { append, appended, between, elected, endOf, epochOf, hear, hostAppends, initOf, leading, logOf, memberOf, members, note, only, opened, peerOf, roundTo, step, synced, voteAsk, voters } from './raft-member.ts'

describe('a leader', () => {
  it('counts itself once its entries are synced, and followers once theirs are', () => {
    const { state } = leading()
    const outputs = hostAppends(state, [note('x')])
    expect(outputs.send).toMatchObject([{ to: peerOf('b'), after: 0, message: { kind: 'log-append', entries: [{ index: 3 }] } }])
    expect(hear(state, 'b', appended('b', 'a', epochOf(2), 3, roundTo(outputs, 'b')), 10_001).committed).toBeUndefined()
    expect(synced(state, outputs, 10_002)).toMatchObject({ committed: { from: 2, to: 3 }, settled: [{ tag: 't' }] })
  })

  it.each([[undefined, 300], [1_000, 1_000]])('whose members need not hear of a commit within %s ms says it when that time is over, or with the next append', (commitToldMs, toldMs) => {
    const { state } = leading(voters('a', 'b', 'c'), commitToldMs === undefined ? {} : { commitToldMs })
    const outputs = hostAppends(state, [note('x')])
    synced(state, outputs, 10_000)
    expect(hear(state, 'b', appended('b', 'a', epochOf(2), 3, roundTo(outputs, 'b')), 10_000).committed?.to).toBe(3)
    const told = (atMs: number) => step(state, { type: 'tick' }, atMs).send.flatMap(({ to, message }) => (to === peerOf('b') && message.kind === 'log-append' ? [message.commit] : []))
    expect([told(10_000 + toldMs - 1), told(10_000 + toldMs)]).toEqual([[], [3]])
  })

  it('commits entries of older epochs with one of its own only (figure 8)', () => {
    const { state, outputs } = elected(logOf(voters('a', 'b', 'c'), 1, 1, 1))
    synced(state, outputs, 10_000)
    expect(hear(state, 'b', appended('b', 'a', epochOf(2), 3, 1), 10_000).committed).toBeUndefined()
    expect(hear(state, 'b', appended('b', 'a', epochOf(2), 4, 1), 10_000).committed).toEqual({ from: 0, to: 4 })
  })

  it('counts no learner and no other incarnation', () => {
    const { state, outputs } = elected(logOf({ ...voters('a', 'b', 'c'), learners: [memberOf('d'), memberOf('e')] }, 1))
    synced(state, outputs, 10_000)
    for (const name of ['d', 'e'] as const) expect(hear(state, name, appended(name, 'a', epochOf(2), 2, 1), 10_000).committed).toBeUndefined()
    const wrong = hear(state, 'b', { ...appended('b', 'a', epochOf(2), 2, 1), as: memberOf('b', '2').incarnation }, 10_000)
    expect([wrong.committed, wrong.strangers]).toEqual([undefined, [{ peer: peerOf('b'), why: 'answers-as-another' }]])
  })

  it('refuses what does not continue its log, and everything once it does not lead', () => {
    const { state } = leading()
    const code = (entries: LogEntry[]) => step(state, { type: 'append', tag: 'x', entries }, 10_000).settled[0]?.fault?.code
    expect(code(extend(logOrigin, epochOf(2), [note('x')]))).toBe('wrong-state')
    expect(code(extend(viewOf(state).last, epochOf(1), [note('x')]))).toBe('fenced')
    hostAppends(state, [note('x')])
    step(state, { type: 'barrier', tag: 'r' }, 10_000)
    const deposed = hear(state, 'b', appended('b', 'a', epochOf(7), 0, 0, false), 10_001)
    expect(deposed.role).toEqual({ became: 'follows' })
    expect(deposed.settled.map(({ tag, fault }) => [tag, fault?.code])).toEqual([['t', 'fenced'], ['r', 'fenced']])
    expect(code(extend(viewOf(state).last, epochOf(2), [note('x')]))).toBe('fenced')
  })

  it('changes members one committed step at a time, and not before it has committed anything', () => {
    const fresh = elected(logOf(voters('a', 'b', 'c'), 1), { commit: 1 })
    const four = members(voters('a', 'b', 'c', 'd'))
    expect(hostAppends(fresh.state, [four]).settled[0]?.fault?.code).toBe('wrong-state')
    const { state } = leading()
    const outputs = hostAppends(state, [four])
    expect([outputs.settled, viewOf(state).membership]).toEqual([[], voters('a', 'b', 'c', 'd')])
    expect(hostAppends(state, [members(voters('a', 'b', 'c'))]).settled[0]?.fault?.code).toBe('wrong-state')
    synced(state, outputs, 10_000)
    expect(hear(state, 'b', appended('b', 'a', epochOf(2), 3, roundTo(outputs, 'b')), 10_001).committed).toBeUndefined()
    expect(hear(state, 'c', appended('c', 'a', epochOf(2), 3, roundTo(outputs, 'b')), 10_001).committed?.to).toBe(3)
  })

  it('that is no voter any more leaves when that is committed, and says who should lead', () => {
    const { state } = leading()
    const outputs = hostAppends(state, [members(voters('b', 'c'))])
    synced(state, outputs, 10_000)
    hear(state, 'b', appended('b', 'a', epochOf(2), 3, 9), 10_001)
    const left = hear(state, 'c', appended('c', 'a', epochOf(2), 3, 9), 10_001)
    expect([left.committed?.to, left.role, only(left, 'lead-now').length]).toEqual([3, { became: 'follows' }, 1])
  })

  it('that no majority answers leads no more', () => {
    const { state } = leading()
    step(state, { type: 'pulse', peer: peerOf('c'), sentAtMs: 11_000 }, 11_000)
    expect(step(state, { type: 'tick' }, 13_999).role).toBeUndefined()
    expect(step(state, { type: 'tick' }, 14_001).role).toEqual({ became: 'follows' })
  })

  it('sends again what is not answered within a second; and at once when the connection is back', () => {
    const { state } = leading()
    const { wakeAtMs } = step(state, { type: 'tick' }, 10_001)
    hear(state, 'b', appended('b', 'a', epochOf(2), 2, 99), 10_001)
    expect(wakeAtMs).toBeLessThanOrEqual(11_000)
    expect(only(step(state, { type: 'tick' }, 11_000), 'log-append').map(({ to }) => to)).toContain(peerOf('c'))
    step(state, { type: 'peer', peer: peerOf('c'), connected: false }, 11_001)
    expect(only(step(state, { type: 'tick' }, 12_500), 'log-append').map(({ to }) => to)).not.toContain(peerOf('c'))
    expect(step(state, { type: 'peer', peer: peerOf('c'), connected: true }, 12_501).send).toMatchObject([{ to: peerOf('c'), message: { previous: { index: 0 } } }])
  })

  it('tells of a commit soon when there is nothing else to say', () => {
    const { state, answered } = leading()
    expect(answered.wakeAtMs).toBe(10_300)
    expect(only(step(state, { type: 'tick' }, 10_300), 'log-append')).toMatchObject([{ to: peerOf('b'), message: { entries: [], commit: 2 } }, { to: peerOf('c') }])
  })

  it('hands on when asked, once the other has everything; the other asks for votes at once', () => {
    const { state } = leading()
    const outputs = hostAppends(state, [note('x')])
    expect(only(step(state, { type: 'transfer' }, 10_001), 'lead-now')).toEqual([])
    const told = hear(state, 'b', appended('b', 'a', epochOf(2), 3, roundTo(outputs, 'b')), 10_002)
    expect(only(told, 'lead-now')).toMatchObject([{ to: peerOf('b') }])
    const other = opened('b', entriesOf(state, 1))
    hear(other, 'a', append('a', 'b', epochOf(2), viewOf(state).last, [], 2), 10_003)
    const asked = hear(other, 'a', only(told, 'lead-now')[0]?.message as RaftMessage, 10_004)
    expect(only(asked, 'vote-ask').map(({ message }) => message)).toMatchObject([{ pre: false, transfer: true, epoch: epochOf(3) }, {}])
  })

  it('holds back what is appended and asked once the other was told; it goes on with both when that one cannot take over', () => {
    const { state, outputs: opening } = leading()
    hear(state, 'c', appended('c', 'a', epochOf(2), 2, roundTo(opening, 'c')), 10_000)
    const outputs = hostAppends(state, [note('x')])
    step(state, { type: 'transfer' }, 10_001)
    hear(state, 'c', appended('c', 'a', epochOf(2), 3, roundTo(outputs, 'c')), 10_001)
    expect(only(hear(state, 'b', appended('b', 'a', epochOf(2), 3, roundTo(outputs, 'b')), 10_002), 'lead-now')).toHaveLength(1)
    const { last } = viewOf(state)
    expect(step(state, { type: 'append', tag: 'held', entries: extend(last, epochOf(2), [note('y')]) }, 10_003)).toMatchObject({ send: [], settled: [], persist: undefined })
    expect(step(state, { type: 'barrier', tag: 'question' }, 10_003)).toMatchObject({ send: [], settled: [] })
    expect(step(state, { type: 'pulse', peer: peerOf('c'), sentAtMs: 10_004 }, 10_005).settled, 'what is asked waits behind what is held').toEqual([])
    expect(viewOf(state).last).toEqual(last)
    const goes = step(state, { type: 'peer', peer: peerOf('b'), connected: false }, 10_006)
    expect(only(goes, 'log-append')).toMatchObject([{ to: peerOf('c'), message: { entries: [{ index: last.index + 1 }] } }])
    synced(state, goes, 10_006)
    const settled = [...hear(state, 'c', appended('c', 'a', epochOf(2), last.index + 1, roundTo(goes, 'c')), 10_007).settled, ...step(state, { type: 'pulse', peer: peerOf('c'), sentAtMs: 10_008 }, 10_009).settled]
    expect(settled).toEqual([{ tag: 'held' }, { tag: 'question' }])
    const deposed = leading()
    step(deposed.state, { type: 'transfer' }, 10_001)
    hear(deposed.state, 'b', appended('b', 'a', epochOf(2), 2, 99), 10_002)
    step(deposed.state, { type: 'append', tag: 'held', entries: extend(viewOf(deposed.state).last, epochOf(2), [note('y')]) }, 10_003)
    step(deposed.state, { type: 'barrier', tag: 'question' }, 10_003)
    expect(hear(deposed.state, 'b', voteAsk('b', 'a', epochOf(3), viewOf(deposed.state).last, { transfer: true }), 10_004).settled).toMatchObject([{ tag: 'held', fault: { code: 'fenced' } }, { tag: 'question', fault: { code: 'fenced' } }])
  })

  it('steps down only if there is somebody else', () => {
    const { state } = leading()
    expect(step(state, { type: 'step-down', reason: 'slow' }, 10_001).role).toEqual({ became: 'follows' })
    const alone = leading()
    for (const name of ['b', 'c'] as const) step(alone.state, { type: 'peer', peer: peerOf(name), connected: false }, 10_001)
    expect(step(alone.state, { type: 'step-down', reason: 'slow' }, 10_002).role).toBeUndefined()
  })

  it('a witness hands on as soon as somebody has everything', () => {
    const made = elected(logOf(voters('a', 'b', 'c'), 1), { init: { likesToLead: false } })
    synced(made.state, made.outputs, 10_000)
    const answered = hear(made.state, 'b', appended('b', 'a', made.epoch, 2, roundTo(made.outputs, 'b')), 10_001)
    expect(only(answered, 'lead-now')).toMatchObject([{ to: peerOf('b') }])
  })
})

describe('a question to the leader', () => {
  it('is answered after a round that began after it', () => {
    const { state, outputs } = leading()
    const asked = step(state, { type: 'barrier', tag: 'r' }, 10_010)
    expect(asked.settled).toEqual([])
    step(state, { type: 'barrier', tag: 's' }, 10_010)
    expect(hear(state, 'c', appended('c', 'a', epochOf(2), 2, roundTo(outputs, 'b')), 10_011).settled).toEqual([])
    expect(hear(state, 'b', appended('b', 'a', epochOf(2), 2, roundTo(asked, 'b')), 10_012).settled).toEqual([{ tag: 'r' }])
  })

  it('is answered by a pulse that was sent after it', () => {
    const { state } = leading()
    step(state, { type: 'barrier', tag: 'r' }, 10_010)
    expect(step(state, { type: 'pulse', peer: peerOf('b'), sentAtMs: 10_010 }, 10_020).settled).toEqual([])
    expect(step(state, { type: 'pulse', peer: peerOf('b'), sentAtMs: 10_011 }, 10_021).settled).toEqual([{ tag: 'r' }])
  })

  it('waits for what was appended before it, the opening of the epoch among it', () => {
    const { state, outputs } = elected(logOf(voters('a', 'b', 'c'), 1))
    step(state, { type: 'barrier', tag: 'r' }, 10_000)
    expect(step(state, { type: 'pulse', peer: peerOf('b'), sentAtMs: 10_001 }, 10_002).settled).toEqual([])
    synced(state, outputs, 10_003)
    expect(hear(state, 'b', appended('b', 'a', epochOf(2), 2, 99), 10_004).settled).toEqual([{ tag: 'r' }])
  })
})

describe('snapshots', () => {
  const snapshotAt = (entries: readonly LogEntry[], membership: Membership): LogSnapshot => ({ at: endOf(entries), membership, version: 1, state: { inline: 'folded' } })

  it('are offered to members that have what is in them, and brought to those that lack what is gone', () => {
    const { state } = leading()
    const entries = entriesOf(state, 1)
    const snapshot = snapshotAt(entries, voters('a', 'b', 'c'))
    expect(step(state, { type: 'compacted', snapshot, dropBelow: 3 }, 10_001).needsSnapshot).toEqual([peerOf('b')])
    expect([viewOf(state).base, entriesOf(state, 1)]).toEqual([snapshot.at, []])
    expect(hear(state, 'c', appended('c', 'a', epochOf(2), 0, 99, false), 10_002).needsSnapshot).toEqual([peerOf('c')])
    expect(hear(state, 'c', appended('c', 'a', epochOf(2), 0, 99, false), 10_003).needsSnapshot).toEqual([])
    const message = installFor(state, peerOf('c'), snapshot) as RaftMessage
    const far = joinGroup(initOf('c'))
    const came = hear(far, 'a', message, 10_004)
    expect([came.install?.snapshot, came.send, came.persist?.snapshot]).toEqual([snapshot, [], undefined])
    const put = step(far, { type: 'installed', ok: true }, 10_005)
    expect(put).toMatchObject({ persist: { wipe: true, snapshot, head: { last: snapshot.at, commit: 2, membership: voters('a', 'b', 'c') } }, committed: { from: 0, to: 2 }, send: [{ message: { kind: 'log-appended', ok: true, matched: 2 } }] })
    expect(put.send[0]?.after).toBe(put.persist?.number)
    expect(hear(state, 'c', put.send[0]?.message as RaftMessage, 10_006).needsSnapshot).toEqual([])
    expect(viewOf(state).followers.get(peerOf('c'))?.matched).toBe(2)
  })

  it('are offered to the slowest once it has what is in them', () => {
    const { state } = leading()
    const snapshot = snapshotAt(entriesOf(state, 1), voters('a', 'b', 'c'))
    expect(step(state, { type: 'compacted', snapshot, dropBelow: 1 }, 10_001).needsSnapshot).toEqual([peerOf('b')])
    expect(hear(state, 'c', appended('c', 'a', epochOf(2), 1, 1), 10_002).needsSnapshot).toEqual([])
    expect(hear(state, 'c', appended('c', 'a', epochOf(2), 2, 2), 10_003).needsSnapshot).toEqual([peerOf('c')])
    expect(hear(state, 'c', appended('c', 'a', epochOf(2), 2, 3), 10_004).needsSnapshot).toEqual([])
  })

  it('only shorten a log that has the same entry there', () => {
    const log = logOf(voters('a', 'b', 'c'), 1, 1, 1, 1)
    const state = opened('b', log, { commit: 3 })
    const snapshot = snapshotAt(log.slice(0, 2), voters('a', 'b', 'c'))
    hear(state, 'a', { kind: 'log-install', ...between('a', 'b', epochOf(1)), snapshot, round: 4 })
    const put = step(state, { type: 'installed', ok: true })
    expect([put.persist?.wipe, put.persist?.snapshot, put.persist?.dropBelow, viewOf(state).last]).toEqual([undefined, snapshot, 1, endOf(log)])
    expect(put.send).toMatchObject([{ message: { ok: true, matched: 2, round: 4 } }])
  })

  it('that could not be fetched are not answered', () => {
    const state = joinGroup(initOf('b'))
    hear(state, 'a', { kind: 'log-install', ...between('a', 'b', epochOf(1)), snapshot: snapshotAt(logOf(voters('a', 'b'), 1), voters('a', 'b')), round: 4 })
    expect(step(state, { type: 'installed', ok: false })).toMatchObject({ send: [], persist: undefined })
    expect(viewOf(state).last).toEqual(logOrigin)
  })
})

describe('a change of members', () => {
  it('decides what is committed once it is on the leader’s own disk, not before', () => {
    const [before, after] = [voters('a', 'b'), voters('a', 'b', 'c')]
    const { state, epoch, outputs } = elected(logOf(before, 1), {})
    synced(state, outputs, 10_000)
    hear(state, 'b', appended('b', 'a', epoch, 2, roundTo(outputs, 'b')), 10_000)
    const joint = hostAppends(state, [members({ ...after, outgoing: before.voters })])
    synced(state, joint, 10_000)
    expect(hear(state, 'b', appended('b', 'a', epoch, 3, roundTo(joint, 'b')), 10_000).committed).toEqual({ from: 2, to: 3 })
    hear(state, 'c', appended('c', 'a', epoch, 3, roundTo(joint, 'c')), 10_000)
    const noted = hostAppends(state, [note('which b has not')])
    synced(state, noted, 10_000)
    expect(hear(state, 'c', appended('c', 'a', epoch, 4, roundTo(noted, 'c')), 10_000).committed).toBeUndefined()
    const left = hostAppends(state, [members(after)])
    expect(left.committed).toBeUndefined()
    expect(synced(state, left, 10_000).committed).toEqual({ from: 3, to: 4 })
  })
})
