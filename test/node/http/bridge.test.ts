import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { bridgeLimits } from '../../../node/http/bridge-limits.ts'
import { createBridge, createBridgeApp } from '../../../node/http/bridge.ts'
import { createGatekeeper } from '../../../node/http/gatekeeper.ts'
import { OpenAiError } from '../../../node/http/problem.ts'
import { createStreamSet } from '../../../node/http/stream-set.ts'
import { createMetrics } from '../../../node/telemetry/metrics.ts'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import { problemIn, startBridge } from './bridge-fixture.ts'
import { createBlobDouble, createMeshDouble } from './mesh-double.ts'

interface Operation { operationId: string; parameters: { name: string; in: string; schema: unknown }[]; responses: Record<string, { description: string }> }
interface Description { openapi: string; paths: Record<string, Record<string, Operation>>; components: { schemas: Record<string, unknown> } }

/** What a server on the loopback says to raw bytes. */
async function exchange(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(bytes)
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  return text
}

describe('openapi', () => {
  test('names every route that is served, and no other', async () => {
    const metrics = createMetrics()
    const { app } = createBridgeApp({ mesh: createMeshDouble(), blobs: createBlobDouble(), metrics, log: { record: () => undefined }, version: '1', limits: bridgeLimits, streams: createStreamSet(bridgeLimits, metrics) }, createGatekeeper('127.0.0.1'))
    const served = app.routes.filter(({ method }) => method !== 'ALL').map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`)
    const { send } = await startBridge()
    const { paths } = await (await send('/openapi.json')).json() as Description
    const described = Object.entries(paths).flatMap(([path, operations]) => Object.keys(operations).filter((method) => method !== 'head').map((method) => `${method.toUpperCase()} ${path}`))
    expect(described.toSorted()).toEqual(served.toSorted())
    expect(served.length).toBeGreaterThan(30)
  })

  test('is whole: references resolve, path parameters are declared, operations are told apart', async () => {
    const { send } = await startBridge()
    const description = await (await send('/openapi.json')).json() as Description
    expect(description.openapi).toBe('3.1.0')
    const text = JSON.stringify(description)
    for (const [, name = ''] of text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)) expect(description.components.schemas).toHaveProperty(name)
    expect(text.match(/"\$ref":"(?!#\/components\/schemas\/)/)).toBeNull()
    expect(text).not.toContain('$defs')
    for (const name of ['MissionRequest', 'MissionView', 'TaskView', 'WhyView', 'NodeView', 'Problem', 'Plan']) expect(description.components.schemas).toHaveProperty(name)
    const ids = new Set<string>()
    for (const [path, operations] of Object.entries(description.paths)) for (const operation of Object.values(operations)) {
      expect(ids).not.toContain(operation.operationId)
      ids.add(operation.operationId)
      const inPath = operation.parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name)
      expect(inPath).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name))
      expect(Object.keys(operation.responses).length).toBeGreaterThan(0)
    }
  })

  test('a request may leave out what has a default; an answer has it', async () => {
    const { send } = await startBridge()
    const { components: { schemas } } = await (await send('/openapi.json')).json() as Description
    expect(schemas['MissionRequest']).not.toHaveProperty('required')
    expect(schemas['MissionView']).toHaveProperty('required', expect.arrayContaining(['id', 'state']))
  })
})

describe('service', () => {
  test('health, readiness, metrics and the page', async () => {
    const { send, mesh } = await startBridge()
    expect(await (await send('/healthz')).json()).toEqual({ ok: true, version: '9.9.9' })
    expect((await send('/readyz')).status).toBe(200)
    mesh.ready = false
    const unready = await send('/readyz')
    expect([unready.status, await unready.json()]).toEqual([503, { ready: false, reasons: ['draining'] }])
    const metrics = await (await send('/metrics')).text()
    expect(metrics).toContain('skein_nodes{state="gone"} 1')
    expect(metrics).toContain('skein_http_request_duration_seconds_count{method="GET",route="/readyz",status="503"} 1')
    const page = await send('/')
    expect(page.headers.get('content-type')).toContain('text/html')
    const html = await page.text()
    expect(html).toContain('href="/openapi.json"')
    expect(html).not.toContain('<b>')
  })

  test('a path that is none is 404, a method that is none 405 with Allow', async () => {
    const { send } = await startBridge()
    expect(await problemIn(await send('/v1/nonsense'))).toMatchObject({ status: 404, code: 'bad-request' })
    for (const [method, path, allow] of [['PUT', '/v1/missions', 'POST, GET, HEAD'], ['POST', '/v1/nodes', 'GET, HEAD'], ['OPTIONS', '/v1/blobs/x', 'PUT, GET, HEAD'], ['GET', '/v1/missions/x/pause', 'POST']]) {
      const answer = await send(path ?? '', { method: method ?? '' })
      expect([answer.status, answer.headers.get('allow')]).toEqual([405, allow])
      expect((await problemIn(answer)).next).toContain('use ')
    }
  })

  test('what comes in a later release says so; OpenAI\'s routes in OpenAI\'s shape', async () => {
    const { send, post } = await startBridge()
    for (const path of ['/v1/missions/m-aaaaaaaa-bbbbbbbbbbbb/messages', '/v1/quotes']) {
      expect(await problemIn(await post(path, {}))).toMatchObject({ status: 501, code: 'not-available' })
    }
    for (const path of ['/v1/completions', '/v1/responses']) {
      const answer = await post(path, {})
      expect(answer.status).toBe(501)
      expect(OpenAiError.parse(await answer.json()).error).toMatchObject({ type: 'server_error', code: 'not-available', param: null })
    }
    const wrong = await send('/v1/chat/completions')
    expect([wrong.status, OpenAiError.parse(await wrong.json()).error.type]).toEqual([405, 'invalid_request_error'])
  })

  test('bytes that are not HTTP, and headers that are too large, get a problem', async () => {
    const { bridge } = await startBridge()
    const garbage = await exchange(bridge.port, '\u0001\u0002 nonsense\r\n\r\n')
    expect(garbage).toMatch(/^HTTP\/1\.1 400 [^]*application\/problem\+json[^]*bad-request/)
    expect(await exchange(bridge.port, `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431 /)
  })
})

