import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createMeshClient } from '../../../node/http/client.ts'
import type { MissionNews } from '../../../node/http/client-watch.ts'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import { digestOf } from '../../../protocols/kernel/hashing.ts'
import { MissionId, TaskId } from '../../../protocols/kernel/ids.ts'
import type { MissionEvent } from '../../../protocols/tasking/schema.ts'
import { startBridge } from './bridge-fixture.ts'
import { createMeshDouble, otherPeer, selfPeer } from './mesh-double.ts'

const paused: MissionEvent = { type: 'paused', atWallMs: 1 }
const completed: MissionEvent = { type: 'completed', atWallMs: 3, result: { inline: 1 } }
const patient = { timeout: 10_000 }

async function faultOf(promise: Promise<unknown>) {
  const thrown = await promise.then(() => undefined, (error: unknown) => error)
  if (!(thrown instanceof MeshError)) throw new Error(`no MeshError but ${String(thrown)}`)
  return thrown.fault
}

async function otherServer(answer: (url: string) => { status: number; type: string; body: string } | 'hang up'): Promise<string> {
  const server = createServer((incoming, outgoing) => {
    const told = answer(incoming.url ?? '')
    if (told === 'hang up') incoming.socket.destroy()
    else outgoing.writeHead(told.status, { 'content-type': told.type }).end(told.body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  }))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe('requests', () => {
  test('reach every route the CLI needs', async () => {
    const { bridge, mesh } = await startBridge({ tokens: { 'a-token-of-alice': 'alice' } })
    const client = createMeshClient(`${bridge.url}/`, { token: 'a-token-of-alice' })
    const { id, links } = await client.submit({ capability: 'repo.report', input: {} } as never, { key: 'k1' })
    expect((await client.submit({ capability: 'repo.report', input: {} } as never, { key: 'k1' })).id).toBe(id)
    expect(links.self).toBe(`/v1/missions/${id}`)
    const task = TaskId.parse('root/a b'.replace(' ', '-'))
    for (const view of [client.mission(id), client.pause(id), client.resume(id), client.takeover(id), client.retry(id, task), client.change(id, { priority: 3 }), client.cancel(id, 'enough'), client.retryDead(`${id}:${task}`)]) expect((await view).id).toBe(id)
    expect(await client.missions(3)).toHaveLength(1)
    expect((await client.tasks(id)).id).toBe('root')
    expect((await client.result(id)).result).toEqual({ lines: 3 })
    expect((await client.artifacts(id)).artifacts).toHaveLength(1)
    expect((await client.why(id, task)).tasks).toEqual([])
    expect(await client.nodes()).toHaveLength(2)
    expect(await client.queue()).toHaveLength(1)
    expect(await client.capabilities()).toEqual([])
    expect(await client.dead()).toHaveLength(1)
    expect((await client.logs(selfPeer))[0]?.name).toBe('node.started')
    expect(await client.status(selfPeer)).toEqual({ about: 'status' })
    expect(await client.peers(selfPeer)).toEqual({ about: 'peers' })
    expect(await client.health()).toEqual({ ok: true, version: '9.9.9' })
    expect(new Set(mesh.asked.map(({ principal }) => principal))).toEqual(new Set(['alice']))
    expect(mesh.asked.map(({ operation }) => operation)).toContainEqual({ op: 'retry', missionId: id, taskId: task })
    expect(mesh.asked.map(({ operation }) => operation)).toContainEqual({ op: 'cancel', missionId: id, reason: 'enough' })
  })

  test('give the bridge\'s faults back whole', async () => {
    const { bridge, mesh } = await startBridge()
    const client = createMeshClient(bridge.url)
    const error = new MeshError('overloaded', 'full', { next: 'wait', retryAfterMs: 1_500 })
    mesh.failNext(error)
    expect(await faultOf(client.missions())).toEqual(error.fault)
    expect(await faultOf(client.mission(MissionId.parse('m-aaaaaaaa-bbbbbbbbbbbb')))).toMatchObject({ code: 'unknown-mission' })
    await client.dropDead('letter-1')
    expect(await client.dead()).toEqual([])
    expect(await faultOf(client.dropDead('letter-1'))).toMatchObject({ code: 'unknown-task' })
  })

  test('without the token are unauthorised', async () => {
    const { bridge } = await startBridge({ tokens: { 'a-token-of-alice': 'alice' } })
    expect(await faultOf(createMeshClient(bridge.url).nodes())).toMatchObject({ code: 'unauthorised' })
    expect(await faultOf(createMeshClient(bridge.url).hasBlob(digestOf(new Uint8Array())))).toMatchObject({ code: 'unauthorised' })
  })

  test('to where nobody listens say how to start a node', async () => {
    const { bridge } = await startBridge()
    await bridge.close()
    const client = createMeshClient(bridge.url)
    expect(await faultOf(client.nodes())).toMatchObject({ code: 'owner-unreachable', detail: expect.stringContaining('ECONNREFUSED'), next: 'start a node with: skein node start', retryable: true })
  })

  test('to something else than a bridge say so', async () => {
    const url = await otherServer((path) => (path.includes('nodes') ? { status: 200, type: 'text/html', body: '<html>' } : { status: 404, type: 'text/html', body: 'not here' }))
    expect(await faultOf(createMeshClient(url).nodes())).toMatchObject({ code: 'owner-unreachable', detail: expect.stringContaining('is not a Skein bridge'), retryable: false })
    expect(await faultOf(createMeshClient(url).queue())).toMatchObject({ detail: expect.stringContaining('404') })
    expect(() => createMeshClient('nonsense')).toThrow('is not the address of a bridge')
  })

  test('to what sends them elsewhere say so: a blob that is not there is not there', async () => {
    const client = createMeshClient(await otherServer(() => ({ status: 302, type: 'text/html', body: '' })))
    expect(await faultOf(client.hasBlob(digestOf(new Uint8Array())))).toMatchObject({ code: 'owner-unreachable', detail: expect.stringContaining('302') })
    expect(await faultOf(client.nodes())).toMatchObject({ detail: expect.stringContaining('is not a Skein bridge') })
  })

  test('cut off before the answer have an unknown outcome', async () => {
    const url = await otherServer(() => 'hang up')
    expect(await faultOf(createMeshClient(url).submit({ capability: 'a' } as never))).toMatchObject({ code: 'timeout', detail: expect.stringContaining('outcome is unknown'), next: expect.stringContaining('same idempotency key') })
  })

  test('that are given up are cancelled', async () => {
    const { bridge } = await startBridge()
    expect(await faultOf(createMeshClient(bridge.url).submit({ capability: 'a' } as never, { signal: AbortSignal.abort() }))).toMatchObject({ code: 'cancelled' })
  })
})

describe('blobs', () => {
  test('go there and back as streams', async () => {
    const { bridge, blobs } = await startBridge()
    const client = createMeshClient(bridge.url)
    const content = new Uint8Array(300_000).fill(7)
    const digest = digestOf(content)
    expect(await client.hasBlob(digest)).toBe(false)
    async function* parts() {
      for (let at = 0; at < content.length; at += 64_000) yield content.subarray(at, at + 64_000)
    }
    const ref = await client.putBlob(digest, parts(), { mediaType: 'image/png', name: 'a.png' })
    expect(ref).toMatchObject({ $blob: digest, sizeBytes: 300_000, name: 'a.png', mediaType: 'image/png' })
    expect(await client.hasBlob(digest)).toBe(true)
    const back = await client.getBlob(digest)
    expect([back.mediaType, back.sizeBytes]).toEqual(['image/png', 300_000])
    expect(digestOf(new Uint8Array(await new Response(back.stream).arrayBuffer()))).toBe(digest)
    blobs.held.clear()
    blobs.elsewhere.set(otherPeer, content)
    expect((await client.getBlob({ $blob: digest, sizeBytes: 300_000, holders: [otherPeer], mediaType: 'image/gif' })).mediaType).toBe('image/gif')
    expect(await faultOf(client.getBlob(digestOf(new Uint8Array(1))))).toMatchObject({ code: 'unknown-blob' })
  })
})

describe('watching', () => {
  test('goes on after a restart of the bridge, with nothing missing and nothing twice', async () => {
    const mesh = createMeshDouble()
    const first = await startBridge({ mesh })
    const id = mesh.addMission()
    mesh.append(id, paused)
    const news: MissionNews[] = []
    const watched = (async () => {
      for await (const each of createMeshClient(first.bridge.url).watch(id)) news.push(each)
    })()
    await vi.waitFor(() => expect(news).toHaveLength(1), patient)
    await first.bridge.close()
    mesh.append(id, paused, paused)
    await startBridge({ mesh, port: first.bridge.port })
    await vi.waitFor(() => expect(news.filter(({ type }) => type === 'event')).toHaveLength(3), patient)
    mesh.note(id, { taskId: TaskId.parse('root'), note: 'progress' })
    mesh.append(id, completed)
    await watched
    expect(news.flatMap((each) => (each.type === 'event' ? [each.index] : []))).toEqual([1, 2, 3, 4])
    expect(news.some(({ type }) => type === 'reconnecting')).toBe(true)
    expect(news.at(-2)).toMatchObject({ type: 'event', event: completed })
    expect(news.at(-1)).toEqual({ type: 'end', state: 'completed' })
  })

  test('reconnects after a retryable fault, gives up on another', async () => {
    const { bridge, mesh } = await startBridge()
    const id = mesh.addMission()
    const news: MissionNews[] = []
    const watched = (async () => {
      for await (const each of createMeshClient(bridge.url).watch(id, { after: 0 })) news.push(each)
    })()
    await vi.waitFor(() => expect(mesh.missions.get(id)?.watchers.size).toBe(1), patient)
    mesh.breakWatch(id, new MeshError('owner-unreachable', 'the owner is gone'))
    await vi.waitFor(() => expect(mesh.missions.get(id)?.watchers.size).toBe(1), patient)
    await vi.waitFor(() => expect(news).toContainEqual({ type: 'reconnecting', afterIndex: 0, reason: 'the owner is gone' }), patient)
    await vi.waitFor(() => expect(mesh.watchCalls).toBe(2), patient)
    mesh.breakWatch(id, new MeshError('forbidden', 'not yours'))
    expect(await faultOf(watched)).toMatchObject({ code: 'forbidden' })
  })

  test('loses patience with a bridge that stays away', async () => {
    const { bridge, mesh } = await startBridge()
    await bridge.close()
    const watch = createMeshClient(bridge.url).watch(mesh.addMission(), { patienceMs: 50 })
    const all = (async () => {
      for await (const each of watch) expect(each.type).toBe('reconnecting')
    })()
    expect(await faultOf(all)).toMatchObject({ code: 'owner-unreachable' })
  })

  test('can be given up', async () => {
    const { bridge, mesh } = await startBridge()
    const id = mesh.addMission()
    const stop = new AbortController()
    const watched = (async () => {
      for await (const each of createMeshClient(bridge.url).watch(id, { signal: stop.signal })) expect(each).toBeUndefined()
    })()
    await vi.waitFor(() => expect(mesh.missions.get(id)?.watchers.size).toBe(1), patient)
    stop.abort()
    expect(await faultOf(watched)).toMatchObject({ code: 'cancelled' })
    await vi.waitFor(() => expect(mesh.missions.get(id)?.watchers.size).toBe(0), patient)
  })

  test('an unknown mission is an error at once', async () => {
    const { bridge } = await startBridge()
    expect(await faultOf(createMeshClient(bridge.url).watch(MissionId.parse('m-aaaaaaaa-bbbbbbbbbbbb')).next())).toMatchObject({ code: 'unknown-mission' })
  })

  test('the nodes: the list now and after a change', async () => {
    const { bridge, mesh } = await startBridge()
    const lists = createMeshClient(bridge.url).watchNodes()
    expect((await lists.next()).value).toHaveLength(2)
    mesh.setNodes([])
    expect((await lists.next()).value).toEqual([])
    await lists.return(undefined)
    await vi.waitFor(async () => expect(await (await fetch(`${bridge.url}/metrics`)).text()).toContain('skein_http_streams 0'), patient)
  })
})
