/**
 * Inputs and results. Small ones travel inside the message; anything over `payloadInlineBytesMax` goes to the
 * content-addressed blob store and is fetched point to point.
 */
import { z } from 'zod'
import { Digest, PeerId } from './ids.ts'
import { limits } from './limits.ts'

/**
 * A reference to content by its SHA-256. It may stand anywhere inside an input or a result:
 * `{ "$blob": "9f86…", "sizeBytes": 4096, "name": "report.html", "mediaType": "text/html" }`.
 * `holders` are peers that are known to have it; others may have it too.
 */
export const BlobRef = z.object({
  $blob: Digest,
  sizeBytes: z.number().int().min(0).max(limits.blobBytesMax),
  name: z.string().max(512).optional(),
  mediaType: z.string().max(128).optional(),
  holders: z.array(PeerId).max(limits.blobHoldersMax).optional(),
})
export type BlobRef = z.infer<typeof BlobRef>

/** Any JSON value. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
export const Json: z.ZodType<Json> = z.json() as z.ZodType<Json>

/** A value, inline or as a blob that holds its JSON text. */
export const Payload = z.union([
  z.object({ inline: z.custom<Json>((value) => value !== undefined, 'is missing') }).strict(),
  z.object({ blob: BlobRef }).strict(),
])
export type Payload = z.infer<typeof Payload>

export function isBlobRef(value: unknown): value is BlobRef {
  return typeof value === 'object' && value !== null && '$blob' in value && BlobRef.safeParse(value).success
}

/** Every blob reference in a value, each digest once, in the order met. */
export function blobRefsIn(value: unknown): BlobRef[] {
  const found = new Map<Digest, BlobRef>()
  const pending: unknown[] = [value]
  while (pending.length > 0) {
    const next = pending.pop()
    if (isBlobRef(next)) {
      if (!found.has(next.$blob)) found.set(next.$blob, next)
    } else if (Array.isArray(next)) {
      for (let i = next.length - 1; i >= 0; i--) pending.push(next[i])
    } else if (typeof next === 'object' && next !== null && !(next instanceof Uint8Array)) {
      const inner = Object.values(next)
      for (let i = inner.length - 1; i >= 0; i--) pending.push(inner[i])
    }
  }
  return [...found.values()]
}

/** The same value with `holder` added to every blob reference in it; what holds none is returned as it is. */
export function withHolder<T>(value: T, holder: PeerId): T {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  if (isBlobRef(value)) {
    const holders = value.holders ?? []
    return holders.includes(holder) ? value : { ...value, holders: [...holders, holder].slice(-limits.blobHoldersMax) }
  }
  let changed: object | undefined
  for (const key of Object.keys(value)) {
    const inner = (value as Readonly<Record<string, unknown>>)[key]
    const held = withHolder(inner, holder)
    if (held === inner) continue
    changed ??= Array.isArray(value) ? [...(value as unknown[])] : { ...value }
    // A key may be named `__proto__`.
    Object.defineProperty(changed, key, { value: held, enumerable: true, writable: true, configurable: true })
  }
  return (changed as T | undefined) ?? value
}

/** Whether two payloads say the same. Who holds their blobs does not matter; the order of an object's keys does. */
export function samePayload(left: Payload, right: Payload): boolean {
  return contentOf(left) === contentOf(right)
}

function contentOf(payload: Payload): string {
  return JSON.stringify(payload, (_, value: unknown) => (isBlobRef(value) ? { ...value, holders: undefined } : value))
}

/** Bytes of the blobs a value refers to. */
export function blobBytesIn(value: unknown): number {
  return blobRefsIn(value).reduce((sum, ref) => sum + ref.sizeBytes, 0)
}
