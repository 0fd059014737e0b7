/** Everything that a stopped node keeps, measured against what it promised. Nothing is changed, repaired or removed. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { Level } from 'level'
import { MeshError } from '../../protocols/kernel/errors.ts'
import type { Digest, GroupId, MissionId } from '../../protocols/kernel/ids.ts'
import type { Bytes } from '../../protocols/kernel/units.ts'
import { judgeCopy } from '../../protocols/replicated-log/copy-on-disk.ts'
import { EndedMission } from '../../protocols/replicated-log/schema.ts'
import { listBlobFiles } from './blob-files.ts'
import { readCopy } from './log-copies.ts'
import { codeOf, type Database, decodeStored, startingWith } from './log-records.ts'
import { readWatermarkAlone, recoverLog, watermarkPathOf } from './log-recovery.ts'
import { openError } from './log-store-level-adapter.ts'

export interface StoreVerified {
  /** Why the watermark does not vouch for the logs; absent when it does. */
  readonly watermark?: string
  readonly groups: readonly { readonly group: GroupId; readonly entries: number; readonly lastIndex: number; readonly damage?: string }[]
  readonly archives: readonly { readonly missionId: MissionId; readonly damage?: string; /** Blobs that it cites and that other nodes keep, if any does. */ readonly blobsElsewhere: number }[]
  readonly blobs: { readonly count: number; readonly bytes: Bytes; readonly rotten: readonly Digest[] }
}

/** The parts of a node's data directory. */
export const logDirectoryOf = (dataDir: string): string => join(dataDir, 'log')
export const blobDirectoryOf = (dataDir: string): string => join(dataDir, 'blobs')

/** @throws MeshError `bad-request` when no node ever kept anything there, `wrong-state` when one runs there. */
export async function assertStopped(dataDir: string): Promise<void> {
  const directory = logDirectoryOf(dataDir)
  const isThere = await Promise.any([access(join(directory, 'CURRENT')), access(watermarkPathOf(directory))]).then(() => true, () => false)
  if (!isThere) throw new MeshError('bad-request', `no node has kept anything in ${dataDir}`, { next: 'name its data directory with --data' })
}

export function runsThere(dataDir: string): MeshError {
  return new MeshError('wrong-state', `a node is running in ${dataDir}`, { next: 'stop it, then run this again' })
}

/** @throws MeshError `bad-request`, `wrong-state` (a node runs there, or another release wrote it), `storage-failed` when nothing of it can be read. */
export async function verifyStore(dataDir: string): Promise<StoreVerified> {
  await assertStopped(dataDir)
  const blobs = await verifyBlobs(blobDirectoryOf(dataDir))
  const directory = logDirectoryOf(dataDir)
  const isLost = await access(join(directory, 'CURRENT')).then(() => false, () => true)
  if (isLost) return { ...(await verifyWithoutDatabase(directory)), archives: [], blobs: blobs.summary }
  const database: Database = new Level<string, Uint8Array>(directory, { keyEncoding: 'utf8', valueEncoding: 'view', createIfMissing: false })
  try {
    await database.open()
  } catch (error) {
    throw codeOf(error) === 'LEVEL_LOCKED' ? runsThere(dataDir) : openError(directory, error)
  }
  try {
    const { promises, heads, doubt } = await recoverLog(database, directory)
    const byGroup = new Map(heads.map(({ group, head }) => [group, head]))
    const groups: StoreVerified['groups'][number][] = []
    for (const [group, promised] of [...promises].sort(([left], [right]) => (left < right ? -1 : 1))) {
      const copy = await readCopy(database, group, promised, byGroup.get(group))
      if (copy !== undefined) groups.push({ group, entries: copy.entries.length, lastIndex: copy.head.last.index, ...(copy.damage === undefined ? {} : { damage: copy.damage.detail }) })
    }
    return { ...(doubt === undefined ? {} : { watermark: doubt }), groups, archives: await verifyArchives(database, blobs), blobs: blobs.summary }
  } finally {
    await database.close()
  }
}

async function verifyWithoutDatabase(directory: string): Promise<Pick<StoreVerified, 'watermark' | 'groups'>> {
  const { promises, doubt } = await readWatermarkAlone(directory)
  const groups: StoreVerified['groups'][number][] = []
  for (const [group, promised] of promises) {
    const copy = judgeCopy({ group, promised, head: undefined, snapshot: undefined, entries: [] })
    if (copy !== undefined) groups.push({ group, entries: 0, lastIndex: copy.head.last.index, damage: `the log of ${group} is lost: its database is gone` })
  }
  return { ...(doubt === undefined ? {} : { watermark: doubt }), groups }
}

interface BlobsVerified {
  readonly sound: ReadonlySet<Digest>
  readonly rotten: ReadonlySet<Digest>
  readonly summary: StoreVerified['blobs']
}

async function verifyBlobs(directory: string): Promise<BlobsVerified> {
  const sound = new Set<Digest>()
  const rotten = new Set<Digest>()
  let bytes = 0
  for await (const { digest, path, sizeBytes } of listBlobFiles(directory)) {
    const hash = createHash('sha256')
    const read = await (async () => {
      for await (const piece of createReadStream(path)) hash.update(piece as Buffer)
    })().then(() => true, () => false)
    bytes += sizeBytes
    ;(read && hash.digest('hex') === digest ? sound : rotten).add(digest)
  }
  return { sound, rotten, summary: { count: sound.size + rotten.size, bytes, rotten: [...rotten].sort() } }
}

async function verifyArchives(database: Database, { sound, rotten }: BlobsVerified): Promise<StoreVerified['archives']> {
  const archives: StoreVerified['archives'][number][] = []
  for await (const [key, value] of database.iterator(startingWith('ended!'))) {
    const missionId = key.slice('ended!'.length) as MissionId
    let ended: EndedMission
    try {
      ended = decodeStored(value, EndedMission, 'its record')
    } catch {
      archives.push({ missionId, damage: 'its record cannot be read', blobsElsewhere: 0 })
      continue
    }
    const whole = 'blob' in ended.archive ? ended.archive.blob.$blob : undefined
    const altered = [...(whole === undefined ? [] : [whole]), ...ended.cites].filter((digest) => rotten.has(digest))
    const damage = whole !== undefined && !sound.has(whole) && !rotten.has(whole) ? `its archive, blob ${whole}, is missing` : altered.length > 0 ? `of its blobs ${altered.length} ${altered.length === 1 ? 'has' : 'have'} rotted: ${altered[0]}` : undefined
    archives.push({ missionId, blobsElsewhere: ended.cites.filter((digest) => !sound.has(digest) && !rotten.has(digest)).length, ...(damage === undefined ? {} : { damage }) })
  }
  return archives
}
