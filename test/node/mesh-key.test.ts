import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { adoptMeshKey, createInvite, createMeshKey, fingerprintOf, loadOrCreateMeshKey, parseInvite, readMeshKey, swarmKeyOf } from '../../node/mesh-key.ts'

let dataDir: string
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'skein-mesh-key-'))
})
afterEach(() => rm(dataDir, { recursive: true, force: true }))

describe('the mesh key', () => {
  it('is made once, kept, and readable by its owner only', async () => {
    expect(await readMeshKey(dataDir)).toBeUndefined()
    const first = await loadOrCreateMeshKey(dataDir)
    expect(first.created).toBe(true)
    expect(await loadOrCreateMeshKey(dataDir)).toEqual({ meshKey: first.meshKey, created: false })
    expect(await readdir(dataDir)).toEqual(['mesh.key'])
    expect((await stat(join(dataDir, 'mesh.key'))).mode & 0o777).toBe(0o600)
  })

  it('is stored as a libp2p swarm key', async () => {
    const { meshKey } = await loadOrCreateMeshKey(dataDir)
    const text = await readFile(join(dataDir, 'mesh.key'), 'utf8')
    expect(text.trim()).toBe(new TextDecoder().decode(swarmKeyOf(meshKey)))
    await writeFile(join(dataDir, 'mesh.key'), text.replaceAll('\n', '\r\n'))
    expect(await readMeshKey(dataDir)).toBe(meshKey)
  })

  it.each(['', 'nonsense', '/key/swarm/psk/1.0.0/\n/base16/\nabc', `/key/swarm/psk/1.0.0/\n/base64/\n${'a'.repeat(64)}`])('is never made anew over a damaged file', async (text) => {
    await writeFile(join(dataDir, 'mesh.key'), text)
    await expect(loadOrCreateMeshKey(dataDir)).rejects.toMatchObject({ fault: { code: 'bad-request', next: expect.stringContaining('invite') } })
    expect(await readFile(join(dataDir, 'mesh.key'), 'utf8')).toBe(text)
  })

  it('says so when it cannot be read or written', async () => {
    const file = join(dataDir, 'a file')
    await writeFile(file, '')
    await expect(loadOrCreateMeshKey(file)).rejects.toMatchObject({ fault: { code: 'storage-failed', detail: expect.stringContaining('read') } })
    const nowhere = join(dataDir, 'a link to nowhere')
    await symlink(join(dataDir, 'nowhere'), nowhere)
    await expect(adoptMeshKey(nowhere, createMeshKey())).rejects.toMatchObject({ fault: { code: 'storage-failed', detail: expect.stringContaining('written') } })
  })

  it('is adopted from an invite, but never over another one', async () => {
    const [mine, other] = [createMeshKey(), createMeshKey()]
    await adoptMeshKey(dataDir, mine)
    await adoptMeshKey(dataDir, mine)
    await expect(adoptMeshKey(dataDir, other)).rejects.toMatchObject({ fault: { code: 'wrong-state', detail: expect.stringContaining(fingerprintOf(mine)) } })
    expect(await readMeshKey(dataDir)).toBe(mine)
  })

  it('has a fingerprint that does not tell it', () => {
    const meshKey = createMeshKey()
    expect(fingerprintOf(meshKey)).toMatch(/^[0-9a-f]{12}$/)
    expect(meshKey).not.toContain(fingerprintOf(meshKey))
    expect(fingerprintOf(createMeshKey())).not.toBe(fingerprintOf(meshKey))
  })
})

describe('an invite', () => {
  const invite = { meshKey: createMeshKey(), addrs: ['/ip4/192.168.1.20/tcp/4747/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN', '/dns4/box.example/tcp/4747'], name: 'büro' }

  it('says the same after a trip through a terminal', () => {
    const text = createInvite(invite)
    expect(text).toMatch(/^skein:\/\/[A-Za-z0-9_-]+$/)
    expect(parseInvite(text)).toEqual(invite)
    expect(parseInvite(`  ${text.slice(0, 60)}\n   ${text.slice(60)}\r\n`)).toEqual(invite)
    expect(parseInvite(createInvite({ meshKey: invite.meshKey, addrs: [] }))).toEqual({ meshKey: invite.meshKey, addrs: [] })
  })

  it('is refused when a piece is missing, at every length', () => {
    const text = createInvite(invite)
    for (let length = 0; length < text.length; length++) {
      expect(() => parseInvite(text.slice(0, length)), `${length} characters`).toThrow(expect.objectContaining({ fault: expect.objectContaining({ code: 'bad-request', next: expect.stringContaining('skein invite') }) }))
    }
  })

  it('is refused when any character is wrong', () => {
    const text = createInvite(invite)
    for (let at = 'skein://'.length; at < text.length - 1; at++) {
      const wrong = text[at] === 'A' ? 'B' : 'A'
      expect(() => parseInvite(text.slice(0, at) + wrong + text.slice(at + 1)), `character ${at}`).toThrow(/invite/)
    }
  })

  it.each(['', 'hello', 'https://example.org', 'skein://', 'skein://!!!!', `skein://${'A'.repeat(300)}`])('is refused when it is none: %j', (text) => {
    expect(() => parseInvite(text)).toThrow(/invite/)
  })
})
