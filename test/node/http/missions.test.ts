import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { statusOfCode } from '../../../node/http/problem.ts'
import { Accepted, ArtifactsView } from '../../../node/http/routes/missions.ts'
import { errorCodes, MeshError } from '../../../protocols/kernel/errors.ts'
import type { ErrorCode } from '../../../protocols/kernel/errors.ts'
import { DeadView, MissionView, QueueView, ResultView, TaskView, WhyView } from '../../../protocols/tasking/views.ts'
import { problemIn, startBridge } from './bridge-fixture.ts'
import { selfPeer } from './mesh-double.ts'

const request = { capability: 'repo.report', input: { folder: 1 } }
const plan = { name: 'two steps', priority: 8, tasks: { first: { capability: 'text.words' }, second: { capability: 'text.words', after: ['first'] } } }

describe('submitting', () => {
  test('answers 202 with id, state, links and Location', async () => {
    const { post, mesh } = await startBridge()
    const answer = await post('/v1/missions', request)
    expect(answer.status).toBe(202)
    const accepted = Accepted.parse(await answer.json())
    expect(answer.headers.get('location')).toBe(`/v1/missions/${accepted.id}`)
    expect(accepted.links.events).toBe(`/v1/missions/${accepted.id}/events`)
    expect(mesh.asked[0]).toMatchObject({ principal: 'local', operation: { op: 'submit', request: { ...request, priority: 5, acknowledgement: 'quorum' } } })
  })

  test('the same key gives the same mission, with another request 409', async () => {
    const { post, mesh } = await startBridge()
    const key = { 'idempotency-key': 'key 1/ü'.replace('ü', 'u') }
    const first = Accepted.parse(await (await post('/v1/missions', request, key)).json())
    const again = Accepted.parse(await (await post('/v1/missions', request, key)).json())
    expect(again.id).toBe(first.id)
    expect(mesh.asked[0]?.operation).toMatchObject({ key: 'key 1/u' })
    const other = await post('/v1/missions', { ...request, priority: 9 }, key)
    expect(other.status).toBe(409)
    expect(await problemIn(other)).toMatchObject({ code: 'key-conflict', retryable: false, status: 409 })
  })

  test.each([['too long', 'k'.repeat(257)], ['not ASCII', 'schl\u00fcssel']])('a key that is %s is refused', async (_name, key) => {
    const { post } = await startBridge()
    const answer = await post('/v1/missions', request, { 'idempotency-key': key })
    expect(answer.status).toBe(400)
    expect((await problemIn(answer)).detail).toContain('Idempotency-Key')
  })

  test('takes a plan: inside a mission, bare, and as YAML', async () => {
    const { post, send, mesh } = await startBridge()
    expect((await post('/v1/missions', { plan })).status).toBe(202)
    expect((await post('/v1/missions', plan)).status).toBe(202)
    const yaml = 'name: two steps\npriority: 8\ntasks:\n  first: { capability: text.words }\n  second:\n    capability: text.words\n    after: [first]\n'
    for (const type of ['application/yaml', 'text/yaml; charset=utf-8', 'application/x-yaml']) {
      expect((await send('/v1/missions', { method: 'POST', body: yaml, headers: { 'content-type': type } })).status).toBe(202)
    }
    const requests = mesh.asked.map(({ operation }) => (operation.op === 'submit' ? operation.request : undefined))
    for (const each of requests) expect(each).toEqual(requests[0])
    expect(requests[0]).toMatchObject({ name: 'two steps', priority: 8, plan: { tasks: { second: { after: ['first'], input: {} } } } })
  })

  test('a priority of the request goes before that of its plan', async () => {
    const { post, mesh } = await startBridge()
    await post('/v1/missions', { plan, priority: 2 })
    expect(mesh.asked[0]?.operation).toMatchObject({ request: { priority: 2 } })
  })
})

