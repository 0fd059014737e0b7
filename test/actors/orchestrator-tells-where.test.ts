/** An owner that has led its mission from the beginning tells the registrar so after a day: of what nobody tells for long, nothing is remembered. */
import { expect, it } from 'vitest'
import { orchestrator } from '../../actors/behaviours/orchestrator.ts'
import type { ActorMessage } from '../../actors/messages.ts'
import { actorNames, at } from '../../actors/names.ts'
import type { ActorContext } from '../../actors/runtime/actor.ts'
import type { Effect } from '../../actors/runtime/effects.ts'
import { defaultTuning } from '../../actors/tuning.ts'
import type { Incarnation, MissionId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { seededRandom } from '../../protocols/kernel/prng.ts'
import { extend, logOrigin } from '../../protocols/replicated-log/chain.ts'
import { virtualPeerId } from '../../sim/identity-virtual-adapter.ts'
import { submitted } from '../protocols/tasking/histories.ts'

const missionId = 'm-00abcdef-abcdefghijkl' as MissionId
const self = at(virtualPeerId('node'), actorNames.orchestrator(missionId))
const epoch = { lineage: 1, term: 1 }
const membership = { voters: [{ peer: self.peer, incarnation: 'life' as Incarnation }], learners: [] }

it('once, after a day', () => {
  let nowMs = 0
  const context = (): ActorContext => ({ self, nowMs, wallMs: nowMs, random: seededRandom([1, 1]), sign: () => new Uint8Array(64), verify: () => true, exists: () => true, connected: () => true })
  const led = { epoch, membership, entries: extend(logOrigin, epoch, [{ type: 'members' as const, atWallMs: 0, membership }]), commit: 1 }
  const lasting = { ...submitted(), missionId, request: { inline: {} }, atWallMs: 0 }
  const behaviour = orchestrator({ missionId, nodeName: 'node', tuning: defaultTuning, from: { kind: 'opening', led, events: [{ ...lasting, limits: { ...lasting.limits, durationMs: 100 * limits.ownerTellsMs } }] } })
  const { state, effects } = behaviour.start(context())
  const hear = (message: ActorMessage): readonly Effect[] => behaviour.receive(state, { message, from: self }, context())
  const told = (from: readonly Effect[]): ActorMessage[] => from.flatMap((effect) => (effect.type === 'tell' && effect.to.actor === actorNames.registrar ? [effect.message] : []))
  const append = effects.flatMap((effect) => (effect.type === 'tell' && effect.message.kind === 'append' ? [effect.message] : []))[0]
  expect(told([...effects, ...hear({ kind: 'appended', tag: append?.tag ?? '' }), ...hear({ kind: 'tick' })]), 'where it was claimed it is').toEqual([])
  nowMs = limits.ownerTellsMs
  expect(told(hear({ kind: 'tick' }))).toEqual([])
  nowMs += 1
  expect(told(hear({ kind: 'tick' }))).toEqual([{ kind: 'tell-registrar', missionId, members: [self.peer], epoch }])
  nowMs += limits.ownerTellsMs
  expect(told(hear({ kind: 'tick' }))).toEqual([])
})
