import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { openFileBlobStore } from '../../../node/storage/blob-store-file-adapter.ts'
import type { Digest } from '../../../protocols/kernel/ids.ts'
import { problemIn, startBridge } from './bridge-fixture.ts'
import { otherPeer, selfPeer } from './mesh-double.ts'

function sha256(bytes: Uint8Array | string): Digest {
  return createHash('sha256').update(bytes).digest('hex') as Digest
}

const hello = new TextEncoder().encode('hello blob')
const digest = sha256(hello)
const path = `/v1/blobs/${digest}`

describe('uploading', () => {
  test('stores once; the answer is the reference', async () => {
    const { send, blobs } = await startBridge()
    const put = () => send(`${path}?name=a.txt`, { method: 'PUT', body: hello, headers: { 'content-type': 'text/plain; charset=utf-8' } })
    const first = await put()
    expect([first.status, first.headers.get('location')]).toEqual([201, path])
    expect(await first.json()).toEqual({ $blob: digest, sizeBytes: 10, name: 'a.txt', mediaType: 'text/plain; charset=utf-8', holders: [selfPeer] })
    const second = await put()
    expect([second.status, await second.json()]).toEqual([200, { $blob: digest, sizeBytes: 10, name: 'a.txt', mediaType: 'text/plain; charset=utf-8' }])
    expect(blobs.held.get(digest)).toEqual(Buffer.from(hello))
  })

  test('of nothing is an empty blob', async () => {
    const { send } = await startBridge()
    expect((await send(`/v1/blobs/${sha256('')}`, { method: 'PUT' })).status).toBe(201)
    expect(await (await send(`/v1/blobs/${sha256('')}`)).text()).toBe('')
  })

  test('that hashes to something else is refused, also when the digest is here', async () => {
    const { send, blobs } = await startBridge()
    for (const known of [false, true]) {
      if (known) blobs.put(hello)
      const answer = await send(path, { method: 'PUT', body: 'other' })
      expect(answer.status).toBe(422)
      expect(await problemIn(answer)).toMatchObject({ code: 'bad-input', detail: expect.stringContaining(sha256('other')) })
    }
    expect(blobs.held.size).toBe(1)
  })

  test('of any size goes through the real store and back, and leaves nothing when it fails', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'skein-blobs-test-'))
    onTestFinished(() => rm(directory, { recursive: true, force: true }))
    const store = await openFileBlobStore({ directory, self: selfPeer })
    const { bridge, send } = await startBridge({ blobs: store })
    onTestFinished(async () => {
      await bridge.close()
      await store.close()
    })
    const content = new Uint8Array(3_000_000).map((_, i) => i % 251)
    const address = `/v1/blobs/${sha256(content)}`
    expect((await send(path, { method: 'PUT', body: content })).status).toBe(422)
    expect(store.usage().bytes).toBe(0)
    expect((await send(address, { method: 'PUT', body: content })).status).toBe(201)
    expect((await send(address, { method: 'PUT', body: content })).status).toBe(200)
    const back = await send(address)
    expect(back.headers.get('content-length')).toBe('3000000')
    expect(sha256(new Uint8Array(await back.arrayBuffer()))).toBe(sha256(content))
    expect((await send(address, { method: 'HEAD' })).headers.get('content-length')).toBe('3000000')
    expect((await send(path)).status).toBe(404)
  })

  test('over the limit is refused by its length before a byte is read, or where it is crossed', async () => {
    const { bridge, send, blobs } = await startBridge({ limits: { uploadBytesMax: 1_000 } })
    const socket = connect(bridge.port, '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    socket.write(`PUT ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000000\r\n\r\n`)
    const head = await new Promise<string>((resolve) => socket.once('data', (bytes) => resolve(String(bytes))))
    expect(head).toMatch(/^HTTP\/1\.1 413 /)
    const streamed = await send(path, { method: 'PUT', body: new Blob([new Uint8Array(2_000)]).stream(), duplex: 'half' })
    expect(await problemIn(streamed)).toMatchObject({ status: 413, code: 'too-large', detail: expect.stringContaining('limit is 1000') })
    expect(blobs.held.size).toBe(0)
  })

  test('more at once than the bridge takes are told to come back', async () => {
    const { send } = await startBridge({ limits: { uploadsMax: 1 } })
    const started = Promise.withResolvers<void>()
    const finish = Promise.withResolvers<void>()
    const slow = ReadableStream.from((async function* () {
      yield hello.subarray(0, 3)
      started.resolve()
      await finish.promise
      yield hello.subarray(3)
    })())
    const first = send(path, { method: 'PUT', body: slow, duplex: 'half' })
    await started.promise
    await vi.waitFor(async () => {
      const second = await send(`/v1/blobs/${sha256('')}`, { method: 'PUT' })
      expect([second.status, second.headers.get('retry-after')]).toEqual([429, '2'])
    }, { timeout: 10_000 })
    finish.resolve()
    expect((await first).status).toBe(201)
    expect((await send(path, { method: 'PUT', body: hello })).status).toBe(200)
  })

  test('to an address that is no digest is 400', async () => {
    const { send } = await startBridge()
    expect((await problemIn(await send('/v1/blobs/ABC', { method: 'PUT', body: 'x' }))).detail).toContain('is not a SHA-256 digest')
  })
})

