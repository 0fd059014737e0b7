/** Submits missions and follows each to its end, as a careful client does: one key per mission, a timeout is unknown and asked again elsewhere. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../protocols/kernel/prng.ts'
import { type BridgeAddress, ask, follow } from './bridge.ts'
import type { History, MissionHistory } from './history.ts'
import { nowMs } from './machine.ts'
import { type TreeDocument, sightingsIn } from './readers.ts'
import { drawMission } from './workload.ts'

export interface SubmitterInit {
  readonly history: History
  readonly random: Random
  readonly seed: number
  readonly ledger: string
  /** Missions kept under way. */
  readonly target: number
  /** Bridges that answer at the moment, as far as is known. */
  readonly bridges: () => readonly BridgeAddress[]
  readonly say: (line: string) => void
}

export interface Submitter {
  /** The bridge it talks to now. */
  readonly bridge: BridgeAddress | undefined
  /** Submits no more; follows on. */
  finish(): void
  /** Ends at once. */
  stop(): Promise<void>
}

const submitTimeoutMs = 15_000
const silenceMs = 20_000
/** Refusals that say "later", not "no". */
const temporary = new Set([408, 425, 429, 500, 502, 503, 504, 507])
const endStates = new Set(['completed', 'failed', 'cancelled'])

export function startSubmitter(init: SubmitterInit): Submitter {
  const { history, random } = init
  const ending = new AbortController()
  let finishing = false
  let drawn = 0
  let current: string | undefined
  const works: Promise<void>[] = []
  const pause = (ms: number): Promise<void> => sleep(ms, undefined, { signal: ending.signal }).catch(() => undefined)

  /** Its own until it fails, then another. */
  function bridge(failed?: string): BridgeAddress | undefined {
    const bridges = init.bridges()
    const kept = bridges.find(({ name }) => name === current && name !== failed)
    if (kept !== undefined) return kept
    const others = bridges.filter(({ name }) => name !== failed)
    const chosen = others[random.below(others.length || 1)] ?? bridges[0]
    current = chosen?.name
    return chosen
  }
  const another = (): BridgeAddress | undefined => {
    const bridges = init.bridges()
    return bridges[random.below(bridges.length || 1)]
  }

  async function submit(): Promise<void> {
    const mission = drawMission(random, `chaos-${init.seed}-${(drawn += 1)}`, init.ledger)
    const record = history.begin(mission.key, mission.leaves, nowMs())
    const twice = random.below(5) === 0
    while (!ending.signal.aborted) {
      const at = bridge()
      const id = at === undefined ? undefined : await post(at, record, mission.request)
      if (id === 'refused') return
      if (id !== undefined) {
        // A careful client that crashed in between would ask again, and somewhere else.
        const elsewhere = twice ? another() : undefined
        if (elsewhere !== undefined) await post(elsewhere, record, mission.request)
        await followToEnd(record, id)
        return
      }
      if (at !== undefined) bridge(at.name)
      await pause(300)
      // One that was never acknowledged was promised nothing.
      if (finishing && record.acknowledgedMs === undefined && nowMs() - record.startedMs > 60_000) return
    }
  }

  async function post(at: BridgeAddress, record: MissionHistory, request: unknown): Promise<string | undefined> {
    const answer = await ask<{ id?: string; code?: string; detail?: string }>(at, { method: 'POST', path: '/v1/missions', json: request, key: record.key, timeoutMs: submitTimeoutMs })
    if (answer.kind === 'unknown') return undefined
    if (answer.status === 202 && typeof answer.body.id === 'string') {
      record.ids.add(answer.body.id)
      record.acknowledgedMs ??= nowMs()
      return answer.body.id
    }
    if (temporary.has(answer.status)) return undefined
    // A mesh that has just lost a node may not know every capability for a moment.
    if (answer.status === 422 || answer.status === 404) return undefined
    history.refusals.push(`${record.key} at ${at.name}: ${answer.status} ${answer.body.code ?? ''} ${answer.body.detail ?? ''}`)
    return 'refused'
  }

  async function followToEnd(record: MissionHistory, id: string): Promise<void> {
    let at = bridge()
    while (!ending.signal.aborted && record.endedMs === undefined) {
      if (at !== undefined) {
        const askedMs = nowMs()
        for await (const { event, data } of follow(at, id, record.lastIndex, ending.signal, silenceMs)) {
          const seenMs = nowMs()
          if (event === 'mission') {
            const { index, event: logged } = data as { index: number; event: Record<string, unknown> }
            history.event(record, index, logged, askedMs, seenMs, at.name)
          } else if (event === 'reset') {
            // What was asked for is folded into a snapshot: the state as it is now, and on from there.
            const { index, tasks } = data as { index: number; tasks: TreeDocument }
            history.read(record, { invokedMs: askedMs, returnedMs: seenMs, by: at.name, tasks: sightingsIn(tasks) })
            record.lastIndex = Math.max(record.lastIndex, index)
          } else if (event === 'end') {
            const { state } = data as { state: string }
            if (endStates.has(state)) history.ended(record, state, seenMs)
          } else if (event === 'refused' && (data as { status: number }).status === 404) record.denials += 1
        }
      }
      if (record.endedMs !== undefined) return
      await pause(250)
      at = another()
    }
  }

  async function keepGoing(): Promise<void> {
    const open = new Set<Promise<void>>()
    while (!ending.signal.aborted && !finishing) {
      while (open.size < init.target && !finishing) {
        const work: Promise<void> = submit().catch((thrown: unknown) => init.say(`the submitter failed: ${thrown instanceof Error ? thrown.stack ?? '' : String(thrown)}`)).finally(() => open.delete(work))
        open.add(work)
        works.push(work)
        await pause(30)
      }
      await Promise.race([...open, pause(200)])
    }
    await Promise.all(open)
  }
  works.push(keepGoing())

  return {
    get bridge() { return bridge() },
    finish() { finishing = true },
    async stop() {
      finishing = true
      ending.abort()
      await Promise.allSettled(works)
    },
  }
}
