import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadIdentityKey, openNodeDatastore } from '../../../node/identity.ts'
import { createEd25519Identity } from '../../../node/libp2p/identity-ed25519-adapter.ts'
import { identityContract } from '../../contracts/identity.ts'

identityContract('identity-ed25519-adapter', async () => [createEd25519Identity(await generateKeyPair('Ed25519')), createEd25519Identity(await generateKeyPair('Ed25519'))])

describe('identity-ed25519-adapter', () => {
  it('signs what libp2p verifies, and the other way round', async () => {
    const key = await generateKeyPair('Ed25519')
    const identity = createEd25519Identity(key)
    const message = new TextEncoder().encode('an advert')
    expect(identity.peerId).toBe(peerIdFromPrivateKey(key).toString())
    expect(await key.publicKey.verify(message, identity.sign(message))).toBe(true)
    expect(identity.verify(identity.peerId, message, await key.sign(message))).toBe(true)
  })

  it('refuses a key of another type', async () => {
    const key = await generateKeyPair('secp256k1')
    expect(() => createEd25519Identity(key)).toThrow(/secp256k1/)
    const identity = createEd25519Identity(await generateKeyPair('Ed25519'))
    const message = new TextEncoder().encode('an advert')
    expect(identity.verify(peerIdFromPrivateKey(key).toString() as never, message, await key.sign(message))).toBe(false)
  })
})

describe('a data directory', () => {
  let dataDir: string
  beforeEach(async () => {
    dataDir = join(await mkdtemp(join(tmpdir(), 'skein-identity-')), 'node')
  })
  afterEach(() => rm(join(dataDir, '..'), { recursive: true, force: true }))

  it('keeps one identity for ever', async () => {
    const first = await openNodeDatastore(dataDir)
    const peerId = createEd25519Identity(await loadIdentityKey(first)).peerId
    await first.close()
    const second = await openNodeDatastore(dataDir)
    expect(createEd25519Identity(await loadIdentityKey(second)).peerId).toBe(peerId)
    await second.close()
    expect((await stat(join(dataDir, 'libp2p'))).mode & 0o077).toBe(0)
  })

  it('is refused to a second process, which is told why', async () => {
    const held = await openNodeDatastore(dataDir)
    const script = `
      const { openNodeDatastore } = await import(${JSON.stringify(new URL('../../../node/identity.ts', import.meta.url).href)})
      await openNodeDatastore(process.argv[1]).then(() => console.log('opened'), (error) => console.log(JSON.stringify(error.fault)))`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script, dataDir], { stdio: ['ignore', 'pipe', 'inherit'] })
    let said = ''
    child.stdout.on('data', (text: Buffer) => (said += text.toString()))
    await once(child, 'close')
    expect(JSON.parse(said)).toMatchObject({ code: 'wrong-state', detail: expect.stringContaining(dataDir), next: expect.stringContaining('--data') })
    await held.close()
  })

  it('that cannot be one is an error of storage', async () => {
    await expect(openNodeDatastore('/proc/version')).rejects.toMatchObject({ fault: { code: 'storage-failed', detail: expect.stringContaining('/proc/version') } })
  })
})
