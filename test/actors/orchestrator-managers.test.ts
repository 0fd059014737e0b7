import { expect, it } from 'vitest'
import { onAttach } from '../../actors/behaviours/orchestrator-managers.ts'
import { newOrchestratorState } from '../../actors/behaviours/orchestrator-state.ts'
import type { ActorContext } from '../../actors/runtime/actor.ts'
import { awardIdOf, type PeerId } from '../../protocols/kernel/ids.ts'
import { foldSlice } from '../../protocols/tasking/fold-snapshot.ts'
import { awarded, firstEpoch, fold, id, missionId, planned, root, spec, worker } from '../protocols/tasking/histories.ts'

const here = 'owner' as PeerId
const context = { self: { peer: here, actor: 'orchestrator' }, nowMs: 0, wallMs: 10 } as unknown as ActorContext

it('a manager of the owner’s own node is given what the log does not tell any more as a value; one elsewhere as what can be stored and sent', () => {
  const mission = fold(planned('root', spec('root/b', 'composite')), awarded('root/b'))
  const state = { ...newOrchestratorState(), fold: mission, firstKept: 4, head: { index: 4, chain: '' }, committed: 4 }
  const ofRoot = { kind: 'attach' as const, missionId, taskId: root, awardId: awardIdOf(missionId, root, 1, firstEpoch) }
  const [told, ...more] = onAttach(state, ofRoot, { peer: here, actor: 'manager' }, context)
  expect(more).toEqual([])
  expect(told).toMatchObject({ type: 'tell', to: { peer: here, actor: 'manager' }, message: { kind: 'attached', taskId: root, base: { inline: foldSlice(mission, root) }, events: [], last: true } })
  expect(state.attaching.size).toBe(0)

  const ofPart = { kind: 'attach' as const, missionId, taskId: id('root/b'), awardId: awardIdOf(missionId, id('root/b'), 1, firstEpoch) }
  expect(onAttach(state, ofPart, { peer: worker, actor: 'award' }, context)).toEqual([{ type: 'store-value', value: foldSlice(mission, id('root/b')), tag: 'slice 0' }])
})
