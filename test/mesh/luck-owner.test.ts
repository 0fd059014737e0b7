/** The node that owns a mission dies and comes back, at every stage of the mission: nothing is lost, nothing finished runs again. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import type { IndexedEvent } from '../../protocols/tasking/schema.ts'
import type { MissionView } from '../../protocols/tasking/views.ts'
import { type RealMesh, startRealMesh } from '../support/real-mesh.ts'
import { faultIn, within } from '../support/refusals.ts'
import { startSkein } from '../support/skein-command.ts'
import { until } from '../support/until.ts'

const skill = fileURLToPath(new URL('./fixtures/ledger.skill.ts', import.meta.url))

let mesh: RealMesh
let ledger: string
beforeEach(async () => {
  mesh = await startRealMesh([
    { name: 'owner', flags: ['--slots', '0', '--duties', 'replica,bridge'] },
    { name: 'left', flags: ['--skill', skill, '--slots', '4', '--duties', 'worker,bridge'] },
    { name: 'right', flags: ['--skill', skill, '--slots', '4', '--duties', 'worker,bridge'] },
  ])
  ledger = join(mesh.folder, 'ledger')
})
afterEach(() => mesh?.stop())

const gate = (name: string): string => join(mesh.folder, `gate-${name}`)
const open = (name: string): void => writeFileSync(gate(name), '')

function countOf(step: string, what: 'started' | 'done'): number {
  return (existsSync(ledger) ? readdirSync(ledger) : []).filter((name) => name.startsWith(`${step}.`) && name.endsWith(`.${what}`)).length
}

async function ended(id: MissionId): Promise<MissionView> {
  return until(async () => {
    const view = await mesh.node('owner').client.mission(id)
    return view.endedAtWallMs === undefined ? undefined : view
  }, { what: `mission ${id} to end`, context: mesh.lastWords })
}

async function logOf(id: MissionId): Promise<IndexedEvent[]> {
  const events: IndexedEvent[] = []
  for await (const news of mesh.node('owner').client.watch(id)) if (news.type === 'event') events.push({ index: news.index, event: news.event })
  return events
}

const step = (name: string, after: string[] = [], gated = true) => ({ capability: 'ledger.step', input: { ledger, step: name, ...(gated ? { gate: gate(name) } : {}) }, after })

async function crash(): Promise<void> {
  await mesh.kill('owner')
  await mesh.restart('owner')
}

describe('an owner that is killed and started again', () => {
  it('at every stage of the same mission: it completes, and every task was run once', async () => {
    // Two rows of tasks behind gates, then one that needs all of them through its input.
    const tasks = {
      a1: step('a1'), a2: step('a2'), a3: step('a3'),
      b1: step('b1', ['a1', 'a2', 'a3']), b2: step('b2', ['a1']),
      end: { ...step('end'), input: { ledger, step: 'end', gate: gate('end'), needs: { b1: { $from: 'b1' }, b2: { $from: 'b2' } } } },
    }
    const { id } = await mesh.node('owner').client.submit({ plan: { tasks, result: { $from: 'end', path: 'step' } } }, { key: 'once' })
    // 1: it has just said "accepted".
    await crash()
    expect((await mesh.node('owner').client.submit({ plan: { tasks, result: { $from: 'end', path: 'step' } } }, { key: 'once' })).id).toBe(id)

    // 2: the first row runs, nothing is finished.
    await until(() => (['a1', 'a2', 'a3'].every((name) => countOf(name, 'started') > 0) ? true : undefined), { what: 'the first row to run', context: mesh.lastWords })
    await crash()

    // 3: some of the row are finished and accepted, others run.
    open('a1')
    await until(async () => ((await mesh.node('owner').client.tasks(id)).children.find((task) => task.name === 'a1')?.state === 'accepted' ? true : undefined), { what: 'the first task to be accepted', context: mesh.lastWords })
    await crash()

    // 4: a task ends while nobody owns the mission.
    await mesh.kill('owner')
    open('a2')
    open('a3')
    await until(() => (countOf('a2', 'done') === 1 && countOf('a3', 'done') === 1 ? true : undefined), { what: 'the workers to finish on their own', context: mesh.lastWords })
    await mesh.restart('owner')
    await until(() => (countOf('b1', 'started') > 0 && countOf('b2', 'started') > 0 ? true : undefined), { what: 'the second row to run', context: mesh.lastWords })

    // 5: twice in a row, in the middle of its recovery.
    await crash()
    await crash()
    open('b1')
    open('b2')
    await until(() => (countOf('end', 'started') > 0 ? true : undefined), { what: 'the last task to run', context: mesh.lastWords })
    await crash()
    open('end')

    // 6: at the moment of the last acceptance, whenever that is.
    await until(() => (countOf('end', 'done') > 0 ? true : undefined), { what: 'the last task to be done', context: mesh.lastWords })
    await crash()
    expect(await ended(id)).toMatchObject({ state: 'completed' })
    expect((await mesh.node('owner').client.result(id)).result).toBe('end')

    for (const name of Object.keys(tasks)) {
      expect(countOf(name, 'started'), `${name} started`).toBe(1)
      expect(countOf(name, 'done'), `${name} done`).toBe(1)
    }
    const log = await logOf(id)
    expect(log.map(({ index }) => index)).toEqual(log.map((_, i) => i + 1))
    expect(log.filter(({ event }) => event.type === 'accepted').length).toBe(Object.keys(tasks).length + 1)
    const terms = log.flatMap(({ event }) => (event.type === 'took-over' ? [event.epoch.term] : []))
    expect(terms.length).toBeGreaterThanOrEqual(6)
    expect(terms).toEqual([...terms].sort((left, right) => left - right))
    expect(new Set(terms).size).toBe(terms.length)
    // 7: after its end it is still there.
    await crash()
    expect(await mesh.node('owner').client.mission(id)).toMatchObject({ state: 'completed' })
  }, 300_000)

  it('is told apart from a mission that is lost: other bridges say who owns it and what to do', async () => {
    const { id } = await mesh.node('left').client.submit({ plan: { tasks: { a: step('a') } } })
    await until(() => (countOf('a', 'started') > 0 ? true : undefined), { what: 'the task to run', context: mesh.lastWords })
    await mesh.kill('owner')
    const refusal = await until(() => mesh.node('left').client.mission(id).then(() => undefined, (thrown: unknown) => {
      const { fault } = thrown as { fault: { code: string; detail: string; next?: string } }
      return fault.code === 'owner-unreachable' ? fault : undefined
    }), { what: 'the other bridge to say that the owner is gone', context: mesh.lastWords })
    expect(refusal.detail).toContain('owner')
    expect(refusal.next).toMatch(/start/)
    open('a')
    await mesh.restart('owner')
    await until(async () => ((await mesh.node('left').client.mission(id)).state === 'completed' ? true : undefined), { what: 'the mission to complete', context: mesh.lastWords })
    expect([countOf('a', 'started'), countOf('a', 'done')]).toEqual([1, 1])
  })

  it('with all of its workers: everybody comes back, the mission completes, what was finished stays finished', async () => {
    const { id } = await mesh.node('owner').client.submit({ plan: { tasks: { a: step('a', [], false), b: step('b', ['a']) } } })
    await until(() => (countOf('b', 'started') > 0 ? true : undefined), { what: 'the second task to run', context: mesh.lastWords })
    await Promise.all(['owner', 'left', 'right'].map((name) => mesh.kill(name)))
    open('b')
    await mesh.restart('owner')
    await Promise.all(['left', 'right'].map((name) => mesh.restart(name)))
    expect(await ended(id)).toMatchObject({ state: 'completed' })
    expect([countOf('a', 'started'), countOf('a', 'done'), countOf('b', 'done')]).toEqual([1, 1, 1])
  })

  it('while it is followed from another node: the follower sees every event once and the end', async () => {
    const front = mesh.node('left')
    const watcher = startSkein(['run', 'ledger.step', '-i', `ledger=${ledger}`, '-i', 'step=w', '-i', `gate=${gate('w')}`, '--json'], { env: { ...mesh.env, SKEIN_URL: front.http } })
    await until(() => (countOf('w', 'started') > 0 ? true : undefined), { what: 'the task to run', context: mesh.lastWords })
    const [mission] = await front.client.missions()
    const seen: number[] = []
    const following = (async () => {
      for await (const news of front.client.watch(mission?.id as MissionId)) if (news.type === 'event') seen.push(news.index)
    })()
    await until(() => (seen.length > 0 ? true : undefined), { what: 'the first events' })
    await crash()
    open('w')
    await within('the follower', following)
    const { code, out, err } = await within('the command', watcher.ended)
    expect({ code, fault: faultIn(err) }).toEqual({ code: 0, fault: undefined })
    expect(JSON.parse(out)).toMatchObject({ state: 'completed', result: { step: 'w' } })
    expect(seen).toEqual(seen.map((_, i) => i + 1))
    expect(countOf('w', 'started')).toBe(1)
  })
})

it('an owner that works itself: what it had finished is not run again, what it was running is', async () => {
  await mesh.kill('left')
  await mesh.kill('right')
  const solo = await mesh.start({ name: 'solo', join: [], flags: ['--skill', skill, '--slots', '2'] })
  const { id } = await solo.client.submit({ plan: { tasks: { a: step('a', [], false), b: step('b', ['a']) } } })
  await until(() => (countOf('b', 'started') === 1 ? true : undefined), { what: 'the second task to run', context: mesh.lastWords })
  await mesh.kill('solo')
  open('b')
  const again = await mesh.restart('solo', { join: [] })
  await until(async () => ((await again.client.mission(id)).state === 'completed' ? true : undefined), { what: 'the mission to complete', context: mesh.lastWords })
  expect([countOf('a', 'started'), countOf('b', 'started'), countOf('b', 'done')]).toEqual([1, 2, 1])
})
