/** Adverts as an adversary makes them: after its own latest, which the honest part of it has published. */
import type { MeshNodePorts } from '../../actors/mesh-node.ts'
import { actorNames } from '../../actors/names.ts'
import { Advert, type SignedAdvert } from '../../protocols/capability/schema.ts'
import { canonicalJson } from '../../protocols/kernel/hashing.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { PeerId } from '../../protocols/kernel/ids.ts'
import type { Envelope } from '../../protocols/wire.ts'

export interface OwnAdverts {
  /** Through these the honest part publishes. */
  readonly ports: MeshNodePorts
  /** Undefined until the first one. */
  latest(): { readonly topic: string; readonly advert: Advert } | undefined
}

export function overhearAdverts(ports: MeshNodePorts): OwnAdverts {
  let latest: ReturnType<OwnAdverts['latest']>
  return {
    latest: () => latest,
    ports: {
      ...ports,
      gossip: {
        ...ports.gossip,
        publish(topic, envelope) {
          if (envelope.message.kind === 'advert') latest = { topic, advert: Advert.parse(JSON.parse(envelope.message.signed.advert)) }
          ports.gossip.publish(topic, envelope)
        },
      },
    },
  }
}

/** @returns the advert's text with the signature of this node, whoever the advert names. */
export function signed(advert: Advert, { identity }: Pick<MeshNodePorts, 'identity'>): SignedAdvert {
  const text = canonicalJson(advert)
  return { advert: text, signature: identity.sign(new TextEncoder().encode(text)) }
}

/** With a lie about the number of shards: whoever believed it would speak where nobody listens. */
export function advertEnvelope(about: SignedAdvert): Envelope {
  return { to: actorNames.directory, from: actorNames.directory, message: { kind: 'advert', signed: about, shards: limits.shardsMax } }
}

export function sendAdvert(peers: readonly PeerId[], about: SignedAdvert, { transport }: Pick<MeshNodePorts, 'transport'>): void {
  for (const peer of peers) transport.send(peer, advertEnvelope(about))
}
