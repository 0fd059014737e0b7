/** The way to one endpoint: OpenAI's client, loaded when it is first needed, and when a request is made again. */
import type OpenAI from 'openai'
import type { Clock } from '../../../actors/ports/clock.ts'
import type { Telemetry } from '../../../actors/ports/telemetry.ts'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import type { DurationMs } from '../../../protocols/kernel/units.ts'
import type { Breaker } from '../breaker.ts'
import type { Endpoint } from './endpoint.ts'
import { apiError, backoffMs, endpointFault, isWorthARetry } from './faults.ts'
import type { FaultContext } from './faults.ts'
import { patientFetch } from './patient-fetch.ts'

export interface LineOptions {
  readonly name: string
  readonly endpoint: Endpoint
  readonly organisation?: string | undefined
  readonly keySetting: string
  readonly clock: Pick<Clock, 'monotonicMs' | 'schedule' | 'wallMs'>
  readonly breaker: Breaker
  readonly fetch: typeof globalThis.fetch
  readonly firstByteMs: DurationMs
  readonly idleMs: DurationMs
  readonly retriesMax: number
  readonly retryBaseMs: DurationMs
  readonly telemetry?: Telemetry | undefined
}

/** A caller is told rather than kept waiting for longer. */
const retryWaitMsMax: DurationMs = 30_000

export interface Line {
  client(): Promise<OpenAI>
  /** As the client makes requests, for routes that it does not know. */
  readonly fetch: typeof globalThis.fetch
  context(signal: AbortSignal, model?: string): FaultContext
  /**
   * Makes a request when the endpoint takes one, and again when that may help and nothing of its answer has come.
   * @throws MeshError as `LlmProvider.chat`.
   */
  request<T>(context: FaultContext, work: () => Promise<T>, hasBegun: () => boolean): Promise<T>
}

export function openLine(options: LineOptions): Line {
  const { name, endpoint, organisation, keySetting, clock, breaker, telemetry } = options
  const fetch = patientFetch({
    fetch: options.fetch, clock, firstByteMs: options.firstByteMs, idleMs: options.idleMs,
    headers: { 'authorization': endpoint.authorisation, 'openai-organization': organisation },
  })
  let opened: Promise<OpenAI> | undefined

  async function open(): Promise<OpenAI> {
    const { default: Client } = await import('openai')
    // What is not said here it would take from the environment. The key is put into the header by our own fetch.
    return new Client({
      baseURL: endpoint.baseUrl, apiKey: 'none', adminAPIKey: null, organization: null, project: null, webhookSecret: null,
      maxRetries: 0, logLevel: 'off', fetch, timeout: options.firstByteMs + 60_000,
    })
  }

  return {
    fetch,
    client: () => (opened ??= open()),
    context: (signal, model) => ({ name, ...(model === undefined ? {} : { model }), keySetting, redact: endpoint.redact, signal, nowWallMs: () => clock.wallMs() }),

    async request(context, work, hasBegun) {
      for (let tries = 1; ; tries++) {
        const release = await breaker.enter(context.signal)
        try {
          const result = await work()
          // What was there already when the caller gave up is not delivered either.
          if (context.signal.aborted) throw new MeshError('cancelled', 'the call was given up')
          release()
          return result
        } catch (thrown) {
          const failed = endpointFault(thrown, context)
          release(failed.fault)
          const waitMs = Math.max(failed.fault.retryAfterMs ?? 0, backoffMs(tries, options.retryBaseMs, Math.random()))
          const isOver = tries > options.retriesMax || hasBegun() || !isWorthARetry(failed) || waitMs > retryWaitMsMax
          telemetry?.record({ name: 'models.request-failed', level: 'debug', fields: { endpoint: name, model: context.model, code: failed.fault.code, status: apiError(thrown)?.status, detail: failed.fault.detail, tries, again: !isOver } })
          if (isOver) throw failed
          await pause(waitMs, context.signal)
        }
      }
    },
  }

  function pause(delayMs: DurationMs, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        cancel()
        reject(new MeshError('cancelled', 'the call was given up'))
      }
      const cancel = clock.schedule(delayMs, () => {
        signal.removeEventListener('abort', giveUp)
        resolve()
      })
      if (signal.aborted) giveUp()
      else signal.addEventListener('abort', giveUp, { once: true })
    })
  }
}
