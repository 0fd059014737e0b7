/** The few file operations that packing needs, so that a test can make a disk misbehave. */
import { constants } from 'node:fs'
import type { Dirent, Stats } from 'node:fs'
import { lstat, open, readdir, readlink, realpath } from 'node:fs/promises'

export interface OpenFile {
  stat(): Promise<Stats>
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }>
  close(): Promise<void>
}

export interface FolderAccess {
  lstat(path: string): Promise<Stats>
  readdir(path: string): Promise<Dirent[]>
  readlink(path: string): Promise<string>
  realpath(path: string): Promise<string>
  open(path: string): Promise<OpenFile>
}

/** Opens without following a link and without waiting for a pipe's other end: what was a file may be neither by now. */
const readOnly = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)

export const diskAccess: FolderAccess = {
  lstat: (path) => lstat(path),
  readdir: (path) => readdir(path, { withFileTypes: true }),
  readlink: (path) => readlink(path),
  realpath: (path) => realpath(path),
  open: (path) => open(path, readOnly),
}

/** Why a file operation failed, in words without a path of this machine. */
export function reasonOf(thrown: unknown): string {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : undefined
  switch (code) {
    case 'EACCES':
    case 'EPERM':
      return 'permission denied'
    case 'ENOENT':
      return 'it went away while the folder was read'
    case 'ELOOP':
      return 'it became a link while the folder was read'
    case 'EIO':
      return 'the disk could not read it'
    case 'ENAMETOOLONG':
      return 'its path is too long'
    default:
      return code === undefined ? 'it could not be read' : `it could not be read (${code})`
  }
}
