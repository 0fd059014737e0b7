/** The disk of a node is full: it takes nothing new and says so, finishes what it has as long as it can, stops rather than lie, and comes back where it was. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { limits } from '../../protocols/kernel/limits.ts'
import { findProgram, lacksProgram, named } from '../requirements.ts'
import { type RealMesh, type RealNode, startRealMesh } from '../support/real-mesh.ts'
import { say } from '../support/refusals.ts'
import { startSkein } from '../support/skein-command.ts'
import { until } from '../support/until.ts'

const skill = fileURLToPath(new URL('./fixtures/ledger.skill.ts', import.meta.url))

/** Tries it: being root is not enough in every container. */
function lacksSmallDisk(): string | undefined {
  if (process.platform !== 'linux') return 'a small disk is made by tmpfs, on Linux only'
  if (process.getuid?.() !== 0) return 'mounting a small disk needs root'
  const missing = lacksProgram('mount', 'umount')
  if (missing !== undefined) return missing
  const probe = `/tmp/skein-disk-probe-${process.pid}`
  mkdirSync(probe)
  try {
    execFileSync(findProgram('mount') ?? 'mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', probe], { stdio: 'pipe' })
    execFileSync(findProgram('umount') ?? 'umount', [probe], { stdio: 'pipe' })
    return undefined
  } catch {
    return 'mounting is not allowed here'
  } finally {
    rmSync(probe, { recursive: true, force: true })
  }
}

const lack = lacksSmallDisk()

describe.skipIf(lack)(named('a full disk', lack), () => {
  let mesh: RealMesh
  let disk: string
  let hasDisk = false
  beforeEach(async () => {
    mesh = await startRealMesh([{ name: 'friend', flags: ['--skill', skill] }])
    // The data folder of a node that is yet to be started.
    disk = join(mesh.folder, 'cramped')
    mkdirSync(disk)
    hasDisk = false
  })
  afterEach(async () => {
    for (const node of mesh?.nodes ?? []) if (node.name === 'cramped' && node.isRunning()) await mesh.kill('cramped')
    if (hasDisk) execFileSync('umount', ['-l', disk])
    await mesh?.stop()
  })

  const mount = (sizeMiB: number): void => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMiB}m,mode=700`, 'tmpfs', disk])
    hasDisk = true
  }
  const freeBytes = (): number => {
    const { bavail, bsize } = statfsSync(disk)
    return bavail * bsize
  }
  /** @param leaveBytes so much, or a little less, stays free. */
  const fill = (leaveBytes = 0): void => {
    try {
      for (let i = 0; freeBytes() > leaveBytes || leaveBytes === 0; i++) writeFileSync(join(disk, `filler-${i}`), Buffer.alloc(64 * 1024, 1))
    } catch {
      // Full to the last page: that is what was wanted.
    }
    if (leaveBytes > 0) return
    try {
      for (let i = 0; ; i++) writeFileSync(join(disk, `crumb-${i}`), Buffer.alloc(1_024, 1))
    } catch {
      // And to the last byte.
    }
  }
  const clear = (): void => {
    for (const kind of ['filler', 'crumb']) for (let i = 0; existsSync(join(disk, `${kind}-${i}`)); i++) rmSync(join(disk, `${kind}-${i}`))
  }

  const ledger = (): string => join(mesh.folder, 'ledger')

  it('of the owner: nothing new is taken, with a clear reason; it stops rather than lie, finishes what was accepted from what was kept back, and takes more when there is room', async () => {
    mount(128)
    const cramped: RealNode = await mesh.start({ name: 'cramped', flags: ['--slots', '0'] })
    await mesh.joined()
    const gate = join(mesh.folder, 'gate')
    const submit = (at: RealNode, ...more: string[]) => say(['run', 'ledger.step', '-i', `ledger=${ledger()}`, '-i', `gate=${gate}`, ...more, '--detach'], { env: { ...mesh.env, SKEIN_URL: at.http } })
    const before = await cramped.client.submit({ capability: 'ledger.step', input: { ledger: ledger(), step: 'before', gate } })
    await until(async () => ['awarded', 'running'].includes((await cramped.client.tasks(before.id)).children[0]?.state ?? '') || undefined, { what: 'the first mission to run', context: mesh.lastWords })
    // Nearly full: it says so before anything fails.
    fill(limits.diskLowBytes / 2)
    const refused = await until(async () => {
      const said = await submit(cramped, '-i', 'step=during')
      return said.code === 0 ? undefined : said
    }, { what: 'a submission to be refused', context: mesh.lastWords })
    expect(refused).toMatchObject({ code: 3, fault: { code: 'overloaded', detail: expect.stringMatching(/disk of this node is nearly full/), retryable: true, next: expect.stringMatching(/space|another node/) } })
    expect(cramped.isRunning()).toBe(true)
    // Full: the next thing that it must write down does not fit, and it stops rather than lie.
    clear()
    fill()
    writeFileSync(gate, '')
    const { code, err } = await cramped.exited
    expect(code).toBe(1)
    expect(err).toMatch(/disk under .* is full/)
    expect(err).toMatch(/gave up/)
    // Everybody else is unharmed.
    const friend = mesh.node('friend')
    const own = await friend.client.submit({ capability: 'ledger.step', input: { ledger: ledger(), step: 'elsewhere' } })
    await until(async () => (await friend.client.mission(own.id)).state === 'completed' || undefined, { what: 'a mission of the other node to complete', context: mesh.lastWords })
    // What was kept back is enough to start again and finish, on a disk that is still full: nothing that was accepted is lost.
    const again = await mesh.restart('cramped')
    await until(async () => (await again.client.mission(before.id)).state === 'completed' || undefined, { what: 'the accepted mission to complete on a full disk', context: mesh.lastWords })
    expect(await submit(again, '-i', 'step=still')).toMatchObject({ code: 3, fault: { code: 'overloaded' } })
    clear()
    await until(async () => (await submit(again, '-i', 'step=after')).code === 0 || undefined, { what: 'a submission to be taken again', context: mesh.lastWords })
    for (const mission of await again.client.missions()) await until(async () => (await again.client.mission(mission.id)).state === 'completed' || undefined, { what: 'every accepted mission to complete', context: mesh.lastWords })
  }, 180_000)

  it('at the start: one clear error, and no half-made node', async () => {
    mount(24)
    fill()
    const node = startSkein(['node', 'start', '--json', '--data', disk, '--listen-host', '127.0.0.1', '--listen-port', '0', '--http-port', '0', '--no-mdns'], { env: mesh.env })
    const { code, err } = await node.ended
    expect(code).toBe(4)
    expect(err).toMatch(/"code":"storage-failed"/)
    expect(err).toMatch(/disk/)
  })

  it('for an upload: the client is told, and the node lives', async () => {
    mount(24)
    const cramped = await mesh.start({ name: 'cramped', flags: ['--slots', '0'] })
    writeFileSync(join(mesh.folder, 'big.bin'), Buffer.alloc(30 * 1024 * 1024, 3))
    const said = await say(['run', 'ledger.step', '-i', 'ledger=@big.bin', '-i', 'step=x'], { env: { ...mesh.env, SKEIN_URL: cramped.http }, cwd: mesh.folder })
    expect(said.code).not.toBe(0)
    expect(said.fault?.code).toBe('storage-failed')
    expect(said.fault?.next).toBeTruthy()
    expect(await cramped.client.health()).toMatchObject({ ok: true })
  })
})
