/** Repositories that are not a folder yet: cloned to a temporary place, then packed. */
import { existsSync } from 'node:fs'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { BlockList, isIP } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { MeshError } from '../../protocols/kernel/errors.ts'
import { withoutPassword } from './git-address.ts'
import { runGit } from './git-command.ts'
import { packFolder } from './pack-folder.ts'
import type { PackOptions } from './pack-folder.ts'
import { folderLimits } from './schema.ts'
import type { FolderRef } from './schema.ts'

export interface PackGitOptions extends PackOptions {
  /**
   * Whether a path or `file://` of this machine may be cloned. A person's own command may; a task that a stranger
   * submitted may not read this machine's disk.
   */
  readonly allowLocal: boolean
  /** Where to clone to; it is removed afterwards. Default: a fresh temporary folder. */
  readonly workFolder?: string
  readonly timeoutMs?: number
}

const schemes = /^(https|http|ssh|git|file):\/\//i
const scpLike = /^(?:[A-Za-z0-9._-]+@)?[A-Za-z0-9][A-Za-z0-9.-]*:(?!\/\/)(?![\\:])[^\s]+$/

/** True for what can only be a repository's address, not a folder's path. */
export function isGitUrl(text: string): boolean {
  return schemes.test(text) || (scpLike.test(text) && !text.includes('::') && !/^[A-Za-z]:[\\/]/.test(text) && !existsSync(text))
}

