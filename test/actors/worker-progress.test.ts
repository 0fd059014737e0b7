import { expect, it } from 'vitest'
import { worker } from '../../actors/behaviours/worker.ts'
import { actorNames, at } from '../../actors/names.ts'
import type { ActorContext } from '../../actors/runtime/actor.ts'
import type { Effect } from '../../actors/runtime/effects.ts'
import type { PeerId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { sampleMessages } from '../../scripts/wire-samples.ts'

const { award } = sampleMessages['accept-proposal'] as Extract<(typeof sampleMessages)[keyof typeof sampleMessages], { kind: 'accept-proposal' }>
const self = at('worker' as PeerId, actorNames.award(award.awardId))

function workerAt() {
  const behaviour = worker(award)
  const contextAt = (nowMs: number) => ({ self, nowMs, wallMs: nowMs, connected: () => true, exists: () => true }) as unknown as ActorContext
  const { state } = behaviour.start(contextAt(0))
  const hear = (nowMs: number, message: object): readonly Effect[] => behaviour.receive(state, { message: message as never, from: self }, contextAt(nowMs))
  return {
    says: (nowMs: number, text?: string) => hear(nowMs, { kind: 'skill-event', runId: award.awardId, event: { type: 'pulse', ...(text === undefined ? {} : { text }) } }),
    rings: (nowMs: number) => hear(nowMs, { kind: 'tick', what: 'progress' }),
  }
}

function told(effects: readonly Effect[]): (string | undefined)[] {
  return effects.flatMap((effect) => (effect.type === 'tell' && effect.message.kind === 'renew' ? effect.message.leases.map(({ text }) => text) : []))
}

it('what a skill says of its progress is told at once, then the newest of it once a moment', () => {
  const { says, rings } = workerAt()
  expect(told(says(1_000, 'one'))).toEqual(['one'])
  const waits = says(1_010, 'two')
  expect(waits).toMatchObject([{ type: 'set-timer', key: 'progress', delayMs: limits.progressGapMs - 10 }])
  expect(says(1_020, 'three')).toEqual([])
  expect(told(rings(1_000 + limits.progressGapMs))).toEqual(['three'])
  expect(told(says(1_000 + 3 * limits.progressGapMs, 'four'))).toEqual(['four'])
})

it('a sign of life that says nothing waits for the next renewal', () => {
  const { says } = workerAt()
  expect(says(1_000)).toEqual([])
})
