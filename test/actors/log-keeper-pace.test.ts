import { describe, expect, it } from 'vitest'
import { newPace, noteHeard, notePulse, noteSync, patienceWith, silenceOf } from '../../actors/behaviours/replication/log-keeper-pace.ts'
import { newLogKeeperState } from '../../actors/behaviours/replication/log-keeper-state.ts'
import { onSlowSync } from '../../actors/behaviours/replication/log-keeper-writes.ts'
import type { ActorContext } from '../../actors/runtime/actor.ts'
import { formatEpoch, type MissionId, type PeerId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { RaftState } from '../../protocols/replicated-log/raft.ts'
import { mission, startedKeepers, type logKeeperWorld } from './log-keeper-world.ts'

type World = ReturnType<typeof logKeeperWorld>

const other = 'm-00fedcba-abcdefghijkl' as MissionId
const epochOf = (world: World): string => formatEpoch(world.led().host.leads.get(mission)!.epoch)

describe('when everything is slow', () => {
  it('a leader whose disk is as slow as those of the others leads on', async () => {
    const world = await startedKeepers(20, 'a', 'b', 'c')
    for (const name of ['a', 'b', 'c']) world.node(name).disk.setSyncMs(1_400)
    for (const text of ['one', 'two', 'three', 'four']) {
      const append = world.append(text)
      await world.until('it is committed', () => world.isAnswered(append), 10_000)
      expect(append.answers).toEqual(['ok'])
    }
    expect(world.node('a').facts.map(({ name }) => name)).toContain('log.sync-slow')
    expect([world.led().name, epochOf(world)]).toEqual(['a', '1.1'])
  })

  it('a disk that has been slow for some time is not taken for one that hangs', async () => {
    const world = await startedKeepers(21, 'a', 'b', 'c')
    const { disk } = world.node('a')
    disk.setSyncMs(250)
    for (let i = 0; i < 12; i++) {
      const append = world.append(`slow ${i}`)
      await world.until('it is on its disk', () => world.isAnswered(append) && disk.unsyncedWrites() === 0)
    }
    disk.setSyncMs(2 * limits.slowSyncMs)
    const append = world.append('one')
    await world.until('it is on its disk too', () => world.isAnswered(append) && disk.unsyncedWrites() === 0)
    expect([world.led().name, epochOf(world)]).toEqual(['a', '1.1'])

    disk.setSyncMs(60_000)
    world.append('two')
    await world.until('another leads', () => ['b', 'c'].includes(world.leader()?.name ?? ''), 30_000)
  })

  it('a log that nothing is written to is not handed on', async () => {
    const world = await startedKeepers(22, 'a', 'b', 'c')
    world.found('a', ['a', 'b', 'c'], other)
    await world.until('a leads both', () => world.node('a').host.leads.size === 2)
    await world.runFor(2_000)
    world.node('a').disk.setSyncMs(6_000)
    world.append('one')
    await world.until('another leads the one', () => ['b', 'c'].includes(world.leader()?.name ?? ''), limits.slowSyncMs + 500)
    expect(world.led(other).name).toBe('a')
  })
})

describe('how it was lately', () => {
  const peer = 'peer' as PeerId
  const heardAt = (...times: number[]) => {
    const pace = newPace()
    for (const atMs of times) noteHeard(pace, peer, atMs)
    return pace
  }

  it('who comes late may be silent for longer, but not for ever, and not for long after that', () => {
    expect(silenceOf(heardAt(0, 300, 600), peer, 3_000)).toBe(900)
    expect(silenceOf(heardAt(0, 300, 2_000), peer, 3_000)).toBe(5_100)
    expect(silenceOf(heardAt(0, 60_000), peer, 3_000)).toBe(6_000)
    const pace = heardAt(0, 2_000)
    for (let i = 1; i <= 100; i++) noteHeard(pace, peer, 2_000 + 300 * i)
    expect(silenceOf(pace, peer, 3_000)).toBe(900)
    expect(silenceOf(pace, 'stranger' as PeerId, 3_000)).toBe(0)
  })

  it('a sync that hung for a minute does not make the next one wait for a quarter of an hour', () => {
    const pace = newPace()
    for (let i = 0; i < 20; i++) noteSync(pace, 60_000)
    expect(pace.usualSyncMs).toBeLessThanOrEqual(limits.slowSyncMs)
  })

  it('a follower does not give up a leader that answers late as a rule; when it stays silent, it does', async () => {
    const world = await startedKeepers(23, 'a', 'b', 'c')
    for (let i = 0; i < 3; i++) {
      world.links.isolate('a', 'b', 'c')
      await world.runFor(1_350)
      world.heal()
      await world.runFor(1_000)
    }
    world.links.isolate('a', 'b', 'c')
    await world.runFor(3_600)
    expect(epochOf(world), 'a draw would have been over after 3 s').toBe('1.1')
    await world.until('another leads', () => ['b', 'c'].includes(world.leader()?.name ?? ''), 4_000)
  })
})

describe('a node that comes late itself', () => {
  const at = (nowMs: number, connected = true): ActorContext => ({ nowMs, connected: () => connected }) as unknown as ActorContext
  const group = (role: string, electionAtMs = 5_000) => ({ raft: { role, leader: 'somebody', electionAtMs } as unknown as RaftState, patience: 0, patientUntilMs: -Infinity })
  const late = limits.groupPulseMs + 100

  it('waits a little before it gives up its leader, a few times at most', () => {
    const follower = group('follower')
    const waits = Array.from({ length: 5 }, (_, i) => patienceWith(follower, newPace(), late, at(5_000 + i * late)))
    expect(waits).toEqual([late, late, late, undefined, late])
  })

  it('waits on when something else wakes it meanwhile', () => {
    const follower = group('follower')
    expect([0, 100, 200].map((ms) => patienceWith(follower, newPace(), late, at(5_000 + ms)))).toEqual([late, late - 100, late - 200])
    expect(follower.patience).toBe(1)
  })

  it('waits as a leader, too, and never for longer than an election takes at least', () => {
    expect(patienceWith(group('leader'), newPace(), 60_000, at(5_000))).toBe(limits.electionMsMin)
  })

  it('has been late at its pulses: the silence is put down to that, until it fades', () => {
    const pace = newPace()
    notePulse(pace, 0, 300)
    notePulse(pace, 1_300, 300)
    expect(pace.lateMs).toBe(1_000)
    expect(patienceWith(group('follower'), pace, 0, at(5_000))).toBe(1_000)
    for (let i = 1; i <= 6; i++) notePulse(pace, 1_300 + i * 300, 300)
    expect(patienceWith(group('follower'), pace, 0, at(5_000))).toBeUndefined()
  })

  it.each([
    ['it is in time', group('follower'), 20, at(5_000)],
    ['its leader was heard meanwhile', group('follower', 5_001), late, at(5_000)],
    ['the connection to its leader is closed', group('follower'), late, at(5_000, false)],
    ['it asks for votes already', group('candidate'), late, at(5_000)],
  ])('does what is due when %s', (_, of, lateMs, context) => {
    expect(patienceWith(of, newPace(), lateMs, context)).toBeUndefined()
  })

  it('does not judge a sync by a timer that came late: the news of it may be waiting behind', () => {
    const said = (nowMs: number) => {
      const state = newLogKeeperState()
      Object.assign(state, { isWriting: true, pace: { ...state.pace, slowAtMs: 1_000 } })
      return onSlowSync(state, at(nowMs)).map(({ type }) => type)
    }
    expect(said(1_010)).toEqual(['fact', 'set-timer'])
    expect(said(1_000 + late)).toEqual(['set-timer'])
  })
})