describe('listening', () => {
  async function occupied(): Promise<number> {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())))
    return (server.address() as AddressInfo).port
  }

  test('a port that was asked for and is taken is an error that says so', async () => {
    const port = await occupied()
    const error = await startBridge({ port }).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(MeshError)
    expect((error as MeshError).fault).toMatchObject({ code: 'wrong-state', detail: `port ${port} is in use` })
    expect((error as MeshError).fault.next).toBeTruthy()
  })

  test('a default port that is taken gives way to the next free one', async () => {
    const port = await occupied()
    const { bridge, send } = await startBridge({ port, portIsDefault: true })
    expect(bridge.port).toBeGreaterThan(port)
    expect(bridge.url).toBe(`http://127.0.0.1:${bridge.port}`)
    expect((await send('/healthz')).status).toBe(200)
  })

  test('an address of another machine is refused', async () => {
    await expect(startBridge({ host: '192.0.2.1', tokens: { 'a-good-token-1': 'alice' } })).rejects.toThrow('cannot listen on 192.0.2.1')
  })

  test('closing twice is closing once; afterwards nobody answers', async () => {
    const { bridge, send } = await startBridge()
    await send('/healthz')
    await Promise.all([bridge.close(), bridge.close()])
    await expect(send('/healthz')).rejects.toThrow('fetch failed')
  })

  test('a request under way when the bridge closes is answered', async () => {
    const { bridge, mesh, send } = await startBridge()
    const asked = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    const { ask } = mesh
    Object.assign(mesh, { ask: async (...args: Parameters<typeof ask>) => {
      asked.resolve()
      await release.promise
      return ask(...args)
    } })
    const answer = send('/v1/missions')
    await asked.promise
    const closed = bridge.close()
    release.resolve()
    expect((await answer).status).toBe(200)
    await closed
  })
})

