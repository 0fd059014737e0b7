/**
 * The mesh key: whoever has it is in the mesh, whoever has not hears and says nothing (libp2p pnet).
 * It is made at the first start, lives in `<data directory>/mesh.key` (mode 0600) and travels in invites.
 *
 * @packageDocumentation
 */
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { multiaddr } from '@multiformats/multiaddr'
import { z } from 'zod'
import { MeshError } from '../protocols/kernel/errors.ts'
import { digestOf, digestOfText } from '../protocols/kernel/hashing.ts'

/** The 32 bytes of a pre-shared key, as lower-case hex. */
export const MeshKey = z.string().regex(/^[0-9a-f]{64}$/, 'is not a mesh key (64 hex digits)').brand<'MeshKey'>()
export type MeshKey = z.infer<typeof MeshKey>

/** What an invite carries. */
export interface Invite {
  readonly meshKey: MeshKey
  /** Multiaddrs at which a member was reachable when the invite was made. */
  readonly addrs: readonly string[]
  /** The name of the node that invites, for people. */
  readonly name?: string
}

const swarmKeyHeader = '/key/swarm/psk/1.0.0/\n/base16/\n'
const inviteScheme = 'skein://'
const inviteVersion = 1
const keyBytes = 32
const checksumBytes = 4
const InviteBody = z.object({ a: z.array(z.string().max(512)).max(64), n: z.string().max(64).optional() })

export function createMeshKey(): MeshKey {
  return randomBytes(keyBytes).toString('hex') as MeshKey
}

/** The key in the form that `@libp2p/pnet` and other libp2p implementations read. */
export function swarmKeyOf(meshKey: MeshKey): Uint8Array {
  return new TextEncoder().encode(swarmKeyHeader + meshKey)
}

/**
 * A short printable id of the mesh (12 hex digits) that tells nothing about the key.
 * It names the mesh in mDNS, in gossip topics and to people.
 */
export function fingerprintOf(meshKey: MeshKey): string {
  return digestOfText(`skein mesh ${meshKey}`).slice(0, 12)
}

/**
 * The key of the data directory; made and stored when there is none.
 *
 * @throws MeshError `bad-request` when the file is not a mesh key, `storage-failed` when it cannot be read or written.
 */
export async function loadOrCreateMeshKey(dataDir: string): Promise<{ readonly meshKey: MeshKey; readonly created: boolean }> {
  const existing = await readMeshKey(dataDir)
  if (existing !== undefined) return { meshKey: existing, created: false }
  const meshKey = createMeshKey()
  await writeMeshKey(dataDir, meshKey)
  return { meshKey, created: true }
}

/** The key of the data directory, or undefined when it has none yet. Errors as `loadOrCreateMeshKey`. */
export async function readMeshKey(dataDir: string): Promise<MeshKey | undefined> {
  const path = meshKeyPath(dataDir)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw new MeshError('storage-failed', `the mesh key ${path} cannot be read: ${reasonOf(error)}`, { next: 'check the permissions of the file', retryable: false })
  }
  const lines = text.trim().split(/\r?\n/).map((line) => line.trim())
  const parsed = MeshKey.safeParse(lines[2]?.toLowerCase())
  if (lines.length !== 3 || lines[0] !== '/key/swarm/psk/1.0.0/' || lines[1] !== '/base16/' || !parsed.success) {
    throw new MeshError('bad-request', `${path} is not a mesh key`, { next: 'join again with an invite of the mesh, after moving the damaged file away' })
  }
  return parsed.data
}

/**
 * Makes the data directory a member of the invite's mesh. Nothing happens when it already is one.
 *
 * @throws MeshError `wrong-state` when it belongs to another mesh: a key is never overwritten.
 */
export async function adoptMeshKey(dataDir: string, meshKey: MeshKey): Promise<void> {
  const existing = await readMeshKey(dataDir)
  if (existing === meshKey) return
  if (existing !== undefined) {
    throw new MeshError('wrong-state', `the data directory ${dataDir} belongs to mesh ${fingerprintOf(existing)}, the invite is for mesh ${fingerprintOf(meshKey)}`, {
      next: `join with another data directory (--data), or move ${meshKeyPath(dataDir)} away to leave the old mesh`,
    })
  }
  await writeMeshKey(dataDir, meshKey)
}