describe('bodies that are refused, each with what to do', () => {
  const json = 'application/json'
  const cases: Record<string, [type: string | undefined, body: string | Uint8Array, status: number, code: ErrorCode, detail: RegExp]> = {
    'malformed JSON': [json, '{"capability": ', 400, 'bad-request', /not JSON/],
    'malformed YAML': ['application/yaml', 'tasks: [1, 2', 400, 'bad-request', /not YAML/],
    'a YAML bomb': ['application/yaml', `a: &a [x,x,x,x,x,x,x,x,x,x]\n${'bcdefghij'.split('').map((name, i) => `${name}: &${name} [${Array(10).fill(`*${'abcdefghij'[i]}`).join(',')}]`).join('\n')}`, 400, 'bad-request', /not YAML/],
    'another content type': ['application/x-www-form-urlencoded', 'capability=x', 415, 'bad-request', /x-www-form-urlencoded/],
    'nothing': [json, ' ', 400, 'bad-request', /empty/],
    'no UTF-8': [json, new Uint8Array([0x22, 0xff, 0x22]), 400, 'bad-request', /UTF-8/],
    'an array': [json, '[]', 400, 'bad-request', /not an object/],
    'neither capability nor plan': [json, '{"input": 1}', 400, 'bad-request', /neither/],
    'both': [json, JSON.stringify({ capability: 'a', plan }), 400, 'bad-request', /capability and plan/],
    'an unknown field': [json, '{"capability": "a", "colour": 1}', 400, 'bad-request', /colour/],
    'wrong fields, all named': [json, '{"capability": "A B", "priority": 11}', 400, 'bad-request', /capability: is not a capability name.*priority/],
    'a wrong plan': [json, '{"plan": {"tasks": {"a": {"capability": "x", "after": "b"}}}}', 422, 'bad-plan', /plan\.tasks\.a\.after/],
    'a wrong bare plan': [json, '{"tasks": {"a b": {"capability": "x"}}}', 422, 'bad-plan', /tasks\.a b/],
    'more than the limit': [json, JSON.stringify({ capability: 'a', input: 'x'.repeat(5_000) }), 413, 'too-large', /limit is 4096/],
    'more YAML than the limit': ['text/yaml', `# ${'x'.repeat(3_000)}`, 413, 'too-large', /limit is 2048/],
  }
  test.each(Object.entries(cases))('%s', async (_name, [type, body, status, code, detail]) => {
    const { send, mesh } = await startBridge({ limits: { bodyBytesMax: 4096, yamlBytesMax: 2048 } })
    const answer = await send('/v1/missions', { method: 'POST', body: body as string, headers: type === undefined ? {} : { 'content-type': type } })
    const problem = await problemIn(answer)
    expect([answer.status, problem.code, problem.status]).toEqual([status, code, status])
    expect(problem.detail).toMatch(detail)
    expect(problem.next).toBeTruthy()
    expect(mesh.asked).toEqual([])
  })

  test('a body of unknown length is cut off at the limit, not buffered', async () => {
    const { send } = await startBridge({ limits: { bodyBytesMax: 4096 } })
    let sent = 0
    const body = new ReadableStream({
      pull(controller) {
        sent += 1024
        if (sent > 64 * 1024 * 1024) controller.close()
        else controller.enqueue(new Uint8Array(1024))
      },
    })
    const answer = await send('/v1/missions', { method: 'POST', body, duplex: 'half', headers: { 'content-type': 'application/json' } })
    expect(answer.status).toBe(413)
    expect(sent).toBeLessThan(64 * 1024 * 1024)
  })

  test('a client that stops in the middle of its body is given up', async () => {
    const { send } = await startBridge({ limits: { stallMs: 50 } })
    const body = new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode('{')) })
    const answer = await send('/v1/missions', { method: 'POST', body, duplex: 'half', headers: { 'content-type': 'application/json' } })
    expect(answer.status).toBe(408)
    expect((await problemIn(answer)).detail).toContain('sent nothing for 50 ms')
  })
})

