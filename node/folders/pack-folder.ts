/**
 * Packs a folder into content-addressed blobs. The CLI does it before it submits, a plan does it after it cloned.
 *
 * ```ts
 * const folder = await packFolder('/home/ann/project', { put: (bytes, about) => blobs.put(bytes, about) })
 * // → an input: { "folder": { "$folder": { "$blob": "9f86…", … }, "name": "project", "files": 212, … } }
 * ```
 *
 * @packageDocumentation
 */
import { basename, join, resolve, sep } from 'node:path'
import { MeshError, toFault } from '../../protocols/kernel/errors.ts'
import type { BlobRef } from '../../protocols/kernel/payload.ts'
import { diskAccess, reasonOf } from './folder-access.ts'
import type { FolderAccess } from './folder-access.ts'
import { readHistory } from './git-history.ts'
import { byPath, listFolder } from './list-folder.ts'
import type { ListedFile } from './list-folder.ts'
import { isProjectFile } from './project-files.ts'
import { readStable } from './read-stable.ts'
import type { StableRead } from './read-stable.ts'
import { folderLimits } from './schema.ts'
import type { FolderFile, FolderManifest, FolderNote, FolderRef, PutBlob } from './schema.ts'

export interface PackOptions {
  readonly put: PutBlob
  /** Leave out what git ignores. Default true. */
  readonly respectGitignore?: boolean
  /** Pack `node_modules` folders, too. Default: only when the folder itself lies in one. */
  readonly includeNodeModules?: boolean
  /** Read the git history, where there is one. Default true. */
  readonly history?: boolean
  /** What the folder is called in the report. Default: its own name. */
  readonly name?: string
  /** Where it was cloned from, without credentials. */
  readonly source?: string
  readonly signal?: AbortSignal
  readonly onProgress?: (done: { readonly files: number; readonly filesTotal: number; readonly sizeBytes: number }) => void
  readonly access?: FolderAccess
}

/**
 * @returns a reference to put into an input.
 * @throws MeshError `bad-input` when the folder is missing, is not a folder, is empty or holds nothing readable;
 *   `too-large` beyond `filesMax` files; `cancelled` on abort; what `put` throws.
 */
export async function packFolder(path: string, options: PackOptions): Promise<FolderRef> {
  const access = options.access ?? diskAccess
  const root = await checkFolder(path, access)
  try {
    const listing = await listFolder(root, {
      access,
      respectGitignore: options.respectGitignore ?? true,
      includeNodeModules: options.includeNodeModules ?? root.split(sep).includes('node_modules'),
      signal: options.signal,
    })
    const unreadable: FolderNote[] = [...listing.unreadable]
    const { files, packs } = await packFiles(root, listing.files, unreadable, access, options)
    unreadable.sort(byPath)
    if (files.length === 0) throw nothingToPack(path, unreadable, listing.links.length)

    const facts = (options.history ?? true) && listing.tracked ? await readHistory(root, options.signal) : undefined
    const history = facts === undefined ? undefined : await putJson(options.put, facts.history, 'history.json')
    const name = (options.name ?? basename(root)).slice(0, 256) || 'folder'
    const kept = [listing.links, unreadable, listing.skipped].map((list) => Math.max(0, list.length - folderLimits.notesMax))
    const manifest: FolderManifest = {
      format: 'skein-folder-1',
      name,
      files,
      packs,
      links: listing.links.slice(0, folderLimits.notesMax),
      unreadable: unreadable.slice(0, folderLimits.notesMax),
      skipped: listing.skipped.slice(0, folderLimits.notesMax),
      notesLeftOut: kept.reduce((sum, count) => sum + count, 0),
      ...(facts === undefined
        ? {}
        : {
            git: {
              shallow: facts.shallow,
              ...(facts.commit === undefined ? {} : { commit: facts.commit }),
              ...(facts.branch === undefined ? {} : { branch: facts.branch }),
              ...(options.source === undefined ? {} : { source: options.source }),
            },
          }),
      ...(history === undefined ? {} : { history }),
    }
    return {
      $folder: await putJson(options.put, manifest, 'folder.json'),
      name,
      files: files.length,
      sizeBytes: files.reduce((sum, file) => sum + file.sizeBytes, 0),
      packs,
      ...(history === undefined ? {} : { history }),
    }
  } catch (thrown) {
    if (options.signal?.aborted === true) throw new MeshError('cancelled', 'packing the folder was stopped')
    throw thrown
  }
}

async function checkFolder(path: string, access: FolderAccess): Promise<string> {
  let root
  try {
    root = await access.realpath(resolve(path))
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
    if (code === 'ENOENT' || code === 'ENOTDIR') throw new MeshError('bad-input', `there is no folder at ${path}`, { next: 'check the path; it is looked up on the machine where the command runs' })
    throw new MeshError('bad-input', `the folder ${path} cannot be opened: ${reasonOf(thrown)}`, { next: 'give a folder that you may read' })
  }
  const stats = await access.lstat(root)
  if (!stats.isDirectory()) throw new MeshError('bad-input', `${path} is not a folder`, { next: 'give the folder that holds the file' })
  try {
    await access.readdir(root)
  } catch (thrown) {
    throw new MeshError('bad-input', `the folder ${path} cannot be read: ${reasonOf(thrown)}`, { next: 'give a folder that you may read, or run the command as its owner' })
  }
  return root
}