/** The address as it may be shown: without user name, password and query. */
export function withoutCredentials(url: string): string {
  if (!schemes.test(url)) return url
  try {
    const parsed = new URL(url)
    parsed.username = ''
    parsed.password = ''
    parsed.search = ''
    parsed.hash = ''
    return parsed.href
  } catch {
    return url.replace(/\/\/[^/]*@/, '//').replace(/[?#].*$/, '')
  }
}

/** @throws MeshError `bad-input` for an address with a password: it would stand in logs and reach other machines. */
export function refusePassword(url: string): void {
  if (!withoutPassword.test(url)) throw new MeshError('bad-input', 'the repository address holds a password, which other machines and their logs would see', { next: 'clone it yourself and give path=FOLDER; change the password if others could read it here' })
}

/** Hosts that mean another machine, or a guarded one, to whoever clones for somebody else. */
const unreachable = new BlockList()
for (const [network, prefix] of [['0.0.0.0', 8], ['10.0.0.0', 8], ['127.0.0.0', 8], ['169.254.0.0', 16], ['172.16.0.0', 12], ['192.168.0.0', 16]] as const) unreachable.addSubnet(network, prefix, 'ipv4')
for (const [network, prefix] of [['::', 127], ['fc00::', 7], ['fe80::', 10]] as const) unreachable.addSubnet(network, prefix, 'ipv6')

/** Only plain ASCII: git, ssh and curl read stranger spellings each in its own way. */
const plainAuthority = /^(?:(?:[\w.~+-]|%40)+@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d*)?$/

/** @throws MeshError `bad-input` for an address whose host is this machine or one of a private network. */
function refusePrivateHost(url: string): void {
  const authority = schemes.test(url) ? (url.split('/')[2] ?? '') : url.slice(0, url.indexOf(':'))
  const written = plainAuthority.exec(authority)?.[1]
  // Read as http's hosts are, so that 127.1, 0x7f000001 and 2130706433 are seen for what they are.
  const host = written === undefined ? undefined : URL.parse(`http://${written}/`)?.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
  if (host === undefined || host === '') throw new MeshError('bad-input', 'the host of the repository address cannot be read', { next: 'give an address like https://host/owner/name.git or git@host:owner/name.git' })
  const family = isIP(host)
  const refused = family === 0 ? /(?:^|\.)(?:localhost|local)$/.test(host) : unreachable.check(host, family === 6 ? 'ipv6' : 'ipv4')
  if (refused) throw new MeshError('bad-input', `${host} is an address of one machine or of a private network, so a node does not clone from it`, { next: 'run it from a machine that can reach it: skein run repo.report --input path=FOLDER' })
}

/** @throws MeshError `bad-input` for an address that git could take for an option or a program, or that is not allowed here. */
export function checkGitUrl(url: string, allowLocal: boolean): void {
  const next = 'give an address like https://host/owner/name.git, ssh://git@host/owner/name.git or git@host:owner/name.git'
  if (url.trim() === '' || url !== url.trim() || /\p{Cc}/u.test(url)) throw new MeshError('bad-input', 'the repository address is empty or holds control characters', { next })
  if (url.length > 2_000) throw new MeshError('bad-input', 'the repository address is longer than 2000 characters', { next })
  if (url.startsWith('-')) throw new MeshError('bad-input', `"${url.slice(0, 80)}" looks like an option of git, not like a repository`, { next })
  if (!allowLocal) refusePassword(url)
  if (/^[A-Za-z][A-Za-z0-9+.-]*::/.test(url)) throw new MeshError('bad-input', 'addresses that start a program on this machine (ext:: and its like) are refused', { next })
  if (/^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(url)) {
    if (!schemes.test(url)) throw new MeshError('bad-input', `git over ${url.slice(0, url.indexOf(':'))} is not supported`, { next })
    if (/^[a-z]+:\/\/(?:[^/@]*@)?-/i.test(url)) throw new MeshError('bad-input', 'the host name starts with a dash', { next })
  }
  if (isGitUrl(url) && !/^file:/i.test(url)) {
    if (!allowLocal) refusePrivateHost(url)
    return
  }
  if (!allowLocal) throw new MeshError('bad-input', 'a path of one machine means nothing to another, so a node does not clone one', { next: 'run the command where the repository is and give its folder: the command packs and sends it' })
}

/**
 * Clones and packs.
 * @param url https, http, ssh, git or (where allowed) file address, scp-like address, or path of a repository, bare ones too.
 * @throws MeshError `bad-input` for a refused address or an empty repository, `skill-failed` when git cannot clone,
 *   `timeout` past the time limit, `not-available` without git, and what packing throws.
 */
export async function packGit(url: string, options: PackGitOptions): Promise<FolderRef> {
  checkGitUrl(url, options.allowLocal)
  const shown = withoutCredentials(url)
  const home = options.workFolder ?? (await mkdtemp(join(tmpdir(), 'skein-clone-')))
  const target = join(home, 'clone')
  try {
    const source = isGitUrl(url) ? url : resolve(url)
    const ended = await runGit(
      ['clone', '--quiet', '--single-branch', '--no-tags', '--no-hardlinks', '--no-recurse-submodules', `--depth=${folderLimits.historyCommitsMax}`, '--', source, target],
      { timeoutMs: options.timeoutMs ?? folderLimits.cloneTimeoutMs, signal: options.signal, withoutOwnersAccess: !options.allowLocal },
    )
    if (ended === undefined) throw new MeshError('not-available', 'there is no git on this machine', { next: 'install git, or clone the repository elsewhere and give its folder' })
    if (ended.exitCode !== 0) throw cloneFailed(shown, url, ended.stderr)
    return await packFolder(target, { ...options, name: options.name ?? repositoryName(shown), source: shown })
  } catch (thrown) {
    if (thrown instanceof MeshError && thrown.fault.code === 'bad-input' && thrown.message.includes(target)) throw new MeshError('bad-input', `the repository ${shown} holds no files`, { next: 'give a repository with at least one commit' })
    throw thrown
  } finally {
    await rm(options.workFolder === undefined ? home : target, { recursive: true, force: true })
  }
}

function cloneFailed(shown: string, url: string, stderr: string): MeshError {
  const said = stderr.split('\n').filter((line) => /fatal|error|denied|not found/i.test(line)).join('; ').replaceAll(url, shown).replace(/\/\/[^/\s]*@/g, '//').slice(0, 500)
  const retryable = /could not resolve|timed out|connection|unreachable|early EOF/i.test(said)
  const next = retryable
    ? 'check that this machine reaches the host, then try again'
    : /authentication|permission denied|could not read (username|password)|403|401/i.test(said)
      ? 'this machine may not read the repository: give it access, or clone it yourself and give the folder'
      : 'check the address, or clone it yourself and give the folder'
  return new MeshError(retryable ? 'skill-failed' : 'bad-input', `git could not clone ${shown}: ${said || 'it gave no reason'}`, { next })
}

function repositoryName(shown: string): string {
  const last = shown.replace(/[/\\]+$/, '').replace(/\.git$/i, '').split(/[/\\:]/).at(-1)
  return last === undefined || last === '' ? 'repository' : last
}

/** Whether the folder is a repository without a work tree (`git clone --bare`, a server's `name.git`). */
export async function isBareRepository(path: string): Promise<boolean> {
  try {
    const [head, objects, refs] = await Promise.all([stat(join(path, 'HEAD')), stat(join(path, 'objects')), stat(join(path, 'refs'))])
    return head.isFile() && objects.isDirectory() && refs.isDirectory()
  } catch {
    return false
  }
}

/**
 * Packs whatever a person named on their own machine: a folder, a bare repository or a repository's address.
 * @throws as `packFolder` and `packGit` do.
 */
export async function packSource(source: string, options: PackOptions): Promise<FolderRef> {
  if (isGitUrl(source) || /^[A-Za-z][A-Za-z0-9+.-]*::/.test(source) || (await isBareRepository(source))) return packGit(source, { ...options, allowLocal: true })
  return packFolder(source, options)
}
