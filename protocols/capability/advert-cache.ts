/** The newest advert of every peer: (PeerId, sequence) decides, expiry removes, two different ones under one sequence quarantine. */
import type { PeerId } from '../kernel/ids.ts'
import { limits } from '../kernel/limits.ts'
import type { InstantMs, WallMs } from '../kernel/units.ts'
import type { Advert, Capability, SignedAdvert } from './schema.ts'

interface Kept {
  readonly advert: Advert
  readonly signed: SignedAdvert
  readonly expiresAtMs: InstantMs
}

export interface AdvertCache {
  readonly kept: Map<PeerId, Kept>
  readonly quarantined: Map<PeerId, { readonly sequence: number; readonly untilMs: InstantMs }>
  /** Capabilities that were heard of, newest last, so that a provider that is away is not an unknown name. */
  readonly known: Map<string, Capability>
}

export type Admission = 'new' | 'repeated' | 'outdated' | 'expired' | 'equivocation' | 'quarantined' | 'full'

export function emptyAdvertCache(): AdvertCache {
  return { kept: new Map(), quarantined: new Map(), known: new Map() }
}

/** @param signed already verified against the key of `advert.peerId`. */
export function admitAdvert(cache: AdvertCache, advert: Advert, signed: SignedAdvert, nowMs: InstantMs, nowWallMs: WallMs): Admission {
  const banned = cache.quarantined.get(advert.peerId)
  if (banned !== undefined && banned.untilMs > nowMs) return 'quarantined'
  if (advert.expiresAtWallMs + limits.clockSkewMs < nowWallMs) return 'expired'
  const before = cache.kept.get(advert.peerId)
  if (before !== undefined && advert.sequence < before.advert.sequence) return 'outdated'
  if (before !== undefined && advert.sequence === before.advert.sequence) {
    if (signed.advert === before.signed.advert) return 'repeated'
    cache.kept.delete(advert.peerId)
    cache.quarantined.set(advert.peerId, { sequence: advert.sequence, untilMs: nowMs + limits.advertTtlMs })
    return 'equivocation'
  }
  if (before === undefined && cache.kept.size >= limits.adverts) return 'full'
  const ttlMs = Math.min(limits.advertTtlMs, Math.max(0, advert.expiresAtWallMs - advert.issuedAtWallMs))
  cache.kept.set(advert.peerId, { advert, signed, expiresAtMs: nowMs + ttlMs })
  for (const capability of advert.capabilities) remember(cache, capability)
  return 'new'
}

/** The names that were heard of last stay: a peer that invents names cannot fill the memory. */
function remember(cache: AdvertCache, capability: Capability): void {
  const key = `${capability.name}@${capability.version}`
  cache.known.delete(key)
  cache.known.set(key, capability)
  if (cache.known.size <= limits.capabilitiesKnown) return
  const [oldest] = cache.known.keys()
  if (oldest !== undefined) cache.known.delete(oldest)
}

/** Removes what has expired. @returns the peers removed. */
export function expireAdverts(cache: AdvertCache, nowMs: InstantMs): PeerId[] {
  const gone: PeerId[] = []
  for (const [peer, kept] of cache.kept) {
    if (kept.expiresAtMs <= nowMs) {
      cache.kept.delete(peer)
      gone.push(peer)
    }
  }
  for (const [peer, banned] of cache.quarantined) if (banned.untilMs <= nowMs) cache.quarantined.delete(peer)
  return gone
}
