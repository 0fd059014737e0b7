/** Payloads between the blob store and where skills run. */
import { MeshError, toFault } from '../../protocols/kernel/errors.ts'
import { unplain } from '../../protocols/kernel/json.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { BlobRef, Json, Payload } from '../../protocols/kernel/payload.ts'
import type { BlobStore } from '../../actors/ports/blob-store.ts'
import type { Parcel } from './thread-messages.ts'

const sliceBytes = 8 * 1024 * 1024

/** The content of a reference, fetched when it is not here. @throws MeshError `unknown-blob`, `too-large`. */
export async function readBlob(blobs: BlobStore, ref: BlobRef): Promise<Uint8Array> {
  let bytes = await blobs.get(ref.$blob)
  if (bytes === undefined) {
    await blobs.fetch(ref)
    bytes = await blobs.get(ref.$blob)
  }
  if (bytes === undefined) throw new MeshError('unknown-blob', `the content ${ref.$blob.slice(0, 12)}… could not be read`, { next: 'submit the input again' })
  return bytes
}

/** A copy that can be transferred to a thread (the store keeps its own), made in slices so that the loop never stalls. */
export async function copyInSlices(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const copy = new Uint8Array(bytes.byteLength)
  for (let at = 0; at < bytes.byteLength; at += sliceBytes) {
    if (at > 0) await new Promise((resolve) => setImmediate(resolve))
    copy.set(bytes.subarray(at, at + sliceBytes), at)
  }
  return copy
}

/** @returns the payload as a thread takes it; blobs as bytes of their own, ready to be transferred. */
export async function parcelOf(blobs: BlobStore, payload: Payload): Promise<Parcel> {
  return 'inline' in payload ? payload : { bytes: await copyInSlices(await readBlob(blobs, payload.blob)) }
}

/** What an earlier attempt has published, or nothing when it cannot be had any more: the work is done again then. */
export async function checkpointOf(blobs: BlobStore, checkpoint: Payload, onLost: (text: string) => void): Promise<Parcel | undefined> {
  try {
    return await parcelOf(blobs, checkpoint)
  } catch (thrown) {
    onLost(`it starts from the beginning: its checkpoint cannot be read: ${toFault(thrown).detail}`)
    return undefined
  }
}

export function transferable(parcels: readonly (Parcel | undefined)[]): ArrayBuffer[] {
  return parcels.flatMap((parcel) => (parcel !== undefined && 'bytes' in parcel ? [parcel.bytes.buffer as ArrayBuffer] : []))
}

/** JSON text as a payload: inline when it is small, else stored as a blob. @throws MeshError `bad-output` when it is nested too deep, `storage-failed`, `too-large`. */
export async function payloadOf(blobs: BlobStore, json: Uint8Array): Promise<Payload> {
  if (json.byteLength <= limits.payloadInlineBytesMax) {
    const inline = JSON.parse(new TextDecoder().decode(json)) as Json
    const problem = unplain(inline, limits.payloadDepthMax)
    if (problem !== undefined) throw new MeshError('bad-output', `the output cannot be passed on: ${problem}`)
    return { inline }
  }
  return { blob: await blobs.put(json, { mediaType: 'application/json' }) }
}
