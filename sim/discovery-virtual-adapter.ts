/** The Discovery port over the virtual DHT, with the rounds of the real adapter: a key is told soon, to newcomers, and again. */
import type { Discovery } from '../actors/ports/discovery.ts'
import type { DurationMs, InstantMs } from '../protocols/kernel/units.ts'
import { dhtSettings } from './dht/settings.ts'
import type { VirtualDht } from './dht/virtual-dht.ts'
import type { VirtualHost } from './virtual-network.ts'

export { createVirtualDht, type VirtualDht } from './dht/virtual-dht.ts'

export function createVirtualDiscovery(host: VirtualHost, dht: VirtualDht): Discovery {
  const { clock } = host.network
  const member = dht.join(host)
  /** Key → when it was last told to somebody; undefined: to nobody yet. */
  const wanted = new Map<string, InstantMs | undefined>()
  let telling = false
  let againWanted = false
  let roundAtMs = Infinity

  function schedule(delayMs: DurationMs): void {
    const atMs = clock.nowMs() + delayMs
    if (atMs >= roundAtMs) return
    roundAtMs = atMs
    host.schedule(delayMs, () => {
      // A later round was moved up in the meantime.
      if (atMs !== roundAtMs) return
      roundAtMs = Infinity
      startRound()
    })
  }

  function startRound(): void {
    if (telling) {
      againWanted = true
      return
    }
    telling = true
    tellNext([...wanted.keys()], 0)
  }

  function tellNext(keys: readonly string[], index: number): void {
    const key = keys[index]
    if (key === undefined || member.connections === 0) return endRound()
    const toldMs = wanted.get(key)
    if (!wanted.has(key) || (toldMs !== undefined && clock.nowMs() - toldMs < dhtSettings.againMs)) return tellNext(keys, index + 1)
    member.tell(key, (told) => {
      if (told > 0 && wanted.has(key)) wanted.set(key, clock.nowMs())
      tellNext(keys, index + 1)
    })
  }

  function endRound(): void {
    telling = false
    const isOneUntold = [...wanted.values()].includes(undefined)
    // Nobody is there to tell: the first connection starts the next round.
    if (wanted.size > 0 && (member.connections > 0 || againWanted)) schedule(againWanted ? dhtSettings.settleMs : isOneUntold ? dhtSettings.retryMs : dhtSettings.againMs)
    againWanted = false
  }

  member.onConnected(() => {
    if (wanted.size === 0) return
    // A newcomer may be the closest to a key: in a small mesh everybody is told everything again.
    if (member.connections <= dhtSettings.findMax) for (const key of wanted.keys()) wanted.set(key, undefined)
    else if (![...wanted.values()].includes(undefined)) return
    schedule(dhtSettings.settleMs)
  })

  return {
    provide(keys) {
      if (!host.isAlive()) return
      const next = new Set(keys)
      for (const key of [...wanted.keys()]) {
        if (next.has(key)) continue
        wanted.delete(key)
        member.forget(key)
      }
      for (const key of next) if (!wanted.has(key)) wanted.set(key, undefined)
      if (wanted.size > 0) schedule(0)
    },
    findProviders(key, max, timeoutMs) {
      return new Promise((resolve) => {
        member.find(key, max, timeoutMs, (providers) => {
          resolve(providers)
          clock.stir()
        })
      })
    },
  }
}
