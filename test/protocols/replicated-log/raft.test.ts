import { describe, expect, it } from 'vitest'
import type { Member, Membership } from '../../../protocols/membership/schema.ts'
import { extend, logOrigin, positionOf } from '../../../protocols/replicated-log/chain.ts'
import { agreed, agreedValue, unsafeChange } from '../../../protocols/replicated-log/raft-quorum.ts'
import { entriesOf, foundGroup, headOf, joinGroup, openRaft, viewOf, type RaftState } from '../../../protocols/replicated-log/raft.ts'
import type { LogEntry, LogPosition } from '../../../protocols/replicated-log/schema.ts'
import { append, appended, at, endOf, epochOf, hear, initOf, leading, logOf, memberOf, members, note, only, opened, peerOf, step, synced, vote, voteAsk, voters, type Name } from './raft-member.ts'

describe('quorums', () => {
  const joint: Membership = { voters: [memberOf('a'), memberOf('d'), memberOf('e')], outgoing: [memberOf('a'), memberOf('b'), memberOf('c')], learners: [] }
  const among = (...peers: Name[]) => ({ peer }: Member) => peers.some((name) => peerOf(name) === peer)

  it('are majorities, of both sets while there are two; learners are not among them', () => {
    expect(agreed(voters('a', 'b', 'c'), among('a', 'b'))).toBe(true)
    expect(agreed(voters('a', 'b', 'c', 'd'), among('a', 'b'))).toBe(false)
    expect(agreed(joint, among('a', 'd'))).toBe(false)
    expect(agreed(joint, among('a', 'b'))).toBe(false)
    expect(agreed(joint, among('a', 'b', 'd'))).toBe(true)
    expect(agreedValue(joint, ({ peer }) => ({ 'peer-a': 9, 'peer-b': 4, 'peer-c': 1, 'peer-d': 7, 'peer-e': 2 })[peer as string] as number)).toBe(4)
    const learners = [memberOf('d'), memberOf('e')]
    expect(agreed({ ...voters('a', 'b', 'c'), learners }, among('a', 'd', 'e'))).toBe(false)
    expect(agreedValue({ ...voters('a', 'b', 'c'), learners }, ({ peer }) => (among('d', 'e')({ peer } as Member) ? 9 : 1))).toBe(1)
  })

  it('change only so that old and new ones meet', () => {
    expect(unsafeChange(voters('a'), voters('a', 'b'))).toBeUndefined()
    expect(unsafeChange(voters('a', 'b', 'c'), voters('a', 'b'))).toBeUndefined()
    expect(unsafeChange(voters('a'), voters('a', 'b', 'c'))).toContain('joint')
    expect(unsafeChange(voters('a', 'b', 'c'), joint)).toBeUndefined()
    expect(unsafeChange(joint, voters('a', 'd', 'e'))).toBeUndefined()
    expect(unsafeChange(joint, voters('a', 'b', 'd'))).toContain('joint')
    expect(unsafeChange(voters('a', 'b'), { voters: [memberOf('a'), memberOf('b', '2')], learners: [] })).toContain('joint')
    expect(unsafeChange(voters('a'), { voters: [memberOf('a')], learners: [memberOf('a', '2')] })).toContain('two incarnations')
    expect(unsafeChange(voters('a'), { voters: [memberOf('a'), memberOf('a')], learners: [] })).toContain('twice')
  })
})

