/** Who is in a membership. */
import type { PeerId } from '../kernel/ids.ts'
import type { Membership } from './schema.ts'

/** Every peer once, voters first; nobody, where no membership is known yet. */
export function peersOf(membership: Membership | undefined): PeerId[] {
  if (membership === undefined) return []
  return [...new Set([...membership.voters, ...(membership.outgoing ?? []), ...membership.learners].map(({ peer }) => peer))]
}
