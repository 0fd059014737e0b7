/**
 * An OpenAI-compatible endpoint that takes exactly as long as the model's name says, in a process of its own: its work is on nobody else's loop.
 * `after-50` answers one word 50 ms after it was asked; `at-once` answers eight words without waiting. Told nothing, it ends with its parent.
 */
import { fork } from 'node:child_process'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { ended, nextReply } from '../child-reply.ts'
import { whenInterrupted } from '../interrupted.ts'

/** Its answer comes 50 ms after the question. */
export const slowName = 'after-50'
export const slowMs = 50
export const instantName = 'at-once'
export const slowAnswer = 'Honk.'
const instantAnswer = ['Geese', ' fly', ' in', ' a', ' V,', ' and', ' take', ' turns.']

export interface BenchEndpoint {
  /** The base of its routes. */
  readonly url: string
  readonly pid: number
  stop(): Promise<void>
}

const startPatienceMs = 20_000

export async function startEndpoint(): Promise<BenchEndpoint> {
  const child = fork(fileURLToPath(import.meta.url), ['serve'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const forget = whenInterrupted(() => void child.kill('SIGKILL'))
  const { url } = await nextReply<{ readonly url: string }>(child, 'the endpoint', 'start', startPatienceMs)
  return {
    url,
    pid: child.pid ?? 0,
    async stop() {
      await ended(child)
      forget()
    },
  }
}

interface Asked {
  readonly model: string
  readonly stream?: boolean
  readonly stream_options?: { readonly include_usage?: boolean }
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece as Buffer)
  if (request.url === '/v1/models') return json(response, { object: 'list', data: [slowName, instantName].map((id) => ({ id, object: 'model', created: 0, owned_by: 'bench', max_model_len: 8_192 })) })
  if (request.url !== '/v1/chat/completions') return json(response, { error: { message: 'there is no such route', type: 'invalid_request_error', code: null, param: null } }, 404)
  const asked = JSON.parse(Buffer.concat(pieces).toString()) as Asked
  const said = asked.model === slowName ? [slowAnswer] : instantAnswer
  if (asked.model === slowName) await sleep(slowMs)
  const head = { id: 'chatcmpl-bench', created: 0, model: asked.model }
  const usage = { prompt_tokens: 10, completion_tokens: said.length, total_tokens: 10 + said.length }
  if (asked.stream !== true) return json(response, { ...head, object: 'chat.completion', choices: [{ index: 0, message: { role: 'assistant', content: said.join('') }, finish_reason: 'stop' }], usage })
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const send = (delta: object, finish: string | null = null): void => void response.write(`data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`)
  send({ role: 'assistant', content: '' })
  for (const content of said) send({ content })
  send({}, 'stop')
  if (asked.stream_options?.include_usage === true) response.write(`data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', choices: [], usage })}\n\n`)
  response.end('data: [DONE]\n\n')
}

function json(response: ServerResponse, body: object, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1', () => process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1` }))
  process.once('disconnect', () => process.exit(0))
}