describe('founding and opening', () => {
  it('the founder leads at once under 1.1; nobody hears of it before it is synced', () => {
    const { state, outputs } = foundGroup(initOf('a'), voters('a', 'b', 'c'), at(5))
    expect(outputs.role).toEqual({ became: 'leads', epoch: epochOf(1), openedAt: 1 })
    expect(outputs.persist).toMatchObject({ number: 1, head: { epoch: epochOf(1), votedFor: peerOf('a'), last: { index: 1 }, membership: voters('a', 'b', 'c') }, entries: [{ index: 1, event: { type: 'members' } }] })
    expect(outputs.send.map(({ to, after, message }) => [to, after, message.kind])).toEqual([[peerOf('b'), 1, 'log-append'], [peerOf('c'), 1, 'log-append']])
    synced(state, outputs)
    expect(viewOf(state).commit).toBe(0)
    expect(hear(state, 'b', appended('b', 'a', epochOf(1), 1, 1)).committed).toEqual({ from: 0, to: 1 })
  })

  it('one that is the only voter commits by itself, and after a restart leads at its first tick, once its vote is synced', () => {
    const { state, outputs } = foundGroup(initOf('a'), voters('a'), at(0))
    expect(synced(state, outputs).committed).toEqual({ from: 0, to: 1 })
    const again = openRaft(initOf('a'), { head: headOf(state), entries: entriesOf(state, 1) }, at(7))
    const asked = step(again, { type: 'tick' }, 7)
    expect([asked.role, asked.persist?.head]).toMatchObject([undefined, { epoch: epochOf(2), votedFor: peerOf('a') }])
    const leads = synced(again, asked, 9)
    expect(leads.role).toEqual({ became: 'leads', epoch: epochOf(2), openedAt: 2 })
    expect(leads.persist?.entries).toMatchObject([{ index: 2, event: { type: 'took-over', owner: peerOf('a'), epoch: epochOf(2) } }])
    expect(synced(again, leads, 9).committed?.to).toBe(2)
    expect(step(again, { type: 'barrier', tag: 'r' }, 9).settled).toEqual([{ tag: 'r' }])
  })

  it('an empty copy votes and takes entries, never asks for votes and never needs waking', () => {
    const state = joinGroup(initOf('b'))
    expect(step(state, { type: 'tick' }, 99_999)).toMatchObject({ send: [], wakeAtMs: Number.POSITIVE_INFINITY })
    const entries = logOf(voters('a', 'b', 'c'), 1)
    expect(hear(state, 'a', append('a', 'b', epochOf(1), logOrigin, entries, 1)).send).toMatchObject([{ after: 1, message: { kind: 'log-appended', ok: true, matched: 1 } }])
    expect(viewOf(state)).toMatchObject({ leader: peerOf('a'), commit: 1, membership: voters('a', 'b', 'c') })
  })

  it('entries kept from before the snapshot are a tail to send from', () => {
    const entries = logOf(voters('a', 'b'), 1, 1, 1, 1, 1)
    const snapshot = { at: positionOf(entries[3] as LogEntry), membership: voters('a', 'b'), version: 1 }
    const state = openRaft(initOf('a'), { head: { group: 'roster', incarnation: memberOf('a').incarnation, epoch: epochOf(1), last: endOf(entries), commit: 5 }, snapshot, entries: entries.slice(1) }, at(0))
    expect([viewOf(state).base, entriesOf(state, 1).map(({ index }) => index), viewOf(state).membership]).toEqual([positionOf(entries[1] as LogEntry), [3, 4, 5], voters('a', 'b')])
  })

  it('a step that has nothing to say allocates nothing', () => {
    const { state } = leading()
    const outputs = step(state, { type: 'tick' }, 10_001)
    expect(step(state, { type: 'pulse', peer: peerOf('b'), sentAtMs: 10_001 }, 10_002)).toBe(outputs)
    const follower = opened('b', logOf(voters('a', 'b', 'c'), 1))
    expect(step(follower, { type: 'tick' }, 1)).toBe(step(follower, { type: 'tick' }, 2))
  })
})

