/**
 * What libp2p keeps on disk (peers' addresses, DHT records) are hints: it learns them again. A disk that is full must not cost
 * connections, nor keep a node from stopping, so a write that fails is told and otherwise forgotten.
 * libp2p does not wait for its own last ones when it stops (what it knows of itself changes with every protocol that it lets go of).
 */
import type { LevelDatastore } from 'datastore-level'
import type { Telemetry } from '../../actors/ports/telemetry.ts'

const toldEveryMs = 60_000

export interface HintsDatastore {
  /** The same store, whose writes never reject. Reads are passed on as they are. */
  readonly datastore: LevelDatastore
  /** Resolves when what is being written is. What comes later is not kept: the store may be closed then. */
  close(): Promise<void>
}

export function hintsDatastore(store: LevelDatastore, telemetry: Telemetry): HintsDatastore {
  let toldAtMs = -Infinity
  let isClosed = false
  const writing = new Set<Promise<unknown>>()

  function attempt<T>(work: () => Promise<T>, otherwise: T): Promise<T> {
    if (isClosed) return Promise.resolve(otherwise)
    const written = told(work, otherwise).finally(() => writing.delete(written))
    writing.add(written)
    return written
  }

  async function told<T>(work: () => Promise<T>, otherwise: T): Promise<T> {
    try {
      return await work()
    } catch (thrown) {
      const nowMs = performance.now()
      if (nowMs - toldAtMs > toldEveryMs) {
        toldAtMs = nowMs
        telemetry.record({ name: 'libp2p.hints-not-kept', level: 'warn', fields: { detail: thrown instanceof Error ? thrown.message : String(thrown) } })
      }
      return otherwise
    }
  }

  const put: LevelDatastore['put'] = (key, value, options) => attempt(() => Promise.resolve(store.put(key, value, options)), key)
  const remove: LevelDatastore['delete'] = (key, options) => attempt(() => Promise.resolve(store.delete(key, options)), undefined)
  const batch: LevelDatastore['batch'] = () => {
    const writes = store.batch()
    return {
      put: (key, value) => writes.put(key, value),
      delete: (key) => writes.delete(key),
      commit: (options) => attempt(() => Promise.resolve(writes.commit(options)), undefined),
    }
  }
  const own: Readonly<Record<PropertyKey, unknown>> = { put, delete: remove, batch }
  const datastore = new Proxy(store, {
    get(target, name) {
      const found: unknown = own[name] ?? Reflect.get(target, name, target)
      return typeof found === 'function' ? (found.bind(target) as unknown) : found
    },
  })
  return {
    datastore,
    async close() {
      isClosed = true
      await Promise.all(writing)
    },
  }
}
