import { request } from 'node:http'
import { connect } from 'node:net'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import { TaskId } from '../../../protocols/kernel/ids.ts'
import type { MissionId } from '../../../protocols/kernel/ids.ts'
import type { MissionEvent } from '../../../protocols/tasking/schema.ts'
import { problemIn, startBridge } from './bridge-fixture.ts'
import type { BridgeFixture } from './bridge-fixture.ts'

const paused: MissionEvent = { type: 'paused', atWallMs: 1 }
const resumed: MissionEvent = { type: 'resumed', atWallMs: 2 }
const completed: MissionEvent = { type: 'completed', atWallMs: 3, result: { inline: 1 } }
const failed: MissionEvent = { type: 'failed', atWallMs: 3, fault: { code: 'skill-failed', detail: 'x', retryable: true } }
const root = TaskId.parse('root')
const patient = { timeout: 10_000 }

/** A stream as text that grows. */
async function follow({ bridge }: BridgeFixture, path: string, headers: Record<string, string> = {}) {
  const stop = new AbortController()
  onTestFinished(() => stop.abort())
  const answer = await fetch(bridge.url + path, { headers, signal: stop.signal })
  const seen = { answer, text: '', over: false, stop: () => stop.abort() }
  void (async () => {
    const decoder = new TextDecoder()
    try {
      for await (const chunk of answer.body ?? []) seen.text += decoder.decode(chunk as Uint8Array, { stream: true })
    } catch {
      // Aborted by the test.
    }
    seen.over = true
  })()
  return seen
}

const idsIn = (text: string) => [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id))
const eventsPath = (id: MissionId) => `/v1/missions/${id}/events`

describe('a mission\'s events', () => {
  test('come from the log and live, with ids; notes without; then the end', async () => {
    const bridge = await startBridge()
    const { mesh } = bridge
    const id = mesh.addMission()
    mesh.append(id, paused)
    const stream = await follow(bridge, eventsPath(id))
    expect(stream.answer.headers.get('content-type')).toContain('text/event-stream')
    await vi.waitFor(() => expect(idsIn(stream.text)).toEqual([1]), patient)
    mesh.append(id, resumed)
    mesh.note(id, { taskId: root, note: 'progress', fraction: 0.5 })
    mesh.append(id, completed)
    await vi.waitFor(() => expect(stream.over).toBe(true), patient)
    expect(stream.text.split('\n\n').filter(Boolean)).toEqual([
      'retry: 1000',
      `event: mission\nid: 1\ndata: ${JSON.stringify({ index: 1, event: paused })}`,
      `event: mission\nid: 2\ndata: ${JSON.stringify({ index: 2, event: resumed })}`,
      'event: progress\ndata: {"taskId":"root","note":"progress","fraction":0.5}',
      `event: mission\nid: 3\ndata: ${JSON.stringify({ index: 3, event: completed })}`,
      `event: end\ndata: {"id":"${id}","state":"completed"}`,
    ])
    expect(mesh.missions.get(id)?.watchers.size).toBe(0)
  })

  test('go on after Last-Event-ID, or after ?after=', async () => {
    const bridge = await startBridge()
    const id = bridge.mesh.addMission()
    bridge.mesh.append(id, paused, resumed, completed)
    for (const [path, headers] of [[eventsPath(id), { 'last-event-id': '2' }], [`${eventsPath(id)}?after=2`, {}], [`${eventsPath(id)}?after=0`, { 'last-event-id': '2' }]] as const) {
      const stream = await follow(bridge, path, headers)
      await vi.waitFor(() => expect(stream.over).toBe(true), patient)
      expect(idsIn(stream.text)).toEqual([3])
      expect(stream.text).toContain('event: end')
    }
  })

  test('of a finished mission of which all was seen are just the end', async () => {
    const bridge = await startBridge()
    const id = bridge.mesh.addMission()
    bridge.mesh.append(id, failed)
    const stream = await follow(bridge, eventsPath(id), { 'last-event-id': '1' })
    await vi.waitFor(() => expect(stream.over).toBe(true), patient)
    expect(stream.text).toContain('"state":"failed"')
    expect(idsIn(stream.text)).toEqual([])
  })

  test('of a mission that had failed and was retried do not end at the failure', async () => {
    const bridge = await startBridge()
    const id = bridge.mesh.addMission()
    bridge.mesh.append(id, failed, { type: 'retried', atWallMs: 4, taskId: root })
    const stream = await follow(bridge, eventsPath(id))
    await vi.waitFor(() => expect(idsIn(stream.text)).toEqual([1, 2]), patient)
    bridge.mesh.append(id, completed)
    await vi.waitFor(() => expect(stream.over).toBe(true), patient)
    expect(stream.text.match(/event: end/g)).toHaveLength(1)
    expect(stream.text).toContain('"state":"completed"')
  })

  test('that cannot be followed any more end in a fault', async () => {
    const bridge = await startBridge()
    const id = bridge.mesh.addMission()
    const stream = await follow(bridge, eventsPath(id))
    await vi.waitFor(() => expect(bridge.mesh.missions.get(id)?.watchers.size).toBe(1), patient)
    bridge.mesh.breakWatch(id, new MeshError('owner-unreachable', 'the owner is gone'))
    await vi.waitFor(() => expect(stream.over).toBe(true), patient)
    expect(stream.text).toMatch(/event: fault\ndata: .*"code":"owner-unreachable"/)
  })

  test('of an unknown mission are 404, after nonsense 400', async () => {
    const { send, mesh } = await startBridge()
    expect(await problemIn(await send('/v1/missions/m-aaaaaaaa-bbbbbbbbbbbb/events'))).toMatchObject({ status: 404, code: 'unknown-mission' })
    const id = mesh.addMission()
    expect((await problemIn(await send(`${eventsPath(id)}?after=x`))).detail).toContain('"x" is not the index')
    expect(mesh.watchCalls).toBe(0)
  })

  test('HEAD starts no stream', async () => {
    const { send, mesh } = await startBridge()
    const answer = await send(eventsPath(mesh.addMission()), { method: 'HEAD' })
    expect([answer.status, answer.headers.get('content-type'), mesh.watchCalls]).toEqual([200, 'text/event-stream; charset=utf-8', 0])
  })
})