/**
 * The line that joins another machine: `skein://` and base64url of version, key, addresses and a checksum.
 * Whoever reads it is in the mesh: treat it like a password.
 */
export function createInvite(invite: Invite): string {
  const body = new TextEncoder().encode(JSON.stringify({ a: invite.addrs, ...(invite.name === undefined ? {} : { n: invite.name }) }))
  const bytes = new Uint8Array(1 + keyBytes + body.byteLength + checksumBytes)
  bytes[0] = inviteVersion
  bytes.set(Buffer.from(invite.meshKey, 'hex'), 1)
  bytes.set(body, 1 + keyBytes)
  bytes.set(checksumOf(bytes.subarray(0, -checksumBytes)), bytes.byteLength - checksumBytes)
  return inviteScheme + Buffer.from(bytes).toString('base64url')
}

/**
 * Reads an invite; white space that a terminal or a mail broke into it is ignored.
 *
 * @throws MeshError `bad-request`: not an invite, incomplete or mistyped, or of a newer release.
 */
export function parseInvite(text: string): Invite {
  const compact = text.replaceAll(/\s+/g, '')
  const again = 'run `skein invite` on a node of the mesh and copy the whole line'
  if (!compact.startsWith(inviteScheme)) throw new MeshError('bad-request', `this is not an invite: it does not begin with ${inviteScheme}`, { next: again })
  const encoded = compact.slice(inviteScheme.length)
  const bytes = new Uint8Array(Buffer.from(encoded, 'base64url'))
  if (!/^[A-Za-z0-9_-]+$/.test(encoded) || bytes.byteLength < 1 + keyBytes + checksumBytes) {
    throw new MeshError('bad-request', 'the invite is incomplete or mistyped', { next: again })
  }
  const covered = bytes.subarray(0, -checksumBytes)
  if (!Buffer.from(checksumOf(covered)).equals(bytes.subarray(-checksumBytes))) {
    throw new MeshError('bad-request', 'the invite is incomplete or mistyped: its checksum does not match', { next: again })
  }
  if (bytes[0] !== inviteVersion) {
    throw new MeshError('bad-request', `the invite has format ${String(bytes[0])}, this release reads format ${inviteVersion}`, { next: 'run the same release of Skein on both machines' })
  }
  const body = readInviteBody(covered.subarray(1 + keyBytes), again)
  return {
    meshKey: Buffer.from(covered.subarray(1, 1 + keyBytes)).toString('hex') as MeshKey,
    addrs: body.a,
    ...(body.n === undefined ? {} : { name: body.n }),
  }
}

function readInviteBody(bytes: Uint8Array, next: string): z.infer<typeof InviteBody> {
  try {
    const body = InviteBody.parse(JSON.parse(new TextDecoder().decode(bytes)))
    for (const addr of body.a) multiaddr(addr)
    return body
  } catch {
    throw new MeshError('bad-request', 'the invite holds addresses that cannot be read', { next })
  }
}

function checksumOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.from(digestOf(bytes).slice(0, checksumBytes * 2), 'hex'))
}

function meshKeyPath(dataDir: string): string {
  return join(dataDir, 'mesh.key')
}

async function writeMeshKey(dataDir: string, meshKey: MeshKey): Promise<void> {
  const path = meshKeyPath(dataDir)
  const draft = `${path}.${randomBytes(6).toString('hex')}`
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 })
    await writeFile(draft, `${swarmKeyHeader}${meshKey}\n`, { mode: 0o600, flag: 'wx', flush: true })
    await rename(draft, path)
  } catch (error) {
    await rm(draft, { force: true })
    throw new MeshError('storage-failed', `the mesh key ${path} cannot be written: ${reasonOf(error)}`, {
      next: 'check that the data directory is writable and that its disk is not full',
      retryable: false,
    })
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
