/** Nodes that lead missions die, for a while or for good: another goes on, nothing is lost, nothing finished runs again. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import type { MissionView } from '../../protocols/tasking/views.ts'
import { type Ledger, crashLeader, keeper, leaderOf, ledgerSkill, missionEnded, openLedger, refusalOf, replicated, worker } from '../support/ledger.ts'
import { type RealMesh, startRealMesh } from '../support/real-mesh.ts'
import { faultIn, within } from '../support/refusals.ts'
import { startSkein } from '../support/skein-command.ts'
import { until } from '../support/until.ts'

let mesh: RealMesh
let ledger: Ledger
let counter = 0
beforeEach(() => {
  counter += 1
  ledger = openLedger(mesh, `ledger-${counter}`)
})

describe('three nodes that keep missions, and a worker', () => {
  beforeAll(async () => {
    mesh = await startRealMesh([{ name: 'first', ...keeper }, { name: 'second', ...keeper }, { name: 'third', ...keeper }, { name: 'worker', ...worker }])
    await replicated(mesh)
  }, 120_000)
  afterAll(() => mesh?.stop(), 60_000)

  it('an owner that dies while it is followed: the follower sees every event once and the end, and so does the command', async () => {
    const front = mesh.node('worker')
    const watcher = startSkein(['run', 'ledger.step', '-i', `ledger=${ledger.path}`, '-i', 'step=w', '-i', `gate=${ledger.gate('w')}`, '--json'], { env: { ...mesh.env, SKEIN_URL: front.http } })
    await ledger.started('w')
    const id = (await front.client.missions()).find((mission) => mission.state === 'running')?.id as MissionId
    const seen: number[] = []
    const following = (async () => {
      for await (const news of front.client.watch(id)) if (news.type === 'event') seen.push(news.index)
    })()
    await until(() => (seen.length > 0 ? true : undefined), { what: 'the first events' })
    await crashLeader(mesh, 'worker', id)
    ledger.open('w')
    await within('the follower', following)
    const { code, out, err } = await within('the command', watcher.ended)
    expect({ code, fault: faultIn(err) }).toEqual({ code: 0, fault: undefined })
    expect(JSON.parse(out)).toMatchObject({ state: 'completed', result: { step: 'w' } })
    expect(seen).toEqual(seen.map((_, i) => (seen[0] ?? 0) + i))
    expect(ledger.countOf('w', 'started')).toBe(1)
  }, 180_000)

  it('everybody dies and comes back: the mission completes, what was finished stays finished', async () => {
    const { id } = await mesh.node('second').client.submit({ plan: { tasks: { a: ledger.step('a', [], false), b: ledger.step('b', ['a']) } } })
    await ledger.started('b')
    const names = mesh.nodes.map(({ name }) => name)
    await Promise.all(names.map((name) => mesh.kill(name)))
    ledger.open('b')
    const [one = '', ...others] = names
    await mesh.restart(one)
    await Promise.all(others.map((name) => mesh.restart(name)))
    expect(await missionEnded(mesh, mesh.node('worker'), id)).toMatchObject({ state: 'completed' })
    expect([ledger.countOf('a', 'started'), ledger.countOf('a', 'done'), ledger.countOf('b', 'done')]).toEqual([1, 1, 1])
  }, 180_000)

  it('an owner that never comes back: another finishes its missions, nothing finished runs again, its keys are known everywhere', async () => {
    const request = { plan: { tasks: { a: ledger.step('a', [], false), b: ledger.step('b', ['a']), c: ledger.step('c', ['b'], false) } } }
    const { id } = await mesh.node('first').client.submit(request, { key: 'for good' })
    await ledger.started('b')
    await replicated(mesh)
    const owner = await leaderOf(mesh, 'worker', id)
    await mesh.kill(owner.name)
    ledger.open('b')
    const [left = '', right = ''] = ['first', 'second', 'third'].filter((name) => name !== owner.name)
    expect(await missionEnded(mesh, mesh.node(left), id)).toMatchObject({ state: 'completed' })
    const view = await mesh.node(right).client.mission(id)
    expect(view).toMatchObject({ state: 'completed' })
    expect([left, right]).toContain(view.ownerName)
    for (const name of ['a', 'b', 'c']) expect([ledger.countOf(name, 'started'), ledger.countOf(name, 'done')], name).toEqual([1, 1])
    for (const name of [left, right, 'worker']) expect((await mesh.node(name).client.submit(request, { key: 'for good' })).id, name).toBe(id)
    // And there is room for more.
    const next = await mesh.node('worker').client.submit({ plan: { tasks: { d: ledger.step('d', [], false) } } })
    expect(await missionEnded(mesh, mesh.node(right), next.id)).toMatchObject({ state: 'completed' })
  }, 180_000)
})

describe('two nodes', () => {
  beforeAll(async () => {
    mesh = await startRealMesh([{ name: 'owner', ...keeper }, { name: 'other', flags: ['--skill', ledgerSkill, '--slots', '2'] }])
  }, 120_000)
  afterAll(() => mesh?.stop(), 60_000)

  it('never take over by themselves: the mission waits, says for whom, and goes on when it is taken over by hand', async () => {
    const other = mesh.node('other')
    const { id } = await mesh.node('owner').client.submit({ plan: { tasks: { a: ledger.step('a', [], false), b: ledger.step('b', ['a']), c: ledger.step('c', ['b'], false) } } })
    await ledger.started('b')
    // What the other has not seen would be lost, and run again.
    await until(async () => ((await other.client.tasks(id)).children.find((task) => task.name === 'b')?.attempts === 1 ? true : undefined), { what: 'the other to know of the award', context: mesh.lastWords })
    await mesh.kill('owner')
    ledger.open('b')
    const refusal = await refusalOf(mesh, other, id)
    expect(refusal.next).toContain('skein mission takeover')
    expect(ledger.countOf('c', 'started')).toBe(0)
    expect(await other.skein<MissionView>(['mission', 'takeover', id])).toMatchObject({ id, ownerName: 'other', epoch: { lineage: 2 } })
    expect(await missionEnded(mesh, other, id)).toMatchObject({ state: 'completed' })
    for (const name of ['a', 'b', 'c']) expect([ledger.countOf(name, 'started'), ledger.countOf(name, 'done')], name).toEqual([1, 1])
    // One that comes back owns it no more, and says the same as everybody.
    const back = await mesh.restart('owner')
    await until(async () => ((await back.client.mission(id)).ownerName === 'other' ? true : undefined), { what: 'the former owner to know', context: mesh.lastWords })
  }, 240_000)
})

describe('a node alone', () => {
  beforeAll(async () => {
    mesh = await startRealMesh([{ name: 'solo', flags: ['--skill', ledgerSkill, '--slots', '2'] }])
  }, 120_000)
  afterAll(() => mesh?.stop(), 60_000)

  it('that owns and works: what it had finished is not run again, what it was running is', async () => {
    const solo = mesh.node('solo')
    const { id } = await solo.client.submit({ plan: { tasks: { a: ledger.step('a', [], false), b: ledger.step('b', ['a']) } } })
    await ledger.started('b')
    await mesh.kill('solo')
    ledger.open('b')
    const again = await mesh.restart('solo')
    expect(await missionEnded(mesh, again, id)).toMatchObject({ state: 'completed' })
    expect([ledger.countOf('a', 'started'), ledger.countOf('b', 'started'), ledger.countOf('b', 'done')]).toEqual([1, 2, 1])
  }, 120_000)
})
