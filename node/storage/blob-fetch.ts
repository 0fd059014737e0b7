/** Gets content from the nodes that hold it: one after the other, each within its time, until one sends what the digest says. */
import { MeshError } from '../../protocols/kernel/errors.ts'
import type { Digest, PeerId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { BlobRef } from '../../protocols/kernel/payload.ts'
import type { Bytes, DurationMs } from '../../protocols/kernel/units.ts'
import type { BlobFiles } from './blob-files.ts'

/** How the content of a blob comes from one peer. Not verified yet. Should end when the signal aborts; nobody waits for it if it does not. */
export type FetchFrom = (peer: PeerId, digest: Digest, options: { readonly sizeBytesMax: Bytes; readonly signal: AbortSignal }) => AsyncIterable<Uint8Array>

export interface BlobFetcherInit {
  readonly files: BlobFiles
  readonly fetchFrom: FetchFrom
  /** A holder that sends nothing for this long is given up. */
  readonly silenceMsMax: DurationMs
  /** Told of each holder that could not give what it was asked for, and why. */
  readonly onHolderFailed: (peer: PeerId, digest: Digest, why: string) => void
}

export interface BlobFetcher {
  /** @throws MeshError `unknown-blob` when none of the holders gave it, `storage-failed` when it could not be stored. */
  fetch(ref: Pick<BlobRef, '$blob' | 'sizeBytes'>, holders: readonly PeerId[]): Promise<void>
  /** Gives up every transfer. */
  stop(): void
}

/** Slower than this on average, a holder is given up: one that drips bytes would otherwise hold a task for ever. */
const bytesPerSecondMin = 128 * 1024

export function createBlobFetcher({ files, fetchFrom, silenceMsMax, onHolderFailed }: BlobFetcherInit): BlobFetcher {
  const stopped = new AbortController()
  const waiting: (() => void)[] = []
  let free: number = limits.blobFetchConcurrencyMax

  async function acquire(): Promise<void> {
    if (free > 0) free--
    else await new Promise<void>((resolve) => void waiting.push(resolve))
  }

  function release(): void {
    const next = waiting.shift()
    if (next === undefined) free++
    else next()
  }

  async function fetchOne(peer: PeerId, digest: Digest, sizeBytes: Bytes): Promise<void> {
    const over = new AbortController()
    const signal = AbortSignal.any([over.signal, stopped.signal])
    const timeLimitMs = silenceMsMax + (sizeBytes / bytesPerSecondMin) * 1_000
    try {
      const chunks = watched(fetchFrom(peer, digest, { sizeBytesMax: sizeBytes, signal }), silenceMsMax, timeLimitMs, stopped.signal)
      await files.write(chunks, sizeBytes, (arrived) => {
        if (arrived !== digest) throw new MeshError('bad-input', `it sent other content (${arrived})`)
      })
    } finally {
      over.abort()
    }
  }

  return {
    async fetch(ref, holders) {
      const failures: string[] = []
      await acquire()
      try {
        for (const peer of holders) {
          if (stopped.signal.aborted) throw new MeshError('wrong-state', 'the blob store is closed')
          try {
            await fetchOne(peer, ref.$blob, ref.sizeBytes)
            return
          } catch (error) {
            // Our own disk is not the holder's fault: another holder would fail on it as well.
            if (error instanceof MeshError && error.fault.code === 'storage-failed' && !(error instanceof HolderError)) throw error
            const why = error instanceof Error ? error.message : String(error)
            onHolderFailed(peer, ref.$blob, why)
            failures.push(`${peer}: ${why}`)
          }
        }
      } finally {
        release()
      }
      const asked = failures.length === 0 ? 'no node was known to ask' : failures.join('; ')
      throw new MeshError('unknown-blob', `no reachable node gave the content ${ref.$blob}: ${asked}`, { next: 'start a node that holds it, or upload it again' })
    },
    stop: () => stopped.abort(),
  }
}

/** What a holder threw, whatever its code: never to be taken for an error of this node's own disk. */
class HolderError extends MeshError {
  constructor(thrown: unknown) {
    super(thrown instanceof MeshError ? thrown.fault.code : 'lost-worker', thrown instanceof Error ? thrown.message : String(thrown))
  }
}

/** The same chunks, but an error when they stop coming, take too long in all, or the store closes. */
async function* watched(chunks: AsyncIterable<Uint8Array>, silenceMsMax: DurationMs, timeLimitMs: DurationMs, stopped: AbortSignal): AsyncGenerator<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]()
  const deadline = performance.now() + timeLimitMs
  let finished = false
  try {
    for (;;) {
      const leftMs = Math.min(silenceMsMax, deadline - performance.now())
      const next = await within(iterator.next(), leftMs, stopped, leftMs < silenceMsMax ? `it was slower than ${bytesPerSecondMin} bytes per second` : `it sent nothing for ${silenceMsMax} ms`)
      if (next.done === true) {
        finished = true
        return
      }
      yield next.value
    }
  } catch (error) {
    throw error instanceof HolderError ? error : new HolderError(error)
  } finally {
    // Not awaited: an iterator that hangs in `next` also hangs in `return`.
    if (!finished) void Promise.resolve(iterator.return?.()).catch(() => undefined)
  }
}

function within<T>(promise: Promise<T>, delayMs: DurationMs, stopped: AbortSignal, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      clearTimeout(timer)
      stopped.removeEventListener('abort', onStop)
    }
    const onStop = (): void => {
      end()
      reject(new MeshError('wrong-state', 'the blob store is closed'))
    }
    const timer = setTimeout(() => {
      end()
      reject(new MeshError('timeout', what))
    }, Math.max(0, delayMs))
    stopped.addEventListener('abort', onStop)
    if (stopped.aborted) onStop()
    promise.then(
      (value) => {
        end()
        resolve(value)
      },
      (error: unknown) => {
        end()
        reject(error instanceof Error ? error : new Error(String(error)))
      },
    )
  })
}
