/**
 * Who this node is: one Ed25519 key in its data directory, made at the first start, kept for ever after.
 *
 * The directory is held by one process at a time. LevelDB's lock enforces it, so a second process is refused
 * before it can speak under the same peer id.
 *
 * @packageDocumentation
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { loadOrCreateSelfKey } from '@libp2p/config'
import type { PrivateKey } from '@libp2p/interface'
import { LevelDatastore } from 'datastore-level'
import { Level } from 'level'
import { MeshError } from '../protocols/kernel/errors.ts'

/** The open LevelDB that libp2p keeps its key, its peer store and its DHT records in. */
export interface NodeDatastore {
  readonly datastore: LevelDatastore
  /** The data directory it was opened in. */
  readonly dataDir: string
  close(): Promise<void>
}

/**
 * Opens (or makes) `<dataDir>/libp2p` and takes the lock of the data directory.
 *
 * @throws MeshError `wrong-state` when another process holds the directory, `storage-failed` when it cannot be opened.
 */
export async function openNodeDatastore(dataDir: string): Promise<NodeDatastore> {
  const path = join(dataDir, 'libp2p')
  let level: Level<string, Uint8Array>
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
    // After the directory is there: a Level opens itself in the next tick, and would make one that others can read.
    level = new Level<string, Uint8Array>(path, { keyEncoding: 'utf8', valueEncoding: 'view' })
    await level.open()
  } catch (error) {
    if (codesOf(error).includes('LEVEL_LOCKED')) {
      throw new MeshError('wrong-state', `another process is using the data directory ${dataDir}`, {
        next: `stop the node that runs there, or start this one in a directory of its own with --data`,
      })
    }
    throw new MeshError('storage-failed', `the data directory ${dataDir} cannot be opened: ${reasonOf(error)}`, {
      next: 'check that the directory is writable and that its disk is not full',
      retryable: false,
    })
  }
  const datastore = new LevelDatastore(level)
  return { datastore, dataDir, close: () => level.close() }
}

/**
 * The node's own Ed25519 key; made and stored when there is none.
 *
 * @throws MeshError `storage-failed` when a stored key cannot be read: a new identity is never made in its place.
 */
export async function loadIdentityKey(store: NodeDatastore): Promise<PrivateKey> {
  try {
    return await loadOrCreateSelfKey(store.datastore)
  } catch (error) {
    throw new MeshError('storage-failed', `the identity in ${store.dataDir} cannot be read: ${reasonOf(error)}`, {
      next: 'restore the directory from a backup, or start with an empty one; the node will then be a new member of the mesh',
      retryable: false,
    })
  }
}

function codesOf(error: unknown): string[] {
  const codes: string[] = []
  for (let inner: unknown = error; inner instanceof Error; inner = inner.cause) {
    if ('code' in inner && typeof inner.code === 'string') codes.push(inner.code)
  }
  return codes
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message
}
