/** Nodes that cannot start, or start and may not be heard: each says why, on both sides, and harms nobody. */
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { type Server, createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createInvite, createMeshKey, fingerprintOf } from '../../node/mesh-key.ts'
import { type RealMesh, type RealNode, startRealMesh } from '../support/real-mesh.ts'
import { patienceMs, say, within } from '../support/refusals.ts'
import { startSkein } from '../support/skein-command.ts'
import { until } from '../support/until.ts'

let mesh: RealMesh
let first: RealNode
beforeAll(async () => {
  mesh = await startRealMesh([{ name: 'first' }])
  first = mesh.node('first')
})
afterAll(() => mesh?.stop())

const quiet = ['--listen-host', '127.0.0.1', '--no-mdns']
const anyPorts = ['--listen-port', '0', '--http-port', '0']
const start = (folder: string, ...flags: string[]) => say(['node', 'start', '--data', join(mesh.folder, folder), ...quiet, ...flags], { env: mesh.env, cwd: mesh.folder })

/** Something else listens there. */
async function taken<T>(use: (port: number) => Promise<T>): Promise<T> {
  const server: Server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    return await use((server.address() as { port: number }).port)
  } finally {
    await new Promise((resolve) => server.close(resolve))
  }
}

describe('a port in use', () => {
  it('for other nodes, asked for: an error that names it', async () => {
    const said = await taken((port) => start('port-a', '--listen-port', String(port), '--http-port', '0').then((all) => ({ ...all, port })))
    expect(said).toMatchObject({ code: 3, fault: { code: 'wrong-state' } })
    expect(said.fault?.detail).toContain(String(said.port))
    expect(said.fault?.next).toMatch(/port/)
  })

  it('for HTTP, asked for: an error that names it; the port for nodes is free again', async () => {
    const said = await taken((port) => start('port-b', '--listen-port', '0', '--http-port', String(port)).then((all) => ({ ...all, port })))
    expect(said).toMatchObject({ code: 3, fault: { code: 'wrong-state' } })
    expect(said.fault?.detail).toContain(String(said.port))
    expect(said.fault?.next).toMatch(/port/)
    // What was opened before was closed again: the same folder can be used at once.
    const again = startSkein(['node', 'start', '--json', '--with-parent', '--data', join(mesh.folder, 'port-b'), ...quiet, ...anyPorts], { env: mesh.env, stdin: 'pipe' })
    try {
      await within('the second try', new Promise<void>((resolve, reject) => {
        again.onLine(() => resolve())
        void again.ended.then(({ err }) => reject(new Error(err)))
      }))
    } finally {
      again.child.kill('SIGTERM')
      await within('its end', again.ended)
    }
  })

  it('that nobody asked for: the next free one', async () => {
    const held: Server[] = []
    for (const port of [4747, 7420]) {
      const server = createServer()
      held.push(server)
      // Whoever has it already serves the test as well.
      await new Promise<void>((resolve) => server.once('error', () => resolve()).listen(port, '127.0.0.1', resolve))
    }
    const node = startSkein(['node', 'start', '--json', '--with-parent', '--data', join(mesh.folder, 'defaults'), ...quiet], { env: mesh.env, stdin: 'pipe' })
    try {
      const ready = await within('a start beside taken default ports', new Promise<{ addrs: string[]; http: string }>((resolve, reject) => {
        node.onLine((line) => resolve(JSON.parse(line) as { addrs: string[]; http: string }))
        void node.ended.then(({ err }) => reject(new Error(err)))
      }))
      expect(ready.addrs.join(' ')).not.toMatch(/\/tcp\/4747\//)
      expect(ready.http).not.toBe('http://127.0.0.1:7420')
    } finally {
      node.child.kill('SIGTERM')
      await within('its end', node.ended)
      for (const server of held) server.close()
    }
  })
})

describe('a data directory', () => {
  it('that a node uses is refused to a second one, which says so; the first goes on', async () => {
    const said = await start('first', ...anyPorts)
    expect(said).toMatchObject({ code: 3, fault: { code: 'wrong-state' } })
    expect(said.fault?.detail).toContain(join(mesh.folder, 'first'))
    expect(said.fault?.next).toMatch(/--data|stop/)
    expect(await first.client.health()).toMatchObject({ ok: true })
    expect(JSON.parse(readFileSync(join(mesh.folder, 'first', 'run.json'), 'utf8'))).toMatchObject({ pid: first.pid })
  })

  it('that is a file, or cannot be made, is one clear error', async () => {
    writeFileSync(join(mesh.folder, 'a-file'), 'not a folder')
    for (const folder of ['a-file', 'a-file/below']) {
      const said = await start(folder, ...anyPorts)
      expect(said.code).not.toBe(0)
      expect(said.fault?.code).not.toBe('internal')
      expect(said.fault?.detail).toContain('a-file')
      expect(said.fault?.next).toBeTruthy()
    }
  })

  it('of another mesh is not dragged into this one', async () => {
    mkdirSync(join(mesh.folder, 'foreign'))
    const key = createMeshKey()
    writeFileSync(join(mesh.folder, 'foreign', 'mesh.key'), `/key/swarm/psk/1.0.0/\n/base16/\n${key}\n`)
    const said = await start('foreign', ...anyPorts, '--join', await mesh.invite())
    expect(said).toMatchObject({ code: 3, fault: { code: 'wrong-state' } })
    expect(said.fault?.detail).toContain(fingerprintOf(key))
    expect(said.fault?.next).toMatch(/--data/)
  })

  it('with a damaged mesh key says which file', async () => {
    mkdirSync(join(mesh.folder, 'damaged'))
    writeFileSync(join(mesh.folder, 'damaged', 'mesh.key'), 'rubbish')
    const said = await start('damaged', ...anyPorts)
    expect(said).toMatchObject({ code: 2, fault: { code: 'bad-request' } })
    expect(said.fault?.detail).toContain(join('damaged', 'mesh.key'))
  })

  it('whose log is rotten is refused or set right, never silently believed', async () => {
    const rotten = await mesh.start({ name: 'rotten' })
    rotten.signal('SIGTERM')
    await within('the node to stop', rotten.exited)
    const log = join(rotten.dataDir, 'log')
    for (const name of readdirSync(log)) if (/^(CURRENT|MANIFEST)/.test(name)) writeFileSync(join(log, name), 'rot')
    const said = await start('rotten', ...anyPorts)
    expect(said.code).not.toBe(0)
    expect(said.fault?.code).toBe('storage-failed')
    expect(said.fault?.detail).toContain(log)
    expect(said.fault?.next).toBeTruthy()
  })
})

describe('a configuration', () => {
  const broken: readonly [name: string, content: string, expected: RegExp][] = [
    ['unclosed.yaml', 'name: ok\nlisten: { port: 1\n', /unclosed\.yaml:[23]/],
    ['unknown.yaml', 'name: ok\nlisten:\n  prot: 4747\n', /unknown\.yaml:3.*listen\.prot/],
    ['type.yaml', 'slots: many\n', /type\.yaml:1.*slots/],
    ['list.yaml', '- a\n- b\n', /list\.yaml:1/],
    ['binary.yaml', '\u0000\u0001\u0002', /binary\.yaml/],
    ['range.json', '{"http": {"port": 99999}}', /range\.json:1.*http\.port/],
  ]
  it.each(broken)('that is corrupt (%s) names file, line and setting', async (name, content, expected) => {
    writeFileSync(join(mesh.folder, name), content)
    const said = await start('configured', '--config', join(mesh.folder, name))
    expect(said).toMatchObject({ code: 2, fault: { code: 'bad-request' } })
    expect(said.fault?.detail).toMatch(expected)
    expect(said.fault?.next).toBeTruthy()
    // Nothing was made before the configuration was understood.
    expect(existsSync(join(mesh.folder, 'configured'))).toBe(false)
  })

  it('that is missing, or two of them, is told', async () => {
    expect(await start('configured', '--config', join(mesh.folder, 'absent.yaml'))).toMatchObject({ code: 2, fault: { detail: expect.stringContaining('absent.yaml') } })
    mkdirSync(join(mesh.folder, 'two'))
    writeFileSync(join(mesh.folder, 'two', 'skein.config.yaml'), 'slots: 1\n')
    writeFileSync(join(mesh.folder, 'two', 'skein.config.json'), '{"slots": 2}')
    expect(await start('two', ...anyPorts)).toMatchObject({ code: 2, fault: { detail: expect.stringMatching(/skein\.config\.yaml and skein\.config\.json/) } })
  })

  it('open to other machines without a token is refused', async () => {
    const said = await start('open', '--listen-port', '0', '--http-port', '0', '--http-host', '0.0.0.0')
    expect(said).toMatchObject({ code: 2 })
    expect(said.fault?.detail).toMatch(/token/)
    expect(said.fault?.next).toMatch(/http\.tokens/)
  })

  it('with a skill that is missing or broken names it', async () => {
    writeFileSync(join(mesh.folder, 'broken.skill.ts'), 'export default {')
    writeFileSync(join(mesh.folder, 'throws.skill.ts'), 'throw new Error("at import")')
    for (const name of ['absent.skill.ts', 'broken.skill.ts', 'throws.skill.ts']) {
      const said = await start('skilled', ...anyPorts, '--skill', join(mesh.folder, name))
      expect(said.code).toBe(2)
      expect(said.fault?.detail).toContain(name)
      expect(said.fault?.next).toBeTruthy()
    }
  })

  it('with a mistyped invite is told before a mesh of its own is made', async () => {
    const invite = await mesh.invite()
    for (const line of [invite.slice(0, -3), invite.replace(/.(.{8})$/, '_$1'), 'skein://', 'hello']) {
      const said = await start('mistyped', ...anyPorts, '--join', line)
      expect(said).toMatchObject({ code: 2, fault: { code: 'bad-request' } })
      expect(said.fault?.next).toBeTruthy()
      expect(existsSync(join(mesh.folder, 'mistyped'))).toBe(false)
    }
  })
})

describe('a node with another mesh key', () => {
  it('never connects; both sides say why, in doctor and in the log', async () => {
    // It knows where the first node is, and has an own key.
    const stranger = await mesh.start({ name: 'stranger', join: [createInvite({ meshKey: createMeshKey(), addrs: first.addrs })] })
    const doctor = async (node: RealNode): Promise<string> => (await say(['doctor', '--data', node.dataDir], { env: mesh.env })).out
    const told = await until(async () => {
      const out = await doctor(stranger)
      return /mesh key/.test(out) && /fingerprint/.test(out) ? out : undefined
    }, { what: "the stranger's doctor to name the mesh key", timeoutMs: patienceMs, context: mesh.lastWords })
    expect(told).toMatch(/does not have this mesh key|another mesh/)
    await until(() => stranger.facts().some((fact) => JSON.stringify(fact).includes('mesh key')), { what: "the stranger's log to say it" })
    // The side that was dialled cannot read a word of it, but it says that somebody knocked.
    await until(() => first.facts().some((fact) => /mesh key|private network/.test(JSON.stringify(fact))), { what: "the first node's log to say that a stranger knocked", timeoutMs: 20_000, context: () => first.stderr().slice(-3_000) })
    await until(async () => /mesh key/.test((await doctor(first)).replace(/mesh key fingerprint/g, '')), { what: "the first node's doctor to say it", timeoutMs: 20_000 })
    expect((await first.client.nodes()).map((node) => node.name)).not.toContain('stranger')
    expect((await stranger.client.nodes()).map((node) => node.name)).toEqual(['stranger'])
    expect(first.stderr() + stranger.stderr()).not.toContain(readFileSync(join(first.dataDir, 'mesh.key'), 'utf8').split('\n')[2])
  })
})
