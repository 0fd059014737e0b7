/** A result that comes after its worker was given up, while the next attempt is being prepared. */
import { expect, it } from 'vitest'
import { manager } from '../../actors/behaviours/manager.ts'
import type { ActorMessage } from '../../actors/messages.ts'
import { actorNames, at } from '../../actors/names.ts'
import type { ActorContext } from '../../actors/runtime/actor.ts'
import type { Effect } from '../../actors/runtime/effects.ts'
import { defaultTuning } from '../../actors/tuning.ts'
import { awardIdOf, type Principal } from '../../protocols/kernel/ids.ts'
import { seededRandom } from '../../protocols/kernel/prng.ts'
import { awarded, ended, firstEpoch, id, missionId, planned, root, spec, submitted, worker } from '../protocols/tasking/histories.ts'

const owner = { peer: worker, actor: actorNames.orchestrator(missionId) }
const self = { peer: worker, actor: actorNames.rootManager(missionId) }
const context: ActorContext = { self, nowMs: 10_000, wallMs: 10_000, random: seededRandom([1, 1]), sign: () => new Uint8Array(64), verify: () => true, exists: () => true, connected: () => true }

it('is the end of that: nobody is asked to do again what is being accepted', () => {
  const behaviour = manager({ missionId, taskId: root, awardId: awardIdOf(missionId, root, 1, firstEpoch), epoch: firstEpoch, orchestrator: owner, principal: 'local' as Principal, tuning: defaultTuning })
  const { state } = behaviour.start(context)
  const hear = (message: ActorMessage, from = owner) => [...behaviour.receive(state, { message, from }, context), ...(behaviour.endTurn?.(state, context) ?? [])]
  const told = (effects: readonly Effect[]) => effects.flatMap((effect) => (effect.type === 'tell' ? [effect.message] : []))
  const submission = submitted()

  const events = [submission, planned('root', spec('root/a')), awarded('root/a'), ended('root/a', 'lost')].map((event, i) => ({ index: i + 1, event }))
  const attached = told(hear({ kind: 'attached', missionId, taskId: root, epoch: firstEpoch, paused: false, limits: submission.limits, leavesLeft: 10, priority: 5, remainingMs: 60_000, events, last: true }))
  const question = attached.find((message) => message.kind === 'who-offers')
  expect(question).toBeDefined()
  const late = told(hear({ kind: 'inform', results: [{ awardId: awardIdOf(missionId, id('root/a'), 1, firstEpoch), result: { inline: 4 }, cites: [], stats: { queueMs: 0, transferMs: 0, runMs: 1, costUsd: 0 } }] }, at(worker, actorNames.award(awardIdOf(missionId, id('root/a'), 1, firstEpoch)))))
  const record = late.find((message) => message.kind === 'record')
  expect(record).toMatchObject({ events: [{ type: 'accepted', taskId: 'root/a' }] })

  const offer = { query: { capability: 'number.double' as never }, providers: [], population: 1, shards: 1, partial: false, versions: [], nearest: [] }
  const effects = hear({ kind: 'offers', tag: question?.kind === 'who-offers' ? question.tag : '', offers: [offer], population: 1 })
  expect(effects.filter(({ type }) => type === 'publish')).toEqual([])
  expect([state.preparing.size, state.callOf.size, state.underWay.size]).toEqual([0, 0, 0])
  const after = told(hear({ kind: 'recorded', missionId, requestId: record?.kind === 'record' ? record.requestId : 0, firstIndex: 5 }))
  expect(after).toContainEqual(expect.objectContaining({ kind: 'acknowledge' }))
  expect([state.unsettled, state.unsettledOf.size, state.children.open.size, state.phase]).toEqual([0, 0, 0, 'finishing'])
})
