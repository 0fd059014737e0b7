import { ed25519 } from '@noble/curves/ed25519.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import { describe, expect, it } from 'vitest'
import { admitAdvert, emptyAdvertCache, expireAdverts, type AdvertCache } from '../../../protocols/capability/advert-cache.ts'
import { Advert, SignedAdvert, type Capability } from '../../../protocols/capability/schema.ts'
import { canonicalJson, sign, verify } from '../../../protocols/kernel/hashing.ts'
import type { PeerId } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'

const wallMs = 1_790_000_000_000
const secretKey = Uint8Array.from({ length: 32 }, (_, i) => i + 1)

function capability(name: string, version = '1.0'): Capability {
  return { name: name as Capability['name'], version, kind: 'leaf', effects: 'none', attributes: {}, summary: '' }
}

function advert(sequence: number, given: Partial<Advert> = {}): Advert {
  return {
    peerId: 'a' as PeerId, sequence, issuedAtWallMs: wallMs, expiresAtWallMs: wallMs + limits.advertTtlMs, name: 'node-a', release: '0.1.0', duties: ['worker'], addrs: [], capabilities: [], gpus: [],
    environment: { os: 'linux', arch: 'x64', cores: 1, memoryBytes: 1, memoryFreeBytes: 1 }, load: { slots: 1, slotsBusy: 0, waiting: 0, missionsOwned: 0, managers: 0, cpu: 0, loopDelayMs: 0 }, leaving: false, ...given,
  }
}

function signed(of: Advert): SignedAdvert {
  const text = canonicalJson(of)
  return { advert: text, signature: sign(utf8ToBytes(text), secretKey) }
}

function admit(cache: AdvertCache, of: Advert, nowMs = 0, nowWallMs = wallMs + nowMs) {
  return admitAdvert(cache, of, signed(of), nowMs, nowWallMs)
}

describe('the newest advert of a peer counts', () => {
  it('in whatever order they come, each once', () => {
    const cache = emptyAdvertCache()
    expect([3, 1, 3, 4, 2, 4].map((sequence) => admit(cache, advert(sequence)))).toEqual(['new', 'outdated', 'repeated', 'new', 'outdated', 'repeated'])
    expect(cache.kept.get('a' as PeerId)?.advert.sequence).toBe(4)
  })

  it('after any shuffle of the same adverts every node holds the same', () => {
    const adverts = ['a', 'b', 'c'].flatMap((peerId) => [1, 2, 3, 4].map((sequence) => advert(sequence, { peerId: peerId as PeerId, name: `${peerId}-${sequence}` })))
    for (let seed = 1; seed <= 20; seed++) {
      const random = seededRandom([seed, 2])
      const cache = emptyAdvertCache()
      for (const { of } of adverts.map((of) => ({ of, at: random.next() })).sort((left, right) => left.at - right.at)) admit(cache, of)
      expect([...cache.kept.values()].map((kept) => kept.advert.name).sort()).toEqual(['a-4', 'b-4', 'c-4'])
    }
  })
})

describe('an advert expires', () => {
  it('after its time on this node’s own clock', () => {
    const cache = emptyAdvertCache()
    admit(cache, advert(1), 1_000)
    expect(expireAdverts(cache, 1_000 + limits.advertTtlMs - 1)).toEqual([])
    expect(expireAdverts(cache, 1_000 + limits.advertTtlMs)).toEqual(['a'])
    expect(cache.kept.size).toBe(0)
  })

  it('never later than the longest time that is allowed, whatever it says', () => {
    const cache = emptyAdvertCache()
    admit(cache, advert(1, { expiresAtWallMs: wallMs + 1e12 }))
    expect(expireAdverts(cache, limits.advertTtlMs)).toEqual(['a'])
    admit(cache, advert(2, { expiresAtWallMs: wallMs - 5, issuedAtWallMs: wallMs }))
    expect(expireAdverts(cache, 0)).toEqual(['a'])
  })

  it('before it arrives, when the clocks differ by more than is allowed', () => {
    const late = limits.advertTtlMs + limits.clockSkewMs
    expect(admit(emptyAdvertCache(), advert(1), 0, wallMs + late)).toBe('new')
    expect(admit(emptyAdvertCache(), advert(1), 0, wallMs + late + 1)).toBe('expired')
  })

  it('and is replaced in time by its refresh', () => {
    const cache = emptyAdvertCache()
    for (let i = 0; i < 30; i++) {
      const issuedAtWallMs = wallMs + i * limits.advertRefreshMs
      admit(cache, advert(i + 1, { issuedAtWallMs, expiresAtWallMs: issuedAtWallMs + limits.advertTtlMs }), i * limits.advertRefreshMs)
      expect(expireAdverts(cache, i * limits.advertRefreshMs + 2 * limits.advertRefreshMs)).toEqual([])
    }
  })

  it('what it offered is still known by name', () => {
    const cache = emptyAdvertCache()
    admit(cache, advert(1, { capabilities: [capability('repo.report'), capability('repo.report', '2.0')] }))
    expireAdverts(cache, limits.advertTtlMs)
    expect([...cache.known.keys()]).toEqual(['repo.report@1.0', 'repo.report@2.0'])
  })
})

