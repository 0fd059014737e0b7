/** Finds what belongs to a folder, in one fixed order, without following links. */
import type { Stats } from 'node:fs'
import { isAbsolute, join, posix, relative, resolve, sep } from 'node:path'
import ignore from 'ignore'
import type { Ignore } from 'ignore'
import { MeshError } from '../../protocols/kernel/errors.ts'
import { reasonOf } from './folder-access.ts'
import type { FolderAccess } from './folder-access.ts'
import { runGit } from './git-command.ts'
import { folderLimits } from './schema.ts'
import type { FolderLink, FolderNote } from './schema.ts'

export interface ListedFile {
  readonly path: string
  readonly sizeBytes: number
  readonly mode: number
}

export interface FolderListing {
  readonly files: ListedFile[]
  readonly links: FolderLink[]
  readonly unreadable: FolderNote[]
  readonly skipped: FolderNote[]
  /** The folder belongs to a git work tree and is not ignored there. */
  readonly tracked: boolean
}

export interface ListOptions {
  readonly access: FolderAccess
  readonly respectGitignore: boolean
  readonly includeNodeModules: boolean
  readonly signal?: AbortSignal | undefined
}

/** Code-unit order: the same on every machine, whatever its locale. */
export const byPath = (left: { readonly path: string }, right: { readonly path: string }): number => (left.path < right.path ? -1 : left.path > right.path ? 1 : 0)

/** @param root an absolute, real path. @throws MeshError `too-large` beyond `filesMax` files. */
export async function listFolder(root: string, options: ListOptions): Promise<FolderListing> {
  const lister = new Lister(root, options)
  const tracked = options.respectGitignore ? await gitPaths(root, options.signal) : undefined
  if (tracked === undefined) await lister.walk('', options.respectGitignore && !(await insideNodeModulesOrIgnored(root, options.signal)) ? [] : undefined)
  else await lister.take(tracked)
  const { files, links, unreadable, skipped } = lister
  for (const list of [files, links, unreadable, skipped]) list.sort(byPath)
  return { files, links, unreadable, skipped, tracked: tracked !== undefined }
}

/** A folder that its own repository ignores was asked for by name: then the ignoring says nothing about its content. */
async function insideNodeModulesOrIgnored(root: string, signal?: AbortSignal): Promise<boolean> {
  if (root.split(sep).includes('node_modules')) return true
  const ended = await runGit(['check-ignore', '-q', '.'], { cwd: root, timeoutMs: folderLimits.gitTimeoutMs, signal })
  return ended?.exitCode === 0
}

/** Tracked and untracked, but not ignored paths by git's own rules; undefined where git has no say. */
async function gitPaths(root: string, signal?: AbortSignal): Promise<string[] | undefined> {
  if (await insideNodeModulesOrIgnored(root, signal)) return undefined
  const ended = await runGit(['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--', '.'], { cwd: root, timeoutMs: folderLimits.gitTimeoutMs, signal })
  if (ended === undefined || ended.exitCode !== 0 || ended.endedEarly) return undefined
  return [...new Set(ended.stdout.toString('utf8').split('\0'))].filter((path) => path !== '')
}

interface Scope {
  readonly prefix: string
  readonly rules: Ignore
}

class Lister {
  readonly files: ListedFile[] = []
  readonly links: FolderLink[] = []
  readonly unreadable: FolderNote[] = []
  readonly skipped: FolderNote[] = []
  readonly #root: string
  readonly #options: ListOptions
  readonly #skippedFolders = new Set<string>()

  constructor(root: string, options: ListOptions) {
    this.#root = root
    this.#options = options
  }

