/** A node's disk: a folder, on a small file system of its own where that is allowed, so that it can be full. */
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isAlive, run } from './machine.ts'

export interface DataDisk {
  readonly folder: string
  /** Not a byte is left; undefined where it is no disk of its own. */
  readonly fill: (() => void) | undefined
  free(): void
  /** Everything gone, or only the store of the logs. @returns the names that went. */
  wipe(what: 'everything' | 'logs'): string[]
  /** Copies what is there. */
  keepCopy(to: string): void
  remove(): void
}

const ballast = 'chaos-ballast'
const mountPrefix = 'skein-chaos-'

/** What a campaign that was killed itself has left mounted. */
export function removeLeftoverDisks(): void {
  for (const line of readFileSync('/proc/mounts', 'utf8').split('\n')) {
    const [source = '', folder = ''] = line.split(' ')
    if (source.startsWith(mountPrefix) && !isAlive(Number(source.slice(mountPrefix.length)))) run('umount', ['--lazy', folder])
  }
}

/** @param small whether to mount a file system on it. */
export function createDataDisk(folder: string, { small, sizeMiB }: { readonly small: boolean; readonly sizeMiB: number }): DataDisk {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (small) run('mount', ['-t', 'tmpfs', '-o', `size=${sizeMiB}m,mode=0700`, `${mountPrefix}${process.pid}`, folder])
  let mounted = small
  return {
    folder,
    fill: small
      ? () => {
          for (let bytes = statfsSync(folder).bavail * statfsSync(folder).bsize; bytes > 0;) {
            try {
              writeFileSync(join(folder, ballast), Buffer.alloc(Math.min(bytes, 8 * 1024 * 1024)), { flag: 'a' })
            } catch {
              // The node writes at the same time: as much as there was room for is enough.
            }
            const left = statfsSync(folder).bavail * statfsSync(folder).bsize
            if (left >= bytes) break
            bytes = left
          }
        }
      : undefined,
    free: () => rmSync(join(folder, ballast), { force: true }),
    wipe(what) {
      const names = readdirSync(folder).filter((name) => what === 'everything' || /^logs?$/.test(name))
      for (const name of names) rmSync(join(folder, name), { recursive: true, force: true })
      return names
    },
    keepCopy: (to) => cpSync(folder, to, { recursive: true }),
    remove() {
      if (!mounted) return
      mounted = false
      run('umount', ['--lazy', folder])
    },
  }
}