describe('S12: two different adverts under one sequence', () => {
  it('quarantine the peer: neither counts, and nothing of it is heard until the quarantine ends', () => {
    const cache = emptyAdvertCache()
    expect(admit(cache, advert(5))).toBe('new')
    expect(admit(cache, advert(5, { name: 'two-faced' }), 10)).toBe('equivocation')
    expect(cache.kept.size).toBe(0)
    expect(cache.quarantined.get('a' as PeerId)).toEqual({ sequence: 5, untilMs: 10 + limits.advertTtlMs })
    for (const sequence of [4, 5, 6]) expect(admit(cache, advert(sequence), 20)).toBe('quarantined')
    expireAdverts(cache, 9 + limits.advertTtlMs)
    expect(admit(cache, advert(6), 9 + limits.advertTtlMs, wallMs)).toBe('quarantined')
    expireAdverts(cache, 10 + limits.advertTtlMs)
    expect(cache.quarantined.size).toBe(0)
    expect(admit(cache, advert(6), 10 + limits.advertTtlMs, wallMs)).toBe('new')
  })

  it('are told apart by their bytes: a load that differs is enough', () => {
    const cache = emptyAdvertCache()
    admit(cache, advert(5))
    expect(admit(cache, advert(5, { load: { ...advert(5).load, slotsBusy: 1 } }))).toBe('equivocation')
  })

  it('leave other peers alone', () => {
    const cache = emptyAdvertCache()
    admit(cache, advert(5, { peerId: 'b' as PeerId }))
    admit(cache, advert(5))
    admit(cache, advert(5, { name: 'two-faced' }))
    expect([...cache.kept.keys()]).toEqual(['b'])
  })
})

describe('a forged advert', () => {
  const publicKey = ed25519.getPublicKey(secretKey)

  it('does not verify: not one that was changed, nor one signed by another', () => {
    const good = signed(advert(1))
    expect(verify(good.signature, utf8ToBytes(good.advert), publicKey)).toBe(true)
    expect(verify(good.signature, utf8ToBytes(good.advert.replace('"slots":1', '"slots":9')), publicKey)).toBe(false)
    expect(verify(good.signature, utf8ToBytes(good.advert), ed25519.getPublicKey(secretKey.map((byte) => byte ^ 1)))).toBe(false)
    expect(verify(good.signature.map((byte, i) => (i === 9 ? byte ^ 1 : byte)), utf8ToBytes(good.advert), publicKey)).toBe(false)
    expect(verify(new Uint8Array(3), utf8ToBytes(good.advert), publicKey)).toBe(false)
    expect(verify(good.signature, utf8ToBytes(good.advert), new Uint8Array(5))).toBe(false)
  })

  it('has the form of one only with a whole signature and within its size', () => {
    expect(SignedAdvert.safeParse(signed(advert(1))).success).toBe(true)
    expect(SignedAdvert.safeParse({ ...signed(advert(1)), signature: new Uint8Array(63) }).success).toBe(false)
    expect(SignedAdvert.safeParse({ ...signed(advert(1)), advert: 'x'.repeat(limits.advertBytesMax + 1) }).success).toBe(false)
    expect(Advert.parse(JSON.parse(signed(advert(7)).advert))).toEqual(advert(7))
  })
})

describe('the cache is bounded', () => {
  it('by the number of peers: known ones are still refreshed when it is full', () => {
    const cache = emptyAdvertCache()
    const one = advert(1)
    const proof = signed(one)
    for (let i = 0; i < limits.adverts; i++) admitAdvert(cache, { ...one, peerId: `p${i}` as PeerId }, proof, 0, wallMs)
    expect(cache.kept.size).toBe(limits.adverts)
    expect(admit(cache, advert(1, { peerId: 'one too many' as PeerId }))).toBe('full')
    expect(admit(cache, advert(2, { peerId: 'p7' as PeerId }))).toBe('new')
  })

  it('in the names that it remembers, however many a peer invents', () => {
    const cache = emptyAdvertCache()
    admit(cache, advert(1, { peerId: 'b' as PeerId, capabilities: [capability('old.name'), capability('real.name')] }))
    for (let sequence = 1; sequence <= 40; sequence++) admit(cache, advert(sequence, { capabilities: Array.from({ length: limits.advertCapabilitiesMax }, (_, i) => capability(`invented.n${sequence}-${i}`)) }))
    expect(cache.known.size).toBe(limits.capabilitiesKnown)
    expect(cache.known.has('real.name@1.0')).toBe(false)
    // What a live node offers comes back with its next refresh.
    admit(cache, advert(2, { peerId: 'b' as PeerId, capabilities: [capability('real.name')] }))
    expect(cache.known.has('real.name@1.0')).toBe(true)
    expect(cache.known.size).toBe(limits.capabilitiesKnown)
  })
})
