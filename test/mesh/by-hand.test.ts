/** What a person does, or does not have to do, when the node that they talk to is gone for good. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, it } from 'vitest'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import type { MissionView } from '../../protocols/tasking/views.ts'
import { type RealMesh, type RealNode, startRealMesh } from '../support/real-mesh.ts'
import { within } from '../support/refusals.ts'
import { runSkein, startSkein } from '../support/skein-command.ts'
import { until } from '../support/until.ts'

const skill = fileURLToPath(new URL('./fixtures/ledger.skill.ts', import.meta.url))
const keeper = (name: string) => ({ name, flags: ['--slots', '0', '--duties', 'replica,bridge'] })
const worker = { name: 'worker', flags: ['--skill', skill, '--slots', '2', '--duties', 'worker,bridge'] }

let mesh: RealMesh
afterEach(() => mesh.stop())

const ledger = (): string => join(mesh.folder, 'ledger')
const gate = (name: string): string => join(mesh.folder, `gate-${name}`)
const open = (name: string): void => writeFileSync(gate(name), '')
const started = (step: string): Promise<true> => until(() => (existsSync(ledger()) && readdirSync(ledger()).some((name) => name.startsWith(`${step}.`) && name.endsWith('.started')) ? true : undefined), { what: `${step} to run`, context: mesh.lastWords })

interface Replication {
  readonly replication: { readonly admitted: string; readonly groups: number; readonly leads: number; readonly leaderless: number }
}
const replicationOf = async (node: RealNode): Promise<Replication['replication']> => (await node.client.status(node.peerId as Parameters<typeof node.client.status>[0]) as unknown as Replication).replication

it('two nodes keep a mission and its owner is lost: nobody takes over until a person says so, then it completes', async () => {
  mesh = await startRealMesh([keeper('owner'), keeper('partner'), worker])
  const [owner, partner] = [mesh.node('owner'), mesh.node('partner')]
  await until(async () => (await replicationOf(partner)).admitted === 'yes', { what: 'the partner to be admitted', context: mesh.lastWords })
  const before = (await replicationOf(partner)).groups
  const { id } = await owner.client.submit({ capability: 'ledger.step', input: { ledger: ledger(), step: 'a', gate: gate('a') } })
  await started('a')
  await until(async () => {
    const { members = [] } = await owner.client.mission(id)
    return members.some(({ name, votes }) => name === 'partner' && !votes) && (await replicationOf(partner)).groups > before
  }, { what: 'the partner to have a copy', context: mesh.lastWords })

  const take = (): ReturnType<typeof runSkein> => runSkein(['mission', 'takeover', id, '--url', partner.http], { env: mesh.env })
  const early = await take()
  expect([early.code, early.err]).toEqual([3, expect.stringContaining('there is nothing to take over')])

  await mesh.kill('owner')
  await until(async () => (await replicationOf(partner)).leaderless > 0, { what: 'the partner to miss its leader', context: mesh.lastWords })
  const taken = await until(async () => {
    const said = await take()
    return said.code === 0 ? said : undefined
  }, { what: 'the takeover', context: mesh.lastWords })
  expect(taken.out).toContain('taken over by hand: what its lost owner did and nobody else saw is lost')
  open('a')
  const ended = await until(async () => {
    const view = await mesh.node('worker').client.mission(id)
    return view.endedAtWallMs === undefined ? undefined : view
  }, { what: 'the mission to end', context: mesh.lastWords }) as MissionView
  expect(ended).toMatchObject({ state: 'completed', ownerName: 'partner', epoch: { lineage: 2 } })
  expect((await runSkein(['mission', 'show', id, '--url', partner.http], { env: mesh.env })).out).toContain('the promises of quorum do not hold for it')
}, 240_000)

it('three nodes keep it, and the one that a command talks to dies: the command goes on at another, to the end', async () => {
  mesh = await startRealMesh([keeper('first'), keeper('second'), keeper('third'), worker])
  const first = mesh.node('first')
  const running = startSkein(['run', 'ledger.step', '-i', `ledger=${ledger()}`, '-i', 'step=w', '-i', `gate=${gate('w')}`, '--url', first.http], { env: mesh.env })
  await started('w')
  const id = await until(async () => (await mesh.node('worker').client.missions())[0]?.id as MissionId | undefined, { what: 'the mission to be listed', context: mesh.lastWords })
  await until(async () => (await mesh.node('worker').client.mission(id)).members?.filter(({ votes }) => votes).length === 3, { what: 'three voters', context: mesh.lastWords })
  await mesh.kill('first')
  open('w')
  const { code, out } = await within('the command', running.ended)
  expect(out).toMatch(new RegExp(`nothing answers at ${first.http} any more; going on at http://127\\.0\\.0\\.1:\\d+ \\((second|third|worker)\\)`))
  expect(out.match(/^ .*submitted /gm)).toHaveLength(1)
  expect(code).toBe(0)
}, 240_000)
