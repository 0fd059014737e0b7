/** A submission that a bridge without the duty to keep logs passes on, under a key whose mission is in another node's hands by then. */
import { expect, it } from 'vitest'
import { actorNames } from '../../actors/names.ts'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import { desksWorld } from './desks-world.ts'

/** `a` has founded the log and was deposed before its first event; `b` leads it, and nobody else has begun it. */
function deposedFounder() {
  const world = desksWorld({ a: { replica: true }, b: { replica: true }, c: { replica: true }, bridge: { replica: false } })
  // It passes everything on to the founder.
  world.knows('bridge', 'a')
  world.submit('bridge', 'k')
  const [founded] = world.toldOf('a', 'found-group')
  const missionId = founded!.group as MissionId
  world.leads('a', missionId, world.log(founded!.membership, []))
  world.follows('a', missionId, 'b')
  world.named('a').hear({ kind: 'mission-opened', missionId, fault: { code: 'timeout', detail: 'it has moved', retryable: true } })
  world.ends('a', missionId)
  expect(world.named('bridge').answers).toMatchObject([{ fault: { code: 'timeout' } }])
  world.leads('b', missionId, world.log(founded!.membership, [{ term: 2, by: 'b' }]))
  expect([...world.named('b').orchestrators], 'an empty log has no owner yet').toEqual([])
  return { world, missionId }
}

it('is passed to whoever leads the log, which begins the mission under the name that the key has', () => {
  const { world, missionId } = deposedFounder()
  world.submit('bridge', 'k')
  expect([...world.named('b').orchestrators]).toEqual([missionId])
  expect(world.named('bridge').answers, 'nobody is answered before its first events are committed').toHaveLength(1)
  const leader = world.named('b')
  leader.hear({ kind: 'mission-opened', missionId })
  const { to, message } = leader.told.at(-1)!
  expect([to.actor, message]).toMatchObject([actorNames.orchestrator(missionId), { kind: 'mission-ask', operation: { op: 'view', missionId } }])
  leader.hear({ kind: 'local-answer', requestId: (message as { requestId: string }).requestId, answer: { id: missionId } }, to)
  expect(world.named('bridge').answers[1]).toEqual({ answer: { id: missionId }, fault: undefined })
  expect(world.toldOf('a', 'found-group'), 'there is one log').toHaveLength(1)
  expect(world.toldOf('b', 'found-group')).toEqual([])
})

it('with another request under that key is a conflict there, too: nothing is begun', () => {
  const { world } = deposedFounder()
  world.submit('bridge', 'k', 2)
  expect([...world.named('b').orchestrators]).toEqual([])
  expect(world.named('bridge').answers[1]).toMatchObject({ fault: { code: 'key-conflict' } })
})
