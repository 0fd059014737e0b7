/** What people get wrong when they ask for something: each gets one clear error at once, and the mesh goes on. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { MissionView } from '../../protocols/tasking/views.ts'
import { type RealMesh, type RealNode, startRealMesh } from '../support/real-mesh.ts'
import { say, within } from '../support/refusals.ts'
import { until } from '../support/until.ts'

const skill = (name: string): string => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url))

let mesh: RealMesh
let front: RealNode
/** An error of the command line: exit code, and the fault. */
const run = (...argv: string[]) => say(['run', ...argv], { env: { ...mesh.env, SKEIN_URL: front.http }, cwd: mesh.folder })
const file = (name: string, content: string): string => {
  writeFileSync(join(mesh.folder, name), content)
  return name
}

async function post(body: string, headers: Record<string, string> = {}): Promise<{ status: number; problem: Record<string, unknown>; headers: Headers }> {
  const answer = await within('POST /v1/missions', fetch(`${front.http}/v1/missions`, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } }))
  return { status: answer.status, problem: await answer.json() as Record<string, unknown>, headers: answer.headers }
}

beforeAll(async () => {
  mesh = await startRealMesh([
    { name: 'front', flags: ['--slots', '0', '--set', 'limits.noProviderMs=1500'] },
    { name: 'old', flags: ['--skill', skill('greet-1.skill.ts'), '--skill', skill('ledger.skill.ts')] },
    { name: 'new', flags: ['--skill', skill('greet-2.skill.ts')] },
  ])
  front = mesh.node('front')
})
afterAll(() => mesh?.stop())

/** However it was treated, it still works. */
async function expectHealthy(): Promise<void> {
  const said = await run('greet.person', '--capability-version', '1.0', '-i', 'name=Ann')
  expect(said).toMatchObject({ code: 0 })
  expect(JSON.parse(said.out)).toMatchObject({ state: 'completed', result: { said: 'hello Ann', by: '1.0' } })
}

describe('capabilities', () => {
  it('an unknown one is refused with the nearest names', async () => {
    const said = await run('repo.reprot', '-i', 'x=1')
    expect(said.code).toBe(3)
    expect(said.fault).toMatchObject({ code: 'unknown-capability' })
    expect(said.fault?.detail).toContain('repo.reprot')
    expect(said.fault?.detail).toContain('repo.report')
    expect(said.fault?.next).toContain('repo.report')
    const { status, problem } = await post(JSON.stringify({ capability: 'greet.persom', input: {} }))
    expect(status).toBe(422)
    expect(problem).toMatchObject({ code: 'unknown-capability' })
    expect(String(problem['detail'])).toContain('greet.person')
  })

  it('one with no resemblance to anything says where to look', async () => {
    const said = await run('zzzzzzzz.qqqqqqqqqqqq')
    expect(said.code).toBe(3)
    expect(said.fault?.next).toMatch(/skein capabilities/)
    expect(said.fault?.next).toMatch(/--skill/)
  })

  it('a name that cannot be one is bad usage', async () => {
    const said = await run('Repo Report!')
    expect(said.code).toBe(2)
    expect(said.fault?.detail).toContain('lower-case words')
  })

  it('two schema versions on two nodes are matched by version, never by luck', async () => {
    for (let i = 0; i < 3; i++) {
      const [old, young] = await Promise.all([run('greet.person', '--capability-version', '1.0', '-i', 'name=Ann'), run('greet.person', '--capability-version', '2.0', '-i', 'person.first=Bo')])
      expect(JSON.parse(old.out)).toMatchObject({ state: 'completed', result: { said: 'hello Ann', by: '1.0' } })
      expect(JSON.parse(young.out)).toMatchObject({ state: 'completed', result: { said: 'good day, Bo', by: '2.1' } })
    }
  })

  it('a version that nobody offers is refused with those that are', async () => {
    for (const version of ['3.0', '2.2', '1.1']) {
      const said = await run('greet.person', '--capability-version', version, '-i', 'name=Ann')
      expect(said.code).toBe(3)
      expect(said.fault).toMatchObject({ code: 'version-mismatch' })
      expect(said.fault?.detail).toMatch(/greet\.person@1\.0/)
      expect(said.fault?.detail).toMatch(/greet\.person@2\.1/)
      expect(said.fault?.next).toBeDefined()
    }
  })

  it('without a version the newest is meant, every time, and a misfit names the field', async () => {
    const fits = await Promise.all(Array.from({ length: 4 }, () => run('greet.person', '-i', 'person.first=Cy')))
    for (const said of fits) expect(JSON.parse(said.out)).toMatchObject({ state: 'completed', result: { by: '2.1' } })
    const misfit = await run('greet.person', '-i', 'name=Ann')
    expect(misfit.code).toBe(1)
    const told = JSON.parse(misfit.out) as MissionView
    expect(told).toMatchObject({ state: 'failed', fault: { code: 'bad-input', retryable: false } })
    expect(told.fault?.detail).toMatch(/person/)
  })
})

