import type { Duplex } from 'node:stream'
import { fault } from '../../protocols/kernel/errors.ts'
import { problemOf } from './problem.ts'

const reasons: Readonly<Record<string, readonly [status: number, phrase: string, detail: string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large', 'the request\'s headers are too large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'the request did not arrive in time'],
}

/** Answers what the HTTP parser gave up on, before any route could: with a problem, like everything else. */
export function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const [status, phrase, detail] = reasons[error.code ?? ''] ?? [400, 'Bad Request', 'this is not HTTP/1.1']
  const body = JSON.stringify(problemOf(fault('bad-request', detail, { next: 'send a valid HTTP/1.1 request' }), status))
  socket.end(`HTTP/1.1 ${status} ${phrase}\r\nConnection: close\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
}
