/**
 * A disk that loses what was not synced when its process is killed: the shim of unsynced-writes.c, compiled where it is used.
 *
 * kill -9 alone loses nothing, for the system keeps what a process has written; so it does not test durability. This does.
 */
import { execFile } from 'node:child_process'
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const controlBytes = 64
const pendingAt = 8

export interface UnsyncedDisk {
  /** Given to the process, it makes writes under the folder lose-able. */
  readonly env: Readonly<Record<string, string>>
  /** From now on what is not synced is kept in memory. `false`: every write goes through again (what is in memory follows it). */
  arm(on: boolean): void
  /** What kill -9 would lose, or has lost. */
  pendingBytes(): number
}

/** @returns the path of the compiled shim. @throws Error when gcc cannot compile it. */
export async function compileShim(folder: string): Promise<string> {
  const library = join(folder, 'unsynced-writes.so')
  await promisify(execFile)('gcc', ['-shared', '-fPIC', '-O2', '-o', library, join(import.meta.dirname, 'unsynced-writes.c'), '-ldl', '-lpthread'])
  return library
}

/** @param library of `compileShim`. @param folder the data; must exist when the process starts. @param control a file that is made here, not in the folder. */
export function createUnsyncedDisk(library: string, folder: string, control: string): UnsyncedDisk {
  writeFileSync(control, Buffer.alloc(controlBytes))
  return {
    // io_uring would write past the shim.
    env: { LD_PRELOAD: library, UNSYNCED_ROOT: folder, UNSYNCED_CONTROL: control, UV_USE_IO_URING: '0' },
    arm(on) {
      const file = openSync(control, 'r+')
      try {
        writeSync(file, Uint8Array.of(on ? 1 : 0), 0, 1, 0)
      } finally {
        closeSync(file)
      }
    },
    pendingBytes: () => Number(readFileSync(control).readBigInt64LE(pendingAt)),
  }
}
