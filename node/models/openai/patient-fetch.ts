/** `fetch` for endpoints that take their time but must not take for ever, and that sends only what it was told to. */
import type { Clock } from '../../../actors/ports/clock.ts'
import type { DurationMs } from '../../../protocols/kernel/units.ts'

/** Nothing was heard from an endpoint for too long. */
export class SilentEndpoint extends Error {
  constructor(silentMs: DurationMs, hasBegun: boolean) {
    super(`${hasBegun ? 'it stopped in the middle of its answer' : 'it did not begin to answer'}: nothing came for ${silentMs} ms`)
    this.name = 'SilentEndpoint'
  }
}

export interface PatientFetchOptions {
  readonly fetch: typeof globalThis.fetch
  readonly clock: Pick<Clock, 'schedule'>
  /** Until the first byte of the answer: a model may have to be loaded, or thinks before it speaks. */
  readonly firstByteMs: DurationMs
  /** Between two bytes. */
  readonly idleMs: DurationMs
  /** Sent with every request: a name's header is as given here, or not sent at all. */
  readonly headers: Readonly<Record<'authorization' | 'openai-organization', string | undefined>>
}

/**
 * The client adds headers from the environment (organisation, project, and whatever `OPENAI_CUSTOM_HEADERS` holds, `Authorization` included): what is meant
 * for OpenAI must not reach another endpoint, so of its headers only these go out.
 */
const passedHeaders = ['accept', 'content-type', 'user-agent']

/** An answer's body errors with `SilentEndpoint`, and its connection is closed, when the endpoint falls silent. Who reads slowly is no silent endpoint. */
export function patientFetch({ fetch, clock, firstByteMs, idleMs, headers }: PatientFetchOptions): typeof globalThis.fetch {
  return async (input, init = {}) => {
    const silence = new AbortController()
    const signal = init.signal ? AbortSignal.any([init.signal, silence.signal]) : silence.signal
    const within = async <T>(limitMs: DurationMs, hasBegun: boolean, work: () => Promise<T>): Promise<T> => {
      const cancel = clock.schedule(limitMs, () => silence.abort(new SilentEndpoint(limitMs, hasBegun)))
      try {
        return await work()
      } catch (thrown) {
        throw silence.signal.aborted ? silence.signal.reason : thrown
      } finally {
        cancel()
      }
    }
    const given = new Headers(init.headers)
    const sent = new Headers()
    for (const name of passedHeaders) {
      const value = given.get(name)
      if (value !== null) sent.set(name, value)
    }
    for (const [name, value] of Object.entries(headers)) if (value !== undefined) sent.set(name, value)
    const response = await within(firstByteMs, false, () => fetch(input, { ...init, headers: sent, signal }))
    if (response.body === null) return response
    const reader = response.body.getReader()
    let hasBegun = false
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const { done, value } = await within(hasBegun ? idleMs : firstByteMs, hasBegun, () => reader.read())
        hasBegun = true
        if (done) controller.close()
        else controller.enqueue(value)
      },
      async cancel(reason) {
        await reader.cancel(reason)
      },
    }, { highWaterMark: 0 })
    return new Response(body, { status: response.status, statusText: response.statusText, headers: response.headers })
  }
}
