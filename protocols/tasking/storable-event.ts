/** What may enter a log: messages between the actors of one node are not checked on their way, and what a disk cannot give back is lost with all that follows it. */
import { fault, type Fault } from '../kernel/errors.ts'
import { sameValue, storable, unplain } from '../kernel/json.ts'
import { limits } from '../kernel/limits.ts'
import { MissionEvent } from './schema.ts'

/**
 * For whoever appends, before it does: an event that passes is read back from any disk and any wire as it was written.
 * @returns `bad-request` when it would not be; undefined when it may be appended.
 */
export function storableEvent(event: MissionEvent): Fault | undefined {
  const foreign = unplain(event, limits.eventDepthMax)
  if (foreign !== undefined) return fault('bad-request', `an event '${event.type}' cannot be stored: ${foreign}`)
  const stored = storable(event)
  const parsed = MissionEvent.safeParse(stored)
  if (!parsed.success) return fault('bad-request', `an event '${event.type}' cannot be stored: ${parsed.error.issues[0]?.path.join('.') ?? ''} ${parsed.error.issues[0]?.message ?? ''}`)
  // A reader that knows its schema drops what that does not name and fills defaults in: the entry's chain would not fit it then.
  return sameValue(parsed.data, stored) ? undefined : fault('bad-request', `an event '${event.type}' cannot be stored: it holds something that its schema does not name, or leaves out what that fills in`)
}