function nothingToPack(path: string, unreadable: readonly FolderNote[], links: number): MeshError {
  if (unreadable.length > 0) {
    return new MeshError('bad-input', `nothing in ${path} could be read: ${unreadable.length} unreadable, the first is ${unreadable[0]?.path ?? ''} (${unreadable[0]?.reason ?? ''})`, { next: 'give a folder that you may read, or run the command as its owner' })
  }
  const beside = links > 0 ? `, only ${links} symbolic link${links === 1 ? '' : 's'}, which are not followed` : ''
  return new MeshError('bad-input', `the folder ${path} holds no files${beside}`, { next: 'give a folder with files in it; files that git ignores, .git and node_modules do not count' })
}

async function putJson(put: PutBlob, value: unknown, name: string): Promise<BlobRef> {
  return put(new TextEncoder().encode(JSON.stringify(value)), { name, mediaType: 'application/json' })
}

/** Project files first, so that they share packs; then all others; each group in order of path. */
function packingOrder(files: readonly ListedFile[]): ListedFile[] {
  const ordered = files.filter((file) => isProjectFile(file.path))
  for (const file of files) if (!isProjectFile(file.path)) ordered.push(file)
  return ordered
}

async function packFiles(root: string, listed: readonly ListedFile[], unreadable: FolderNote[], access: FolderAccess, options: PackOptions): Promise<{ files: FolderFile[]; packs: BlobRef[] }> {
  const ordered = packingOrder(listed)
  const projectFiles = ordered.filter((file) => isProjectFile(file.path)).length
  const totalBytes = ordered.reduce((sum, file) => sum + Math.min(file.sizeBytes, folderLimits.wholeFileBytesMax), 0)
  const writer = new PackWriter(options.put, Math.min(folderLimits.packBytesMax, Math.max(folderLimits.packBytesMin, Math.ceil(totalBytes / folderLimits.packsAimed))))
  const files: FolderFile[] = []
  let done = 0
  let sizeBytes = 0
  for await (const { file, read, reason } of readAhead(root, ordered, access, options.signal)) {
    if (done === projectFiles) await writer.closePack()
    done++
    if (read === undefined) {
      unreadable.push({ path: file.path, reason: reason ?? 'it could not be read' })
    } else {
      const place = await writer.add(read.bytes)
      sizeBytes += read.sizeBytes
      files.push({
        path: file.path,
        sizeBytes: read.sizeBytes,
        mode: file.mode,
        sha256: read.sha256,
        ...place,
        ...(read.headOnly ? { headBytes: read.bytes.byteLength } : {}),
        ...(read.changed ? { changedWhileRead: true as const } : {}),
      })
    }
    options.onProgress?.({ files: done, filesTotal: ordered.length, sizeBytes })
  }
  await writer.closePack()
  files.sort((left, right) => (left.path < right.path ? -1 : 1))
  return { files, packs: writer.packs }
}

interface ReadFile {
  readonly file: ListedFile
  readonly read?: StableRead
  readonly reason?: string
}

/** Reads several files at once and yields them in order; open files and bytes in memory stay bounded. */
async function* readAhead(root: string, files: readonly ListedFile[], access: FolderAccess, signal?: AbortSignal): AsyncGenerator<ReadFile> {
  const inFlight: { readonly work: Promise<ReadFile>; readonly bytes: number }[] = []
  let next = 0
  let bytesInFlight = 0
  while (next < files.length || inFlight.length > 0) {
    signal?.throwIfAborted()
    for (let file = files[next]; file !== undefined; file = files[next]) {
      const bytes = Math.min(file.sizeBytes, folderLimits.wholeFileBytesMax)
      if (inFlight.length >= folderLimits.readsInFlightMax || (inFlight.length > 0 && bytesInFlight + bytes > folderLimits.readBytesInFlightMax)) break
      inFlight.push({ work: readOne(root, file, access), bytes })
      bytesInFlight += bytes
      next++
    }
    const first = inFlight.shift()
    if (first === undefined) return
    const outcome = await first.work
    bytesInFlight -= first.bytes
    yield outcome
  }
}

async function readOne(root: string, file: ListedFile, access: FolderAccess): Promise<ReadFile> {
  try {
    return { file, read: await readStable(access, join(root, file.path)) }
  } catch (thrown) {
    return { file, reason: thrown instanceof MeshError ? toFault(thrown).detail : reasonOf(thrown) }
  }
}

/** Collects files into blobs of about `targetBytes`. */
class PackWriter {
  readonly packs: BlobRef[] = []
  readonly #put: PutBlob
  readonly #targetBytes: number
  #parts: Uint8Array[] = []
  #bytes = 0

  constructor(put: PutBlob, targetBytes: number) {
    this.#put = put
    this.#targetBytes = targetBytes
  }

  async add(bytes: Uint8Array): Promise<{ pack: number; offset: number }> {
    if (this.#bytes > 0 && this.#bytes + bytes.byteLength > this.#targetBytes) await this.closePack()
    const place = { pack: this.packs.length, offset: this.#bytes }
    this.#parts.push(bytes)
    this.#bytes += bytes.byteLength
    return place
  }

  async closePack(): Promise<void> {
    if (this.#parts.length === 0) return
    const pack = new Uint8Array(this.#bytes)
    let at = 0
    for (const part of this.#parts) {
      pack.set(part, at)
      at += part.byteLength
    }
    this.#parts = []
    this.#bytes = 0
    this.packs.push(await this.#put(pack, { name: `pack-${this.packs.length}`, mediaType: 'application/octet-stream' }))
  }
}
