/** A task's accepted award, read at every bridge while a node is killed: one value for ever, for everybody. The short sister of `npm run chaos`. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { seededRandom } from '../../protocols/kernel/prng.ts'
import type { BridgeAddress } from '../../scripts/chaos/bridge.ts'
import { History, type LedgerLine } from '../../scripts/chaos/history.ts'
import { readAwards, readMission, startReaders } from '../../scripts/chaos/readers.ts'
import { startSubmitter } from '../../scripts/chaos/submitter.ts'
import { judge } from '../../scripts/chaos/verdict.ts'
import { type RealMesh, namedNodes, startRealMesh } from '../support/real-mesh.ts'
import { until } from '../support/until.ts'

const skill = fileURLToPath(new URL('../../scripts/chaos/ledger.skill.ts', import.meta.url))

let mesh: RealMesh
beforeEach(async () => {
  mesh = await startRealMesh(namedNodes(3, { flags: ['--skill', skill, '--slots', '2'] }))
})
afterEach(() => mesh?.stop())

it('is a write-once register for every reader at every bridge, though the owner is killed', async () => {
  const ledger = join(mesh.folder, 'ledger')
  writeFileSync(ledger, '')
  const history = new History()
  const bridges = (): BridgeAddress[] => mesh.nodes.filter((node) => node.isRunning()).map((node) => ({ name: node.name, url: node.http, token: 'none' }))
  const random = seededRandom([1, 2])
  const failures: string[] = []
  const submitter = startSubmitter({ history, random: random.split(), seed: 1, ledger, target: 3, bridges, say: (line) => failures.push(line) })
  const stopReaders = startReaders({ history, random: random.split(), bridges, count: 3, everyMs: 20 })
  try {
    const mission = await until(() => history.inFlight().find((open) => [...open.tasks.values()].some((task) => task.first.size > 0)), { what: 'a task to be accepted', context: mesh.lastWords })
    await until(() => history.inFlight().length >= 2, { what: 'several missions to be under way', context: mesh.lastWords })
    const owner = await until(async () => {
      const [at] = bridges()
      if (at !== undefined) await readMission(history, mission, [...mission.ids][0] ?? '', at)
      return mesh.nodes.find((node) => node.peerId === mission.owner)?.name
    }, { what: 'the owner to be known', context: mesh.lastWords })
    await mesh.kill(owner)
    await mesh.restart(owner)
    submitter.finish()
    await until(() => history.inFlight().length === 0, { what: 'every mission to end', context: mesh.lastWords })
  } finally {
    await stopReaders()
    await submitter.stop()
  }
  // In the end everybody says the same of all of them.
  for (const mission of history.missions.values()) for (const at of bridges()) for (const id of mission.ids) expect(await readAwards(history, mission, id, at)).toBe(true)
  history.ledger.push(...readFileSync(ledger, 'utf8').split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as LedgerLine))

  const { expectations, notes } = judge(history)
  expect(expectations.flatMap(({ name, violations }) => violations.map(({ detail }) => `${name}: ${detail}`))).toEqual([])
  expect(failures).toEqual([])
  expect(notes['missions acknowledged']).toBeGreaterThanOrEqual(2)
  expect(notes['tasks checked for linearizability']).toBeGreaterThan(10)
  expect(notes.reads).toBeGreaterThan(10)
}, 240_000)
