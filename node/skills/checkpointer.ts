/** The skill's side of checkpoints: they are thinned out, and the newest is handed on, at the latest when the run ends. */
import { MeshError } from '../../protocols/kernel/errors.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Json } from '../../protocols/kernel/payload.ts'
import { findNonJson } from './json-value.ts'

const gapMs = limits.checkpointGapMs / 4

export interface Checkpointer {
  publish(value: Json): Promise<void>
  /** Not thinned out: resolves when it is in the mission's log. What waited is not handed on any more: this is newer. */
  commit(value: Json): Promise<void>
  /** Hands on what still waits, at the end of a run that has failed. */
  flush(): void
  /** Forgets what still waits, at the end of one that has a result. */
  discard(): void
}

/** @returns the JSON text as bytes of their own. @throws MeshError `bad-output`, `too-large`. */
export function checkpointBytes(value: unknown): Uint8Array<ArrayBuffer> {
  const found = value === undefined ? 'it is undefined' : findNonJson(value)
  if (found !== undefined) throw new MeshError('bad-output', `the checkpoint is not JSON: ${found}`, { next: 'publish plain objects, arrays, strings, finite numbers, booleans and null' })
  const bytes = new TextEncoder().encode(JSON.stringify(value))
  if (bytes.byteLength > limits.checkpointBytesMax) {
    throw new MeshError('too-large', `a checkpoint of ${bytes.byteLength} bytes is over the limit of ${limits.checkpointBytesMax}`, { next: 'put large content into blobs and their references into the checkpoint' })
  }
  return bytes
}

/** @param store resolves when the JSON text is stored on this node; with `committed` when it is in the mission's log. */
export function createCheckpointer(store: (value: Uint8Array<ArrayBuffer>, committed: boolean) => Promise<void>): Checkpointer {
  let handedAtMs = -Infinity
  let timer: NodeJS.Timeout | undefined
  let waiting: { readonly bytes: Uint8Array<ArrayBuffer>; readonly stored: PromiseWithResolvers<void> } | undefined

  function hand(): void {
    clearTimeout(timer)
    timer = undefined
    const handed = waiting
    if (handed === undefined) return
    waiting = undefined
    handedAtMs = performance.now()
    store(handed.bytes, false).then(handed.stored.resolve, handed.stored.reject)
  }

  return {
    publish(value) {
      let bytes: Uint8Array<ArrayBuffer>
      try {
        // Its bytes are taken now: what the skill changes in the value later is not part of it.
        bytes = checkpointBytes(value)
      } catch (thrown) {
        return Promise.reject(thrown as MeshError)
      }
      const stored = waiting?.stored ?? Promise.withResolvers<void>()
      // A skill need not wait for it; what it does not wait for must not end its thread.
      stored.promise.catch(() => undefined)
      waiting = { bytes, stored }
      const leftMs = handedAtMs + gapMs - performance.now()
      // Also from inside a loop that never gives way to a timer.
      if (leftMs <= 0) hand()
      else timer ??= setTimeout(hand, leftMs)
      return stored.promise
    },
    async commit(value) {
      const bytes = checkpointBytes(value)
      clearTimeout(timer)
      timer = undefined
      const replaced = waiting
      waiting = undefined
      handedAtMs = performance.now()
      const stored = store(bytes, true)
      if (replaced !== undefined) stored.then(replaced.stored.resolve, replaced.stored.reject)
      await stored
    },
    flush: hand,
    discard() {
      clearTimeout(timer)
      waiting?.stored.resolve()
      waiting = undefined
    },
  }
}
