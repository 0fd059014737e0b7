import { request } from 'node:http'
import { connect } from 'node:net'
import OpenAI from 'openai'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { answer, hello, saying, startModelMesh } from './model-mesh.ts'
import type { ModelMesh } from './model-mesh.ts'

const patient = { timeout: 10_000 }
const body = JSON.stringify({ messages: hello, stream: true })

/** A client that asks and then reads nothing until it is told to. */
function sleepyClient({ bridge }: ModelMesh) {
  const socket = connect(bridge.port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => undefined)
  socket.pause()
  socket.write(`POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`)
  return socket
}

/** Every `data:` line of a stream. */
const dataIn = (text: string) => [...text.matchAll(/^data: (.*)$/gm)].map(([, data = '']) => data)
const contentIn = (data: readonly string[]) => data.filter((line) => line.startsWith('{')).map((line) => (JSON.parse(line) as { choices?: { delta: { content?: string } }[] }).choices?.[0]?.delta.content ?? '').join('')

describe('waiting for the model', () => {
  test('shows signs of life, and the SDK reads past them', async () => {
    const go = Promise.withResolvers<void>()
    const mesh = await startModelMesh(async ({ emit }) => {
      await go.promise
      emit({ content: 'At last' })
      return answer({ content: 'At last' })
    }, { limits: { heartbeatMs: 20 } })
    const raw = await mesh.post('/v1/chat/completions', { messages: hello, stream: true })
    const asked = mesh.client.chat.completions.stream({ model: 'auto', messages: hello }).finalContent()
    await vi.waitFor(() => expect(mesh.calls).toHaveLength(2), patient)
    // Its head has come without any piece.
    expect([raw.status, raw.headers.get('content-type'), raw.headers.get('cache-control')]).toEqual([200, 'text/event-stream; charset=utf-8', 'no-store'])
    go.resolve()
    expect(await asked).toBe('At last')
    const text = await raw.text()
    expect(text).toMatch(/^: still here\n\n/)
    expect(dataIn(text).at(-1)).toBe('[DONE]')
    expect(text).not.toContain('retry:')
  })

  test('a whole answer may take longer than the connection is silent', async () => {
    const { client } = await startModelMesh(() => new Promise((resolve) => setTimeout(() => resolve(answer({ content: 'Late' })), 3_500)), { limits: { stallMs: 500 } })
    expect((await client.chat.completions.create({ model: 'auto', messages: hello })).choices[0]?.message.content).toBe('Late')
  })

  test('too many at a time are told to come back', async () => {
    const mesh = await startModelMesh(({ aborted }) => aborted, { limits: { streamsMax: 1 } })
    const stop = new AbortController()
    const first = mesh.client.chat.completions.create({ model: 'auto', messages: hello, stream: true }, { signal: stop.signal })
    await vi.waitFor(() => expect(mesh.calls).toHaveLength(1), patient)
    await expect(mesh.client.chat.completions.create({ model: 'auto', messages: hello, stream: true })).rejects.toBeInstanceOf(OpenAI.RateLimitError)
    stop.abort()
    await expect(first).rejects.toBeInstanceOf(OpenAI.APIUserAbortError)
    await vi.waitFor(async () => expect(await mesh.metrics.text()).toContain('skein_http_streams 0'), patient)
    expect(mesh.calls).toHaveLength(1)
  })
})

