/** What an owner says of its mission while more of it is on its way to the disks. */
import { expect, it } from 'vitest'
import { orchestrator } from '../../actors/behaviours/orchestrator.ts'
import type { LedLog } from '../../actors/behaviours/orchestrator-state.ts'
import type { ActorMessage } from '../../actors/messages.ts'
import { actorNames } from '../../actors/names.ts'
import type { ActorContext } from '../../actors/runtime/actor.ts'
import type { Effect } from '../../actors/runtime/effects.ts'
import { defaultTuning } from '../../actors/tuning.ts'
import { awardIdOf, type Incarnation, type Principal, type TaskId } from '../../protocols/kernel/ids.ts'
import { seededRandom } from '../../protocols/kernel/prng.ts'
import { extend, logOrigin } from '../../protocols/replicated-log/chain.ts'
import { virtualPeerId } from '../../sim/identity-virtual-adapter.ts'
import { planned, spec, submitted } from '../protocols/tasking/histories.ts'

const { missionId } = submitted()
const root = 'root' as TaskId
const self = { peer: virtualPeerId('node'), actor: actorNames.orchestrator(missionId) }
const manager = { peer: self.peer, actor: actorNames.rootManager(missionId) }
const context: ActorContext = { self, nowMs: 0, wallMs: 0, random: seededRandom([1, 1]), sign: () => new Uint8Array(64), verify: () => true, exists: () => true, connected: () => true }
const epoch = { lineage: 1, term: 1 }
const membership = { voters: [{ peer: self.peer, incarnation: 'life' as Incarnation }], learners: [] }
const led: LedLog = { epoch, membership, entries: extend(logOrigin, epoch, [{ type: 'members', atWallMs: 0, membership }]), commit: 1 }

it('tells whoever changed the mission nothing that is not committed, of what was appended behind their change either', () => {
  const behaviour = orchestrator({ missionId, nodeName: 'node', tuning: defaultTuning, from: { kind: 'opening', led, events: [submitted(), planned('root', spec('root/a'), spec('root/b'))] } })
  const { state, effects } = behaviour.start(context)
  const hear = (message: ActorMessage, from = self) => behaviour.receive(state, { message, from }, context)
  const turned = () => behaviour.endTurn?.(state, context) ?? []
  const tags = (of: readonly Effect[]) => of.flatMap((effect) => (effect.type === 'tell' && (effect.message.kind === 'append' || effect.message.kind === 'barrier') ? [effect.message.tag] : []))
  const confirm = (of: readonly Effect[]) => tags(of).flatMap((tag) => hear({ kind: 'appended', tag }))
  const answers = (of: readonly Effect[]) => of.flatMap((effect) => (effect.type === 'tell' && effect.message.kind === 'local-answer' ? [effect.message.answer] : []))

  confirm(effects)
  confirm(hear({ kind: 'mission-ask', requestId: 'one', principal: 'me' as Principal, operation: { op: 'change', missionId, priority: 7 } }))
  const changing = turned()
  hear({ kind: 'record', missionId, taskId: root, awardId: awardIdOf(missionId, root, 1, epoch), requestId: 1, events: [{ type: 'task-cancelled', atWallMs: 1, taskId: 'root/a' as TaskId, reason: 'not wanted' }] }, manager)
  const cancelling = turned()
  expect([tags(changing), tags(cancelling)].map(({ length }) => length)).toEqual([1, 1])
  expect(answers(confirm(changing))).toEqual([])
  expect(answers(confirm(cancelling))).toMatchObject([{ priority: 7, tasks: { cancelled: 1 } }])
})
