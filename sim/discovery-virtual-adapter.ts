/** The Discovery port over a table that stands for the DHT: records outlive the peers that made them, as in the real one. */
import type { Discovery } from '../actors/ports/discovery.ts'
import { fractionOf } from '../protocols/kernel/hashing.ts'
import type { PeerId } from '../protocols/kernel/ids.ts'
import type { DurationMs } from '../protocols/kernel/units.ts'
import type { VirtualHost } from './virtual-network.ts'

/** Provider records by key. One per world. */
export interface VirtualDht {
  readonly keysOf: Map<PeerId, ReadonlySet<string>>
  /** How long a lookup takes. */
  lookupMs: DurationMs
}

export function createVirtualDht(lookupMs: DurationMs = 20): VirtualDht {
  return { keysOf: new Map(), lookupMs }
}

export function createVirtualDiscovery(host: VirtualHost, dht: VirtualDht): Discovery {
  function visible(provider: PeerId): boolean {
    if (provider === host.peer || host.network.reaches(host.peer, provider)) return true
    // Nobody takes back the record of a peer that died; one that is merely cut off cannot be seen.
    return host.network.host(provider) === undefined && host.connectedPeers().length > 0
  }

  return {
    provide(keys) {
      if (host.isAlive()) dht.keysOf.set(host.peer, new Set(keys))
    },
    findProviders(key, max, timeoutMs) {
      return new Promise((resolve) => {
        host.schedule(Math.min(dht.lookupMs, timeoutMs), () => {
          if (dht.lookupMs > timeoutMs) return resolve([])
          const found = [...dht.keysOf].filter(([provider, keys]) => keys.has(key) && visible(provider)).map(([provider]) => provider)
          const rank = new Map(found.map((provider) => [provider, fractionOf(`${host.peer} ${key} ${provider}`)]))
          resolve(found.sort((left, right) => rank.get(left)! - rank.get(right)!).slice(0, max))
        })
      })
    },
  }
}
