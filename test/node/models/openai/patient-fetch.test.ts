import { describe, expect, it } from 'vitest'
import { patientFetch, SilentEndpoint } from '../../../../node/models/openai/patient-fetch.ts'
import { createVirtualClock } from '../../../../sim/virtual-clock.ts'

/** A fetch whose answer comes when the test says so. */
function world() {
  const clock = createVirtualClock()
  const answers = Promise.withResolvers<Response>()
  let body: ReadableStreamDefaultController<Uint8Array> | undefined
  let signal: AbortSignal | undefined
  let cancelled = false
  const sent: Headers[] = []
  const fetch = patientFetch({
    clock: clock.clockFor('n'), firstByteMs: 10_000, idleMs: 1_000, headers: { 'authorization': 'Bearer ours', 'openai-organization': undefined },
    fetch: (_input, init) => {
      sent.push(new Headers(init?.headers))
      signal = init?.signal ?? undefined
      signal?.addEventListener('abort', () => {
        answers.reject(signal?.reason)
        body?.error(signal?.reason)
      })
      return answers.promise
    },
  })
  return {
    clock, fetch, sent,
    begin: () => answers.resolve(new Response(new ReadableStream<Uint8Array>({
      start: (controller) => void (body = controller),
      cancel: () => void (cancelled = true),
    }))),
    write: (text: string) => body?.enqueue(new TextEncoder().encode(text)),
    end: () => body?.close(),
    isAborted: () => signal?.aborted === true,
    isCancelled: () => cancelled,
  }
}

describe('fetch with patience', () => {
  it('waits long for the first byte, and then for each further one as long again', async () => {
    const { clock, fetch, begin, write, end, isAborted } = world()
    const answer = fetch('http://x').then((response) => response.text())
    await clock.runFor(9_000)
    begin()
    await clock.runFor(9_000)
    write('a')
    for (let i = 0; i < 20; i++) {
      await clock.runFor(900)
      write('b')
    }
    await clock.runFor(900)
    end()
    expect(await answer).toBe(`a${'b'.repeat(20)}`)
    await clock.runFor(60_000)
    expect(isAborted()).toBe(false)
  })

  it('gives up on an endpoint that does not begin: before its head, and after it', async () => {
    const silent = world()
    const answer = silent.fetch('http://x').catch((thrown: unknown) => thrown)
    await silent.clock.runFor(10_000)
    expect(await answer).toBeInstanceOf(SilentEndpoint)
    expect(silent.isAborted()).toBe(true)

    const headOnly = world()
    const text = headOnly.fetch('http://x').then((response) => response.text()).catch((thrown: unknown) => thrown)
    headOnly.begin()
    await headOnly.clock.runFor(10_000)
    expect(await text).toMatchObject({ name: 'SilentEndpoint', message: expect.stringContaining('did not begin') as string })
  })

  it('gives up on one that stops in the middle', async () => {
    const { clock, fetch, begin, write, isAborted } = world()
    const text = fetch('http://x').then((response) => response.text()).catch((thrown: unknown) => thrown)
    begin()
    await clock.settle()
    write('a')
    await clock.runFor(1_000)
    expect(await text).toMatchObject({ name: 'SilentEndpoint', message: expect.stringContaining('in the middle') as string })
    expect(isAborted()).toBe(true)
  })

  it('whoever reads slowly is no silent endpoint', async () => {
    const { clock, fetch, begin, write, isAborted } = world()
    const answer = fetch('http://x')
    begin()
    await clock.settle()
    const reader = (await answer).body?.getReader()
    write('a')
    await reader?.read()
    write('b')
    await clock.runFor(60_000)
    expect(isAborted()).toBe(false)
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe('b')
  })

  it('who stops reading ends the answer', async () => {
    const { clock, fetch, begin, isCancelled } = world()
    const answer = fetch('http://x')
    begin()
    await clock.settle()
    await (await answer).body?.cancel()
    expect(isCancelled()).toBe(true)
  })

  it('sends the headers that it was given, and none from elsewhere', async () => {
    const { fetch, sent, begin } = world()
    begin()
    await fetch('http://x', { headers: { 'Content-Type': 'application/json', 'Accept': 'text/x', 'Authorization': 'Bearer theirs', 'OpenAI-Organization': 'theirs', 'X-Stainless-OS': 'Linux' } })
    expect(Object.fromEntries(sent[0] ?? [])).toEqual({ 'accept': 'text/x', 'authorization': 'Bearer ours', 'content-type': 'application/json' })
  })
})
