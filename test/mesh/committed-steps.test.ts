/** A worker that is killed between a committed checkpoint and its end: the next one goes on from there, and no finished step is taken again. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type RealMesh, startRealMesh } from '../support/real-mesh.ts'
import { until } from '../support/until.ts'

const skill = fileURLToPath(new URL('./fixtures/steps.skill.ts', import.meta.url))

let mesh: RealMesh
beforeAll(async () => {
  const flags = ['--skill', skill, '--slots', '2', '--duties', 'worker,bridge']
  mesh = await startRealMesh([{ name: 'front', flags: ['--slots', '0', '--duties', 'replica,bridge'] }, { name: 'left', flags }, { name: 'right', flags }])
}, 120_000)
afterAll(() => mesh?.stop(), 60_000)

it('kill -9 after the third of six steps: the others are taken elsewhere, each once', async () => {
  const front = mesh.node('front')
  const [file, gate] = ['steps', 'gate'].map((name) => join(mesh.folder, name)) as [string, string]
  const lines = (what: string) => (existsSync(file) ? readFileSync(file, 'utf8') : '').split('\n').map((line) => line.split(' ')).flatMap(([step, said, pid]) => (said === what ? [{ step: Number(step), pid: Number(pid) }] : []))

  const { id } = await front.client.submit({ capability: 'steps.take', input: { file, gate, steps: 6, waitAfter: 3 } })
  const victim = await until(() => {
    const third = lines('committed').find(({ step }) => step === 3)
    return mesh.nodes.find((node) => node.pid === third?.pid)
  }, { what: 'the third step to be in the log', context: mesh.lastWords })
  const { pid: killed } = victim
  await mesh.kill(victim.name)
  writeFileSync(gate, '')

  const view = await until(async () => {
    const now = await front.client.mission(id)
    return now.endedAtWallMs === undefined ? undefined : now
  }, { what: 'the mission to end', context: mesh.lastWords })
  expect(view.state).toBe('completed')
  expect(lines('did').map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6])
  expect(lines('did').slice(3).every(({ pid }) => pid !== killed)).toBe(true)
  expect((await front.client.result(id)).result).toEqual({ did: [4, 5, 6], resumedAfter: 3 })
}, 120_000)
