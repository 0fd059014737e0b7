/**
 * A program's checkpoints are a file: `SKEIN_CHECKPOINT` names it. What an earlier attempt has published last is in it when the program
 * starts; what the program replaces it with (written beside it and renamed, so that it is never half there) is published.
 */
import { readFile, stat, writeFile } from 'node:fs/promises'
import { limits } from '../../../protocols/kernel/limits.ts'
import type { Payload } from '../../../protocols/kernel/payload.ts'
import { toFault } from '../../../protocols/kernel/errors.ts'
import type { BlobStore } from '../../../actors/ports/blob-store.ts'
import { checkpointOf, payloadOf } from '../payload-transfer.ts'

export interface CheckpointFileInit {
  readonly path: string
  readonly resumed: Payload | undefined
  readonly blobs: BlobStore
  readonly onCheckpoint: (value: Payload) => void
  readonly onLog: (text: string) => void
}

export interface CheckpointFile {
  readonly path: string
  /** Publishes what is in the file, unless it is what was published last. What is not whole JSON yet is left for later. Never throws. */
  take(): Promise<void>
  /** Nothing is published after this. */
  close(): void
}

export async function createCheckpointFile(init: CheckpointFileInit): Promise<CheckpointFile> {
  const { path, blobs, onLog } = init
  let known: string | undefined
  let seen = ''
  let closed = false
  let complained = false
  let taking: Promise<void> | undefined

  const resumed = init.resumed === undefined ? undefined : await checkpointOf(blobs, init.resumed, onLog)
  if (resumed !== undefined) {
    known = 'inline' in resumed ? JSON.stringify(resumed.inline) : new TextDecoder().decode(resumed.bytes)
    await writeFile(path, known, { mode: 0o600 })
  }

  function complain(text: string): void {
    if (!complained) onLog(text)
    complained = true
  }

  async function look(): Promise<void> {
    const found = await stat(path).catch(() => undefined)
    if (found === undefined || closed) return
    const now = `${found.mtimeMs} ${found.size} ${found.ino}`
    if (now === seen) return
    if (found.size > limits.checkpointBytesMax) return complain(`its checkpoint of ${found.size} bytes is over the limit of ${limits.checkpointBytesMax} and is ignored`)
    let text: string
    try {
      text = JSON.stringify(JSON.parse(await readFile(path, 'utf8')))
    } catch {
      // Half written, it will be whole the next time; if it never is, it is no checkpoint.
      return
    }
    seen = now
    if (text === known) return
    const value = await payloadOf(blobs, new TextEncoder().encode(text))
    if (closed) return
    known = text
    init.onCheckpoint(value)
  }

  async function takeOnce(): Promise<void> {
    try {
      await look()
    } catch (thrown) {
      complain(`its checkpoint cannot be stored: ${toFault(thrown).detail}`)
    } finally {
      taking = undefined
    }
  }

  return {
    path,
    async take() {
      // One that is under way may have read the file before it was replaced for the last time.
      await taking
      await (taking ??= takeOnce())
    },
    close() {
      closed = true
    },
  }
}
