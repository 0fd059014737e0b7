/** `skein doctor` on a mesh of real processes: it names the node that cannot be reached, and says why. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createInvite, createMeshKey } from '../../node/mesh-key.ts'
import { doctor } from '../support/doctor.ts'
import { type RealMesh, namedNodes, startRealMesh } from '../support/real-mesh.ts'
import { runSkein } from '../support/skein-command.ts'
import { until } from '../support/until.ts'

describe('doctor', () => {
  let mesh: RealMesh
  beforeAll(async () => {
    mesh = await startRealMesh(namedNodes(3))
  }, 120_000)
  afterAll(() => mesh?.stop(), 120_000)

  it('finds no node to complain of while all is well', async () => {
    const { findings } = await doctor(mesh.node('node-a'))
    expect(findings.filter((finding) => /node-[abc]/.test(finding.about) && finding.level !== 'good')).toEqual([])
    expect(findings.find((finding) => finding.about === 'mesh')).toMatchObject({ level: 'good', detail: expect.stringContaining('connected to 2 of 2') })
    const about = await doctor(mesh.node('node-a'), 'node-b')
    expect(about.findings.filter((finding) => finding.about.includes('node-b'))).toEqual([expect.objectContaining({ level: 'good' })])
  })

  it('names a node that was killed, why it is not reachable and what to do', async () => {
    await mesh.kill('node-c')
    const found = await until(async () => {
      const { findings, code } = await doctor(mesh.node('node-a'))
      const about = findings.find((finding) => finding.level === 'problem' && finding.about.startsWith('node-c ('))
      return about !== undefined && /refused/.test(about.detail) && about.detail.includes('/ip4/') ? { ...about, code } : undefined
    }, { what: 'a finding about node-c' })
    expect(found.detail).toMatch(/connection was lost.*connection refused/i)
    expect(found.detail).toContain(mesh.node('node-c').addrs[0]?.replace(/\/p2p\/.*/, '') ?? '?')
    expect(found.next).toMatch(/runs there/)
    expect(found.code).toBe(1)
    // Asked for by name it is tried from this machine as well.
    const tried = await until(async () => (await doctor(mesh.node('node-b'), 'node-c')).findings.find((finding) => finding.about.startsWith('/ip4/') && finding.level === 'problem'), { what: 'an attempt to reach node-c from here' })
    expect(tried.detail).toMatch(/refused.*tried from this machine/i)
  })

  it('takes it back once the node is up again', async () => {
    await mesh.restart('node-c')
    await mesh.joined()
    await until(async () => (await doctor(mesh.node('node-a'))).findings.every((finding) => !finding.about.startsWith('node-c') || finding.level !== 'problem'), { what: 'node-c to be no problem any more' })
  })

  it('tells a wrong mesh key from a dead node, on both sides', async () => {
    const addr = mesh.node('node-a').addrs[0] ?? ''
    const stranger = await mesh.start({ name: 'stranger', join: [createInvite({ meshKey: createMeshKey(), addrs: [addr], name: 'elsewhere' })] })
    const found = await until(async () => (await doctor(stranger)).findings.find((finding) => finding.level === 'problem' && finding.detail.includes('mesh key')), { what: 'a finding about the mesh key', context: () => stranger.stderr() })
    expect(`${found.about} ${found.detail}`).toContain(addr.replace(/\/p2p\/.*/, ''))
    expect(found.next).toMatch(/fingerprints must be the same/)
    // Its own mesh does not let it in, and does not list it.
    const seen = await mesh.node('node-a').client.nodes()
    expect(seen.map((node) => node.peerId)).not.toContain(stranger.peerId)
    const [theirs, ours] = await Promise.all([doctor(stranger), doctor(mesh.node('node-a'))])
    const fingerprint = (of: typeof ours): string | undefined => of.findings.find((finding) => finding.about === 'mesh key' && finding.level === 'good')?.detail
    expect(fingerprint(theirs)).toMatch(/^fingerprint /)
    expect(fingerprint(theirs)).not.toBe(fingerprint(ours))
  })

  it('says what is wrong where no node runs', async () => {
    const { code, out } = await runSkein(['doctor', '--json', '--data', join(mesh.folder, 'nobody')])
    expect(code).toBe(1)
    const { findings } = JSON.parse(out) as { findings: { about: string; level: string; next?: string }[] }
    expect(findings.find((finding) => finding.about === 'this machine')).toMatchObject({ level: 'note', next: expect.stringContaining('skein start') })
  })

  it('writes a bundle without the mesh key', async () => {
    const file = join(mesh.folder, 'bundle.json')
    const invite = await mesh.invite()
    await doctor(mesh.node('node-a'), '--bundle', file)
    const text = readFileSync(file, 'utf8')
    expect(text).toContain('skein-doctor-1')
    expect(text).not.toContain(invite.replace('skein://', ''))
    const key = readFileSync(join(mesh.node('node-a').dataDir, 'mesh.key'), 'utf8').trim()
    expect(key.length).toBeGreaterThan(16)
    expect(text).not.toContain(key)
  })
})
