/** What the scripted server remembers of a request. */
import type { IncomingHttpHeaders } from 'node:http'
import type { ChatRequest } from './script.ts'

export interface RecordedRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: unknown
  /** On the clock of `performance.now()`. */
  readonly atMs: number
  /** Undefined while nothing was answered. */
  status: number | undefined
  /** Pieces of the answer that were written. */
  piecesSent: number
  /** When the client went away before it had everything. */
  abortedAtMs: number | undefined
  /** Whether the answer was sent completely, or as completely as the script wanted. */
  isDone: boolean
}

export interface RecordedChat extends RecordedRequest {
  readonly chat: ChatRequest
}
