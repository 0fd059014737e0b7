/** Sends what no schema allows, on streams and by gossip: noise, cut frames, another major, wrong types, too much, too deep. */
import type { PeerId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { encodeFrame, encodeValue, protocolMajor, type Envelope } from '../../protocols/wire.ts'
import type { Random } from '../../protocols/kernel/prng.ts'
import { every, pickOne, randomBytes, type Misconduct } from './parts.ts'

const noiseBytesMax = 512

export const sendsGarbage: Misconduct<'sends-garbage'> = ({ everyMs }, ports, parts) => {
  const { host, random } = parts
  const topics = new Set<string>()

  every(everyMs, parts, () => {
    const peer = pickOne(host.connectedPeers(), random)
    const topic = pickOne([...topics], random)
    if (topic !== undefined && random.below(3) === 0) ports.gossip.publish(topic, brokenEnvelope(ports.identity.peerId, random))
    else if (peer !== undefined) host.sendFrame(peer, garbage(ports.identity.peerId, random), 1)
  })

  return {
    ...ports,
    gossip: {
      ...ports.gossip,
      subscribe(topic) {
        topics.add(topic)
        ports.gossip.subscribe(topic)
      },
      unsubscribe(topic) {
        topics.delete(topic)
        ports.gossip.unsubscribe(topic)
      },
    },
  }
}

function garbage(self: PeerId, random: Random): Uint8Array {
  switch (random.below(7)) {
    case 0:
      return randomBytes(random.below(noiseBytesMax), random)
    case 1: {
      const whole = encodeFrame([brokenEnvelope(self, random)])
      return whole.slice(0, random.below(whole.byteLength))
    }
    case 2:
      return encodeValue([protocolMajor + 1 + random.below(100), []])
    case 3:
      return encodeValue([protocolMajor, nested(limits.frameDepthMax * 2)])
    case 4:
      return encodeValue([protocolMajor, Array.from({ length: limits.frameMessagesMax + 1 }, () => null)])
    case 5:
      return encodeValue([protocolMajor, { length: 5 }])
    default:
      return encodeFrame([brokenEnvelope(self, random)])
  }
}

/** Nearly right: one thing in it is not as the schema has it. */
function brokenEnvelope(self: PeerId, random: Random): Envelope {
  const right = { to: 'participant', from: 'participant' }
  const broken: readonly unknown[] = [
    { ...right, message: { kind: 'no-such-kind' } },
    { ...right, to: '', message: { kind: 'advert-request' } },
    { ...right, message: { kind: 'cfp', initiator: { peer: self, actor: 'x' }, principal: 'p', threshold: 2, expiresInMs: -1, calls: [] } },
    { ...right, message: { kind: 'propose', participant: { peer: self, actor: 'x' }, name: 'x', bids: [{ callId: 'c', estimatedFinishMs: -1 }] } },
    { ...right, message: { kind: 'inform', awardId: 'a', result: {}, cites: [], stats: {} } },
    { ...right, message: { kind: 'advert', signed: { advert: 'x', signature: 'not bytes' } } },
    { ...right, principal: 'spaces are not allowed', message: { kind: 'advert-request' } },
    { ...right, message: null },
    random.below(1_000),
  ]
  return broken[random.below(broken.length)] as Envelope
}

function nested(depth: number): unknown {
  let value: unknown = []
  for (let level = 0; level < depth; level++) value = [value]
  return value
}
