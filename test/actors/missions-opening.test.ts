/** What a desk answers when the mission that it is beginning cannot be begun by its orchestrator. */
import { describe, expect, it } from 'vitest'
import { actorNames, at } from '../../actors/names.ts'
import type { LedLog } from '../../actors/behaviours/orchestrator-state.ts'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import { submitted } from '../protocols/tasking/histories.ts'
import { desksWorld } from './desks-world.ts'

/** One desk, with a mission whose orchestrator has just been spawned. */
function opening(key: string | undefined = 'k') {
  const world = desksWorld({ a: { replica: true }, b: { replica: true }, c: { replica: true } })
  world.submit('a', key)
  const [founded] = world.toldOf('a', 'found-group')
  const missionId = founded!.group as MissionId
  const log = (...events: Parameters<typeof world.log>[2][]): LedLog => world.log(founded!.membership, [], ...events)
  world.leads('a', missionId, log())
  expect([...world.named('a').orchestrators]).toEqual([missionId])
  return { world, missionId, log, desk: world.named('a') }
}

describe('an orchestrator that fails while its mission is opening', () => {
  it('before anything was appended: whoever submitted hears that it failed, and may try again', () => {
    const { world, missionId, log, desk } = opening()
    world.ends('a', missionId, 'a bug')
    expect(desk.answers, 'the log tells what has become of it').toEqual([])
    expect(world.toldOf('a', 'lead-again')).toEqual([{ kind: 'lead-again', group: missionId }])
    world.leads('a', missionId, log())
    expect(desk.answers).toMatchObject([{ fault: { code: 'internal', retryable: true } }])
    expect([...desk.orchestrators]).toEqual([])
    // Nothing is stuck: the same key begins the same mission.
    world.submit('a', 'k')
    expect([...desk.orchestrators]).toEqual([missionId])
    desk.hear({ kind: 'mission-opened', missionId })
    expect(desk.told.at(-1)).toMatchObject({ to: at(desk.peer, actorNames.orchestrator(missionId)), message: { kind: 'mission-ask', operation: { op: 'view', missionId } } })
    expect(desk.answers).toHaveLength(1)
  })

  it('after its first events were appended: another goes on with them, and answers once they are committed', () => {
    const { world, missionId, log, desk } = opening()
    world.ends('a', missionId, 'a bug')
    world.leads('a', missionId, log({ ...submitted(), missionId }))
    expect([...desk.orchestrators]).toEqual([missionId])
    const { to, message } = desk.told.at(-1)!
    expect([to, message]).toMatchObject([at(desk.peer, actorNames.orchestrator(missionId)), { kind: 'mission-ask', operation: { op: 'view', missionId } }])
    desk.hear({ kind: 'local-answer', requestId: (message as { requestId: string }).requestId, answer: { id: missionId } }, to)
    expect(desk.answers).toEqual([{ answer: { id: missionId } }])
  })

  it('and whose log is led by another by then: the outcome is unknown', () => {
    const { world, missionId, desk } = opening()
    world.ends('a', missionId, 'a bug')
    world.follows('a', missionId, 'b')
    expect(desk.answers).toMatchObject([{ fault: { code: 'timeout', next: 'try again with the same key' } }])
  })

  it('again and again: the last one is not waited for', () => {
    const { world, missionId, log, desk } = opening()
    for (let time = 1; time <= 3; time++) {
      world.ends('a', missionId, 'a bug')
      world.leads('a', missionId, log())
      world.submit('a', 'k')
    }
    expect(desk.answers).toHaveLength(3)
    world.ends('a', missionId, 'a bug')
    expect(desk.answers).toHaveLength(4)
    expect(desk.answers[3]).toMatchObject({ fault: { code: 'timeout' } })
    expect(world.toldOf('a', 'lead-again')).toHaveLength(3)
  })

  it('one that is only deposed says so itself: it is answered once', () => {
    const { world, missionId, desk } = opening()
    world.follows('a', missionId, 'b')
    expect(desk.answers).toEqual([])
    desk.hear({ kind: 'mission-opened', missionId, fault: { code: 'timeout', detail: 'it has moved', retryable: true } })
    world.ends('a', missionId)
    expect(desk.answers).toMatchObject([{ fault: { detail: 'it has moved' } }])
  })

  it('of a submission without a key, answers it all the same', () => {
    const { world, missionId, log, desk } = opening(undefined)
    world.ends('a', missionId, 'a bug')
    world.leads('a', missionId, log())
    expect(desk.answers).toMatchObject([{ fault: { code: 'internal' } }])
  })
})
