/** Puts a packed folder, or some of its files, back on a disk. */
import { createHash } from 'node:crypto'
import { mkdir, open, readdir, realpath } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'
import { MeshError } from '../../protocols/kernel/errors.ts'
import { fileBytes } from './file-bytes.ts'
import type { FolderManifest } from './schema.ts'

/** @throws MeshError `bad-input` unless the path stays inside the folder on every platform. */
export function checkRelativePath(path: string): void {
  const parts = path.split('/')
  const bad = path === '' || path.includes('\0') || path.startsWith('/') || (sep === '\\' && /[\\:]/.test(path)) || parts.some((part) => part === '' || part === '.' || part === '..' || part.toLowerCase() === '.git')
  if (bad) throw new MeshError('bad-input', `the manifest holds a path that is not allowed: ${JSON.stringify(path.slice(0, 200))}`, { next: 'pack the folder again; this manifest was not made by Skein' })
}

/**
 * Writes files into a folder, which is made when it is missing. Links are not restored; files of which only the head was
 * kept are left out.
 * @param packs gives the bytes of a pack by its index; each is asked for once, in order.
 * @param only which paths; default all.
 * @returns the paths written.
 * @throws MeshError `bad-input` on a path that climbs out, bytes that do not match their hash, or a folder that is not empty.
 */
export async function unpackFolder(manifest: FolderManifest, packs: (index: number) => Promise<Uint8Array>, intoPath: string, only?: (path: string) => boolean): Promise<string[]> {
  const wanted = manifest.files.filter((file) => file.headBytes === undefined && (only === undefined || only(file.path)))
  for (const file of wanted) checkRelativePath(file.path)
  await mkdir(intoPath, { recursive: true })
  const root = await realpath(intoPath)
  // In an empty folder there is no link through which a path could leave it.
  if ((await readdir(root)).length > 0) throw new MeshError('bad-input', `the folder ${intoPath} is not empty`, { next: 'unpack into an empty folder' })
  const written: string[] = []
  let packIndex = -1
  let pack: Uint8Array = new Uint8Array(0)
  for (const file of [...wanted].sort((left, right) => left.pack - right.pack || left.offset - right.offset)) {
    if (file.pack !== packIndex) {
      pack = await packs(file.pack)
      packIndex = file.pack
    }
    const bytes = fileBytes(pack, file)
    if (createHash('sha256').update(bytes).digest('hex') !== file.sha256) throw new MeshError('bad-input', `the bytes of ${file.path} do not match their hash`, { next: 'pack the folder again' })
    const target = join(root, file.path)
    await mkdir(dirname(target), { recursive: true })
    const handle = await open(target, 'wx', file.mode & 0o777)
    try {
      await handle.writeFile(bytes)
    } finally {
      await handle.close()
    }
    written.push(file.path)
  }
  return written
}
