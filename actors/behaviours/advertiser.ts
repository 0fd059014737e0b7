/** Says what this node offers: samples the hardware, asks the participant for the load, signs, gossips, and keeps the DHT keys current. */
import { attributesOfNode } from '../../protocols/capability/node-attributes.ts'
import { advertTopic, discoveryKeys, shardCount, shardOf } from '../../protocols/capability/shards.ts'
import type { Advert, Capability, Duty, Load } from '../../protocols/capability/schema.ts'
import { canonicalJson } from '../../protocols/kernel/hashing.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { InstantMs } from '../../protocols/kernel/units.ts'
import { actorNames, at } from '../names.ts'
import type { HardwareSample } from '../ports/hardware.ts'
import type { ActorContext, Behaviour } from '../runtime/actor.ts'
import { fact, tell, type Effect } from '../runtime/effects.ts'

export interface AdvertiserInit {
  readonly name: string
  readonly release: string
  readonly duties: readonly Duty[]
  /** Read anew for every advert: they change when an interface comes or goes. */
  readonly addrs: () => readonly string[]
  readonly http: () => string | undefined
  readonly capabilities: readonly Capability[]
  /** How many nodes the mesh is thought to have until this one has counted. */
  readonly nodesExpected: number
}

interface AdvertiserState {
  capabilities: readonly Capability[]
  sample: HardwareSample | undefined
  load: Load | undefined
  sequence: number
  leaving: boolean
  advertisedAtMs: InstantMs
  /** What the last advert offered. */
  said: string
  keys: string
  topic: string | undefined
  shards: number
}

const nextSample: Effect = { type: 'set-timer', key: 'refresh', delayMs: limits.hardwareSampleMs, message: { kind: 'tick' } }

/** A loop this late does not bid: it would not keep its leases either. */
export const stalledLoopDelayMs = 1_000

export function advertiser(init: AdvertiserInit): Behaviour<AdvertiserState> {
  return {
    kind: 'advertiser',
    supervision: 'restart',
    start: (context) => ({
      // The sequence outlives restarts without being stored: it starts from the wall clock.
      state: { capabilities: init.capabilities, sample: undefined, load: undefined, sequence: Math.max(1, Math.floor(context.wallMs)), leaving: false, advertisedAtMs: -Infinity, said: '', keys: '', topic: undefined, shards: shardCount(init.nodesExpected) },
      effects: [{ type: 'sample-hardware' }],
    }),
    receive(state, { message }, context) {
      switch (message.kind) {
        case 'hardware-sampled':
          state.sample = message.sample
          return [
            tell(at(context.self.peer, actorNames.participant), {
              kind: 'machine-sampled', stalled: message.sample.loopDelayMs > stalledLoopDelayMs, onBattery: message.sample.environment.battery?.charging === false,
              attributes: attributesOfNode(message.sample.environment, message.sample.gpus),
            }),
            tell(at(context.self.peer, actorNames.participant), { kind: 'load-asked' }),
            nextSample,
          ]
        case 'child-failed':
          return [fact('warn', 'hardware.failed', { reason: message.reason }), nextSample]
        case 'load':
          if (state.sample === undefined) return []
          state.load = { slots: message.slots, slotsBusy: message.slotsBusy, waiting: message.waiting, missionsOwned: message.missionsOwned, managers: message.managers, cpu: state.sample.cpu, loopDelayMs: state.sample.loopDelayMs }
          // Between two refreshes only what others must know at once is said: the load is not among it.
          return context.nowMs - state.advertisedAtMs >= limits.advertRefreshMs - limits.hardwareSampleMs / 2 || state.said !== offerIn(state) ? advertise(init, state, context) : []
        case 'capabilities-changed':
          state.capabilities = message.capabilities
          return advertise(init, state, context)
        case 'drain':
          state.leaving = true
          return advertise(init, state, context)
        case 'population':
          state.shards = message.shards
          return []
        case 'tick':
          return [{ type: 'sample-hardware' }]
        default:
          return []
      }
    },
  }
}

/** What a node is chosen by before it is asked: a change of it is news. */
function offerIn({ sample }: AdvertiserState): string {
  return JSON.stringify(sample?.gpus.map(({ model, vramBytes }) => [model, vramBytes]) ?? [])
}

function advertise(init: AdvertiserInit, state: AdvertiserState, context: ActorContext): Effect[] {
  if (state.sample === undefined || state.load === undefined) return []
  state.advertisedAtMs = context.nowMs
  state.said = offerIn(state)
  state.sequence += 1
  const http = init.http()
  const advert: Advert = {
    peerId: context.self.peer, sequence: state.sequence, issuedAtWallMs: context.wallMs, expiresAtWallMs: context.wallMs + limits.advertTtlMs, name: init.name, release: init.release,
    duties: [...init.duties], addrs: [...init.addrs()].slice(0, 32), ...(http === undefined ? {} : { http }), capabilities: [...state.capabilities], gpus: [...state.sample.gpus],
    environment: state.sample.environment, load: state.load, leaving: state.leaving,
  }
  const text = canonicalJson(advert)
  const signature = context.sign(new TextEncoder().encode(text))
  const effects: Effect[] = [tell(at(context.self.peer, actorNames.directory), { kind: 'own-advert', advert, text, signature })]
  const topic = advertTopic(shardOf(context.self.peer, state.shards))
  if (state.topic !== topic) {
    if (state.topic !== undefined) effects.push({ type: 'unsubscribe', topic: state.topic })
    effects.push({ type: 'subscribe', topic })
    state.topic = topic
  }
  effects.push({ type: 'publish', topic, to: actorNames.directory, message: { kind: 'advert', signed: { advert: text, signature }, ...(state.shards === 1 ? {} : { shards: state.shards }) } })
  const keys = state.leaving ? [] : discoveryKeys(state.capabilities, state.sample.gpus)
  if (state.keys !== keys.join(' ')) {
    state.keys = keys.join(' ')
    effects.push({ type: 'provide', keys })
  }
  return effects
}
