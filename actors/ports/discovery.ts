import type { PeerId } from '../../protocols/kernel/ids.ts'

/** Cold discovery through the DHT: a hint, never on the award, claim or lookup path. */
export interface Discovery {
  /** Replaces the set of keys (`capability/repo.report`, `gpu/24GiB`) under which this node can be found. */
  provide(keys: readonly string[]): void
  /** Peers that say they provide the key, at most `max`, found within `timeoutMs`; empty when there are none. */
  findProviders(key: string, max: number, timeoutMs: number): Promise<readonly PeerId[]>
}
