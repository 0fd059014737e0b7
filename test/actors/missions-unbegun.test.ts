/** What the desk does about logs that it leads and in which no mission was ever begun. */
import { describe, expect, it } from 'vitest'
import { missions } from '../../actors/behaviours/missions.ts'
import type { ActorMessage } from '../../actors/messages.ts'
import { actorNames, at } from '../../actors/names.ts'
import type { ActorContext } from '../../actors/runtime/actor.ts'
import type { Effect } from '../../actors/runtime/effects.ts'
import { defaultTuning } from '../../actors/tuning.ts'
import { fault } from '../../protocols/kernel/errors.ts'
import type { Incarnation, MissionId, Principal } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { seededRandom } from '../../protocols/kernel/prng.ts'
import { extend, logOrigin } from '../../protocols/replicated-log/chain.ts'
import type { LogEntry } from '../../protocols/replicated-log/schema.ts'
import { virtualPeerId } from '../../sim/identity-virtual-adapter.ts'
import { submitted } from '../protocols/tasking/histories.ts'
import { desksWorld } from './desks-world.ts'

const missionId = 'm-00abcdef-abcdefghijkl' as MissionId
const self = at(virtualPeerId('node'), actorNames.missions)
const client = at(self.peer, 'client/1')
const membership = { voters: ['node', 'other', 'third'].map((name) => ({ peer: virtualPeerId(name), incarnation: `life${name}` as Incarnation })), learners: [] }
const epoch = { lineage: 1, term: 2 }
const never: readonly LogEntry[] = extend(logOrigin, { lineage: 1, term: 1 }, [{ type: 'members', atWallMs: 1_000, membership }])
const taken: readonly LogEntry[] = [...never, ...extend(never[0]!, epoch, [{ type: 'took-over', atWallMs: 2_000, epoch, owner: self.peer }])]

/** A desk whose node leads one log, and its two clocks. */
function desk(entries: readonly LogEntry[]) {
  const behaviour = missions({ nodeName: 'node', tuning: defaultTuning, replica: true })
  let nowMs = 0
  let setByMs = 0
  const context = (): ActorContext => ({ self, nowMs, wallMs: 3_000 + nowMs + setByMs, random: seededRandom([1, 1]), sign: () => new Uint8Array(64), verify: () => true, exists: () => false, connected: () => true })
  const { state } = behaviour.start(context())
  const hear = (message: ActorMessage): readonly Effect[] => behaviour.receive(state, { message, from: self }, context())
  const told = (effects: readonly Effect[]): ActorMessage[] => effects.flatMap((effect) => (effect.type === 'tell' ? [effect.message] : []))
  hear({ kind: 'groups-opened', incarnation: 'lifenode' as Incarnation, lostEverything: false, groups: [] })
  hear({ kind: 'group-led', group: missionId, epoch, membership, entries, commit: entries.length })
  const desk = {
    told: (message: ActorMessage) => told(hear(message)),
    /** It looks from time to time. */
    look(): ActorMessage[] {
      const effects = hear({ kind: 'tick', what: 'unbegun' })
      expect(effects).toContainEqual(expect.objectContaining({ type: 'set-timer', key: 'unbegun' }))
      return told(effects)
    },
    pass(ms: number): void {
      nowMs += ms
    },
    setClock(ms: number): void {
      setByMs += ms
    },
    view: () => told(hear({ kind: 'local-ask', requestId: 'one', principal: 'me' as Principal, operation: { op: 'view', missionId }, replyTo: client })),
  }
  desk.look()
  return desk
}

const appends = (messages: readonly ActorMessage[]) => messages.flatMap((message) => (message.kind === 'append' ? [message] : []))

describe('a log in which no mission was begun', () => {
  it('is kept for a week; then it is committed that none will be, and only then it goes, and its claim ends', () => {
    const { look, pass, told, view } = desk(taken)
    pass(limits.unbegunKeptMs - 60_000)
    expect(look()).toEqual([])
    expect(view(), 'who submits it again begins it').toMatchObject([{ kind: 'local-answer', fault: { code: 'timeout', next: 'submit it again with the same key' } }])
    pass(60_000)
    const [append, ...more] = appends(look())
    expect(more).toEqual([])
    expect(append).toMatchObject({ group: missionId, entries: [{ index: 3, epoch, event: { type: 'archived' } }] })
    expect(look(), 'once').toEqual([])
    expect(view(), 'it is begun no more').toMatchObject([{ kind: 'local-answer', fault: { code: 'unknown-mission', next: 'submit it under a new key' } }])
    const done = told({ kind: 'appended', tag: append!.tag })
    expect(done).toEqual([
      { kind: 'tell-registrar', missionId, members: membership.voters.map(({ peer }) => peer), endedAtWallMs: 3_000 + limits.unbegunKeptMs, epoch },
      { kind: 'end-unbegun', group: missionId },
    ])
    expect(told({ kind: 'appended', tag: append!.tag })).toEqual([])
    pass(limits.unbegunKeptMs)
    expect(look()).toEqual([])
  })

  it('stays when that is not committed, and is begun by whoever submits it again', () => {
    const { look, pass, told, view } = desk(taken)
    pass(limits.unbegunKeptMs)
    const [append] = appends(look())
    expect(told({ kind: 'appended', tag: append!.tag, fault: fault('fenced', 'another leads') })).toEqual([])
    expect(view()).toMatchObject([{ fault: { code: 'timeout' } }])
    expect(appends(look())).toHaveLength(1)
  })

  it('stays when only the clock was set', () => {
    const { look, setClock, pass } = desk(taken)
    setClock(limits.unbegunKeptMs)
    expect(look()).toEqual([])
    pass(60_000)
    expect(appends(look()), 'as it is now, it seems to be right').toHaveLength(1)
  })

  it('which an earlier leader has closed, and did not live to let go of, goes at once and is never begun', () => {
    const closed = [...never, ...extend(never[0]!, { lineage: 1, term: 1 }, [{ type: 'archived', atWallMs: 2_000, archive: { inline: null } }])]
    const { look, told, view } = desk([...closed, ...extend(closed[1]!, epoch, [{ type: 'took-over', atWallMs: 2_500, epoch, owner: self.peer }])])
    expect(view()).toMatchObject([{ fault: { code: 'unknown-mission' } }])
    expect(told({ kind: 'appended', tag: `close ${missionId}` })).toMatchObject([{ kind: 'tell-registrar' }, { kind: 'end-unbegun' }])
    expect(look()).toEqual([])
  })
})

it('a log that was closed is not begun by whoever submits its key again', () => {
  const world = desksWorld({ a: { replica: true }, b: { replica: true }, c: { replica: true } })
  world.submit('a', 'k')
  const [founded] = world.toldOf('a', 'found-group')
  world.leads('b', founded!.group as MissionId, world.log(founded!.membership, [{ term: 2, by: 'b' }], { type: 'archived', atWallMs: 0, archive: { inline: null } }))
  world.submit('b', 'k')
  expect([...world.named('b').orchestrators]).toEqual([])
  expect(world.named('b').answers).toMatchObject([{ fault: { code: 'unknown-mission', next: 'submit it under a new key' } }])
})

it('a log with a mission in it is never closed for its age', () => {
  const { look, pass } = desk([...never, ...extend(never[0]!, { lineage: 1, term: 1 }, [{ ...submitted(), missionId }])])
  pass(10 * limits.unbegunKeptMs)
  expect(look()).toEqual([])
})
