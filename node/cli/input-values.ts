/**
 * Inputs from the command line. What stands for something on this machine's disk is uploaded first: a bridge never
 * reads a path of its own disk for a client.
 *
 * - `key=value`: JSON when it parses as JSON (`n=3`, `on=true`, `list=[1,2]`), else text; `a.b=1` is nested
 * - `key=@file`: the file's content, uploaded, as a blob reference; `key=@folder`: the folder, packed and uploaded
 * - `key=@@text`: text that begins with `@`
 * - for `repo.*` and `docs.*`: `path=folder` (or `folder=folder`) is packed and uploaded as `folder`; for `repo.*` also `git=repository on this disk`
 * - for `docs.*`: `question=…` is text, whatever it looks like
 * - anywhere in a plan or an input file: `{ "$upload": "path" }`, relative to that file
 */
import { existsSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import { parse as parseYaml } from 'yaml'
import { MeshError } from '../../protocols/kernel/errors.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { BlobRef, Json } from '../../protocols/kernel/payload.ts'
import { packFolder } from '../folders/pack-folder.ts'
import { isGitUrl, packGit, refusePassword } from '../folders/pack-git.ts'
import { usageError } from './context.ts'

export interface Uploader {
  put(bytes: Uint8Array, about: { name?: string; mediaType?: string }): Promise<BlobRef>
  /** For people who wait: what is being uploaded. */
  onUpload?(what: string): void
  readonly signal?: AbortSignal
}

interface Assignment {
  readonly path: readonly string[]
  readonly text: string
}

/** @throws MeshError `bad-request` for a pair that is none. */
export function parseAssignment(pair: string): Assignment {
  const equals = pair.indexOf('=')
  const path = equals < 1 ? [] : pair.slice(0, equals).split('.')
  if (path.length === 0 || path.some((key) => key === '' || key === '__proto__')) {
    throw usageError(`--input "${pair}" is not key=value`, 'write it like --input name=value, or --input file=@./photo.png to upload a file')
  }
  return { path, text: pair.slice(equals + 1) }
}

/** Text as JSON where it is JSON, else as it stands. */
export function valueOf(text: string): Json {
  try {
    return JSON.parse(text) as Json
  } catch {
    return text
  }
}

/**
 * The input of a mission from its flags.
 *
 * @param pairs as typed after `--input`
 * @param base what an input file held
 * @throws MeshError `bad-request`, `bad-input` for a file or folder that cannot be read, and what uploading throws
 */
export async function inputOf(capability: string, pairs: readonly string[], base: Json | undefined, cwd: string, uploader: Uploader): Promise<Json> {
  if (pairs.length === 0) return base ?? {}
  if (base !== undefined && !isObject(base)) throw usageError('--input adds to an object, but the input file holds something else', 'give either --input or --input-file')
  const input: { [key: string]: Json } = { ...base }
  const takesGit = capability.startsWith('repo.')
  const takesDocuments = capability.startsWith('docs.')
  const takesFolder = takesGit || takesDocuments
  for (const pair of pairs) {
    const { path, text } = parseAssignment(pair)
    const key = path.join('.')
    const isText = (takesGit && key === 'git') || (takesDocuments && key === 'question')
    if (takesGit && key === 'git') refusePassword(text)
    if (takesFolder && (key === 'path' || key === 'folder') && !text.startsWith('@@')) {
      input['folder'] = await uploadFolder(resolve(cwd, text.replace(/^@/, '')), uploader, takesGit)
    } else if (takesGit && key === 'git' && !isGitUrl(text) && existsSync(resolve(cwd, text))) {
      uploader.onUpload?.(text)
      input['folder'] = await packGit(resolve(cwd, text), { ...packing(uploader), allowLocal: true }) as unknown as Json
    } else {
      assign(input, path, text.startsWith('@@') ? text.slice(1) : text.startsWith('@') ? await uploadPath(resolve(cwd, text.slice(1)), uploader) : isText ? text : valueOf(text))
    }
  }
  return input
}

/** A JSON or YAML document with its `$upload`s replaced. @throws MeshError `bad-request` with file and line. */
export async function readDocument(path: string, uploader: Uploader): Promise<Json> {
  const text = (await readLimited(path, limits.planBytesMax)).toString('utf8')
  let document: unknown
  try {
    // JSON is YAML, and YAML's parser names line and column in both.
    document = parseYaml(text, { prettyErrors: true, maxAliasCount: 100, logLevel: 'error' })
  } catch (thrown) {
    throw new MeshError('bad-request', `${path} is neither YAML nor JSON: ${thrown instanceof Error ? thrown.message.trim() : String(thrown)}`, { next: 'mend the line it names' })
  }
  return withUploads(document as Json, dirname(path), uploader)
}

async function withUploads(value: Json, base: string, uploader: Uploader): Promise<Json> {
  if (Array.isArray(value)) {
    const items: Json[] = []
    for (const item of value) items.push(await withUploads(item, base, uploader))
    return items
  }
  if (!isObject(value)) return value
  const upload = value['$upload']
  if (typeof upload === 'string' && Object.keys(value).length === 1) return uploadPath(resolve(base, upload), uploader)
  const entries: [string, Json][] = []
  for (const [key, inner] of Object.entries(value)) entries.push([key, await withUploads(inner, base, uploader)])
  return Object.fromEntries(entries)
}

/** @returns a reference to the file's or the folder's content. */
export async function uploadPath(path: string, uploader: Uploader): Promise<Json> {
  const isFolder = await stat(path).then((found) => found.isDirectory(), () => false)
  if (isFolder) return uploadFolder(path, uploader)
  uploader.onUpload?.(path)
  return await uploader.put(await readLimited(path, limits.blobBytesMax), { name: basename(path) }) as unknown as Json
}

async function uploadFolder(path: string, uploader: Uploader, history = true): Promise<Json> {
  uploader.onUpload?.(path)
  return await packFolder(path, { ...packing(uploader), history }) as unknown as Json
}

function packing(uploader: Uploader): { put: Uploader['put']; signal?: AbortSignal } {
  return { put: (bytes, about) => uploader.put(bytes, about), ...(uploader.signal === undefined ? {} : { signal: uploader.signal }) }
}

async function readLimited(path: string, bytesMax: number): Promise<Buffer> {
  try {
    const found = await stat(path)
    if (found.isDirectory()) throw new MeshError('bad-input', `${path} is a folder`, { next: 'give a file' })
    if (found.size > bytesMax) throw new MeshError('too-large', `${path} has ${found.size} bytes, the limit is ${bytesMax}`, { next: 'give a smaller file' })
    return await readFile(path)
  } catch (thrown) {
    if (thrown instanceof MeshError) throw thrown
    const missing = thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT'
    throw new MeshError('bad-input', missing ? `there is no file at ${path}` : `${path} cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { next: 'check the path and its permissions' })
  }
}

function assign(target: { [key: string]: Json }, path: readonly string[], value: Json): void {
  let section = target
  for (const key of path.slice(0, -1)) {
    const inner = section[key]
    const next = isObject(inner) ? inner : {}
    section[key] = next
    section = next
  }
  section[path.at(-1) ?? ''] = value
}

function isObject(value: Json | undefined): value is { [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
