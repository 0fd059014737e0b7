/** Gives wrong results for its awards, and results for awards that others have. */
import { actorNames } from '../../actors/names.ts'
import { awardsIn, type Call } from '../../protocols/bidding/schema.ts'
import type { ActorAddress, AwardId, Principal } from '../../protocols/kernel/ids.ts'
import type { Json, Payload } from '../../protocols/kernel/payload.ts'
import type { Message } from '../../protocols/wire.ts'
import type { Misconduct } from './parts.ts'

/** Of the calls that it hears, those that it claims to have been awarded. */
const claimedFraction = 0.5
const claimWithinMs = 3_000

export const wrongResults: Misconduct<'wrong-results'> = (_conduct, ports, { clock, random }) => {
  const { transport, gossip, identity } = ports
  const held = new Set<AwardId>()

  function claim(call: Call, manager: ActorAddress, principal: Principal): void {
    // An award is named like the call for it, without the question mark.
    const awardId = call.callId.replace(/\?$/, '') as AwardId
    if (held.has(awardId)) return
    transport.send(manager.peer, {
      to: manager.actor, from: actorNames.award(awardId), principal,
      message: { kind: 'inform', results: [{ awardId, result: { inline: { wrong: call.taskId } }, cites: [], stats: { queueMs: 0, transferMs: 0, runMs: 1, costUsd: 0 } }] },
    })
  }

  function hear(message: Message): void {
    if (message.kind === 'accept-proposal') for (const { awardId } of awardsIn(message)) held.add(awardId)
    if (message.kind !== 'cfp' || message.initiator.peer === identity.peerId) return
    for (const call of message.calls) {
      if (random.next() < claimedFraction) clock.schedule(random.next() * claimWithinMs, () => claim(call, message.initiator, message.principal))
    }
  }

  transport.onReceive(({ envelope: { message } }) => hear(message))
  gossip.onGossip((_topic, { envelope: { message } }) => hear(message))

  return {
    ...ports,
    transport: {
      ...transport,
      send(peer, envelope) {
        const { message } = envelope
        transport.send(peer, message.kind === 'inform' ? { ...envelope, message: { ...message, results: message.results.map((one) => ({ ...one, result: wrong(one.result) })) } } : envelope)
      },
    },
  }
}

function wrong(result: Payload): Payload {
  return { inline: 'inline' in result ? distorted(result.inline) : 'not what the blob said' }
}

/** Of the same shape: an acceptance check may look at it. */
function distorted(value: Json): Json {
  if (typeof value === 'number') return value + 1
  if (typeof value === 'string') return `${value}!`
  if (typeof value === 'boolean') return !value
  if (value === null) return 0
  if (Array.isArray(value)) return value.length === 0 ? [0] : value.map(distorted)
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, distorted(inner)]))
}
