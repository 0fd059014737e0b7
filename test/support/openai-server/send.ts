/** Sends what the script has decided, piece by piece. */
import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Answer, Behaviour, Pace } from './behaviours.ts'
import type { RecordedChat } from './recorded.ts'

export interface Sending {
  readonly recorded: RecordedChat
  readonly response: ServerResponse
  /** Of the whole server. */
  readonly pace: Pace
}

/** Resolves when everything is sent, or the client is gone. */
export async function sendBehaviour(behaviour: Behaviour, { recorded, response, pace }: Sending): Promise<void> {
  const gone = new AbortController()
  response.on('close', () => gone.abort())
  const wait = async (delayMs: number | undefined): Promise<void> => {
    if (delayMs !== undefined && delayMs > 0) await sleep(delayMs, undefined, { signal: gone.signal }).catch(() => undefined)
  }
  if (behaviour.kind === 'silence') return
  await wait(behaviour.latencyMs ?? pace.latencyMs)
  if (gone.signal.aborted) return
  switch (behaviour.kind) {
    case 'hangup':
      recorded.isDone = true
      response.destroy()
      return
    case 'refusal':
      response.writeHead(behaviour.status, { 'content-type': 'application/json', ...behaviour.headers })
      response.end(JSON.stringify({ error: behaviour.error }))
      return
    case 'raw':
      response.writeHead(behaviour.status ?? 200, { 'content-type': behaviour.contentType })
      response.end(behaviour.body)
      return
    case 'answer':
      await sendAnswer(behaviour, { recorded, response, pace }, wait, gone.signal)
  }
}

/** A part of an answer: what a streamed choice's `delta` holds. */
type Piece = Readonly<Record<string, unknown>>

async function sendAnswer(answer: Answer, { recorded, response, pace }: Sending, wait: (delayMs: number | undefined) => Promise<void>, gone: AbortSignal): Promise<void> {
  const { body, prompt } = recorded.chat
  const all = piecesOf(answer)
  const max = body.max_completion_tokens ?? body.max_tokens ?? Infinity
  const pieces = all.slice(0, max)
  const finish = pieces.length < all.length ? 'length' : answer.finish ?? (answer.toolCalls === undefined ? 'stop' : 'tool_calls')
  const told = answer.usage === false ? undefined : answer.usage ?? {}
  const promptTokens = told?.prompt_tokens ?? Math.ceil(prompt.length / 4)
  const completionTokens = told?.completion_tokens ?? pieces.length
  const usage = told === undefined ? undefined : {
    prompt_tokens: promptTokens, completion_tokens: completionTokens, total_tokens: promptTokens + completionTokens,
    ...(told.cached_tokens === undefined ? {} : { prompt_tokens_details: { cached_tokens: told.cached_tokens } }),
  }
  const head = { id: `chatcmpl-${recorded.atMs}`, created: 1_700_000_000, model: recorded.chat.model }
  if (body.stream !== true) {
    const message = { role: 'assistant', content: answer.text ?? null, ...(answer.toolCalls === undefined ? {} : { tool_calls: answer.toolCalls.map((call, i) => wireCall(call, i)) }) }
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ ...head, object: 'chat.completion', choices: [{ index: 0, message, finish_reason: finish }], usage }))
    return
  }

  const { trouble } = answer
  const send = (value: unknown): void => {
    response.write(`data: ${JSON.stringify(value)}\n\n`)
  }
  const chunk = (delta: Piece, finishReason: string | null = null): void =>
    send({ ...head, object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finishReason }], ...(body.stream_options?.include_usage === true ? { usage: null } : {}) })
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' })
  chunk({ role: 'assistant', content: answer.toolCalls === undefined ? '' : null })
  for (const [i, piece] of pieces.entries()) {
    if (trouble?.afterPieces === i) break
    if (i > 0) await wait(answer.tokenMs ?? pace.tokenMs)
    if (gone.aborted) return
    chunk(piece)
    recorded.piecesSent += 1
  }
  switch (trouble?.what) {
    case 'stall':
      return
    case 'cut':
      recorded.isDone = true
      // What was written goes out first.
      response.write(': and now for something completely different\n\n', () => response.socket?.destroy())
      return
    case 'error':
      send({ error: trouble.error ?? { message: 'The server had an error while processing your request', type: 'server_error', code: null, param: null } })
      response.end()
      return
    case 'end':
      response.end()
      return
    case undefined:
      chunk({}, finish)
      if (usage !== undefined && body.stream_options?.include_usage === true) send({ ...head, object: 'chat.completion.chunk', choices: [], usage })
      response.end('data: [DONE]\n\n')
  }
}

function piecesOf({ text, toolCalls, reasoning }: Answer): Piece[] {
  const words = (whole: string): string[] => whole.match(/\s*\S{1,12}|\s+$/g) ?? []
  return [
    ...words(reasoning ?? '').map((content) => ({ reasoning_content: content })),
    ...words(text ?? '').map((content) => ({ content })),
    ...(toolCalls ?? []).flatMap((call, index) => [
      { tool_calls: [{ ...wireCall({ ...call, arguments: '' }, index), index }] },
      ...words(call.arguments).map((part) => ({ tool_calls: [{ index, function: { arguments: part } }] })),
    ]),
  ]
}

let calls = 0

function wireCall(call: { readonly name: string; readonly arguments: string; readonly id?: string }, index: number): { id: string; type: 'function'; function: { name: string; arguments: string } } {
  return { id: call.id ?? `call_${++calls}_${index}`, type: 'function', function: { name: call.name, arguments: call.arguments } }
}
