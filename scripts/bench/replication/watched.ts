/** A mission as somebody at a bridge sees it, with the times at which things were heard. */
import type { MeshClient, MissionRequestInput } from '../../../node/http/client.ts'
import type { MissionId } from '../../../protocols/kernel/ids.ts'
import type { MissionEvent } from '../../../protocols/tasking/schema.ts'
import { until } from './figures.ts'

export interface Heard {
  readonly index: number
  readonly event: MissionEvent
  readonly heardAtMs: number
}

export interface WatchedMission {
  readonly id: MissionId
  readonly heard: readonly Heard[]
  /** Peer id of the node that leads the mission, as its log says. */
  owner(): string | undefined
  /** Voters of its log, as its log says. */
  voters(): readonly string[]
  /** The first event after an index that fits. */
  next<Type extends MissionEvent['type']>(afterIndex: number, type: Type, fits?: (event: Extract<MissionEvent, { type: Type }>) => boolean): (Heard & { readonly event: Extract<MissionEvent, { type: Type }> }) | undefined
  lastIndex(): number
  /** Cancels the mission and stops listening. */
  end(): Promise<void>
}

/** Submits, repeatedly under one key if nobody can take it just now, and follows. */
export async function watchedMission(client: MeshClient, request: MissionRequestInput): Promise<WatchedMission> {
  const key = crypto.randomUUID()
  const { id } = await until('that the mission is accepted', () => client.submit(request, { key }), 60_000)
  const heard: Heard[] = []
  const stop = new AbortController()
  const following = (async () => {
    for await (const news of client.watch(id, { signal: stop.signal, patienceMs: 300_000 })) {
      if (news.type === 'event') heard.push({ index: news.index, event: news.event, heardAtMs: performance.now() })
    }
  })()
  // A broken stream shows as something that did not happen in time.
  following.catch(() => undefined)
  const last = (fits: (event: MissionEvent) => boolean): MissionEvent | undefined => heard.findLast(({ event }) => fits(event))?.event
  return {
    id,
    heard,
    owner() {
      const event = last(({ type }) => type === 'submitted' || type === 'took-over')
      return event?.type === 'submitted' || event?.type === 'took-over' ? event.owner : undefined
    },
    voters() {
      const event = last(({ type }) => type === 'members')
      return event?.type === 'members' ? event.membership.voters.map(({ peer }) => peer) : []
    },
    next(afterIndex, type, fits = () => true) {
      type Wanted = Extract<MissionEvent, { type: typeof type }>
      const found = heard.find(({ index, event }) => index > afterIndex && event.type === type && fits(event as Wanted))
      return found as (Heard & { readonly event: Wanted }) | undefined
    },
    lastIndex: () => heard.at(-1)?.index ?? 0,
    async end() {
      stop.abort()
      await client.cancel(id, 'measured').catch(() => undefined)
      await following.catch(() => undefined)
    },
  }
}

/** A plan of equal tasks that do nothing but wait. */
export function waitingPlan(tasks: number, ms: number, capability: 'bench.wait' | 'bench.touch'): MissionRequestInput {
  const names = Array.from({ length: tasks }, (_, index) => `task-${index + 1}`)
  return { plan: { tasks: Object.fromEntries(names.map((name) => [name, { capability, input: { ms } }])), limits: { leavesMax: tasks } } } as MissionRequestInput
}