describe('votes', () => {
  const log = logOf(voters('a', 'b', 'c'), 1, 1)

  it('are asked for after a pre-vote, which raises no epoch and promises nothing', () => {
    const state = opened('a', log)
    const asked = step(state, { type: 'tick' }, 3_001)
    expect(asked.persist).toBeUndefined()
    expect(only(asked, 'vote-ask').map(({ to, after, message }) => [to, after, message])).toMatchObject([[peerOf('b'), 0, { pre: true, epoch: epochOf(2) }], [peerOf('c'), 0, { pre: true }]])
    expect(viewOf(state).epoch).toEqual(epochOf(1))
    const real = hear(state, 'c', vote('c', 'a', epochOf(2), true), 3_002)
    expect(real.persist?.head).toMatchObject({ epoch: epochOf(2), votedFor: peerOf('a') })
    expect(only(real, 'vote-ask').map(({ after, message }) => [after, message])).toMatchObject([[1, { pre: false }], [1, { pre: false }]])
    expect(hear(state, 'b', vote('b', 'a', epochOf(2), true), 3_003).role).toBeUndefined()
    expect(hear(state, 'b', vote('b', 'a', epochOf(2)), 3_003).role).toEqual({ became: 'leads', epoch: epochOf(2), openedAt: 3 })
  })

  it('one that was cut off comes back without disturbing anybody', () => {
    const state = opened('a', log)
    for (const nowMs of [4_000, 8_000, 12_000, 16_000]) step(state, { type: 'tick' }, nowMs)
    expect([viewOf(state).role, viewOf(state).epoch]).toEqual(['candidate', epochOf(1)])
  })

  it('are synced before they are sent, are given once per epoch, and again to the same', () => {
    const state = opened('b', log)
    const granted = hear(state, 'a', voteAsk('a', 'b', epochOf(2), endOf(log)))
    expect(granted.persist).toMatchObject({ number: 1, head: { epoch: epochOf(2), votedFor: peerOf('a') } })
    expect(granted.send).toMatchObject([{ after: 1, message: { granted: true } }])
    expect(hear(state, 'a', voteAsk('a', 'b', epochOf(2), endOf(log))).send).toMatchObject([{ after: 1, message: { granted: true } }])
    expect(hear(state, 'c', voteAsk('c', 'b', epochOf(2), endOf(log))).send).toMatchObject([{ message: { granted: false } }])
    // Also when the epoch itself was synced before.
    expect(hear(opened('b', log, { epoch: epochOf(2) }), 'a', voteAsk('a', 'b', epochOf(2), endOf(log))).send).toMatchObject([{ after: 1, message: { granted: true } }])
    const again = opened('b', log, { epoch: epochOf(2), votedFor: peerOf('a') })
    expect(hear(again, 'c', voteAsk('c', 'b', epochOf(2), endOf(log))).send).toMatchObject([{ message: { granted: false } }])
  })

  it('are refused to a log that is behind: first by epoch, then by index; a newer lineage is ahead of everything', () => {
    const ours = logOf(voters('a', 'b', 'c'), 1, 2)
    const grants = (last: LogPosition, epoch = epochOf(3)) => (hear(opened('b', ours), 'a', voteAsk('a', 'b', epoch, last)).send[0]?.message as { granted: boolean }).granted
    expect(grants(endOf(ours))).toBe(true)
    expect(grants({ ...endOf(ours), index: 1 })).toBe(false)
    expect(grants({ index: 9, epoch: epochOf(1), chain: logOrigin.chain })).toBe(false)
    expect(grants(logOrigin)).toBe(false)
    expect(grants({ index: 1, epoch: epochOf(1, 2), chain: logOrigin.chain }, epochOf(2, 2))).toBe(true)
    expect(grants(endOf(ours), epochOf(1))).toBe(false)
  })

  it('are refused while a leader is heard, but for a transfer, and when its connection is gone', () => {
    const heard = () => { const state = opened('b', log); hear(state, 'a', append('a', 'b', epochOf(1), endOf(log), []), 100); return state }
    const ask = (state: RaftState, how = {}, nowMs = 200) => (hear(state, 'c', voteAsk('c', 'b', epochOf(2), endOf(log), how), nowMs).send[0]?.message as { granted: boolean }).granted
    const refusing = heard()
    expect(ask(refusing)).toBe(false)
    expect(viewOf(refusing).epoch).toEqual(epochOf(1))
    expect(ask(heard(), { pre: true })).toBe(false)
    expect(ask(heard(), { transfer: true })).toBe(true)
    expect(ask(heard(), {}, 1_700)).toBe(true)
    const lost = heard()
    step(lost, { type: 'peer', peer: peerOf('a'), connected: false }, 150)
    expect(ask(lost)).toBe(true)
  })

  it('count for members under their incarnation only; another one is a stranger', () => {
    const state = opened('a', log)
    step(state, { type: 'tick' }, 3_001)
    const wrong = hear(state, 'b', { ...vote('b', 'a', epochOf(2), true), as: memberOf('b', '2').incarnation }, 3_002)
    expect([wrong.strangers, wrong.persist]).toEqual([[{ peer: peerOf('b'), why: 'answers-as-another' }], undefined])
    expect(hear(state, 'd', vote('d', 'a', epochOf(2), true), 3_002).persist).toBeUndefined()
    expect(hear(state, 'b', { ...vote('b', 'a', epochOf(2), true), toward: memberOf('a', '0').incarnation }, 3_002).strangers).toEqual([{ peer: peerOf('b'), why: 'means-another' }])
  })

  it('in a joint membership need both majorities', () => {
    const joint = { voters: [memberOf('a'), memberOf('d'), memberOf('e')], outgoing: [memberOf('a'), memberOf('b'), memberOf('c')], learners: [] }
    const state = opened('a', logOf(joint, 1))
    expect(only(step(state, { type: 'tick' }, 3_001), 'vote-ask')).toHaveLength(4)
    expect(hear(state, 'd', vote('d', 'a', epochOf(2), true), 3_001).persist).toBeUndefined()
    expect(hear(state, 'b', vote('b', 'a', epochOf(2), true), 3_001).persist?.head.epoch).toEqual(epochOf(2))
  })

  it('are never asked for by a learner, nor by one that left; by one that leaves, until that is committed', () => {
    const asks = (entries: LogEntry[], commit: number) => only(step(opened('a', entries, { commit }), { type: 'tick' }, 9_999), 'vote-ask').length
    expect(asks(logOf({ ...voters('b', 'c'), learners: [memberOf('a')] }, 1), 1)).toBe(0)
    const left = [...logOf(voters('a', 'b', 'c'), 1)]
    left.push(...extend(endOf(left), epochOf(1), [members(voters('b', 'c'))]))
    expect(asks(left, 2)).toBe(0)
    expect(asks(left, 1)).toBe(2)
  })

  it('the timer is short once the connection to the leader is gone, and long for a witness', () => {
    const state = opened('b', log)
    hear(state, 'a', append('a', 'b', epochOf(1), endOf(log), []), 100)
    const { wakeAtMs } = step(state, { type: 'peer', peer: peerOf('a'), connected: false }, 200)
    expect(wakeAtMs).toBeGreaterThan(200)
    expect(wakeAtMs).toBeLessThanOrEqual(350)
    expect(step(state, { type: 'pulse', peer: peerOf('a'), sentAtMs: 190 }, 300).wakeAtMs, 'a pulse from before says nothing').toBe(wakeAtMs)
    expect(only(step(state, { type: 'tick' }, 350), 'vote-ask').length).toBe(2)
    expect(step(opened('b', log, { init: { likesToLead: false } }), { type: 'tick' }).wakeAtMs).toBeGreaterThanOrEqual(3_000)
    expect(step(opened('b', log), { type: 'tick' }).wakeAtMs).toBeLessThanOrEqual(3_000)
  })

  it('a pulse of the leader is a heartbeat; of another, nothing', () => {
    const state = opened('b', log)
    const { wakeAtMs } = hear(state, 'a', append('a', 'b', epochOf(1), endOf(log), []), 0)
    expect(step(state, { type: 'pulse', peer: peerOf('c'), sentAtMs: 1_400 }, 1_400).wakeAtMs).toBe(wakeAtMs)
    expect(step(state, { type: 'pulse', peer: peerOf('a'), sentAtMs: 1_400 }, 1_400).wakeAtMs).toBeGreaterThanOrEqual(2_900)
  })
})

