/** Clients of the bridge that mean harm or have gone mad, over plain sockets: each is refused, none holds anybody else up. */
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { type Socket, connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type RealMesh, type RealNode, startRealMesh } from '../support/real-mesh.ts'
import { say, within } from '../support/refusals.ts'
import { until } from '../support/until.ts'

const skill = fileURLToPath(new URL('./fixtures/ledger.skill.ts', import.meta.url))
const token = 'correct-horse-battery-staple'

let mesh: RealMesh
let node: RealNode
let port: number
const sockets: Socket[] = []
beforeAll(async () => {
  mesh = await startRealMesh([{ name: 'node', flags: ['--skill', skill, '--slots', '8', '--set', 'limits.missionsLiveMax=3', '--set', 'limits.missionsLivePerPrincipalMax=2'] }])
  node = mesh.node('node')
  port = Number(new URL(node.http).port)
})
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
})
afterAll(() => mesh?.stop())

interface Line {
  readonly socket: Socket
  received(): string
  readonly closed: Promise<void>
}

function open(toPort = port): Line {
  const socket = connect(toPort, '127.0.0.1')
  sockets.push(socket)
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk) => (text += String(chunk)))
  socket.on('error', () => undefined)
  return { socket, received: () => text, closed: new Promise((resolve) => socket.once('close', () => resolve())) }
}

/** Sends raw bytes and waits for the head of an answer. */
async function raw(bytes: string, toPort = port): Promise<{ status: number; text: string }> {
  const line = open(toPort)
  line.socket.write(bytes, 'latin1')
  await until(() => /\r\n\r\n/.test(line.received()) || line.socket.closed || undefined, { what: `an answer to ${JSON.stringify(bytes.slice(0, 80))}` })
  // The body of a refusal comes with its head or right after it.
  await Promise.race([line.closed, until(() => /\r\n\r\n[^]*\}/.test(line.received()) || undefined, { what: 'a body', timeoutMs: 30_000 }).catch(() => undefined)])
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(line.received())?.[1] ?? 0), text: line.received() }
}

const get = (path: string, headers: Record<string, string> = {}): string => `GET ${path} HTTP/1.1\r\n${Object.entries({ Host: `127.0.0.1:${port}`, Connection: 'close', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`

async function expectAnswering(): Promise<void> {
  expect(await within('the bridge to answer others', node.client.health(), 30_000)).toMatchObject({ ok: true })
}

