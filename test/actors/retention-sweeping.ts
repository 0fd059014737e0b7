/** The retention alone, with a test in place of the rest of its node. */
import { retention } from '../../actors/behaviours/replication/retention.ts'
import type { ActorMessage } from '../../actors/messages.ts'
import type { IdleBlob } from '../../actors/ports/blob-store.ts'
import type { ActorContext, Delivery } from '../../actors/runtime/actor.ts'
import type { Effect } from '../../actors/runtime/effects.ts'
import { defaultTuning, type Tuning } from '../../actors/tuning.ts'
import { digestOf } from '../../protocols/kernel/hashing.ts'
import type { Digest, MissionId, PeerId } from '../../protocols/kernel/ids.ts'
import type { BlobRef } from '../../protocols/kernel/payload.ts'
import type { EndedMission } from '../../protocols/replicated-log/schema.ts'

export const here = 'a' as PeerId
export const [own, shared, inside, other] = [1, 2, 3, 4].map((byte) => digestOf(Uint8Array.of(byte))) as [Digest, Digest, Digest, Digest]

export function record(number: number, cites: Digest[], endedAtWallMs = number): EndedMission {
  return { missionId: `m-abcdefgh-${String(number).padStart(12, '0')}` as MissionId, endedAtWallMs, keptUntilWallMs: endedAtWallMs + 1_000, archive: { inline: null }, cites, members: [here], view: {} }
}

export const removedBy = (effects: readonly Effect[]) => effects.find((effect) => effect.type === 'remove-blobs')
export const forgottenBy = (effects: readonly Effect[]): readonly EndedMission[] => effects.flatMap((effect) => (effect.type === 'tell' && effect.message.kind === 'forget-ended' ? effect.message.ended : []))
export const toldBy = (effects: readonly Effect[]): string[] => effects.flatMap((effect) => (effect.type === 'tell' ? [`${effect.to.actor}: ${effect.message.kind}`] : []))

/** The tag of the last question among these. */
export function tagOf(effects: readonly Effect[]): string {
  return effects.flatMap((effect) => ('tag' in effect ? [effect.tag] : effect.type === 'tell' && 'tag' in effect.message ? [String(effect.message.tag)] : [])).at(-1) ?? 'nothing was asked'
}

/** What the actors hold, and what is idle: nothing, unless it is said. */
export interface Found {
  readonly held?: readonly BlobRef[]
  readonly runningSinceMs?: number
  readonly idle?: readonly IdleBlob[]
}

/** A retention whose first sweep for time has begun. */
export function sweeping(tuning: Partial<Tuning> = {}, nowMs = 0) {
  const actor = retention({ tuning: { ...defaultTuning, ...tuning } })
  let context = { self: { peer: here, actor: 'retention' }, nowMs, wallMs: 1_000_000 } as unknown as ActorContext
  const { state } = actor.start(context)
  const hear = (message: ActorMessage): Effect[] => [...actor.receive(state, { message, from: { peer: here, actor: 'anybody' } } as Delivery, context)]
  let asked = hear({ kind: 'tick', what: 'sweep' })
  /** From the question for what is held on to the first one for the logs, or to the end. */
  function found(question: readonly Effect[], { held = [], runningSinceMs, idle = [] }: Found): Effect[] {
    const forIdle = hear({ kind: 'held-found', tag: tagOf(question), refs: held, ...(runningSinceMs === undefined ? {} : { runningSinceMs }) })
    return hear({ kind: 'idle-blobs-found', tag: tagOf(forIdle), blobs: idle })
  }
  return {
    tagOf, found,
    hear(message: ActorMessage): Effect[] {
      const effects = hear(message)
      if (message.kind === 'tick') asked = effects
      return effects
    },
    /** These archives are over: the answer to the question that a sweep for time begins with, and what follows. */
    begin(...ended: EndedMission[]): Effect[] {
      const effects = hear({ kind: 'ended-read', tag: tagOf(asked), ended })
      return [...effects, ...found(effects, {})]
    },
    beginWith(what: Found, ...ended: EndedMission[]): Effect[] {
      const effects = hear({ kind: 'ended-read', tag: tagOf(asked), ended })
      return [...effects, ...found(effects, what)]
    },
    /** The rest of a sweep that the logs and the archives have nothing to say to. */
    rest(question: readonly Effect[]): Effect[] {
      const kept = hear({ kind: 'citations-found', tag: tagOf(question), cited: [], within: [] })
      return hear({ kind: 'ended-read', tag: tagOf(kept), ended: [] })
    },
    pass(ms: number): void {
      context = { ...context, nowMs: context.nowMs + ms, wallMs: context.wallMs + ms }
    },
  }
}
