/**
 * How a program reads and makes big content without knowing of blobs: every `{"$blob": …}` in its input also gets a `path`, a file
 * with the content; in its output `{"$file": "report.html", "mediaType": "text/html"}` names a file in its working folder
 * and becomes a blob reference.
 */
import { constants } from 'node:fs'
import { mkdir, open, realpath, writeFile } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { blobRefsIn, isBlobRef } from '../../../protocols/kernel/payload.ts'
import type { BlobRef, Json } from '../../../protocols/kernel/payload.ts'
import type { BlobStore } from '../../../actors/ports/blob-store.ts'
import { readBlob } from '../payload-transfer.ts'

/** @returns the input with a `path` in every blob reference. @throws MeshError `unknown-blob`, `too-large`. */
export async function withFiles(input: Json, blobs: BlobStore, folder: string): Promise<Json> {
  const refs = blobRefsIn(input)
  if (refs.length === 0) return input
  await mkdir(folder, { recursive: true })
  for (const ref of refs) await writeFile(join(folder, ref.$blob), await readBlob(blobs, ref))
  return mapObjects(input, (value) => (isBlobRef(value) ? { ...(value as unknown as Record<string, Json>), path: join(folder, value.$blob) } : undefined))
}

/** @returns the output with every `$file` replaced. @throws MeshError `bad-output` for a file that is missing, not plain, or outside `folder`. */
export async function withBlobs(output: Json, blobs: BlobStore, folder: string): Promise<Json> {
  const stored = new Map<string, BlobRef>()
  const wanted: Record<string, Json>[] = []
  mapObjects(output, (value) => {
    if (typeof value.$file === 'string') wanted.push(value)
    return undefined
  })
  for (const { $file, mediaType } of wanted) {
    const name = String($file)
    if (stored.has(name)) continue
    const about = { name: name.slice(-512), ...(typeof mediaType === 'string' ? { mediaType } : {}) }
    stored.set(name, await blobs.put(await readInside(folder, name), about))
  }
  if (wanted.length === 0) return output
  return mapObjects(output, (value) => (typeof value.$file === 'string' ? (stored.get(value.$file) as unknown as Record<string, Json> | undefined) : undefined))
}

async function readInside(folder: string, name: string): Promise<Uint8Array> {
  const refuse = (what: string): MeshError => new MeshError('bad-output', `the output names the file "${name}", which ${what}`, { next: 'write files into the working folder and name them relative to it' })
  const root = await realpath(folder)
  const path = await realpath(join(root, name)).catch(() => {
    throw refuse('does not exist')
  })
  if (!path.startsWith(root + sep)) throw refuse('lies outside the working folder')
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const about = await file.stat()
    if (!about.isFile()) throw refuse('is not a plain file')
    if (about.size > limits.blobBytesMax) throw refuse(`is larger than ${limits.blobBytesMax} bytes`)
    return await file.readFile()
  } finally {
    await file.close()
  }
}

/** The same value with objects replaced where `replace` gives another; what it replaced is not entered. */
function mapObjects(value: Json, replace: (value: Record<string, Json>) => Record<string, Json> | undefined): Json {
  if (Array.isArray(value)) return value.map((inner) => mapObjects(inner, replace))
  if (typeof value !== 'object' || value === null) return value
  return replace(value) ?? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, mapObjects(inner, replace)]))
}