describe('a client that reads slowly', () => {
  const word = 'goose '.repeat(100)

  test('gets everything, what has waited put together, without the model waiting for it', async () => {
    const words = 20_000
    const mesh = await startModelMesh(({ emit }) => {
      for (let i = 0; i < words; i++) emit({ content: `${i} ` })
      emit({ toolCall: { index: 0, id: 'c1', name: 'weather', arguments: '{' } })
      for (let i = 0; i < 1_000; i++) emit({ toolCall: { index: 0, arguments: ' ' } })
      emit({ toolCall: { index: 0, arguments: '}' } })
      return answer({ content: 'x', finish: 'tool-calls' })
    }, { limits: { streamQueueBytesMax: 128 * 1024 } })
    let text = ''
    await new Promise<void>((resolve, reject) => {
      const asked = request(`${mesh.bridge.url}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' } }, (got) => {
        got.setEncoding('utf8')
        got.on('data', (piece: string) => {
          text += piece
          // Reads in fits and starts.
          got.pause()
          setImmediate(() => got.resume())
        })
        got.on('end', resolve)
        got.on('error', reject)
      })
      asked.on('error', reject)
      asked.end(body)
    })
    const data = dataIn(text)
    expect(data.at(-1)).toBe('[DONE]')
    expect(contentIn(data)).toBe(Array.from({ length: words }, (_, i) => `${i} `).join(''))
    expect(data.length).toBeLessThan(words)
    const calls = data.filter((line) => line.includes('"tool_calls":[')).map((line) => (JSON.parse(line) as { choices: { delta: { tool_calls: { function: { arguments: string } }[] } }[] }).choices[0]?.delta.tool_calls[0]?.function.arguments ?? '')
    expect(calls.join('')).toBe(`{${' '.repeat(1_000)}}`)
  })

  test('or not at all ends the call, before much has gathered', async () => {
    let said = 0
    const mesh = await startModelMesh(async ({ emit, options, aborted }) => {
      // Faster than any model, and with no end.
      while (options.signal?.aborted === false) {
        for (let i = 0; i < 100; i++) emit({ content: word })
        said += 100 * word.length
        await new Promise((resolve) => setImmediate(resolve))
      }
      return aborted
    }, { limits: { streamQueueBytesMax: 256 * 1024 } })
    const socket = sleepyClient(mesh)
    await vi.waitFor(() => expect(mesh.calls[0]?.options.signal?.aborted).toBe(true), patient)
    // What two sockets hold is the system's affair (megabytes); beyond it there are the stream's queue and as much again.
    expect(said).toBeLessThan(64 * 1024 * 1024)
    await vi.waitFor(async () => expect(await mesh.metrics.text()).toContain('skein_http_streams 0'), patient)
    let text = ''
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    socket.setEncoding('utf8').on('data', (piece: string) => (text += piece))
    socket.resume()
    await closed
    expect(text).toContain('the client reads more slowly than the model writes')
    expect(text).not.toContain('[DONE]')
  })

  test('and sleeps for too long is dropped with its call', async () => {
    const mesh = await startModelMesh(async ({ emit, aborted }) => {
      for (let i = 0; i < 40_000; i++) emit({ content: word })
      return aborted
    }, { limits: { stallMs: 200, streamQueueBytesMax: 64 * 1024 * 1024 } })
    sleepyClient(mesh)
    await vi.waitFor(() => expect(mesh.calls[0]?.options.signal?.aborted).toBe(true), patient)
    await vi.waitFor(async () => expect(await mesh.metrics.text()).toContain('skein_http_streams 0'), patient)
  })
})

describe('a bridge that stops', () => {
  test('ends a stream that has begun with an error', async () => {
    const mesh = await startModelMesh(({ emit, aborted }) => {
      emit({ content: 'One' })
      return aborted
    })
    const raw = await mesh.post('/v1/chat/completions', { messages: hello, stream: true })
    await mesh.bridge.close()
    const data = dataIn(await raw.text())
    expect(contentIn(data)).toBe('One')
    expect(JSON.parse(data.at(-1) ?? '')).toMatchObject({ error: { type: 'server_error', code: 'cancelled', message: expect.stringContaining('this bridge is stopping') as string } })
    await expect(mesh.calls[0]?.aborted).rejects.toThrow()
  })

  test('refuses one that has not', async () => {
    const mesh = await startModelMesh(({ aborted }) => aborted)
    const asked = mesh.client.chat.completions.create({ model: 'auto', messages: hello, stream: true }).then(() => undefined, (error: unknown) => error)
    await vi.waitFor(() => expect(mesh.calls).toHaveLength(1), patient)
    await mesh.bridge.close()
    expect(await asked).toMatchObject({ status: 503, code: 'cancelled' })
    await expect(mesh.calls[0]?.aborted).rejects.toThrow()
  })

  test('lets a whole answer finish', async () => {
    const go = Promise.withResolvers<void>()
    const mesh = await startModelMesh(async (call) => {
      await go.promise
      return saying('Goodbye')(call)
    })
    const asked = mesh.client.chat.completions.create({ model: 'auto', messages: hello })
    await vi.waitFor(() => expect(mesh.calls).toHaveLength(1), patient)
    const closed = mesh.bridge.close()
    go.resolve()
    expect((await asked).choices[0]?.message.content).toBe('Goodbye')
    await closed
  })

  test('ends one that takes too long together with its call', async () => {
    const mesh = await startModelMesh(({ aborted }) => aborted, { limits: { drainMs: 100 } })
    const asked = mesh.client.chat.completions.create({ model: 'auto', messages: hello }).then(() => undefined, (error: unknown) => error)
    await vi.waitFor(() => expect(mesh.calls).toHaveLength(1), patient)
    await mesh.bridge.close()
    expect(await asked).toBeInstanceOf(OpenAI.APIConnectionError)
    await expect(mesh.calls[0]?.aborted).rejects.toThrow()
  })
})
