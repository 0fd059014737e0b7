/** Skills that loop, eat memory, end their process or throw: the task fails, the nodes and everybody else's work do not. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ErrorCode } from '../../protocols/kernel/errors.ts'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import type { MissionView, WhyView } from '../../protocols/tasking/views.ts'
import { type RealMesh, type RealNode, startRealMesh } from '../support/real-mesh.ts'
import { say, within } from '../support/refusals.ts'
import { until } from '../support/until.ts'

const skill = (name: string): string => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url))
const skills = ['--skill', skill('runaway.skill.ts'), '--skill', skill('ledger.skill.ts')]

let mesh: RealMesh
let front: RealNode
let trace: string
let ledger: string
beforeAll(async () => {
  mesh = await startRealMesh([
    { name: 'front', flags: ['--slots', '0', '--duties', 'replica,bridge'] },
    { name: 'left', flags: [...skills, '--slots', '8'] },
    { name: 'right', flags: [...skills, '--slots', '8'] },
  ])
  front = mesh.node('front')
  trace = join(mesh.folder, 'trace')
  ledger = join(mesh.folder, 'ledger')
})
afterAll(() => mesh?.stop())

const attemptsOf = (name: string): string[] => (existsSync(trace) ? readdirSync(trace).filter((file) => file.startsWith(`${name}.`)) : [])

async function ended(id: MissionId): Promise<MissionView> {
  return until(async () => {
    const view = await front.client.mission(id)
    return view.endedAtWallMs === undefined ? undefined : view
  }, { what: `mission ${id} to end`, context: mesh.lastWords })
}

const cases: readonly [name: string, code: ErrorCode, told: RegExp][] = [
  ['loop', 'skill-timeout', /1[.,]?5|time/i],
  ['heap', 'skill-out-of-memory', /64 MiB|memory/i],
  ['buffers', 'skill-out-of-memory', /64 MiB|memory/i],
  ['exit', 'skill-exited', /exit|ended/i],
  ['wait', 'skill-timeout', /1 s|time/i],
  ['throw', 'skill-failed', /on purpose/],
  ['mute', 'skill-silent', /no sign of life for 6 s/],
]

describe('a skill that misbehaves', () => {
  it.each(cases)('%s: tried twice, then dead, with every attempt and its reason told', async (name, code, told) => {
    const pids = mesh.nodes.map((node) => node.pid)
    // Somebody else's mission runs on the same nodes all the while.
    const gate = join(mesh.folder, `gate-${name}`)
    const bystander = await front.client.submit({ plan: { tasks: Object.fromEntries(['a', 'b'].map((step) => [step, { capability: 'ledger.step', input: { ledger, step: `${name}-${step}`, gate } }])) } })
    await until(async () => (existsSync(ledger) ? readdirSync(ledger) : []).filter((file) => file.startsWith(`${name}-`) && file.endsWith('.started')).length === 2, { what: 'the bystander to run', context: mesh.lastWords })

    try {
      const said = await say(['run', join(mesh.folder, 'plan.yaml')], { env: { ...mesh.env, SKEIN_URL: front.http }, cwd: planFile(name) })
      expect(said.code).toBe(1)
      const view = JSON.parse(said.out) as MissionView
      expect(view).toMatchObject({ state: 'failed', fault: { code, retryable: false } })
      expect(view.fault?.detail).toMatch(told)

      const why = await say(['mission', 'why', view.id], { env: { ...mesh.env, SKEIN_URL: front.http } })
      expect(why.code).toBe(0)
      const task = (JSON.parse(why.out) as WhyView).tasks.find((one) => one.capability === `runaway.${name}`)
      expect(task?.state).toBe('dead')
      expect(task?.attempts.map((attempt) => ({ attempt: attempt.attempt, outcome: attempt.outcome, code: attempt.fault?.code }))).toEqual([1, 2].map((attempt) => ({ attempt, outcome: 'failed', code })))
      // It is not given to the one that has just failed on it while there is another.
      expect(new Set(task?.attempts.map((attempt) => attempt.worker)).size).toBe(2)
      expect(attemptsOf(name)).toHaveLength(2)

      const dead = await say(['mission', 'dead', 'list'], { env: { ...mesh.env, SKEIN_URL: mesh.node('left').http } })
      expect(JSON.parse(dead.out)).toContainEqual(expect.objectContaining({ kind: 'task', missionId: view.id, taskId: 'root/bad' }))

      expect(mesh.nodes.map((node) => node.pid)).toEqual(pids)
      for (const node of mesh.nodes) {
        expect(node.isRunning(), `${node.name} lives`).toBe(true)
        expect(await node.client.health()).toMatchObject({ ok: true })
      }
    } finally {
      writeFileSync(gate, '')
    }
    expect(await ended(bystander.id)).toMatchObject({ state: 'completed' })
    expect((await front.client.why(bystander.id)).tasks.flatMap((one) => one.attempts).map((attempt) => attempt.outcome)).toEqual(['accepted', 'accepted'])
  })

  it('an optional one does not fail the rest', async () => {
    const { id } = await front.client.submit({ plan: { tasks: {
      bad: { capability: 'runaway.throw', input: { trace }, retry: { attemptsMax: 1 }, optional: true },
      good: { capability: 'ledger.step', input: { ledger, step: 'beside' } },
    } } })
    expect(await ended(id)).toMatchObject({ state: 'completed' })
  })

  it('does not undo what the others finished, and a dead task can be tried again', async () => {
    const { id } = await front.client.submit({ plan: { tasks: {
      bad: { capability: 'runaway.throw', input: { trace }, retry: { attemptsMax: 1, backoffMs: 0 } },
      good: { capability: 'ledger.step', input: { ledger, step: 'finished-once' } },
    } } })
    expect(await ended(id)).toMatchObject({ state: 'failed' })
    const letter = (await front.client.dead()).find((dead) => dead.missionId === id)
    expect(letter?.reason).toMatch(/on purpose/)
    const env = { ...mesh.env, SKEIN_URL: front.http }
    const before = attemptsOf('throw').length
    expect(await say(['mission', 'dead', 'retry', letter?.id ?? ''], { env })).toMatchObject({ code: 0 })
    await until(() => attemptsOf('throw').length > before, { what: 'another attempt' })
    await until(async () => (await front.client.mission(id)).state === 'failed', { what: 'the mission to fail again' })
    expect(readdirSync(ledger).filter((file) => file.startsWith('finished-once.') && file.endsWith('.done'))).toHaveLength(1)
    expect(await say(['mission', 'dead', 'retry', 'm-aaaaaaaa-bbbbbbbbbbbb:root/x'], { env })).toMatchObject({ code: 3 })
  })

  it('leaves no thread, no memory and no process behind', async () => {
    // Several loops at once: every thread is ended, the nodes answer all the while.
    const tasks = Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`t${i}`, { capability: 'runaway.loop', input: { trace }, retry: { attemptsMax: 1 }, optional: true }]))
    const { id } = await front.client.submit({ plan: { tasks } })
    await until(() => attemptsOf('loop').length >= 4, { what: 'several loops at once' })
    for (const node of mesh.nodes) await within(`${node.name} to answer`, node.client.nodes(), 30_000)
    expect(await ended(id)).toMatchObject({ state: 'completed' })
    for (const name of ['left', 'right']) {
      await until(async () => {
        const [queue] = (await mesh.node(name).client.queue()).filter((view) => view.node === mesh.node(name).peerId)
        return queue?.running.length === 0
      }, { what: `${name} to run nothing` })
    }
  })
})

function planFile(name: string): string {
  writeFileSync(join(mesh.folder, 'plan.yaml'), JSON.stringify({ tasks: { bad: { capability: `runaway.${name}`, input: { trace }, retry: { attemptsMax: 2, backoffMs: 100 } } } }))
  return mesh.folder
}