describe('who may talk', () => {
  const alice = 'token-of-alice-0001'
  const tokens = { [alice]: 'alice', 'token-of-bob-000002': 'bob' }
  const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })

  test('beyond loopback a token is demanded before anything listens', async () => {
    for (const host of ['0.0.0.0', '::', '10.0.0.1', 'example.org']) {
      const error = await createBridge({ mesh: createMeshDouble(), blobs: createBlobDouble(), metrics: createMetrics(), log: { record: () => undefined }, host, port: 0, portIsDefault: false, version: '1' }).catch((thrown: unknown) => thrown)
      expect((error as MeshError).fault).toMatchObject({ code: 'bad-request', next: expect.stringContaining('token') })
    }
  })

  test('tokens that are unusable are refused at once', () => {
    expect(() => createGatekeeper('0.0.0.0', { 'with space': 'a' })).toThrow('a bridge token must be')
    expect(() => createGatekeeper('0.0.0.0', { short: 'a' })).toThrow('a bridge token must be')
    expect(() => createGatekeeper('0.0.0.0', { 'long-enough': 'a b' })).toThrow('is not a principal')
  })

  test('each token acts for its holder', async () => {
    const { send, mesh } = await startBridge({ tokens })
    for (const [token, principal] of Object.entries(tokens)) {
      expect((await send('/v1/missions', bearer(token))).status).toBe(200)
      expect(mesh.asked.at(-1)?.principal).toBe(principal)
    }
    expect((await send('/v1/missions', { headers: { authorization: `bearer  ${alice}` } })).status).toBe(200)
  })

  test('no token, a wrong one or another scheme is 401 with WWW-Authenticate; only /healthz is open', async () => {
    const { send, mesh } = await startBridge({ tokens })
    const missing = await send('/v1/missions')
    expect([missing.status, missing.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="skein"'])
    expect(await problemIn(missing)).toMatchObject({ code: 'unauthorised', next: expect.stringContaining('Authorization: Bearer') })
    for (const authorization of [`Bearer ${alice}x`, 'Bearer', `Basic ${alice}`, alice]) {
      const answer = await send('/v1/missions', { headers: { authorization } })
      expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="skein", error="invalid_token"'])
    }
    for (const path of ['/', '/metrics', '/openapi.json', '/readyz', '/v1/nodes', '/v1/nonsense']) expect((await send(path)).status).toBe(401)
    expect((await send('/healthz')).status).toBe(200)
    expect(mesh.asked).toEqual([])
    const openAi = await send('/v1/models')
    expect([openAi.status, OpenAiError.parse(await openAi.json()).error.type]).toEqual([401, 'authentication_error'])
  })

  test('on every address: served with a token, under any Host', async () => {
    const { bridge } = await startBridge({ host: '0.0.0.0', tokens })
    expect(bridge.url).toBe(`http://127.0.0.1:${bridge.port}`)
    const text = await exchange(bridge.port, `GET /v1/nodes HTTP/1.1\r\nHost: mesh.example\r\nAuthorization: Bearer ${alice}\r\nConnection: close\r\n\r\n`)
    expect(text).toMatch(/^HTTP\/1\.1 200 /)
  })

  test('on loopback a foreign Host is refused (DNS rebinding)', async () => {
    const { bridge, mesh } = await startBridge()
    const status = async (host: string) => Number((await exchange(bridge.port, `GET /v1/missions HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)).slice(9, 12))
    for (const host of ['evil.example', 'evil.example:7420', 'localhost.evil.example', '127.0.0.1.evil.example', '10.0.0.1', '[::2]']) expect([host, await status(host)]).toEqual([host, 403])
    expect(mesh.asked).toEqual([])
    for (const host of ['localhost', 'LOCALHOST:1', '127.0.0.1:99', '[::1]:7420', '[::1]']) expect([host, await status(host)]).toEqual([host, 200])
  })

  test('a foreign page may change nothing, the bridge\'s own may', async () => {
    const { bridge, post, send, mesh } = await startBridge()
    const body = { capability: 'a' }
    for (const origin of ['https://evil.example', 'null', `http://127.0.0.1:${bridge.port + 1}`, 'nonsense']) {
      const answer = await post('/v1/missions', body, { origin })
      expect(answer.status).toBe(403)
      expect(await problemIn(answer)).toMatchObject({ code: 'forbidden' })
    }
    expect(mesh.asked).toEqual([])
    expect((await post('/v1/missions', body, { origin: bridge.url })).status).toBe(202)
    expect((await send('/v1/missions', { headers: { origin: 'https://evil.example' } })).headers.get('access-control-allow-origin')).toBeNull()
  })
})
