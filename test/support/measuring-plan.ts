/** A plan in which every task measures the same files, so that every node's speed is measured on the same work. */
import { createHash } from 'node:crypto'
import { packFolder } from '../../node/folders/pack-folder.ts'
import { FolderManifest } from '../../node/folders/schema.ts'
import type { MeshClient, MissionRequestInput } from '../../node/http/client.ts'
import type { Slice } from '../../node/skills/repo-report/schema.ts'
import { effortOf, sliceFileOf } from '../../node/skills/repo-report/split.ts'
import type { Digest } from '../../protocols/kernel/ids.ts'
import type { BlobRef } from '../../protocols/kernel/payload.ts'

export async function measuringPlan(client: MeshClient, folder: string, copies: number): Promise<MissionRequestInput> {
  const put = (bytes: Uint8Array, about: { name?: string; mediaType?: string }): Promise<BlobRef> => client.putBlob(createHash('sha256').update(bytes).digest('hex') as Digest, bytes, about)
  const reference = await packFolder(folder, { put })
  const manifest = FolderManifest.parse(await new Response((await client.getBlob(reference.$folder)).stream).json())
  const files = manifest.files.map(sliceFileOf)
  const slice: Slice = { format: 'skein-slice-1', files }
  const input = {
    packs: reference.packs, slice: await put(Buffer.from(JSON.stringify(slice)), { name: 'slice.json', mediaType: 'application/json' }),
    label: 'the same files for everybody', topN: 1, duplicates: false, secretKey: '0'.repeat(32),
  }
  const effort = files.reduce((sum, file) => sum + effortOf(file), 0)
  const tasks = Object.fromEntries(Array.from({ length: copies }, (_, index) => [`copy-${index + 1}`, { capability: 'repo.measure', input, effort }]))
  return { plan: { name: 'everybody measures the same', tasks, result: null, limits: { leavesMax: copies } } } as MissionRequestInput
}
