import { execFileSync } from 'node:child_process'
import { chmod, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Runs a test on a file system of its own that can be filled to the last byte (a tmpfs of 2 MiB).
 * Skips with the reason printed where that needs rights this process does not have.
 */
export async function withFullDisk(
  test: Skippable,
  run: (mount: string, fill: () => Promise<void>, free: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const mount = await mountSmall('size=2m')
  if (mount === undefined) return skip(test, 'a full disk needs root on Linux (mount -t tmpfs)')
  const ballast = join(mount, 'ballast')
  const fill = async (): Promise<void> => {
    const handle = await open(ballast, 'a')
    try {
      for (const step of [65_536, 4_096, 1]) {
        for (;;) {
          if (!(await handle.write(Buffer.alloc(step)).then(({ bytesWritten }) => bytesWritten === step, () => false))) break
        }
      }
    } finally {
      await handle.close()
    }
  }
  try {
    await run(mount, fill, () => rm(ballast, { force: true }))
  } finally {
    await unmount(mount)
  }
}

/** Runs a test on a folder that this process may read and not write: by its mode, or, as modes do not bind root, on a read-only file system. */
export async function withUnwritableFolder(test: Skippable, run: (folder: string) => Promise<void>): Promise<void> {
  if (process.getuid?.() !== 0) {
    const folder = await mkdtemp(join(tmpdir(), 'skein-unwritable-'))
    try {
      await chmod(folder, 0o500)
      await run(folder)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
    return
  }
  const mount = await mountSmall('size=1m,ro')
  if (mount === undefined) return skip(test, 'a folder that root cannot write needs a read-only mount')
  try {
    await run(mount)
  } finally {
    await unmount(mount)
  }
}

interface Skippable {
  skip(reason: string): void
}

function skip(test: Skippable, reason: string): void {
  console.log(`skipped: ${reason}`)
  test.skip(reason)
}

async function mountSmall(options: string): Promise<string | undefined> {
  const mount = await mkdtemp(join(tmpdir(), 'skein-mount-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', mount], { stdio: 'pipe' })
    return mount
  } catch {
    await rm(mount, { recursive: true })
    return undefined
  }
}

async function unmount(mount: string): Promise<void> {
  execFileSync('umount', ['-l', mount], { stdio: 'pipe' })
  await rm(mount, { recursive: true, force: true })
}
