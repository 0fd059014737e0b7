/** What the desk shows of the missions that this node leads. */
import { expect, it } from 'vitest'
import { missionView } from '../../actors/behaviours/mission-views.ts'
import { missions } from '../../actors/behaviours/missions.ts'
import type { ActorMessage } from '../../actors/messages.ts'
import { actorNames, at } from '../../actors/names.ts'
import type { ActorContext } from '../../actors/runtime/actor.ts'
import { defaultTuning } from '../../actors/tuning.ts'
import type { Incarnation } from '../../protocols/kernel/ids.ts'
import { seededRandom } from '../../protocols/kernel/prng.ts'
import { extend, logOrigin } from '../../protocols/replicated-log/chain.ts'
import { virtualPeerId } from '../../sim/identity-virtual-adapter.ts'
import { fold, submitted } from '../protocols/tasking/histories.ts'

const { missionId } = submitted()
const self = at(virtualPeerId('node'), actorNames.missions)
const membership = { voters: [{ peer: self.peer, incarnation: 'life' as Incarnation }], learners: [] }
const epoch = { lineage: 1, term: 1 }
const entries = extend(logOrigin, epoch, [{ type: 'members', atWallMs: 0, membership }, submitted()])
const changed: ActorMessage = { kind: 'mission-changed', view: missionView(fold(), new Map(), 'node'), dead: [], ended: false }

it('what an orchestrator says last, after its log went to another node, is not shown, and makes no host', () => {
  const context: ActorContext = { self, nowMs: 0, wallMs: 0, random: seededRandom([1, 1]), sign: () => new Uint8Array(64), verify: () => true, exists: () => false, connected: () => true }
  const behaviour = missions({ nodeName: 'node', tuning: defaultTuning, replica: true })
  const { state } = behaviour.start(context)
  const told = (message: ActorMessage) => behaviour.receive(state, { message, from: self }, context).flatMap((effect) => (effect.type === 'tell' ? [effect.message] : []))
  told({ kind: 'groups-opened', incarnation: 'life' as Incarnation, lostEverything: false, groups: [] })
  told({ kind: 'group-led', group: missionId, epoch, membership, entries, commit: entries.length })
  expect(told(changed)).toEqual([{ kind: 'hosting', missionId, hosts: true }])
  expect(state.views.has(missionId)).toBe(true)
  expect(told({ kind: 'group-followed', group: missionId, leader: virtualPeerId('other') })).toContainEqual({ kind: 'hosting', missionId, hosts: false })
  expect(told(changed)).toEqual([])
  expect(state.views.has(missionId)).toBe(false)
})
