/** Workers that die or freeze in the middle of their work: somebody else takes over, and nothing that was finished runs again. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import type { IndexedEvent } from '../../protocols/tasking/schema.ts'
import type { MissionView } from '../../protocols/tasking/views.ts'
import { type RealMesh, type RealNode, startRealMesh } from '../support/real-mesh.ts'
import { say } from '../support/refusals.ts'
import { until } from '../support/until.ts'

const skill = fileURLToPath(new URL('./fixtures/ledger.skill.ts', import.meta.url))

let mesh: RealMesh
let front: RealNode
let ledger: string
let gate: string
let counter = 0
beforeAll(async () => {
  // The workers keep no logs: what is looked at here is the loss of work alone.
  const flags = ['--skill', skill, '--slots', '8', '--duties', 'worker,bridge', '--set', 'limits.drainMs=1000']
  mesh = await startRealMesh([{ name: 'front', flags: ['--slots', '0', '--duties', 'replica,bridge'] }, { name: 'left', flags }, { name: 'right', flags }])
  front = mesh.node('front')
}, 120_000)
afterAll(() => mesh?.stop(), 60_000)

/** Both workers live, and nothing of the test before is there. */
beforeEach(async () => {
  await Promise.all(mesh.nodes.filter((node) => !node.isRunning()).map((node) => mesh.restart(node.name)))
  await mesh.joined()
  counter += 1
  ledger = join(mesh.folder, `ledger-${counter}`)
  gate = join(mesh.folder, `gate-${counter}`)
}, 120_000)

interface Run {
  readonly step: string
  readonly attempt: number
  readonly pid: number
  readonly what: string
}

/** What really ran, in which process: `step.attempt.pid.id.what`. */
function runs(what: 'started' | 'done'): Run[] {
  return (existsSync(ledger) ? readdirSync(ledger) : []).map((name) => {
    const [step = '', attempt, pid, , happened = ''] = name.split('.')
    return { step, attempt: Number(attempt), pid: Number(pid), what: happened }
  }).filter((run) => run.what === what)
}

const countOf = (step: string, what: 'started' | 'done'): number => runs(what).filter((run) => run.step === step).length

async function ended(id: MissionId): Promise<MissionView> {
  return until(async () => {
    const view = await front.client.mission(id)
    return view.endedAtWallMs === undefined ? undefined : view
  }, { what: `mission ${id} to end`, context: mesh.lastWords })
}

/** Everything in the mission's log, of a mission that has ended. */
async function logOf(id: MissionId): Promise<IndexedEvent['event'][]> {
  const events: IndexedEvent['event'][] = []
  for await (const news of front.client.watch(id)) if (news.type === 'event') events.push(news.event)
  return events
}

/** Four tasks that end at once, four that wait at the gate. */
function plan() {
  const quick = ['q1', 'q2', 'q3', 'q4'].map((step) => [step, { capability: 'ledger.step', input: { ledger, step } }] as const)
  const gated = ['g1', 'g2', 'g3', 'g4'].map((step) => [step, { capability: 'ledger.step', input: { ledger, step, gate }, after: ['q1', 'q2', 'q3', 'q4'] }] as const)
  return { tasks: Object.fromEntries<{ capability: string; input: object; after?: string[] }>([...quick, ...gated]) }
}