describe('every fault of the mesh', () => {
  test.each(Object.keys(errorCodes) as ErrorCode[])('%s is a problem with its status', async (code) => {
    const { send, mesh } = await startBridge()
    mesh.failNext(new MeshError(code, `it is ${code}`, { next: 'do this' }))
    const answer = await send('/v1/missions')
    expect(answer.status).toBe(statusOfCode[code])
    expect(await problemIn(answer)).toEqual({ type: `urn:skein:error:${code}`, title: errorCodes[code].means, status: statusOfCode[code], detail: `it is ${code}`, code, retryable: errorCodes[code].retryable, next: 'do this' })
  })

  test('overload says when to come back, in whole seconds', async () => {
    const { send, mesh } = await startBridge()
    mesh.failNext(new MeshError('overloaded', 'full', { retryAfterMs: 1_200 }))
    const answer = await send('/v1/missions')
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '2'])
    mesh.failNext(new MeshError('overloaded', 'full'))
    expect((await send('/v1/missions')).headers.get('retry-after')).toBe('1')
  })

  test('a bug is 500; what it says stays in the log', async () => {
    const { send, mesh, facts } = await startBridge()
    mesh.failNext(new TypeError('secret of the bug'))
    const answer = await send('/v1/missions')
    expect(answer.status).toBe(500)
    expect(JSON.stringify(await problemIn(answer))).not.toContain('secret of the bug')
    expect(facts.find(({ name }) => name === 'http.failed')?.fields['detail']).toBe('secret of the bug')
  })
})

describe('a mission', () => {
  test('is shown, with tasks, result, artifacts and why', async () => {
    const { send, mesh } = await startBridge()
    const id = mesh.addMission()
    const path = `/v1/missions/${id}`
    const shown = async (rest: string, schema: z.ZodType) => schema.parse(await (await send(path + rest)).json())
    await shown('', MissionView)
    await shown('/tasks', TaskView)
    await shown('/result', ResultView)
    await shown('/why', WhyView)
    await shown('/why?taskId=root/a', WhyView)
    expect(mesh.asked.at(-1)?.operation).toEqual({ op: 'why', missionId: id, taskId: 'root/a' })
    const { artifacts } = ArtifactsView.parse(await (await send(`${path}/artifacts`)).json())
    expect(artifacts[0]?.url).toBe(`/v1/blobs/${'ab'.repeat(32)}?size=5&holder=12D3KooWOther&type=text%2Fhtml&name=r%C3%A9p+ort.html`)
  })

  test('is paused, resumed, retried, changed and cancelled', async () => {
    const { send, mesh } = await startBridge()
    const id = mesh.addMission()
    const path = `/v1/missions/${id}`
    const last = () => mesh.asked.at(-1)?.operation
    for (const op of ['pause', 'resume', 'retry']) {
      MissionView.parse(await (await send(`${path}/${op}`, { method: 'POST' })).json())
      expect(last()).toEqual({ op, missionId: id })
    }
    await send(`${path}/retry?taskId=root%2Fa`, { method: 'POST' })
    expect(last()).toEqual({ op: 'retry', missionId: id, taskId: 'root/a' })
    await send(path, { method: 'PATCH', body: JSON.stringify({ priority: 9, limits: { leavesMax: 7 } }), headers: { 'content-type': 'application/json' } })
    // Only what was named: an absent limit must not become its default.
    expect(last()).toEqual({ op: 'change', missionId: id, priority: 9, limits: { leavesMax: 7 } })
    await send(`${path}?reason=too%20dear`, { method: 'DELETE' })
    expect(last()).toEqual({ op: 'cancel', missionId: id, reason: 'too dear' })
  })

  test.each(['{}', '{"limits": {}}', '{"priority": 0}', '{"limits": {"leaves": 1}}', '{"state": "completed"}'])('refuses the change %s', async (body) => {
    const { send, mesh } = await startBridge()
    const answer = await send(`/v1/missions/${mesh.addMission()}`, { method: 'PATCH', body, headers: { 'content-type': 'application/json' } })
    expect(answer.status).toBe(400)
    expect(mesh.asked).toEqual([])
  })

  test('that nobody knows is 404, an id that is none 400', async () => {
    const { send } = await startBridge()
    expect((await send('/v1/missions/m-aaaaaaaa-bbbbbbbbbbbb')).status).toBe(404)
    const answer = await send('/v1/missions/17')
    expect(answer.status).toBe(400)
    expect((await problemIn(answer)).detail).toContain('is not a mission id')
  })

  test('is listed', async () => {
    const { send, mesh } = await startBridge()
    mesh.addMission()
    expect(z.array(MissionView).parse(await (await send('/v1/missions?limit=5')).json())).toHaveLength(1)
    expect(mesh.asked.at(-1)?.operation).toEqual({ op: 'list', limit: 5 })
    expect((await send('/v1/missions?limit=0')).status).toBe(400)
    expect((await send('/v1/missions?limit=1&limit=2')).status).toBe(400)
  })
})

