import { MeshError } from '../../protocols/kernel/errors.ts'

/** A counted permission to do something; waiting is first come, first served, and bounded. */
export interface Slots {
  /**
   * Waits for a free slot. @returns the function that gives it back; calling it twice does nothing.
   * @throws MeshError `overloaded` when too many wait already; the signal's reason when it is aborted first.
   */
  take(signal?: AbortSignal): Promise<() => void>
  readonly taken: number
}

export function createSlots(count: number, waitingMax: number): Slots {
  const waiting: (() => void)[] = []
  let taken = 0

  function grant(): () => void {
    taken++
    let returned = false
    return () => {
      if (returned) return
      returned = true
      taken--
      waiting.shift()?.()
    }
  }

  return {
    async take(signal) {
      signal?.throwIfAborted()
      if (taken < count) return grant()
      if (waiting.length >= waitingMax) throw new MeshError('overloaded', `${count} transfers run and ${waitingMax} wait already`)
      return await new Promise((resolve, reject) => {
        const proceed = (): void => {
          signal?.removeEventListener('abort', onAbort)
          resolve(grant())
        }
        function onAbort(): void {
          waiting.splice(waiting.indexOf(proceed), 1)
          reject(signal?.reason instanceof Error ? signal.reason : new Error('aborted'))
        }
        waiting.push(proceed)
        signal?.addEventListener('abort', onAbort, { once: true })
      })
    },
    get taken() {
      return taken
    },
  }
}
