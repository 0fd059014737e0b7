/**
 * Publishes far more than anybody can use: calls of the highest priority for work that does not exist, in the name of ever new
 * principals, on every topic that it hears calls on; and now and then its own advert again.
 */
import { actorNames } from '../../actors/names.ts'
import type { Call } from '../../protocols/bidding/schema.ts'
import type { CallId, CapabilityName, MissionId, PeerId, Principal, TaskId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { advertEnvelope, overhearAdverts, signed } from './own-adverts.ts'
import { every, pickOne, type Misconduct } from './parts.ts'

const callsMax = 4
const advertEvery = 10

export const floodsGossip: Misconduct<'floods-gossip'> = ({ perSecond }, ports, parts) => {
  const own = overhearAdverts(ports)
  const { gossip, identity } = ports
  const { random } = parts
  const topics = new Set<string>()
  let published = 0

  function call(capability: CapabilityName): Call {
    const missionId = `m-${random.text(8)}-${random.text(12)}` as MissionId
    return {
      callId: `${missionId}:root/flood#1@1.1?` as CallId, missionId, taskId: 'root/flood' as TaskId, attempt: 1, kind: 'leaf', capability, effects: 'none',
      priority: 10, effort: 1, inputBytes: 0, holders: [], excluded: [] as PeerId[], budgetUsd: 1, remainingMs: 60_000,
    }
  }

  function callForNothing(topic: string): void {
    const capability = topic.split('/')[1] as CapabilityName
    gossip.publish(topic, {
      to: actorNames.participant, from: 'award/flood',
      message: {
        kind: 'cfp', initiator: { peer: identity.peerId, actor: 'award/flood' }, principal: `flood-${random.text(6)}` as Principal, threshold: 1, expiresInMs: limits.callExpiryMs,
        calls: Array.from({ length: 1 + random.below(callsMax) }, () => call(capability)),
      },
    })
  }

  every(1_000 / perSecond, parts, () => {
    published++
    const latest = own.latest()
    const topic = pickOne([...topics], random)
    if (latest !== undefined && (published % advertEvery === 0 || topic === undefined)) gossip.publish(latest.topic, advertEnvelope(signed(latest.advert, ports)))
    else if (topic !== undefined) callForNothing(topic)
  })

  return {
    ...own.ports,
    gossip: {
      ...own.ports.gossip,
      subscribe(topic) {
        if (topic.startsWith('cfp/')) topics.add(topic)
        gossip.subscribe(topic)
      },
      unsubscribe(topic) {
        topics.delete(topic)
        gossip.unsubscribe(topic)
      },
    },
  }
}