describe('a worker that is killed in mid-task', () => {
  it('kill -9: awarded again at once, no finished task repeated', async () => {
    const { id } = await front.client.submit({ plan: plan() })
    const victim = await until(() => {
      const gated = runs('started').filter((run) => run.step.startsWith('g'))
      return gated.length === 4 ? mesh.nodes.find((node) => node.pid === gated[0]?.pid) : undefined
    }, { what: 'the second half to run', context: mesh.lastWords })
    const lost = runs('started').filter((run) => run.step.startsWith('g') && run.pid === victim.pid).map((run) => run.step).sort()
    await mesh.kill(victim.name)
    await until(() => lost.every((step) => countOf(step, 'started') === 2) || undefined, { what: 'the lost tasks to start elsewhere', context: mesh.lastWords })
    writeFileSync(gate, '')
    expect(await ended(id)).toMatchObject({ state: 'completed' })

    // What was finished before the kill ran once; what was lost ran twice, the second time elsewhere.
    for (const step of ['q1', 'q2', 'q3', 'q4', 'g1', 'g2', 'g3', 'g4']) {
      expect(countOf(step, 'done'), `${step} done`).toBe(1)
      expect(countOf(step, 'started'), `${step} started`).toBe(lost.includes(step) ? 2 : 1)
    }
    const events = await logOf(id)
    const losses = events.filter((event) => event.type === 'award-ended')
    expect(losses.map((event) => event.taskId.replace('root/', '')).sort()).toEqual(lost)
    // The end of the connection tells of it, not the lease, which would say "silent"; and a lost worker skips the back-off.
    for (const loss of losses) expect(loss).toMatchObject({ outcome: 'lost', fault: { code: 'lost-worker' }, retryInMs: 0 })
    const why = await front.client.why(id)
    for (const step of lost) {
      const attempts = why.tasks.find((task) => task.id === `root/${step}`)?.attempts ?? []
      expect(attempts.map((attempt) => attempt.outcome)).toEqual(['lost', 'accepted'])
      expect(attempts[1]?.workerName).not.toBe(victim.name)
    }
    expect((await front.client.nodes()).find((node) => node.peerId === victim.peerId)?.state).toBe('gone')
  })

  it('the only one that can do it: the mission waits, says for whom, and goes on when somebody comes', async () => {
    await mesh.kill('right')
    const { id } = await front.client.submit({ plan: { tasks: { a: { capability: 'ledger.step', input: { ledger, step: 'a' } }, b: { capability: 'ledger.step', input: { ledger, step: 'b', gate }, after: ['a'] } } } })
    await until(() => countOf('b', 'started') === 1 || undefined, { what: 'the second task to run', context: mesh.lastWords })
    await mesh.kill('left')
    const waiting = await until(async () => {
      const view = await front.client.mission(id)
      return view.waitingFor === undefined ? undefined : view
    }, { what: 'the mission to say what it waits for', context: mesh.lastWords })
    expect(waiting.waitingFor).toContain('ledger.step')
    writeFileSync(gate, '')
    await mesh.restart('right')
    expect(await ended(id)).toMatchObject({ state: 'completed' })
    expect([countOf('a', 'started'), countOf('b', 'started'), countOf('b', 'done')]).toEqual([1, 2, 1])
  })

  it('again and again: the mission ends all the same', async () => {
    const { id } = await front.client.submit({ plan: { tasks: { a: { capability: 'ledger.step', input: { ledger, step: 'a', gate } } } } })
    for (let kill = 1; kill <= 3; kill++) {
      await until(() => countOf('a', 'started') === kill || undefined, { what: `attempt ${kill}`, context: mesh.lastWords })
      const victim = mesh.nodes.find((node) => node.isRunning() && runs('started').some((run) => run.pid === node.pid))
      await mesh.kill(victim?.name ?? '')
      await mesh.restart(victim?.name ?? '')
    }
    await until(() => countOf('a', 'started') === 4 || undefined, { what: 'the last attempt', context: mesh.lastWords })
    writeFileSync(gate, '')
    expect(await ended(id)).toMatchObject({ state: 'completed' })
    expect(countOf('a', 'done')).toBe(1)
    const [task] = (await front.client.why(id)).tasks.filter((one) => one.id === 'root/a')
    expect(task?.attempts.map((attempt) => attempt.outcome)).toEqual(['lost', 'lost', 'lost', 'accepted'])
  })
})

