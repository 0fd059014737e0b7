/** Small actors and an actor system whose effects are written down, for the runtime's own tests. */
import type { Behaviour, Delivery, SupervisionStrategy } from '../../../actors/runtime/actor.ts'
import { erased } from '../../../actors/runtime/actor.ts'
import { createDeadLetters } from '../../../actors/runtime/dead-letters.ts'
import type { Effect, Spawnable } from '../../../actors/runtime/effects.ts'
import { createActorSystem } from '../../../actors/runtime/system.ts'
import { createTimers } from '../../../actors/runtime/timers.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { createVirtualIdentity } from '../../../sim/identity-virtual-adapter.ts'
import { createVirtualClock } from '../../../sim/virtual-clock.ts'

export interface Heard {
  readonly actor: string
  readonly kind: string
  readonly what: string | undefined
}

/** An actor that writes down what it hears and answers with what `react` says. Throws on `tick` with `what: 'throw'`. */
export function listening(heard: Heard[], supervision: SupervisionStrategy, react: (delivery: Delivery, state: { count: number }) => readonly Effect[] = () => [], start: () => readonly Effect[] = () => []): Spawnable {
  const behaviour: Behaviour<{ count: number }> = {
    kind: 'listening',
    supervision,
    start: () => ({ state: { count: 0 }, effects: start() }),
    receive(state, delivery, context) {
      const what = delivery.message.kind === 'tick' ? delivery.message.what : delivery.message.kind === 'child-failed' ? delivery.message.name : undefined
      heard.push({ actor: context.self.actor, kind: delivery.message.kind, what })
      state.count += 1
      if (what === 'throw') throw new Error('it was told to')
      return react(delivery, state)
    },
  }
  return erased(behaviour)
}

export function testSystem(perform?: (effect: Effect) => void) {
  const clock = createVirtualClock()
  const nodeClock = clock.clockFor('node')
  const identity = createVirtualIdentity('node')
  const deadLetters = createDeadLetters()
  const timers = createTimers(nodeClock)
  const performed: Effect[] = []
  const system = createActorSystem({
    clock: nodeClock, identity, random: seededRandom([1, 2]), deadLetters, connected: () => false,
    perform(effect, by) {
      performed.push(effect)
      perform?.(effect)
      if (effect.type === 'tell') system.deliver(effect.to.actor, { message: effect.message, from: by })
      if (effect.type === 'set-timer') timers.set(by.actor, effect.key, effect.delayMs, () => system.deliver(by.actor, { message: effect.message, from: by }, 'system'))
    },
    onStopped: (name) => timers.clearAll(name),
  })
  const from = { peer: identity.peerId, actor: 'test' }
  return {
    clock, system, deadLetters, performed, timers,
    say: (to: string, what: string, lane: 'user' | 'system' = 'user') => system.deliver(to, { message: { kind: 'tick', what }, from }, lane),
    here: (actor: string) => ({ peer: identity.peerId, actor }),
    facts: (name: string) => performed.flatMap((effect) => (effect.type === 'fact' && effect.fact.name === name ? [effect.fact] : [])),
  }
}
