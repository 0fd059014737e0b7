/** Values as they travel: inline when small, else through the blob store. */
import { MeshError } from '../../protocols/kernel/errors.ts'
import type { PeerId } from '../../protocols/kernel/ids.ts'
import { unplain } from '../../protocols/kernel/json.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Json, Payload } from '../../protocols/kernel/payload.ts'
import type { BlobStore } from '../ports/blob-store.ts'

/** @throws MeshError `bad-output` when it is nested too deep, `storage-failed`, `too-large`. */
export async function storePayload(blobs: BlobStore, value: Json): Promise<Payload> {
  const problem = unplain(value, limits.payloadDepthMax)
  if (problem !== undefined) throw new MeshError('bad-output', `the value cannot be passed on: ${problem}`)
  const text = JSON.stringify(value)
  // A UTF-16 unit is at most three bytes of UTF-8: short texts need no encoding to be known to fit.
  if (text.length * 3 <= limits.payloadInlineBytesMax) return { inline: value }
  const bytes = new TextEncoder().encode(text)
  if (bytes.byteLength <= limits.payloadInlineBytesMax) return { inline: value }
  return { blob: await blobs.put(bytes, { mediaType: 'application/json' }) }
}

/** @throws MeshError `unknown-blob` when nobody has its content. */
export async function loadPayload(blobs: BlobStore, payload: Payload, alsoTry: readonly PeerId[]): Promise<Json> {
  if ('inline' in payload) return payload.inline
  await blobs.fetch(payload.blob, alsoTry)
  const bytes = await blobs.get(payload.blob.$blob)
  if (bytes === undefined) throw new MeshError('unknown-blob', `blob ${payload.blob.$blob} vanished after it was fetched`)
  return JSON.parse(new TextDecoder().decode(bytes)) as Json
}
