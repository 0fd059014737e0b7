/** A node that leads a mission dies at every stage of it. Its short sisters are in `luck-owner.test.ts`. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Ledger, crashLeader, keeper, leaderOf, logOf, missionEnded, openLedger, refusalOf, worker } from '../support/ledger.ts'
import { type RealMesh, startRealMesh } from '../support/real-mesh.ts'
import { until } from '../support/until.ts'

let mesh: RealMesh
let ledger: Ledger
beforeAll(async () => {
  mesh = await startRealMesh([{ name: 'first', ...keeper }, { name: 'second', ...keeper }, { name: 'third', ...keeper }, { name: 'worker', ...worker }])
  ledger = openLedger(mesh, 'ledger')
}, 120_000)
afterAll(() => mesh?.stop(), 60_000)

it('an owner that dies at every stage of the same mission: it completes, and every task was run once', async () => {
  // Two rows of tasks behind gates, then one that needs all of them through its input.
  const tasks = {
    a1: ledger.step('a1'), a2: ledger.step('a2'), a3: ledger.step('a3'),
    b1: ledger.step('b1', ['a1', 'a2', 'a3']), b2: ledger.step('b2', ['a1']),
    end: { ...ledger.step('end'), input: { ledger: ledger.path, step: 'end', gate: ledger.gate('end'), needs: { b1: { $from: 'b1' }, b2: { $from: 'b2' } } } },
  }
  const request = { plan: { tasks, result: { $from: 'end', path: 'step' } } }
  const { id } = await mesh.node('first').client.submit(request, { key: 'once' })
  // 1: it has just said "accepted".
  await crashLeader(mesh, 'worker', id)
  // The same key is the same mission, at whichever bridge; an outcome that is unknown is asked for again.
  for (const name of ['second', 'worker', 'first']) expect(await until(async () => (await mesh.node(name).client.submit(request, { key: 'once' })).id, { what: `${name} to answer`, context: mesh.lastWords }), name).toBe(id)

  // 2: the first row runs, nothing is finished.
  await ledger.started('a1', 'a2', 'a3')
  await crashLeader(mesh, 'worker', id)

  // 3: some of the row are finished and accepted, others run.
  ledger.open('a1')
  await until(async () => ((await mesh.node('worker').client.tasks(id)).children.find((task) => task.name === 'a1')?.state === 'accepted' ? true : undefined), { what: 'the first task to be accepted', context: mesh.lastWords })
  await crashLeader(mesh, 'worker', id)

  // 4: tasks end while nobody can lead the mission: two of the three who keep it are away.
  const leader = await leaderOf(mesh, 'worker', id)
  const [other] = ['first', 'second', 'third'].filter((name) => name !== leader.name)
  await Promise.all([mesh.kill(leader.name), mesh.kill(other ?? '')])
  ledger.open('a2')
  ledger.open('a3')
  await until(() => (ledger.countOf('a2', 'done') === 1 && ledger.countOf('a3', 'done') === 1 ? true : undefined), { what: 'the worker to finish on its own', context: mesh.lastWords })
  const refusal = await refusalOf(mesh, mesh.node('worker'), id)
  expect(refusal.next).toMatch(/start|must run|again/)
  await Promise.all([mesh.restart(leader.name), mesh.restart(other ?? '')])
  await ledger.started('b1', 'b2')

  // 5: twice in a row, in the middle of its recovery.
  await crashLeader(mesh, 'worker', id)
  await crashLeader(mesh, 'worker', id)
  ledger.open('b1')
  ledger.open('b2')
  await ledger.started('end')
  ledger.open('end')

  // 6: at the moment of the last acceptance, whenever that is.
  await until(() => (ledger.countOf('end', 'done') > 0 ? true : undefined), { what: 'the last task to be done', context: mesh.lastWords })
  await crashLeader(mesh, 'worker', id)
  expect(await missionEnded(mesh, mesh.node('worker'), id)).toMatchObject({ state: 'completed' })
  for (const name of ['first', 'second', 'third', 'worker']) expect((await mesh.node(name).client.result(id)).result, name).toBe('end')

  for (const name of Object.keys(tasks)) {
    expect(ledger.countOf(name, 'started'), `${name} started`).toBe(1)
    expect(ledger.countOf(name, 'done'), `${name} done`).toBe(1)
  }
  const log = await logOf(mesh.node('worker'), id)
  expect(log.map(({ index }) => index)).toEqual(log.map((_, i) => (log[0]?.index ?? 0) + i))
  expect(log.filter(({ event }) => event.type === 'accepted').length).toBe(Object.keys(tasks).length + 1)
  const terms = log.flatMap(({ event }) => (event.type === 'took-over' ? [event.epoch.term] : []))
  expect(terms.length).toBeGreaterThanOrEqual(6)
  expect(terms).toEqual([...terms].sort((left, right) => left - right))
  expect(new Set(terms).size).toBe(terms.length)
}, 600_000)