describe('requests', () => {
  it('malformed JSON, YAML and envelopes are told apart, with the place', async () => {
    expect(await post('{"capability": ')).toMatchObject({ status: 400, problem: { code: 'bad-request' } })
    expect(await post('')).toMatchObject({ status: 400 })
    expect(await post('[]')).toMatchObject({ status: 400 })
    expect(await post('{}')).toMatchObject({ status: 400 })
    expect(await post('{"capability":"greet.person","plan":{"tasks":{}}}')).toMatchObject({ status: 400 })
    expect(await post('capability: [unclosed', { 'content-type': 'application/yaml' })).toMatchObject({ status: 400 })
    expect(await post('hello', { 'content-type': 'text/plain' })).toMatchObject({ status: 415 })
    expect(await post('{"capability":"greet.person","surprise":1}')).toMatchObject({ status: 400 })
    for (const body of ['{"capability": ', '[]', '{}']) expect((await post(body)).problem['next']).toBeTruthy()
    await expectHealthy()
  })

  it('a malformed plan names the file and the line', async () => {
    const said = await run(file('broken.yaml', 'tasks:\n  one:\n    capability: greet.person\n   input: {}\n'))
    expect(said.code).toBe(2)
    expect(said.fault?.detail).toMatch(/broken\.yaml/)
    expect(said.fault?.detail).toMatch(/line [345]/)
  })

  it('a plan outside the schema names the field', async () => {
    const said = await run(file('wrong.yaml', 'tasks:\n  one:\n    capability: greet.person\n    retries: 4\n'))
    expect(said.code).toBe(2)
    expect(said.fault?.code).toBe('bad-plan')
    expect(said.fault?.detail).toMatch(/tasks\.one/)
    expect(said.fault?.detail).toMatch(/retries/)
  })

  it('a cyclic plan shows the cycle; a dangling reference its name', async () => {
    const cyclic = await run(file('cyclic.yaml', ['tasks:', '  a: { capability: greet.person, input: { name: { $from: c } } }', '  b: { capability: greet.person, after: [a] }', '  c: { capability: greet.person, after: [b] }', ''].join('\n')))
    expect(cyclic.code).toBe(2)
    expect(cyclic.fault?.code).toBe('bad-plan')
    expect(cyclic.fault?.detail).toMatch(/cyclic: [abc] → [abc] → [abc] → [abc]/)
    const self = await post(JSON.stringify({ plan: { tasks: { a: { capability: 'greet.person', after: ['a'] } } } }))
    expect(self).toMatchObject({ status: 422, problem: { code: 'bad-plan' } })
    const dangling = await run(file('dangling.yaml', 'tasks:\n  a: { capability: greet.person, after: [nowhere] }\n'))
    expect(dangling.fault).toMatchObject({ code: 'bad-plan' })
    expect(dangling.fault?.detail).toContain('nowhere')
    const empty = await run(file('empty.yaml', 'tasks: {}\n'))
    expect(empty).toMatchObject({ code: 2, fault: { code: 'bad-plan' } })
    await expectHealthy()
  })

  it('too many leaves, a wrong input and a missing plan file are refused before anything runs', async () => {
    const tasks = Object.fromEntries(Array.from({ length: 31 }, (_, i) => [`t${i}`, { capability: 'greet.person', version: '1.0', input: { name: 'x' } }]))
    const many = await post(JSON.stringify({ plan: { tasks } }))
    expect(many).toMatchObject({ status: 422, problem: { code: 'over-limit' } })
    expect(String(many.problem['next'])).toContain('leaves=31')
    expect(await run('absent.yaml')).toMatchObject({ code: 2, fault: { code: 'bad-input' } })
    expect(await run('greet.person', '-i', 'noequals')).toMatchObject({ code: 2 })
    expect(await run('greet.person', '--priority', '11')).toMatchObject({ code: 2 })
    expect(await run('greet.person', '--limit', 'leafs=3')).toMatchObject({ code: 2 })
  })

  it('a body or an upload over its limit is refused without being read to its end', async () => {
    const small = await mesh.start({ name: 'small', flags: ['--slots', '0', '--set', 'limits.httpBodyBytesMax=20000', '--set', 'limits.httpUploadBytesMax=50000'] })
    const body = JSON.stringify({ capability: 'greet.person', input: { name: 'x'.repeat(30_000) } })
    const refused = await within('a body too large', fetch(`${small.http}/v1/missions`, { method: 'POST', body, headers: { 'content-type': 'application/json' } }))
    expect(refused.status).toBe(413)
    expect(await refused.json()).toMatchObject({ code: 'too-large', next: expect.stringContaining('/v1/blobs') })
    writeFileSync(join(mesh.folder, 'big.bin'), Buffer.alloc(60_000, 7))
    const upload = await say(['run', 'greet.person', '-i', 'name=@big.bin'], { env: { ...mesh.env, SKEIN_URL: small.http }, cwd: mesh.folder })
    expect(upload).toMatchObject({ code: 3, fault: { code: 'too-large' } })
    expect(upload.fault?.next).toBeTruthy()
    // A stream without a length is stopped at the limit, too.
    const endless = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(10_000).fill(65)) })
    const stopped = await within('an endless body', fetch(`${small.http}/v1/missions`, { method: 'POST', body: endless, duplex: 'half', headers: { 'content-type': 'application/json' } } as RequestInit).then((answer) => answer.status, () => 413))
    expect(stopped).toBe(413)
    expect(await small.client.health()).toMatchObject({ ok: true })
  })

  it('the same key with another request is a conflict, with the same request the same mission', async () => {
    const request = JSON.stringify({ capability: 'greet.person', version: '1.0', input: { name: 'Key' } })
    const first = await post(request, { 'idempotency-key': 'k-1' })
    const second = await post(request, { 'idempotency-key': 'k-1' })
    expect(first.status).toBe(202)
    expect(second.problem['id']).toBe(first.problem['id'])
    const other = await post(JSON.stringify({ capability: 'greet.person', version: '1.0', input: { name: 'Else' } }), { 'idempotency-key': 'k-1' })
    expect(other).toMatchObject({ status: 409, problem: { code: 'key-conflict' } })
  })

  it('an unknown mission is told apart from a malformed id, at every bridge', async () => {
    for (const node of ['front', 'old']) {
      const env = { ...mesh.env, SKEIN_URL: mesh.node(node).http }
      expect(await say(['mission', 'show', 'm-aaaaaaaa-bbbbbbbbbbbb'], { env })).toMatchObject({ code: 3, fault: { code: 'unknown-mission' } })
      expect(await say(['mission', 'why', 'nonsense'], { env })).toMatchObject({ code: 2 })
    }
  })
})