describe('a follower', () => {
  const log = logOf(voters('a', 'b', 'c'), 1, 1, 2, 2, 2)

  it('answers a fenced leader with the newer epoch, and takes nothing from it', () => {
    const state = opened('b', log, { epoch: epochOf(5) })
    const outputs = hear(state, 'a', append('a', 'b', epochOf(4), endOf(log), extend(endOf(log), epochOf(4), [note('late')]), 6))
    expect(outputs).toMatchObject({ persist: undefined, committed: undefined, send: [{ message: { kind: 'log-appended', ok: false, epoch: epochOf(5) } }] })
    expect(viewOf(state).leader).toBeUndefined()
  })

  it('says where to try next: its end, or before the epoch that differs', () => {
    const hint = (previous: LogPosition, commit = 0) => hear(opened('b', log, { commit }), 'a', append('a', 'b', epochOf(9), previous, [])).send[0]?.message
    expect(hint({ index: 8, epoch: epochOf(8), chain: logOrigin.chain })).toMatchObject({ ok: false, matched: 5 })
    expect(hint({ index: 5, epoch: epochOf(8), chain: logOrigin.chain })).toMatchObject({ ok: false, matched: 2 })
    expect(hint({ index: 5, epoch: epochOf(8), chain: logOrigin.chain }, 3)).toMatchObject({ ok: false, matched: 3 })
  })

  it('replaces what differs and was not committed, with the members it named; answers after the sync', () => {
    const mine = [...log, ...extend(endOf(log), epochOf(2), [members(voters('a', 'b'))])]
    const state = opened('b', mine, { commit: 5 })
    expect(viewOf(state).membership).toEqual(voters('a', 'b'))
    const theirs = extend(endOf(log), epochOf(3), [note('x'), note('y')])
    const outputs = hear(state, 'c', append('c', 'b', epochOf(3), endOf(log), theirs, 6))
    expect(outputs).toMatchObject({ persist: { truncateFrom: 6, entries: theirs }, committed: { from: 5, to: 6 }, send: [{ after: outputs.persist?.number, message: { ok: true, matched: 7 } }] })
    expect(viewOf(state).membership).toEqual(voters('a', 'b', 'c'))
    expect(outputs.orphanedFrom).toBeUndefined()
  })

  it('refuses loudly what would overwrite a committed entry', () => {
    const theirs = extend(endOf(log.slice(0, 3)), epochOf(3), [note('x')])
    expect(() => hear(opened('b', log, { commit: 5 }), 'c', append('c', 'b', epochOf(3), endOf(log.slice(0, 3)), theirs))).toThrow('committed here')
    expect(() => hear(opened('b', log, { commit: 5 }), 'c', append('c', 'b', epochOf(3), { ...endOf(log), chain: logOrigin.chain }, []))).toThrow('committed here')
  })

  it('takes no entry whose chain it cannot compute itself', () => {
    const state = opened('b', log)
    const [entry] = extend(endOf(log), epochOf(3), [note('x')]) as [LogEntry]
    for (const wrong of [{ ...entry, event: note('y') }, { ...entry, chain: logOrigin.chain }, { ...entry, index: 7 }, { ...entry, epoch: epochOf(4) }]) {
      expect(only(hear(state, 'c', append('c', 'b', epochOf(3), endOf(log), [wrong])), 'log-appended'), JSON.stringify(wrong)).toEqual([])
    }
    expect(viewOf(state).last).toEqual(endOf(log))
  })

  it('commits no further than the logs are known to be equal', () => {
    const state = opened('b', log)
    expect(hear(state, 'c', append('c', 'b', epochOf(3), endOf(log.slice(0, 2)), [], 5)).committed).toEqual({ from: 0, to: 2 })
    expect(viewOf(state).last.index).toBe(5)
  })
})