describe('dead letters', () => {
  test('are listed, and a dead task is tried again', async () => {
    const { send, mesh } = await startBridge()
    const id = mesh.addMission()
    expect(z.array(DeadView).parse(await (await send('/v1/dead')).json())).toHaveLength(1)
    expect((await send(`/v1/dead/${encodeURIComponent(`${id}:root/build/3`)}`, { method: 'POST' })).status).toBe(200)
    expect(mesh.asked.at(-1)?.operation).toEqual({ op: 'retry', missionId: id, taskId: 'root/build/3' })
  })

  test('can be dropped: a task by its mission, a message by this node', async () => {
    const { send, mesh } = await startBridge()
    const id = mesh.addMission()
    const dropped = await send(`/v1/dead/${encodeURIComponent(`${id}:root/build/3`)}`, { method: 'DELETE' })
    expect([dropped.status, await dropped.json()]).toEqual([200, { dropped: `${id}:root/build/3` }])
    expect(mesh.asked.at(-1)?.operation).toEqual({ op: 'drop-dead', missionId: id, taskId: 'root/build/3' })
    const asked = mesh.asked.length
    expect(await (await send('/v1/dead/letter-1', { method: 'DELETE' })).json()).toEqual({ dropped: 'letter-1' })
    expect(mesh.asked).toHaveLength(asked)
    expect(await (await send('/v1/dead')).json()).toEqual([])
    expect(await problemIn(await send('/v1/dead/letter-1', { method: 'DELETE' }))).toMatchObject({ code: 'unknown-task', status: 404 })
  })

  test('a message cannot be tried again, and an id that is none is refused', async () => {
    const { send } = await startBridge()
    expect(await problemIn(await send('/v1/dead/letter-1', { method: 'POST' }))).toMatchObject({ code: 'wrong-state', status: 409 })
    expect(await problemIn(await send('/v1/dead/nonsense', { method: 'POST' }))).toMatchObject({ code: 'unknown-task', status: 404 })
    expect(await problemIn(await send('/v1/dead/nonsense', { method: 'DELETE' }))).toMatchObject({ code: 'unknown-task', status: 404 })
  })
})

describe('nodes, queue and capabilities', () => {
  test('are shown', async () => {
    const { send } = await startBridge()
    expect(await (await send('/v1/nodes')).json()).toHaveLength(2)
    expect(z.array(QueueView).parse(await (await send('/v1/queue')).json())).toHaveLength(1)
    expect(await (await send('/v1/capabilities')).json()).toEqual([])
    expect(await (await send(`/v1/nodes/${selfPeer}/logs`)).json()).toEqual([{ atWallMs: 1, level: 'info', name: 'node.started', fields: { port: 1 } }])
    expect(await (await send(`/v1/nodes/${selfPeer}/status`)).json()).toEqual({ about: 'status' })
    expect(await problemIn(await send('/v1/nodes/12D3KooWOther/logs'))).toMatchObject({ code: 'owner-unreachable', status: 503, retryable: true })
  })
})