describe('requests over the wire', () => {
  it('huge headers are 431, many of them too', async () => {
    expect((await raw(get('/healthz', { 'X-Big': 'a'.repeat(100_000) }))).status).toBe(431)
    const many = await raw(`GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${Array.from({ length: 5_000 }, (_, i) => `X-${i}: ${'v'.repeat(20)}\r\n`).join('')}\r\n`)
    expect(many.status).toBe(431)
    expect(many.text).toContain('application/problem+json')
    await expectAnswering()
  })

  it('what is no HTTP, or HTTP told twice, is 400', async () => {
    for (const bytes of ['hello\r\n\r\n', '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\r\n\r\n', `GET / HTTP/9.9\r\nHost: x\r\n\r\n`, `GET  / HTTP/1.1\r\n\r\n`,
      `POST /v1/missions HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x`,
      `POST /v1/missions HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Length: -1\r\n\r\n`]) {
      expect((await raw(bytes)).status, JSON.stringify(bytes)).toBe(400)
    }
    await expectAnswering()
  })

  it('clients that never finish a request do not keep others out', async () => {
    const slow = Array.from({ length: 300 }, () => open())
    await Promise.all(slow.map((line) => new Promise<void>((resolve) => (line.socket.readyState === 'open' ? resolve() : line.socket.once('connect', () => resolve())))))
    for (const [i, line] of slow.entries()) line.socket.write(i % 2 === 0 ? `GET /v1/nodes HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nX-Slow: ` : `POST /v1/missions HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{`)
    const drip = setInterval(() => {
      for (const line of slow) if (line.socket.writable) line.socket.write('a')
    }, 1_000)
    try {
      for (let i = 0; i < 5; i++) await expectAnswering()
      // Heads that never end are given up: a byte now and then does not help.
      await until(() => slow.every((line, i) => i % 2 === 1 || line.socket.closed || /^HTTP\/1\.1 408/.test(line.received())) || undefined, { what: 'the slow heads to be given up', timeoutMs: 90_000 })
    } finally {
      clearInterval(drip)
    }
    await expectAnswering()
  })

  it('a Host or an Origin of somebody else is 403', async () => {
    for (const host of ['evil.example', `evil.example:${port}`, '127.0.0.1.evil.example', 'localhost.evil.example']) {
      expect((await raw(get('/v1/nodes', { Host: host }))).status, host).toBe(403)
    }
    expect((await raw(get('/v1/nodes', { Host: '' }))).status).toBe(400)
    for (const host of ['localhost', `localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`]) expect((await raw(get('/v1/capabilities', { Host: host }))).status, host).toBe(200)
    const posted = await within('a page of somebody else', fetch(`${node.http}/v1/missions`, { method: 'POST', headers: { origin: 'https://evil.example', 'content-type': 'application/json' }, body: '{"capability":"ledger.step"}' }))
    expect(posted.status).toBe(403)
    expect(await posted.json()).toMatchObject({ code: 'forbidden', next: expect.any(String) })
  })

  it('paths that climb out find nothing, and nothing of the disk is told', async () => {
    writeFileSync(join(node.dataDir, 'blobs', 'secret.txt'), 'climbed')
    const paths = ['/v1/blobs/../../mesh.key', '/v1/blobs/..%2f..%2fmesh.key', '/v1/blobs/%2e%2e/%2e%2e/mesh.key', '/v1/blobs/secret.txt', '/v1/blobs/..%5c..%5cmesh.key', `/v1/blobs/${'a'.repeat(62)}..`, '/v1/blobs/%00', '//etc/passwd', '/../../../etc/passwd', `/v1/blobs/${'A'.repeat(64)}`, '/v1/blobs/', '/v1/missions/..%2f..%2fmesh.key/events', '/v1/blobs/%zz']
    for (const path of paths) {
      const { status, text } = await raw(get(path))
      expect(status, path).toBeGreaterThanOrEqual(400)
      expect(status, path).toBeLessThan(500)
      expect(text, path).not.toMatch(/climbed|psk|root:x|node:internal|at .*\.ts:\d/)
    }
  })

  it('a blob under a wrong hash, or with a wrong length, is not stored', async () => {
    const bytes = Buffer.from('not what it says')
    const wrong = createHash('sha256').update('something else').digest('hex')
    const answer = await fetch(`${node.http}/v1/blobs/${wrong}`, { method: 'PUT', body: bytes })
    expect(answer.status).toBe(422)
    expect((await fetch(`${node.http}/v1/blobs/${wrong}`, { method: 'HEAD' })).status).toBe(404)
    const right = createHash('sha256').update(bytes).digest('hex')
    const cut = open()
    cut.socket.write(`PUT /v1/blobs/${right} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Length: 1000\r\n\r\n${bytes.toString()}`)
    await until(async () => (await fetch(`${node.http}/healthz`)).ok, { what: 'the bridge to answer' })
    cut.socket.destroy()
    expect((await fetch(`${node.http}/v1/blobs/${right}`, { method: 'HEAD' })).status).toBe(404)
    await expectAnswering()
  })

  it('a bad Last-Event-ID is 400; one beyond the end ends at once', async () => {
    const { id } = await node.client.submit({ capability: 'ledger.step', input: { ledger: join(mesh.folder, 'ledger'), step: 'sse' } })
    await until(async () => (await node.client.mission(id)).state === 'completed' || undefined, { what: 'the mission to complete' })
    for (const value of ['abc', '-1', '1e9', '99999999999999999999', '0x10', '1;2', 'NaN']) {
      const { status, text } = await raw(get(`/v1/missions/${id}/events`, { 'Last-Event-ID': value }))
      expect(status, value).toBe(400)
      expect(text).toContain('is not the index of an event')
    }
    for (const value of ['0', '3', '999999']) {
      const answer = await fetch(`${node.http}/v1/missions/${id}/events`, { headers: { 'last-event-id': value } })
      expect(answer.status).toBe(200)
      expect(await within('the stream to end', answer.text())).toContain('event: end')
    }
  })

  it('wrong methods and unknown paths say what there is', async () => {
    const wrong = await fetch(`${node.http}/v1/missions`, { method: 'PUT' })
    expect(wrong.status).toBe(405)
    expect(wrong.headers.get('allow')).toMatch(/POST/)
    const unknown = await fetch(`${node.http}/v2/everything`)
    expect(unknown.status).toBe(404)
    expect(await unknown.json()).toMatchObject({ next: expect.stringContaining('/openapi.json') })
  })

  it('deep, wide and cyclic-looking documents do no harm', async () => {
    const post = (body: string, type = 'application/json') => within('an odd document', fetch(`${node.http}/v1/missions`, { method: 'POST', headers: { 'content-type': type }, body }))
    const deep = `${'{"input":'.repeat(20_000)}1${'}'.repeat(20_000)}`
    expect((await post(deep)).status).toBeGreaterThanOrEqual(400)
    expect((await post(`{"capability":"ledger.step","input":${'['.repeat(50_000)}${']'.repeat(50_000)}}`)).status).toBeGreaterThanOrEqual(400)
    expect((await post(`{"capability":"ledger.step","input":{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}}`)).status).toBeGreaterThanOrEqual(400)
    const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]', ...Array.from({ length: 8 }, (_, i) => `${'bcdefghi'[i]}: &${'bcdefghi'[i]} [${Array.from({ length: 9 }, () => `*${'abcdefgh'[i]}`).join(',')}]`)].join('\n')
    expect((await post(bomb, 'application/yaml')).status).toBe(400)
    await expectAnswering()
  })
})

