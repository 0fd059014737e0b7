/**
 * Answers that are written to the socket as they are, past the web's own `Response`: to make one, to read its body back and to
 * look through its headers again costs more than most of the answers of a bridge.
 */
import type { ServerResponse } from 'node:http'
import type { BridgeContext } from './route-table.ts'

/** What tells `@hono/node-server` that nothing is left to be written (its `RESPONSE_ALREADY_SENT`, with a status for the log). */
const writtenHeaders = { 'x-hono-already-sent': 'true' } as const
const writtenByStatus = new Map<number, Response>()

/** For an answer that a route has written itself: hands its status on, and nothing else. */
export function written(status: number): Response {
  let response = writtenByStatus.get(status)
  if (response === undefined) writtenByStatus.set(status, (response = new Response(null, { status, headers: writtenHeaders })))
  return response
}

/** One JSON document. */
export function jsonAnswer({ env: { outgoing } }: BridgeContext, value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Response {
  const text = JSON.stringify(value)
  const bytes = Buffer.from(text)
  ;(outgoing as ServerResponse).writeHead(status, { ...headers, 'content-type': 'application/json', 'content-length': bytes.byteLength }).end(bytes)
  return written(status)
}
