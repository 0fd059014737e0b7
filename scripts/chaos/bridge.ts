/** What the campaign says to a bridge: plain HTTP, as a stranger to the mesh would. */

export interface BridgeAddress {
  readonly name: string
  readonly url: string
  readonly token: string
}

export type Answer<T = unknown> =
  | { readonly kind: 'answer'; readonly status: number; readonly body: T }
  /** Nobody knows whether it was done. */
  | { readonly kind: 'unknown'; readonly why: string }

export interface Request {
  readonly method?: 'GET' | 'POST'
  readonly path: string
  readonly json?: unknown
  readonly key?: string
  readonly timeoutMs: number
}

export async function ask<T>(bridge: BridgeAddress, request: Request): Promise<Answer<T>> {
  try {
    const answer = await fetch(bridge.url + request.path, {
      method: request.method ?? 'GET',
      headers: { authorization: `Bearer ${bridge.token}`, ...(request.json === undefined ? {} : { 'content-type': 'application/json' }), ...(request.key === undefined ? {} : { 'idempotency-key': request.key }) },
      signal: AbortSignal.timeout(request.timeoutMs),
      ...(request.json === undefined ? {} : { body: JSON.stringify(request.json) }),
    })
    return { kind: 'answer', status: answer.status, body: await answer.json() as T }
  } catch (thrown) {
    const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause.message : ''
    return { kind: 'unknown', why: `${thrown instanceof Error ? thrown.message : String(thrown)} ${cause}`.trim() }
  }
}

/** One event of a mission's stream. */
export interface StreamEvent {
  readonly event: string
  readonly data: unknown
}

/** Follows a mission from an index on, until the stream ends, breaks or `signal` ends it; silent for `silenceMs` counts as broken. */
export async function* follow(bridge: BridgeAddress, id: string, after: number, signal: AbortSignal, silenceMs: number): AsyncGenerator<StreamEvent> {
  const silence = new AbortController()
  let timer = setTimeout(() => silence.abort(), silenceMs)
  try {
    const answer = await fetch(`${bridge.url}/v1/missions/${id}/events`, {
      headers: { authorization: `Bearer ${bridge.token}`, ...(after > 0 ? { 'last-event-id': String(after) } : {}) },
      signal: AbortSignal.any([signal, silence.signal]),
    })
    if (!answer.ok || answer.body === null) {
      yield { event: 'refused', data: { status: answer.status, body: await answer.json().catch(() => undefined) as unknown } }
      return
    }
    let text = ''
    for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
      clearTimeout(timer)
      timer = setTimeout(() => silence.abort(), silenceMs)
      text += chunk
      const blocks = text.split(/\r?\n\r?\n/)
      text = blocks.pop() ?? ''
      for (const block of blocks) {
        const fields = new Map(block.split(/\r?\n/).map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trimStart()]))
        const data = fields.get('data')
        if (data !== undefined) yield { event: fields.get('event') ?? 'message', data: JSON.parse(data) as unknown }
      }
    }
  } catch {
    // Broken: whoever follows goes on elsewhere.
  } finally {
    clearTimeout(timer)
    silence.abort()
  }
}
