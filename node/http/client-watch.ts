/** Following a bridge's streams of server-sent events, across broken connections. */
import { createParser } from 'eventsource-parser'
import type { EventSourceMessage } from 'eventsource-parser'
import { setTimeout as sleep } from 'node:timers/promises'
import { fault, MeshError } from '../../protocols/kernel/errors.ts'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import type { MissionEvent, MissionState, ProgressNote } from '../../protocols/tasking/schema.ts'
import type { MissionView, TaskView } from '../../protocols/tasking/views.ts'
import type { BridgeConnection } from './client-request.ts'
import { faultOfProblem } from './problem.ts'

/** One piece of news of a mission. `end` is the last. */
export type MissionNews =
  | { readonly type: 'event'; readonly index: number; readonly event: MissionEvent }
  | { readonly type: 'progress'; readonly note: ProgressNote }
  /** The events up to this index are not kept any more: this is the mission now, and what comes goes on from there. */
  | { readonly type: 'reset'; readonly index: number; readonly mission: MissionView; readonly tasks: TaskView }
  /** The connection was lost and is being made again; nothing of the log will be missing. */
  | { readonly type: 'reconnecting'; readonly afterIndex: number; readonly reason: string }
  | { readonly type: 'end'; readonly state: MissionState }

export interface WatchOptions {
  /** Only events after this index; 0 is all. */
  readonly after?: number
  readonly signal?: AbortSignal
  /** How long nothing but failures is borne. */
  readonly patienceMs?: number
}

const patienceMsDefault = 60_000
const backoffMsMin = 100
const backoffMsMax = 5_000
/** Three heartbeats of the bridge: a line that is silent for longer is dead. */
const silenceMsMax = 45_000
/** From the last word of a stream to its end. */
const endingMsMax = 1_000
const messageCharsMax = 16 * 1024 * 1024

/**
 * News of a mission until its end; reconnects by itself and goes on after the last event seen.
 * @throws MeshError the bridge's fault when trying again cannot help, or patience has run out; `cancelled` by the signal.
 */
export async function* watchMission(bridge: BridgeConnection, id: MissionId, { after = 0, signal, patienceMs = patienceMsDefault }: WatchOptions = {}): AsyncGenerator<MissionNews> {
  let lastIndex = after
  let lastSignMs = performance.now()
  const onSign = () => {
    lastSignMs = performance.now()
  }
  /** The bridge ends the stream after its last word: read to its end, its connection serves the next request. */
  let isOver = false
  for (let failures = 0; ;) {
    let lost: MeshError
    try {
      for await (const message of messagesOf(bridge, `/v1/missions/${id}/events`, { signal, lastIndex, onSign })) {
        failures = 0
        const data = parseData(message)
        if (message.event === 'mission') {
          const { index, event } = data as { index: number; event: MissionEvent }
          if (index <= lastIndex) continue
          lastIndex = index
          yield { type: 'event', index, event }
        } else if (message.event === 'progress') {
          yield { type: 'progress', note: data as ProgressNote }
        } else if (message.event === 'reset') {
          const reset = data as { index: number; mission: MissionView; tasks: TaskView }
          lastIndex = Math.max(lastIndex, reset.index)
          yield { type: 'reset', ...reset }
        } else if (message.event === 'end') {
          isOver = true
          yield { type: 'end', state: (data as { state: MissionState }).state }
        } else if (message.event === 'fault') {
          throw MeshError.from(faultOfProblem(data) ?? fault('internal', 'the bridge ended the stream with a fault that is none'))
        }
      }
      if (isOver) return
      lost = new MeshError('owner-unreachable', `the bridge at ${bridge.url} ended the stream`, { next: 'ask another bridge with --url' })
    } catch (thrown) {
      if (isOver) return
      if (!(thrown instanceof MeshError) || !thrown.fault.retryable) throw thrown
      lost = thrown
    }
    if (performance.now() - lastSignMs > patienceMs) throw lost
    yield { type: 'reconnecting', afterIndex: lastIndex, reason: lost.fault.detail }
    const backoffMs = Math.min(backoffMsMax, backoffMsMin * 2 ** failures)
    failures += 1
    // Spread, so that the followers of a bridge that was restarted do not all come at once.
    await pause(Math.max(lost.fault.retryAfterMs ?? 0, backoffMs * (0.5 + Math.random() / 2)), signal)
  }
}

/** The data of each event of a stream that names the event, until the stream ends or fails. */
export async function* watchStream<Value>(bridge: BridgeConnection, path: string, event: string, signal?: AbortSignal): AsyncGenerator<Value> {
  for await (const message of messagesOf(bridge, path, { signal })) {
    if (message.event === event) yield parseData(message) as Value
    if (message.event === 'fault') throw MeshError.from(faultOfProblem(parseData(message)) ?? fault('internal', 'the bridge ended the stream with a fault that is none'))
  }
}

function parseData({ data }: EventSourceMessage): unknown {
  try {
    return JSON.parse(data)
  } catch {
    throw new MeshError('internal', 'the stream holds an event that is not JSON', { next: 'check that the address is a Skein bridge' })
  }
}

interface MessagesInit {
  readonly signal: AbortSignal | undefined
  readonly lastIndex?: number
  /** Called whenever bytes come, heartbeats included. */
  readonly onSign?: () => void
}

async function* messagesOf(bridge: BridgeConnection, path: string, { signal, lastIndex = 0, onSign }: MessagesInit): AsyncGenerator<EventSourceMessage> {
  const silent = new AbortController()
  const whenSilent = () => silent.abort()
  let silence = setTimeout(whenSilent, silenceMsMax)
  const either = signal === undefined ? silent.signal : AbortSignal.any([signal, silent.signal])
  try {
    const { body } = await bridge.request({ path, headers: { accept: 'text/event-stream', 'last-event-id': lastIndex > 0 ? String(lastIndex) : undefined }, signal: either })
    let ready: EventSourceMessage[] = []
    const parser = createParser({ onEvent: (message) => ready.push(message), maxBufferSize: messageCharsMax })
    const decoder = new TextDecoder()
    for await (const chunk of body) {
      silence.refresh()
      onSign?.()
      parser.feed(decoder.decode(chunk as Uint8Array, { stream: true }))
      const messages = ready
      ready = []
      yield* messages
      if (messages.at(-1)?.event === 'end') {
        clearTimeout(silence)
        silence = setTimeout(whenSilent, endingMsMax)
      }
    }
  } catch (thrown) {
    if (signal?.aborted === true) throw new MeshError('cancelled', 'the stream was given up')
    if (silent.signal.aborted) throw new MeshError('owner-unreachable', `the bridge at ${bridge.url} has been silent for ${silenceMsMax / 1000} s`, { next: 'ask another bridge with --url' })
    if (thrown instanceof MeshError) throw thrown
    throw new MeshError('owner-unreachable', `the connection to ${bridge.url} was lost`, { next: 'ask another bridge with --url' })
  } finally {
    clearTimeout(silence)
  }
}

async function pause(delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(delayMs, undefined, signal === undefined ? {} : { signal })
  } catch {
    throw new MeshError('cancelled', 'the stream was given up')
  }
}
