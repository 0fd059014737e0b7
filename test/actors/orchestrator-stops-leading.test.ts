/** What an orchestrator leaves behind when another node is to lead its mission. */
import { describe, expect, it } from 'vitest'
import { orchestrator } from '../../actors/behaviours/orchestrator.ts'
import type { LedLog, OrchestratorInit } from '../../actors/behaviours/orchestrator-state.ts'
import type { ActorMessage } from '../../actors/messages.ts'
import { actorNames } from '../../actors/names.ts'
import type { ActorContext } from '../../actors/runtime/actor.ts'
import type { Effect } from '../../actors/runtime/effects.ts'
import { defaultTuning } from '../../actors/tuning.ts'
import { fault, type Fault } from '../../protocols/kernel/errors.ts'
import type { Digest, Incarnation, MissionId, Principal } from '../../protocols/kernel/ids.ts'
import type { Payload } from '../../protocols/kernel/payload.ts'
import { seededRandom } from '../../protocols/kernel/prng.ts'
import { chainOrigin, extend, logOrigin } from '../../protocols/replicated-log/chain.ts'
import { foldVersion } from '../../protocols/tasking/fold-snapshot.ts'
import { virtualPeerId } from '../../sim/identity-virtual-adapter.ts'
import { submitted } from '../protocols/tasking/histories.ts'

const missionId = 'm-00abcdef-abcdefghijkl' as MissionId
const self = { peer: virtualPeerId('node'), actor: actorNames.orchestrator(missionId) }
const desk = { peer: self.peer, actor: actorNames.missions }
const context: ActorContext = { self, nowMs: 0, wallMs: 0, random: seededRandom([1, 1]), sign: () => new Uint8Array(64), verify: () => true, exists: () => true, connected: () => true }
const epoch = { lineage: 1, term: 1 }
const membership = { voters: [{ peer: self.peer, incarnation: 'life' as Incarnation }], learners: [] }
const log: LedLog = { epoch, membership, entries: extend(logOrigin, epoch, [{ type: 'members', atWallMs: 0, membership }]), commit: 1 }
const followed: ActorMessage = { kind: 'group-followed', group: missionId }

function started(from: OrchestratorInit['from']) {
  const behaviour = orchestrator({ missionId, nodeName: 'node', tuning: defaultTuning, from })
  const { state, effects } = behaviour.start(context)
  return { effects, hear: (message: ActorMessage): readonly Effect[] => behaviour.receive(state, { message, from: desk }, context) }
}

const saidOpened = (effects: readonly Effect[]): (Fault | undefined)[] => effects.flatMap((effect) => (effect.type === 'tell' && effect.message.kind === 'mission-opened' ? [effect.message.fault] : []))

describe('a new mission whose owner is deposed', () => {
  const large = { blob: { $blob: 'a'.repeat(64) as Digest, sizeBytes: 100_000, mediaType: 'application/json' } }
  const opening = (request: Payload) => started({ kind: 'opening', led: log, events: [{ ...submitted(), missionId, request }] })

  it('while its blobs are secured: the desk hears that the outcome is unknown', () => {
    const { hear, effects } = opening(large)
    expect(effects).toContainEqual(expect.objectContaining({ message: expect.objectContaining({ kind: 'secure-blobs' }) as unknown }))
    const left = hear(followed)
    expect(saidOpened(left)).toMatchObject([{ code: 'timeout' }])
    expect(left.at(-1)).toEqual({ type: 'stop-self' })
  })

  it('after its first events were refused: the desk hears that once', () => {
    const { hear, effects } = opening({ inline: {} })
    const append = effects.flatMap((effect) => (effect.type === 'tell' && effect.message.kind === 'append' ? [effect.message] : []))[0]
    expect(append).toBeDefined()
    expect(saidOpened(hear({ kind: 'appended', tag: append?.tag ?? '', fault: fault('fenced', 'another leads') }))).toHaveLength(1)
    expect(saidOpened(hear(followed))).toEqual([])
  })
})

describe('whoever asked an owner that is deposed', () => {
  const tagsOf = (effects: readonly Effect[], kind: 'append' | 'barrier') => effects.flatMap((effect) => (effect.type === 'tell' && effect.message.kind === kind ? [effect.message.tag] : []))
  const answersIn = (effects: readonly Effect[]) => effects.flatMap((effect) => (effect.type === 'tell' && effect.message.kind === 'local-answer' ? [{ requestId: effect.message.requestId, code: effect.message.fault?.code }] : []))

  it('hears that the outcome is unknown: before the barrier, before the append has left, and while others are waited for', () => {
    const { hear, effects } = started({ kind: 'opening', led: log, events: [{ ...submitted(), missionId, request: { inline: {} } }] })
    const confirm = (tags: readonly string[]) => tags.flatMap((tag) => hear({ kind: 'appended', tag }))
    const asks = (requestId: string, operation: Extract<ActorMessage, { kind: 'mission-ask' }>['operation']) => tagsOf(hear({ kind: 'mission-ask', requestId, principal: 'me' as Principal, operation }), 'barrier')
    confirm(tagsOf(effects, 'append'))
    // In one turn, at the end of which the append would leave.
    const pause = asks('pause', { op: 'pause', missionId })
    const view = asks('view', { op: 'view', missionId })
    expect(answersIn(confirm([...pause, ...view]))).toEqual([])
    asks('why', { op: 'why', missionId })
    const left = hear(followed)
    expect(answersIn(left).sort((one, other) => one.requestId.localeCompare(other.requestId))).toEqual(['pause', 'view', 'why'].map((requestId) => ({ requestId, code: 'timeout' })))
    expect(left.at(-1)).toEqual({ type: 'stop-self' })
  })
})

describe('a mission that was folded by a newer release', () => {
  const newer = () => started({ kind: 'led', led: { ...log, snapshot: { at: { index: 5, chain: chainOrigin }, membership, version: foldVersion + 1, state: { inline: 1 } }, entries: [], commit: 5 } })

  it('is not led here, and nothing else ends for it', () => {
    const { effects } = newer()
    expect(effects).toMatchObject([{ type: 'set-timer' }, { type: 'tell', to: { actor: actorNames.logKeeper }, message: { kind: 'cannot-lead', group: missionId } }])
  })

  it('is answered for by nobody here: whoever asks or watches is told to ask elsewhere, until another leads', () => {
    const { hear } = newer()
    const elsewhere = { code: 'owner-unreachable', retryable: true }
    for (const operation of [{ op: 'view', missionId }, { op: 'cancel', missionId, reason: 'why not' }] as const) {
      expect(hear({ kind: 'mission-ask', requestId: 'one', principal: 'me' as Principal, operation })).toMatchObject([{ message: { kind: 'local-answer', requestId: 'one', fault: elsewhere } }])
    }
    expect(hear({ kind: 'watch', missionId, fromIndex: 0, subscriber: desk })).toMatchObject([{ message: { kind: 'watched', events: [], fault: elsewhere } }])
    expect(hear(followed).at(-1)).toEqual({ type: 'stop-self' })
  })
})
