/** The same report over three machines that share nothing: own addresses, own loopback, own disk. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { lacksNetworkNamespaces, named } from '../requirements.ts'
import { countFolder } from '../support/count-folder.ts'
import { doctor } from '../support/doctor.ts'
import { type MissionRecord, leavesByWorker } from '../support/mission-records.ts'
import { type NamespacedNetwork, createNetwork, lacksNamespaceTools } from '../support/network-namespaces.ts'
import { type RealMesh, startRealMesh } from '../support/real-mesh.ts'
import { repositoryFolder } from '../support/skein-command.ts'
import { until } from '../support/until.ts'
import type { WhyView } from '../../protocols/tasking/views.ts'

const tree = join(repositoryFolder, 'node_modules', 'libp2p')
const lack = lacksNetworkNamespaces() ?? lacksNamespaceTools()

interface MissionDocument {
  readonly id: string
  readonly state: string
  readonly owner: string
  readonly result: { readonly totals: Record<string, number>; readonly missing: string[]; readonly json: { readonly $blob: string } }
}

describe.skipIf(lack)(named('three machines that share nothing', lack), () => {
  let network: NamespacedNetwork
  let mesh: RealMesh
  let mission: MissionDocument
  let why: WhyView
  let leaves: MissionRecord['leaves']
  const blobsBefore = new Map<string, number>()

  beforeAll(async () => {
    network = createNetwork(['a', 'b', 'c'])
    mesh = await startRealMesh(network.machines.map((machine) => ({ ...machine.spec, name: machine.name, flags: ['--slots', '4', '--set', 'limits.bidWindowMs=4000'] })))
    for (const { name } of network.machines) blobsBefore.set(name, blobsOf(name).blobs)
    mission = await submitFromPrivateFolder()
    why = await mesh.node('a').skein<WhyView>(['mission', 'why', mission.id])
    leaves = why.tasks.filter((task) => task.capability === 'repo.measure' || task.capability === 'repo.dependencies').flatMap((task) => {
      const attempt = task.attempts.find((known) => known.outcome === 'accepted')
      return attempt === undefined ? [] : [{ taskId: task.id, name: task.id, capability: task.capability, attempt, attempts: task.attempts }]
    })
  }, 240_000)
  afterAll(async () => {
    try {
      await mesh?.stop()
    } finally {
      network?.remove()
    }
  }, 120_000)

  /** The folder exists in the command's own mount namespace only: not even the node it talks to can read it. */
  async function submitFromPrivateFolder(): Promise<MissionDocument> {
    const folder = join(mesh.folder, 'private')
    mkdirSync(folder)
    const node = mesh.node('a')
    const prefix = [...(node.spec.shell?.(node.pid) ?? []), 'unshare', '--mount', 'sh', '-c', `mount -t tmpfs tmpfs '${folder}' && cp -rL '${tree}' '${folder}/tree' && exec "$@"`, 'sh']
    const document = await node.skein<MissionDocument>(['run', 'repo.report', '--input', `folder=${join(folder, 'tree')}`], { prefix })
    expect(existsSync(join(folder, 'tree'))).toBe(false)
    return document
  }

  it('each have an address of their own, and hear each other under it only', async () => {
    for (const machine of network.machines) {
      expect(mesh.node(machine.name).addrs).toEqual([expect.stringMatching(new RegExp(`^/ip4/${machine.address.replaceAll('.', '\\.')}/tcp/\\d+/p2p/`))])
      // The test itself is on none of the machines, so it reaches no bridge.
      await expect(mesh.node(machine.name).client.health()).rejects.toMatchObject({ fault: { code: 'owner-unreachable' } })
      expect(existsSync(join(mesh.node(machine.name).dataDir, 'mesh.key'))).toBe(false)
    }
  })

  it('complete the report, and its numbers are right', () => {
    const counted = countFolder(tree)
    expect(mission).toMatchObject({ state: 'completed', result: { missing: [], totals: { files: counted.files, sizeBytes: counted.sizeBytes, lines: counted.lines } } })
  })

  it('share the work: the manager is not on the submitter\'s machine, and both others run leaves', () => {
    const root = why.tasks.find((task) => task.capability === 'repo.report')
    expect(mission.owner).toBe(mesh.node('a').peerId)
    expect(root?.attempts.at(-1)?.worker).not.toBe(mission.owner)
    expect([...leavesByWorker(leaves).keys()]).toEqual(expect.arrayContaining(['b', 'c']))
  })

  it('got their inputs over libp2p: from a folder that no node can see', () => {
    for (const name of ['b', 'c']) {
      expect(blobsBefore.get(name), name).toBe(0)
      expect(blobsOf(name).bytes, name).toBeGreaterThan(0)
      for (const fact of mesh.node(name).facts('award.taken')) expect(mesh.nodes.map((other) => other.peerId)).toContain(fact['from'])
    }
    for (const { attempt } of leaves.filter(({ attempt: { workerName } }) => workerName !== 'a')) {
      expect(mesh.node(attempt.workerName).facts('award.done').map((fact) => fact['award'])).toContain(attempt.awardId)
    }
  })

  it('and doctor names the one whose cable was pulled', async () => {
    const [, , machine] = network.machines
    if (machine === undefined) throw new Error('three machines')
    machine.cable(false)
    const found = await until(async () => {
      const { findings } = await doctor(mesh.node('a'))
      return findings.find((finding) => finding.level === 'problem' && finding.about.startsWith('c ('))
    }, { what: 'a finding about c', context: () => mesh.node('a').stderr().slice(-2_000) })
    expect(found.detail).toMatch(/connection was lost/)
    const [addr = ''] = mesh.node('c').addrs
    const reason = await until(async () => (await doctor(mesh.node('a'))).findings.find((finding) => finding.about.startsWith('c (') && /no answer|no route|timed out|unreachable/i.test(finding.detail)), { what: `a reason why ${addr} cannot be reached` })
    expect(reason.next).toBeTruthy()
    machine.cable(true)
    await mesh.joined()
    expect((await doctor(mesh.node('a'))).findings.filter((finding) => finding.about.startsWith('c (') && finding.level === 'problem')).toEqual([])
  })

  /** What a node's blob store holds, asked on its own machine. */
  function blobsOf(name: string): { blobs: number; bytes: number } {
    const node = mesh.node(name)
    const [file = '', ...prefix] = node.spec.shell?.(node.pid) ?? []
    const ask = `fetch(${JSON.stringify(`${node.http}/v1/nodes/${node.peerId}/status`)}).then((answer) => answer.text()).then((text) => process.stdout.write(text))`
    return (JSON.parse(execFileSync(file, [...prefix, process.execPath, '--eval', ask], { encoding: 'utf8' })) as { blobs: { blobs: number; bytes: number } }).blobs
  }
})
