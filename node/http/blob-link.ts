/** Addresses of blobs. What the store does not know (type, name, holders) travels in the address. */
import { z } from 'zod'
import { PeerId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { BlobRef } from '../../protocols/kernel/payload.ts'

/** `type/subtype` with plain parameters; nothing that could end a header. */
export const mediaTypeForm = /^[\w.+-]{1,64}\/[\w.+-]{1,64}(; ?[\w-]{1,32}=[\w.+-]{1,64}){0,4}$/

const Holders = z.preprocess(
  (value) => (typeof value === 'string' && value !== '' ? value.split(',') : undefined),
  z.array(PeerId).max(limits.blobHoldersMax).optional(),
)

export const BlobQuery = z.object({
  holder: Holders.describe('Peers that have the content, separated by commas: asked when this node does not have it.'),
  size: z.coerce.number().int().min(0).max(limits.blobBytesMax).optional().describe('Its size in bytes, when known.'),
  type: z.string().regex(mediaTypeForm, 'is not a media type').optional().describe('The Content-Type to answer with.'),
  name: z.string().max(512).optional().describe('The file name to answer with.'),
})
export type BlobQuery = z.infer<typeof BlobQuery>

/** Where any bridge of the mesh gives the content out. */
export function blobLinkOf(ref: BlobRef): string {
  const query = new URLSearchParams({ size: String(ref.sizeBytes) })
  if (ref.holders !== undefined && ref.holders.length > 0) query.set('holder', ref.holders.join(','))
  if (ref.mediaType !== undefined && mediaTypeForm.test(ref.mediaType)) query.set('type', ref.mediaType)
  if (ref.name !== undefined) query.set('name', ref.name)
  return `/v1/blobs/${ref.$blob}?${query}`
}
