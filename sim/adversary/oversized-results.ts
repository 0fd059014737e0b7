/** Gives results at and beyond every limit: of what is inline, of a frame, of a blob. The same one each time it repeats one. */
import { digestOfText } from '../../protocols/kernel/hashing.ts'
import type { AwardId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Payload } from '../../protocols/kernel/payload.ts'
import { encodeFrame } from '../../protocols/wire.ts'
import type { Misconduct } from './parts.ts'

/** For the rest of the message. */
const framingBytes = 2_048

export const oversizes = ['inline-max', 'over-inline', 'frame-max', 'over-frame', 'absent-blob'] as const
export type Oversize = (typeof oversizes)[number]

const bytesOf: Readonly<Record<Exclude<Oversize, 'absent-blob'>, number>> = {
  'inline-max': limits.payloadInlineBytesMax - framingBytes,
  'over-inline': limits.payloadInlineBytesMax * 2,
  'frame-max': limits.frameBytesMax - framingBytes,
  'over-frame': limits.frameBytesMax + framingBytes,
}

export const oversizedResults: Misconduct<'oversized-results'> = (_conduct, ports, { host, random }) => {
  const { transport, identity } = ports
  const sizes = new Map<AwardId, Oversize>()

  function sizeFor(awardId: AwardId): Oversize {
    let size = sizes.get(awardId)
    if (size === undefined) sizes.set(awardId, (size = oversizes[random.below(oversizes.length)] ?? 'inline-max'))
    return size
  }

  function resultOf(size: Oversize, awardId: AwardId): Payload {
    if (size !== 'absent-blob') return { inline: 'x'.repeat(bytesOf[size]) }
    return { blob: { $blob: digestOfText(awardId), sizeBytes: limits.blobBytesMax, mediaType: 'application/json', holders: [identity.peerId] } }
  }

  return {
    ...ports,
    transport: {
      ...transport,
      send(peer, envelope) {
        const { message } = envelope
        if (message.kind !== 'inform') return transport.send(peer, envelope)
        for (const one of message.results) {
          const size = sizeFor(one.awardId)
          const oversized = { ...envelope, message: { ...message, results: [{ ...one, result: resultOf(size, one.awardId) }] } }
          // An honest transport would refuse to send it.
          if (size === 'over-frame') host.sendFrame(peer, encodeFrame([oversized]), 1)
          else transport.send(peer, oversized)
        }
      },
    },
  }
}