describe('a stream', () => {
  test('shows signs of life', async () => {
    const bridge = await startBridge({ limits: { heartbeatMs: 20 } })
    const stream = await follow(bridge, eventsPath(bridge.mesh.addMission()))
    await vi.waitFor(() => expect(stream.text.match(/: still here\n\n/g)?.length).toBeGreaterThan(1), patient)
  })

  test('is forgotten when its client leaves', async () => {
    const bridge = await startBridge()
    const id = bridge.mesh.addMission()
    const stream = await follow(bridge, eventsPath(id))
    await vi.waitFor(() => expect(bridge.mesh.missions.get(id)?.watchers.size).toBe(1), patient)
    stream.stop()
    await vi.waitFor(() => expect(bridge.mesh.missions.get(id)?.watchers.size).toBe(0), patient)
    await vi.waitFor(async () => expect(await bridge.metrics.text()).toContain('skein_http_streams 0'), patient)
  })

  test('too many are refused', async () => {
    const bridge = await startBridge({ limits: { streamsMax: 1 } })
    const id = bridge.mesh.addMission()
    await follow(bridge, eventsPath(id))
    const answer = await bridge.send(eventsPath(id))
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '5'])
  })

  test('ends with advice when the bridge stops', async () => {
    const bridge = await startBridge()
    const stream = await follow(bridge, eventsPath(bridge.mesh.addMission()))
    await bridge.bridge.close()
    await vi.waitFor(() => expect(stream.over).toBe(true), patient)
    expect(stream.text).toContain(': bridge is stopping, reconnect to any bridge with Last-Event-ID\n\n')
  })
})

describe('a slow client', () => {
  const fat: MissionEvent = { type: 'cancel-requested', atWallMs: 1, by: 'local' as never, reason: 'x'.repeat(500) }

  test('gets everything once, in order, without the bridge holding it all', async () => {
    const bridge = await startBridge({ limits: { streamQueueBytesMax: 20_000 } })
    const { mesh } = bridge
    const id = mesh.addMission()
    mesh.append(id, ...Array<MissionEvent>(20_000).fill(fat))
    const ids: number[] = []
    await new Promise<void>((resolve, reject) => {
      const asked = request(bridge.bridge.url + eventsPath(id), (answer) => {
        let rest = ''
        let ended = false
        answer.setEncoding('utf8')
        answer.on('data', (text: string) => {
          const lines = (rest + text).split('\n')
          rest = lines.pop() ?? ''
          for (const line of lines) {
            if (line.startsWith('id: ')) ids.push(Number(line.slice(4)))
            if (line === 'event: end') ended = true
          }
          if (ids.length === 20_000 && !ended && mesh.missions.get(id)?.log.length === 20_000) mesh.append(id, completed)
          // Reads in fits and starts.
          answer.pause()
          setImmediate(() => answer.resume())
        })
        answer.on('end', () => (ended ? resolve() : reject(new Error('the stream ended too early'))))
        answer.on('error', reject)
      })
      asked.on('error', reject)
      asked.end()
    })
    expect(ids).toEqual(Array.from({ length: 20_001 }, (_, i) => i + 1))
    // It was stopped at the maximum and went on from the log.
    expect(mesh.watchCalls).toBeGreaterThan(10)
  })

  test('that reads nothing for too long is dropped, and the mesh left in peace', async () => {
    const bridge = await startBridge({ limits: { streamQueueBytesMax: 20_000, stallMs: 200 } })
    const { mesh } = bridge
    const id = mesh.addMission()
    mesh.append(id, ...Array<MissionEvent>(50_000).fill(fat))
    const socket = connect(bridge.bridge.port, '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    socket.pause()
    socket.write(`GET ${eventsPath(id)} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
    await vi.waitFor(() => expect(mesh.watchCalls).toBeGreaterThan(0), patient)
    await vi.waitFor(async () => expect(await bridge.metrics.text()).toContain('skein_http_streams 0'), patient)
    expect(mesh.missions.get(id)?.watchers.size).toBe(0)
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    socket.on('error', () => undefined)
    socket.resume()
    await closed
  })
})

describe('the nodes\' events', () => {
  test('are the whole list, now and after each change', async () => {
    const bridge = await startBridge()
    const stream = await follow(bridge, '/v1/nodes/events')
    await vi.waitFor(() => expect(stream.text.match(/event: nodes/g)).toHaveLength(1), patient)
    bridge.mesh.setNodes([])
    await vi.waitFor(() => expect(stream.text).toContain('event: nodes\ndata: []'), patient)
  })
})
