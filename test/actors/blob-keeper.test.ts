import { describe, expect, it } from 'vitest'
import { blobKeeper } from '../../actors/behaviours/replication/blob-keeper.ts'
import type { ActorMessage } from '../../actors/messages.ts'
import { actorNames, at } from '../../actors/names.ts'
import type { ActorContext } from '../../actors/runtime/actor.ts'
import type { Effect } from '../../actors/runtime/effects.ts'
import { digestOfText } from '../../protocols/kernel/hashing.ts'
import type { PeerId } from '../../protocols/kernel/ids.ts'
import type { BlobRef, Json } from '../../protocols/kernel/payload.ts'
import { seededRandom } from '../../protocols/kernel/prng.ts'

const self = 'self' as PeerId
const far = 'far' as PeerId
const further = 'further' as PeerId
const owner = at(self, 'orchestrator/m-00aaaaaa-bbbbbbbbbbbb')

function refOf(name: string, mediaType?: string): BlobRef {
  return { $blob: digestOfText(name), sizeBytes: 1, ...(mediaType === undefined ? {} : { mediaType }) }
}

/** The behaviour by itself: what it asks for is answered by the test. */
function keeper() {
  const behaviour = blobKeeper()
  const context: ActorContext = { self: at(self, actorNames.blobKeeper), nowMs: 0, wallMs: 0, random: seededRandom([1, 2]), sign: () => new Uint8Array(64), verify: () => true, exists: () => true, connected: () => true }
  const { state } = behaviour.start(context)
  return (message: ActorMessage, from = owner): readonly Effect[] => behaviour.receive(state, { message, from }, context)
}

const fetched = (effects: readonly Effect[]) => effects.flatMap((effect) => (effect.type === 'fetch-blobs' ? [effect] : []))
const loads = (effects: readonly Effect[]) => effects.flatMap((effect) => (effect.type === 'load-value' ? [effect] : []))
const told = (effects: readonly Effect[], kind: ActorMessage['kind']) => effects.flatMap((effect) => (effect.type === 'tell' && effect.message.kind === kind ? [effect] : []))

describe('blobs that an entry cites', () => {
  it('are secured with those that are named inside them', () => {
    const say = keeper()
    const outer = refOf('outer', 'application/json')
    const inner = refOf('inner')
    const [first] = fetched(say({ kind: 'secure-blobs', tag: 't', voters: [self, far, further], refs: [outer], alsoTry: [] }))
    const [look] = loads(say({ kind: 'blobs-fetched', tag: first?.tag ?? '' }))
    expect(look?.payload).toEqual({ blob: outer })
    const [second] = fetched(say({ kind: 'value-loaded', tag: first?.tag ?? '', value: { artifact: inner } as unknown as Json }))
    expect(second?.refs.map(({ $blob }) => $blob)).toEqual([outer.$blob, inner.$blob])
    const asked = told(say({ kind: 'blobs-fetched', tag: second?.tag ?? '' }), 'hold-blobs')
    expect(asked.map(({ to }) => to.peer)).toEqual([far, further])
    const hold = asked[0]?.message
    expect(hold?.kind === 'hold-blobs' && hold.refs.map(({ $blob }) => $blob)).toEqual([outer.$blob, inner.$blob])
    const done = told(say({ kind: 'blobs-held', requestId: hold?.kind === 'hold-blobs' ? hold.requestId : '', ok: true }, at(far, actorNames.blobKeeper)), 'blobs-secured')
    expect(done[0]?.message).toMatchObject({ tag: 't', holders: [self, far], cites: [outer.$blob, inner.$blob] })
  })

  it('are not secured while only this node of three has them, nor by the word of somebody else', () => {
    const say = keeper()
    const [first] = fetched(say({ kind: 'secure-blobs', tag: 't', voters: [self, far, further], refs: [refOf('plain')], alsoTry: [] }))
    const asked = say({ kind: 'blobs-fetched', tag: first?.tag ?? '' })
    expect(told(asked, 'blobs-secured')).toEqual([])
    const hold = told(asked, 'hold-blobs')[0]?.message
    const requestId = hold?.kind === 'hold-blobs' ? hold.requestId : ''
    expect(told(say({ kind: 'blobs-held', requestId, ok: true }, at('stranger' as PeerId, actorNames.blobKeeper)), 'blobs-secured')).toEqual([])
    expect(told(say({ kind: 'blobs-held', requestId, ok: false }, at(far, actorNames.blobKeeper)), 'blobs-secured')).toEqual([])
    expect(told(say({ kind: 'blobs-held', requestId, ok: true }, at(further, actorNames.blobKeeper)), 'blobs-secured')).toHaveLength(1)
  })
})
