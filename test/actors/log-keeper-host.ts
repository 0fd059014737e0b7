/** The host of every log of one node, made up: it notes what the log-keeper tells it, and appends what a test says and the members that are wanted. */
import type { ActorMessage, LogMessage } from '../../actors/messages.ts'
import type { Fault } from '../../protocols/kernel/errors.ts'
import { formatEpoch, isMissionGroup, type Epoch, type GroupId, type PeerId } from '../../protocols/kernel/ids.ts'
import type { Payload } from '../../protocols/kernel/payload.ts'
import type { Membership } from '../../protocols/membership/schema.ts'
import { extend, logOrigin, positionOf } from '../../protocols/replicated-log/chain.ts'
import type { LogEntry, LogPosition, LogRecord, LogSnapshot } from '../../protocols/replicated-log/schema.ts'

export interface Append {
  readonly group: GroupId
  readonly epoch: Epoch
  readonly entries: readonly LogEntry[]
  /** What it was answered: it should be once. */
  readonly answers: (Fault | 'ok')[]
}

/** A log that is led here. */
export interface Led {
  readonly epoch: Epoch
  head: LogPosition
  membership: Membership
  snapshot: LogSnapshot | undefined
  readonly entries: LogEntry[]
}

export interface HostParts {
  tell(message: LogMessage): void
  nowMs(): number
  wallMs(): number
  led(group: GroupId, epoch: Epoch): void
  /** That its missions are to have. */
  readonly voters: number
}

export type Host = ReturnType<typeof createHost>

export function noteOf({ event }: LogEntry): string[] {
  return event.type === 'replica-dropped' ? [event.reason] : []
}

export function createHost(parts: HostParts) {
  const leads = new Map<GroupId, Led>()
  const appends: Append[] = []
  const heard: { readonly atMs: number; readonly message: ActorMessage }[] = []
  let asked = 0

  function append(group: GroupId, records: readonly LogRecord[]): Append {
    const log = leads.get(group)
    if (log === undefined) throw new Error(`${group} is not led here`)
    const entries = extend(log.head, log.epoch, records)
    const last = entries.at(-1)
    if (last === undefined) throw new Error('nothing to append')
    log.head = positionOf(last)
    log.entries.push(...entries)
    for (const { event } of entries) if (event.type === 'members') log.membership = event.membership
    const one: Append = { group, epoch: log.epoch, entries, answers: [] }
    appends.push(one)
    parts.tell({ kind: 'append', tag: `append ${appends.length - 1}`, group, entries })
    return one
  }

  function hear(message: ActorMessage): void {
    heard.push({ atMs: parts.nowMs(), message })
    switch (message.kind) {
      case 'group-led': {
        const { group, epoch, membership, snapshot, entries } = message
        const last = entries.at(-1)
        leads.set(group, { epoch, membership, snapshot, entries: [...entries], head: last === undefined ? (snapshot?.at ?? logOrigin) : positionOf(last) })
        parts.led(group, epoch)
        if (isMissionGroup(group)) parts.tell({ kind: 'aim-at', group, voters: parts.voters })
        return
      }
      case 'group-followed':
        leads.delete(message.group)
        return
      case 'appended':
        appends[Number(/^append (\d+)$/.exec(message.tag)?.[1] ?? -1)]?.answers.push(message.fault ?? 'ok')
        return
      case 'members-wanted':
        if (host.obeys && leads.has(message.group)) append(message.group, [{ type: 'members', atWallMs: parts.wallMs(), membership: message.membership }])
        return
      default:
        return
    }
  }

  const host = {
    hear, heard, leads, appends,
    /** Whether it appends the members that are wanted. */
    obeys: true,
    note: (group: GroupId, ...notes: string[]): Append => append(group, notes.map((reason) => ({ type: 'replica-dropped' as const, atWallMs: parts.wallMs(), peer: 'somebody' as PeerId, reason }))),
    /** @returns what it is answered with, once it is. */
    barrier(group: GroupId): { readonly answer: () => Fault | 'ok' | undefined } {
      const tag = `barrier ${asked++}`
      parts.tell({ kind: 'barrier', tag, group })
      return { answer: () => host.all('appended').filter((told) => told.tag === tag).map((told) => told.fault ?? 'ok')[0] }
    },
    /** Everything up to an entry, folded. */
    snapshot(group: GroupId, index: number, state: Payload): void {
      const log = leads.get(group)
      const at = log?.entries.find((entry) => entry.index === index)
      if (log === undefined || at === undefined) throw new Error(`no entry ${index} of ${group} is here to be folded`)
      const members = log.entries.filter(({ index: before, event }) => before <= index && event.type === 'members').at(-1)?.event
      const membership = members?.type === 'members' ? members.membership : log.membership
      parts.tell({ kind: 'snapshot-taken', group, snapshot: { at: positionOf(at), membership, version: 1, state } })
    },
    all: <Kind extends ActorMessage['kind']>(kind: Kind): Extract<ActorMessage, { kind: Kind }>[] => heard.flatMap(({ message }) => (message.kind === kind ? [message as Extract<ActorMessage, { kind: Kind }>] : [])),
    /** What was found on the disk, as the host of missions was told. */
    found: () => host.all('groups-opened').at(-1)?.groups ?? [],
    /** The epochs it led a log under, in order. */
    epochsLed: (group: GroupId): string[] => host.all('group-led').filter((told) => told.group === group).map(({ epoch }) => formatEpoch(epoch)),
  }
  return host
}