describe('an older lineage', () => {
  const shared = logOf(voters('a', 'b', 'c'), 1, 1, 1)
  const ours = [...shared, ...extend(endOf(shared), epochOf(1), [note('mine'), note('too')])]
  const theirs = [...shared, ...extend(endOf(shared), epochOf(1, 2), [note('took over'), members({ ...voters('a'), learners: [memberOf('b')] })])]

  it('is ended by hand: alone under the next lineage, once that is synced', () => {
    const state = opened('a', shared, { commit: 2 })
    const outputs = step(state, { type: 'take-over' }, 50)
    expect(outputs).toMatchObject({ role: { became: 'leads', epoch: epochOf(1, 2), openedAt: 4 }, persist: { head: { epoch: epochOf(1, 2) }, entries: [{ index: 4, event: { type: 'took-over' } }, { index: 5, event: { type: 'members', membership: { voters: [memberOf('a')], learners: [] } } }] } })
    expect(synced(state, outputs, 51).committed).toEqual({ from: 2, to: 5 })
  })

  it('can be ended by a learner, and not by a copy that knows no members', () => {
    expect(step(opened('d', logOf({ ...voters('a'), learners: [memberOf('d')] }, 1)), { type: 'take-over' }).role).toMatchObject({ became: 'leads' })
    expect(step(joinGroup(initOf('d')), { type: 'take-over' }).role).toBeUndefined()
  })

  it('gives up its tail, committed or not, and says so', () => {
    const state = opened('b', ours, { commit: 5 })
    const outputs = hear(state, 'a', append('a', 'b', epochOf(1, 2), endOf(shared), theirs.slice(3), 5))
    expect(outputs).toMatchObject({ orphanedFrom: 4, persist: { truncateFrom: 4 }, send: [{ message: { ok: true, matched: 5 } }] })
    expect([viewOf(state).commit, viewOf(state).last]).toEqual([5, endOf(theirs)])
  })

  it('is taken anew when its snapshot holds what the new one does not', () => {
    const snapshot = { at: endOf(ours), membership: voters('a', 'b', 'c'), version: 1 }
    const state = openRaft(initOf('b'), { head: { group: 'roster', incarnation: memberOf('b').incarnation, epoch: epochOf(1), votedFor: peerOf('c'), last: endOf(ours), commit: 5 }, snapshot, entries: [] }, at(0))
    const outputs = hear(state, 'a', append('a', 'b', epochOf(1, 2), endOf(theirs), [], 5))
    expect(outputs).toMatchObject({ orphanedFrom: 5, persist: { wipe: true, head: { last: logOrigin, epoch: epochOf(1, 2) } }, send: [{ message: { ok: false, matched: 0 } }] })
    expect(hear(state, 'a', append('a', 'b', epochOf(1, 2), logOrigin, theirs, 5)).send).toMatchObject([{ message: { ok: true, matched: 5 } }])
  })

  it('is carried into the new one by nobody: who heard of a newer lineage asks for no votes with an older log', () => {
    const state = opened('b', ours)
    hear(state, 'a', { ...append('a', 'b', epochOf(1, 2), { index: 9, epoch: epochOf(1, 2), chain: logOrigin.chain }, []) })
    expect(only(step(state, { type: 'tick' }, 99_999), 'vote-ask')).toEqual([])
  })
})