describe('a worker that is frozen for longer than its lease', () => {
  it('loses its task to another; its late result is counted and accepted by nobody', async () => {
    const { id } = await front.client.submit({ plan: { tasks: { a: { capability: 'ledger.step', input: { ledger, step: 'a', gate } }, after: { capability: 'ledger.step', input: { ledger, step: 'after' }, after: ['a'] } } } })
    await until(() => countOf('a', 'started') === 1 || undefined, { what: 'the task to run', context: mesh.lastWords })
    const frozen = mesh.nodes.find((node) => node.pid === runs('started')[0]?.pid) as RealNode
    frozen.signal('SIGSTOP')
    await until(() => countOf('a', 'started') === 2 || undefined, { what: 'the task to start elsewhere', context: mesh.lastWords })
    expect(runs('started').map((run) => run.pid)).not.toEqual([frozen.pid, frozen.pid])
    writeFileSync(gate, '')
    expect(await ended(id)).toMatchObject({ state: 'completed' })
    const accepted = await front.client.why(id)

    frozen.signal('SIGCONT')
    await mesh.joined()
    // Its own run ends now, unless it was told in time that nobody wants it any more.
    await until(() => countOf('a', 'done') === 2 || frozen.facts('award.cancelled').length > 0 || undefined, { what: 'the late run to end', context: mesh.lastWords })
    if (countOf('a', 'done') === 2) {
      await until(async () => front.facts('award.late-outcome').length > 0 || (await front.client.dead()).some((dead) => dead.kind === 'message' && /inform/.test(dead.reason)) || undefined, { what: 'the late result to be counted', context: mesh.lastWords })
    }
    const events = await logOf(id)
    expect(events.filter((event) => event.type === 'accepted' && event.taskId === 'root/a')).toHaveLength(1)
    expect(countOf('after', 'started')).toBe(1)
    expect((await front.client.why(id)).tasks.map((task) => task.attempts.map((attempt) => attempt.outcome))).toEqual(accepted.tasks.map((task) => task.attempts.map((attempt) => attempt.outcome)))
    // It is a worker like any other again, and holds nothing back for ever.
    await until(async () => (await frozen.client.queue()).find((queue) => queue.node === frozen.peerId)?.running.length === 0 || undefined, { what: 'its slot to be free' })
    await mesh.kill(frozen.name === 'left' ? 'right' : 'left')
    const again = await front.client.submit({ capability: 'ledger.step', input: { ledger, step: 'again' } })
    expect(await ended(again.id)).toMatchObject({ state: 'completed' })
    expect(runs('done').find((run) => run.step === 'again')?.pid).toBe(frozen.pid)
  })

  it('and wakes while the mission still runs: the first of both results wins, once', async () => {
    const { id } = await front.client.submit({ plan: { tasks: { a: { capability: 'ledger.step', input: { ledger, step: 'a', gate } }, after: { capability: 'ledger.step', input: { ledger, step: 'after' }, after: ['a'] } } } })
    await until(() => countOf('a', 'started') === 1 || undefined, { what: 'the task to run', context: mesh.lastWords })
    const frozen = mesh.nodes.find((node) => node.pid === runs('started')[0]?.pid) as RealNode
    frozen.signal('SIGSTOP')
    await until(() => countOf('a', 'started') === 2 || undefined, { what: 'the task to start elsewhere', context: mesh.lastWords })
    frozen.signal('SIGCONT')
    await mesh.joined()
    writeFileSync(gate, '')
    expect(await ended(id)).toMatchObject({ state: 'completed' })
    const events = await logOf(id)
    expect(events.filter((event) => event.type === 'accepted' && event.taskId === 'root/a')).toHaveLength(1)
    expect(countOf('after', 'started')).toBe(1)
  })
})

it('a worker that is asked to stop hands back what it runs, and the command says nothing failed', async () => {
  const said = say(['run', 'ledger.step', '-i', `ledger=${ledger}`, '-i', 'step=a', '-i', `gate=${gate}`], { env: { ...mesh.env, SKEIN_URL: front.http } })
  await until(() => countOf('a', 'started') === 1 || undefined, { what: 'the task to run', context: mesh.lastWords })
  const worker = mesh.nodes.find((node) => node.pid === runs('started')[0]?.pid) as RealNode
  worker.signal('SIGTERM')
  await until(() => !worker.isRunning() || undefined, { what: 'the worker to stop', context: mesh.lastWords })
  writeFileSync(gate, '')
  const { code, out } = await said
  expect(code).toBe(0)
  expect(JSON.parse(out)).toMatchObject({ state: 'completed' })
})