describe('downloading', () => {
  test('gives the bytes under the type they were stored with, in a sandbox', async () => {
    const { send } = await startBridge()
    await send(path, { method: 'PUT', body: hello, headers: { 'content-type': 'text/html' } })
    const answer = await send(path)
    expect(await answer.text()).toBe('hello blob')
    expect(Object.fromEntries(answer.headers)).toMatchObject({ 'content-type': 'text/html', 'content-length': '10', etag: `"${digest}"`, 'x-content-type-options': 'nosniff', 'content-security-policy': expect.stringContaining('sandbox') })
    expect((await send(path, { headers: { 'if-none-match': `"${digest}"` } })).status).toBe(304)
  })

  test('a later upload of the same content does not change its type', async () => {
    const { send } = await startBridge()
    await send(path, { method: 'PUT', body: hello, headers: { 'content-type': 'image/png' } })
    await send(path, { method: 'PUT', body: hello, headers: { 'content-type': 'text/html' } })
    expect((await send(path)).headers.get('content-type')).toBe('image/png')
  })

  test('type and name can be asked for, but end no header', async () => {
    const { send, blobs } = await startBridge()
    blobs.put(hello)
    const answer = await send(`${path}?type=text/csv&name=${encodeURIComponent('r\u00e9\r\n"x\'.csv')}`)
    expect(answer.headers.get('content-type')).toBe('text/csv')
    expect(answer.headers.get('content-disposition')).toBe('inline; filename*=UTF-8\'\'r%C3%A9%0D%0A%22x%27.csv')
    expect((await send(`${path}?type=${encodeURIComponent('text/html\r\nx: y')}`)).status).toBe(400)
  })

  test('HEAD tells whether it is here, without fetching it', async () => {
    const { send, blobs } = await startBridge()
    const head = () => send(`${path}?holder=${otherPeer}&size=10`, { method: 'HEAD' })
    expect((await head()).status).toBe(404)
    blobs.put(hello)
    expect((await head()).status).toBe(200)
    expect(blobs.fetched).toEqual([])
  })

  test('what this node does not have is fetched from the holders named', async () => {
    const { send, blobs } = await startBridge()
    blobs.elsewhere.set(otherPeer, hello)
    expect(await (await send(`${path}?holder=${selfPeer}x,${otherPeer}&size=10`)).text()).toBe('hello blob')
    expect(blobs.fetched).toEqual([{ $blob: digest, sizeBytes: 10, holders: [`${selfPeer}x`, otherPeer] }])
  })

  test('what nobody has is 404', async () => {
    const { send } = await startBridge()
    expect(await problemIn(await send(path))).toMatchObject({ status: 404, code: 'unknown-blob' })
    expect(await problemIn(await send(`${path}?holder=${otherPeer}&size=10`))).toMatchObject({ status: 404, code: 'unknown-blob' })
    expect(await problemIn(await send(`${path}?holder=${otherPeer}`))).toMatchObject({ status: 404 })
  })
})
