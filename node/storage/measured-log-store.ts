import type { LogStore } from '../../actors/ports/log-store.ts'
import type { DurationMs } from '../../protocols/kernel/units.ts'

/** The same store; each write that was synced tells how long it took. */
export function measuredLogStore(store: LogStore, onSynced: (tookMs: DurationMs) => void): LogStore {
  return {
    ...store,
    async write(batch) {
      const startedAtMs = performance.now()
      await store.write(batch)
      onSynced(performance.now() - startedAtMs)
    },
  }
}
