/** Bids as if it were so many times faster than it is, from experience, and consistently so. */
import type { Bid } from '../../protocols/bidding/schema.ts'
import type { Misconduct } from './parts.ts'

export const liesAboutSpeed: Misconduct<'lies-about-speed'> = ({ factor }, ports) => ({
  ...ports,
  transport: {
    ...ports.transport,
    send(peer, envelope) {
      const { message } = envelope
      ports.transport.send(peer, message.kind === 'propose' ? { ...envelope, message: { ...message, bids: message.bids.map((bid) => faster(bid, factor)) } } : envelope)
    },
  },
})

function faster(bid: Bid, factor: number): Bid {
  const { queueMs, warmUpMs, transferMs, runMs, samples } = bid.breakdown
  return {
    ...bid,
    estimatedFinishMs: bid.estimatedFinishMs / factor,
    breakdown: { queueMs: queueMs / factor, warmUpMs: warmUpMs / factor, transferMs: transferMs / factor, runMs: runMs / factor, samples: Math.max(1, samples) },
  }
}
