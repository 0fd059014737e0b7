/** Actors of Skein, nact and xstate in this process, each as its users write them. */
import { createInterpreter, type WorldPorts } from '../../../actors/runtime/interpreter.ts'
import type { Behaviour } from '../../../actors/runtime/actor.ts'
import { erased } from '../../../actors/runtime/actor.ts'
import { createDeadLetters } from '../../../actors/runtime/dead-letters.ts'
import type { Effect } from '../../../actors/runtime/effects.ts'
import { type ActorSystem, createActorSystem } from '../../../actors/runtime/system.ts'
import { createTimers } from '../../../actors/runtime/timers.ts'
import type { PeerId } from '../../../protocols/kernel/ids.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import type { Load } from '../peers/load.ts'

export interface ActorContender {
  readonly name: string
  /** One actor tells another `batch` messages, which tells it when it has had them all; so often that `messages` were told. Resolves at the end. */
  tell(messages: number, batch: number): Promise<void>
  /** Asks an actor from outside and waits for its answer; absent where there is no such thing. */
  ask?(): Promise<void>
  close(): void
}

const tick = { kind: 'tick' } as const

/** The runtime with its own interpreter, on the clock of a real node; nothing of the world below is ever reached. */
export function skeinActors(): ActorContender {
  const clock: WorldPorts['clock'] = {
    monotonicMs: () => performance.now(),
    wallMs: () => Date.now(),
    schedule(delayMs, callback) {
      const timer = delayMs <= 0 ? setImmediate(callback) : setTimeout(callback, delayMs)
      return () => (delayMs <= 0 ? clearImmediate(timer as NodeJS.Immediate) : clearTimeout(timer as NodeJS.Timeout))
    },
    soon: (callback) => queueMicrotask(callback),
  }
  const self = 'bench' as PeerId
  const timers = createTimers(clock)
  const ports = { clock, telemetry: { record: ({ level, name }: { level: string; name: string }) => void (level === 'error' && console.error(name)) } } as unknown as WorldPorts
  const perform = createInterpreter(ports, () => system, timers)
  const system: ActorSystem = createActorSystem({
    clock, identity: { peerId: self, sign: () => new Uint8Array(64), verify: () => true }, random: seededRandom([1, 2]), deadLetters: createDeadLetters(),
    connected: () => true, perform, onStopped: (name) => timers.clearAll(name),
  })
  const here = (actor: string) => ({ peer: self, actor })
  const answerer: Behaviour<null> = { kind: 'answerer', supervision: 'stop', start: () => ({ state: null, effects: [] }), receive: (_state, { from }) => [{ type: 'tell', to: from, message: tick }] }
  system.spawn('answerer', erased(answerer))
  let answered: (() => void) | undefined
  system.attach('asker', () => answered?.())
  let rounds = 0
  return {
    name: 'Skein',
    tell(messages, batch) {
      return new Promise((resolve) => {
        const round = ++rounds
        let left = Math.ceil(messages / batch)
        const told: readonly Effect[] = Array.from({ length: batch }, () => ({ type: 'tell', to: here(`counter-${round}`), message: tick }))
        const teller: Behaviour<null> = {
          kind: 'teller', supervision: 'stop', start: () => ({ state: null, effects: [] }),
          receive() {
            if (left-- > 0) return told
            resolve()
            return [{ type: 'stop-self' }]
          },
        }
        const counter: Behaviour<{ heard: number }> = {
          kind: 'counter', supervision: 'stop', start: () => ({ state: { heard: 0 }, effects: [] }),
          receive: (state) => (++state.heard % batch === 0 ? [{ type: 'tell', to: here(`teller-${round}`), message: tick }] : []),
        }
        system.spawn(`teller-${round}`, erased(teller))
        system.spawn(`counter-${round}`, erased(counter))
        system.deliver(`teller-${round}`, { message: tick, from: here('asker') })
      })
    },
    ask() {
      return new Promise((resolve) => {
        answered = resolve
        system.deliver('answerer', { message: tick, from: here('asker') })
      })
    },
    close: () => system.shutDown(),
  }
}

type NactRef = object
interface Nact {
  start(): NactRef
  spawn<State, Message>(parent: NactRef, receive: (state: State | undefined, message: Message) => State): NactRef
  dispatch(actor: NactRef, message: unknown): void
  query(actor: NactRef, messageOf: (sender: NactRef) => unknown, timeoutMs: number): Promise<unknown>
  stop(actor: NactRef): void
}

export function nactActors(load: Load): ActorContender {
  const { start, spawn, dispatch, query, stop } = load<Nact>('nact')
  const system = start()
  const answerer = spawn<null, { sender: NactRef }>(system, (_state, { sender }) => {
    dispatch(sender, 'tick')
    return null
  })
  return {
    name: 'nact',
    tell(messages, batch) {
      return new Promise((resolve) => {
        let left = Math.ceil(messages / batch)
        const teller: NactRef = spawn<null, string>(system, () => {
          if (left-- > 0) for (let told = 0; told < batch; told++) dispatch(counter, 'tick')
          else {
            stop(teller)
            resolve()
          }
          return null
        })
        const counter: NactRef = spawn<number, string>(system, (heard = 0) => {
          if ((heard + 1) % batch === 0) dispatch(teller, 'tick')
          return heard + 1
        })
        dispatch(teller, 'tick')
      })
    },
    async ask() {
      await query(answerer, (sender) => ({ sender }), 10_000)
    },
    close: () => stop(system),
  }
}

interface XstateActor {
  start(): XstateActor
  send(event: { type: 'tick' }): void
  stop(): void
}
interface Xstate {
  createActor(logic: object): XstateActor
  fromTransition<State>(transition: (state: State, event: { type: 'tick' }) => State, initial: State): object
}

/** xstate sends without a mailbox in between: an actor's own transition runs before `send` returns, unless it runs already. It has no ask. */
export function xstateActors(load: Load): ActorContender {
  const { createActor, fromTransition } = load<Xstate>('xstate')
  const event = { type: 'tick' } as const
  return {
    name: 'xstate',
    tell(messages, batch) {
      return new Promise((resolve) => {
        let left = Math.ceil(messages / batch)
        const teller: XstateActor = createActor(fromTransition((state: null) => {
          if (left-- > 0) for (let told = 0; told < batch; told++) counter.send(event)
          else resolve()
          return state
        }, null)).start()
        const counter: XstateActor = createActor(fromTransition((heard: number) => {
          if ((heard + 1) % batch === 0) teller.send(event)
          return heard + 1
        }, 0)).start()
        teller.send(event)
      })
    },
    close: () => undefined,
  }
}