describe('nobody offers it', () => {
  it('says which capability, and what to start; then the mission ends by itself', async () => {
    const gone = await mesh.start({ name: 'gone', flags: ['--skill', skill('lonely.skill.ts')] })
    await mesh.joined()
    expect(JSON.parse((await run('lonely.task')).out)).toMatchObject({ state: 'completed' })
    gone.signal('SIGTERM')
    await within('the node to stop', gone.exited)
    await until(async () => (await front.client.capabilities()).every((view) => view.name !== 'lonely.task'), { what: 'the capability to be gone' })
    const said = await run('lonely.task')
    expect(said.code).toBe(1)
    const view = JSON.parse(said.out) as MissionView
    expect(view).toMatchObject({ state: 'failed', fault: { code: 'no-provider' } })
    expect(view.fault?.detail).toContain('no live node offers lonely.task')
    expect(view.fault?.detail).toContain('skein node start')
    expect(view.fault?.next).toContain('start a node')
    // Once there is one again, the mission can be tried again where it stands.
    await mesh.restart('gone')
    await mesh.joined()
    expect(await say(['mission', 'retry', view.id], { env: { ...mesh.env, SKEIN_URL: front.http } })).toMatchObject({ code: 0 })
    await until(async () => (await front.client.mission(view.id)).state === 'completed', { what: 'the retried mission to complete' })
  })

  it('while it waits it says for what', async () => {
    // ledger.step lives on one node only.
    const patient = await mesh.start({ name: 'patient', flags: ['--slots', '0', '--duties', 'replica,bridge', '--set', 'limits.noProviderMs=600000'] })
    await mesh.joined()
    await mesh.kill('old')
    const ledger = join(mesh.folder, 'ledger')
    const { id } = await patient.client.submit({ plan: { tasks: { only: { capability: 'ledger.step', input: { ledger, step: 'only' } } } } })
    const waiting = await until(async () => {
      const view = await patient.client.mission(id)
      return view.waitingFor === undefined ? undefined : view
    }, { what: 'the mission to say what it waits for' })
    expect(waiting.waitingFor).toContain('ledger.step')
    expect(waiting.waitingFor).toMatch(/start/)
    // The node that offers it comes back: the mission goes on without being asked.
    await mesh.restart('old')
    const done = await until(async () => {
      const view = await patient.client.mission(id)
      return view.state === 'completed' ? view : undefined
    }, { what: 'the mission to complete' })
    expect(done.fault).toBeUndefined()
  })
})