  /** Looks at the paths that git named. */
  async take(paths: readonly string[]): Promise<void> {
    for (let at = 0; at < paths.length; at += 64) {
      this.#options.signal?.throwIfAborted()
      await Promise.all(paths.slice(at, at + 64).map((path) => this.#takeOne(path.replace(/\/$/, ''))))
    }
  }

  async #takeOne(path: string): Promise<void> {
    const parts = path.split('/')
    for (let depth = 1; depth <= parts.length; depth++) {
      if (this.#skipsFolder(parts[depth - 1] ?? '') && depth < parts.length) {
        this.#skipFolder(parts.slice(0, depth).join('/'))
        return
      }
    }
    const stats = await this.#stat(path)
    if (stats === undefined) return
    // A submodule or a nested repository: git names the folder only.
    if (stats.isDirectory()) await this.walk(path, [])
    else await this.#classify(path, stats)
  }

  /** @param scopes the ignore files above, outermost first; undefined: nothing is ignored. */
  async walk(folder: string, scopes: readonly Scope[] | undefined): Promise<void> {
    this.#options.signal?.throwIfAborted()
    const { access } = this.#options
    const absolute = join(this.#root, folder)
    let names
    try {
      names = (await access.readdir(absolute)).map((entry) => entry.name)
    } catch (thrown) {
      this.unreadable.push({ path: folder === '' ? '.' : folder, reason: reasonOf(thrown) })
      return
    }
    const inner = scopes !== undefined && names.includes('.gitignore') ? [...scopes, await this.#ignoreFile(folder)] : scopes
    for (const name of names.sort()) {
      const path = folder === '' ? name : `${folder}/${name}`
      if (this.#skipsFolder(name)) {
        const stats = await this.#stat(path)
        if (stats !== undefined && (stats.isDirectory() || name === '.git')) {
          this.#skipFolder(path)
          continue
        }
      }
      const stats = await this.#stat(path)
      if (stats === undefined) continue
      if (inner !== undefined && isIgnored(inner, path, stats.isDirectory())) {
        this.skipped.push({ path, reason: 'ignored by .gitignore' })
      } else if (stats.isDirectory()) {
        await this.walk(path, inner)
      } else {
        await this.#classify(path, stats)
      }
    }
  }

  #skipsFolder(name: string): boolean {
    return name === '.git' || (name === 'node_modules' && !this.#options.includeNodeModules)
  }

  #skipFolder(path: string): void {
    if (this.#skippedFolders.has(path)) return
    this.#skippedFolders.add(path)
    this.skipped.push({ path, reason: path.endsWith('.git') ? "git's own files" : 'installed packages' })
  }

  async #ignoreFile(folder: string): Promise<Scope> {
    const rules = ignore()
    try {
      const file = await this.#options.access.open(join(this.#root, folder, '.gitignore'))
      try {
        const buffer = new Uint8Array(256 * 1024)
        const { bytesRead } = await file.read(buffer, 0, buffer.byteLength, 0)
        rules.add(new TextDecoder().decode(buffer.subarray(0, bytesRead)))
      } finally {
        await file.close()
      }
    } catch {
      // An unreadable .gitignore ignores nothing; the file itself is reported when its turn comes.
    }
    return { prefix: folder === '' ? '' : `${folder}/`, rules }
  }

  async #stat(path: string): Promise<Stats | undefined> {
    try {
      return await this.#options.access.lstat(join(this.#root, path))
    } catch (thrown) {
      const missing = thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT'
      // Deleted but still in git's index, or a name that is not UTF-8 and so cannot be spelled here.
      if (!missing) this.unreadable.push({ path, reason: reasonOf(thrown) })
      else if (path.includes('\uFFFD')) this.unreadable.push({ path, reason: 'its name is not UTF-8' })
      return undefined
    }
  }

  async #classify(path: string, stats: Stats): Promise<void> {
    if (stats.isSymbolicLink()) {
      await this.#link(path)
    } else if (stats.isFile()) {
      if (this.files.length >= folderLimits.filesMax) throw new MeshError('too-large', `the folder holds more than ${folderLimits.filesMax} files`, { next: 'give a smaller folder, or one of its parts at a time' })
      this.files.push({ path, sizeBytes: stats.size, mode: stats.mode & 0o777 })
    } else {
      const reason = stats.isFIFO() ? 'a named pipe' : stats.isSocket() ? 'a socket' : stats.isBlockDevice() || stats.isCharacterDevice() ? 'a device' : 'neither a file, a folder nor a link'
      this.skipped.push({ path, reason })
    }
  }

  async #link(path: string): Promise<void> {
    const { access } = this.#options
    const absolute = join(this.#root, path)
    let target
    try {
      target = await access.readlink(absolute)
    } catch (thrown) {
      this.unreadable.push({ path, reason: reasonOf(thrown) })
      return
    }
    let leavesFolder = isOutside(this.#root, resolve(absolute, '..', target))
    try {
      leavesFolder ||= isOutside(this.#root, await access.realpath(absolute))
    } catch {
      // A dangling link: where it says it points is all there is to know.
    }
    this.links.push({ path, target: isAbsolute(target) && leavesFolder ? '(an absolute path outside the folder)' : target.slice(0, 4_096), leavesFolder })
  }
}

function isOutside(root: string, path: string): boolean {
  const way = relative(root, path)
  return way === '..' || way.startsWith(`..${sep}`) || isAbsolute(way)
}

function isIgnored(scopes: readonly Scope[], path: string, isFolder: boolean): boolean {
  let ignored = false
  for (const { prefix, rules } of scopes) {
    const inner = posix.relative(prefix === '' ? '.' : prefix, path)
    const verdict = rules.test(isFolder ? `${inner}/` : inner)
    if (verdict.ignored) ignored = true
    else if (verdict.unignored) ignored = false
  }
  return ignored
}