it('a bridge with tokens lets nobody in without one, and never says which part was wrong', async () => {
  const guarded = await mesh.start({ name: 'guarded', flags: ['--set', `http.tokens={"${token}":"ann"}`] })
  const at = Number(new URL(guarded.http).port)
  const ask = (headers: Record<string, string>) => raw(get('/v1/nodes', { Host: `127.0.0.1:${at}`, ...headers }), at)
  for (const authorization of ['', 'Bearer', 'Bearer ', 'Bearer wrong', `Bearer ${token}x`, `Bearer ${token.slice(0, -1)}`, `Basic ${Buffer.from(`ann:${token}`).toString('base64')}`, `Bearer ${token} ${token}`, token]) {
    const { status, text } = await ask(authorization === '' ? {} : { Authorization: authorization })
    expect(status, authorization).toBe(401)
    expect(text.toLowerCase()).toContain('www-authenticate: bearer')
    expect(text).not.toContain(token)
  }
  expect((await ask({ Authorization: `Bearer ${token}` })).status).toBe(200)
  expect((await raw(get('/healthz', { Host: `127.0.0.1:${at}` }), at)).status).toBe(200)
  const env = { ...mesh.env, SKEIN_URL: guarded.http }
  expect(await say(['nodes'], { env })).toMatchObject({ code: 3, fault: { code: 'unauthorised', next: expect.any(String) } })
  expect(await say(['nodes'], { env: { ...env, SKEIN_TOKEN: 'wrong-wrong-wrong' } })).toMatchObject({ code: 3 })
  expect(await say(['nodes'], { env: { ...env, SKEIN_TOKEN: token } })).toMatchObject({ code: 0 })
  expect(guarded.stderr()).not.toContain(token)
})

describe('overload', () => {
  it('is 429 with Retry-After, over HTTP and on the command line; what was accepted completes, and then there is room again', async () => {
    const gate = join(mesh.folder, 'overload-gate')
    const ledger = join(mesh.folder, 'overload')
    const request = (step: string) => JSON.stringify({ capability: 'ledger.step', input: { ledger, step, gate } })
    const post = (step: string) => fetch(`${node.http}/v1/missions`, { method: 'POST', headers: { 'content-type': 'application/json', 'idempotency-key': `over-${step}` }, body: request(step) })
    // All at once: exactly as many as are allowed for one principal.
    const answers = await Promise.all(Array.from({ length: 8 }, (_, i) => post(`s${i}`)))
    const accepted = answers.filter((answer) => answer.status === 202)
    const refused = answers.filter((answer) => answer.status === 429)
    expect([accepted.length, refused.length]).toEqual([2, 6])
    for (const answer of refused) {
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
      expect(await answer.json()).toMatchObject({ code: 'overloaded', retryable: true, retryAfterMs: expect.any(Number), next: expect.any(String) })
    }
    const ids = await Promise.all(accepted.map(async (answer) => (await answer.json() as { id: string }).id))
    const said = await say(['run', 'ledger.step', '-i', `ledger=${ledger}`, '-i', 'step=cli', '--detach'], { env: { ...mesh.env, SKEIN_URL: node.http } })
    expect(said).toMatchObject({ code: 3, fault: { code: 'overloaded', retryable: true } })
    expect(said.fault?.detail).toMatch(/2 missions under way here, 2 at most/)
    // A submission that was accepted before is answered, not refused.
    const first = answers.findIndex((answer) => answer.status === 202)
    expect((await post(`s${first}`)).status).toBe(202)
    writeFileSync(gate, '')
    for (const id of ids) await until(async () => (await node.client.mission(id as never)).state === 'completed' || undefined, { what: 'an accepted mission to complete', context: mesh.lastWords })
    const again = await until(async () => {
      const answer = await post('later')
      return answer.status === 202 ? answer : undefined
    }, { what: 'room again' })
    expect(again.status).toBe(202)
  })
})
