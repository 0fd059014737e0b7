import { expect, it } from 'vitest'
import { worker } from '../../actors/behaviours/worker.ts'
import { actorNames, at } from '../../actors/names.ts'
import type { ActorContext } from '../../actors/runtime/actor.ts'
import type { Effect } from '../../actors/runtime/effects.ts'
import type { PeerId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { awardsIn, type Award } from '../../protocols/bidding/schema.ts'
import { sampleMessages } from '../../scripts/wire-samples.ts'

const award = awardsIn(sampleMessages['accept-proposal'])[0] as Award
const self = at('worker' as PeerId, actorNames.worker(award.missionId, 0))

function workerAt() {
  const behaviour = worker(award.missionId)
  const contextAt = (nowMs: number) => ({ self, nowMs, wallMs: nowMs, connected: () => true, exists: () => true }) as unknown as ActorContext
  const { state } = behaviour.start(contextAt(0))
  const hear = (nowMs: number, message: object): readonly Effect[] => [...behaviour.receive(state, { message: message as never, from: self }, contextAt(nowMs)), ...(behaviour.endTurn?.(state, contextAt(nowMs)) ?? [])]
  hear(0, { kind: 'run-awards', awards: [award] })
  return {
    says: (nowMs: number, text?: string) => hear(nowMs, { kind: 'skill-event', runId: award.awardId, event: { type: 'pulse', ...(text === undefined ? {} : { text }) } }),
    rings: (nowMs: number) => hear(nowMs, { kind: 'tick', what: award.awardId }),
  }
}

function told(effects: readonly Effect[]): (string | undefined)[] {
  return effects.flatMap((effect) => (effect.type === 'tell' && effect.message.kind === 'renew' ? effect.message.leases.map(({ text }) => text) : []))
}

it('what a skill says of its progress is told at once, then the newest of it once a moment', () => {
  const { says, rings } = workerAt()
  expect(told(says(1_000, 'one'))).toEqual(['one'])
  const waits = says(1_010, 'two')
  expect(waits).toMatchObject([{ type: 'set-timer', key: `progress ${award.awardId}`, delayMs: limits.progressGapMs - 10, message: { kind: 'tick', what: award.awardId } }])
  expect(says(1_020, 'three')).toEqual([])
  expect(told(rings(1_000 + limits.progressGapMs))).toEqual(['three'])
  expect(told(says(1_000 + 3 * limits.progressGapMs, 'four'))).toEqual(['four'])
})

it('a sign of life that says nothing waits for the next renewal', () => {
  const { says } = workerAt()
  expect(says(1_000)).toEqual([])
})
