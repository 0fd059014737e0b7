import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { BlobStore } from '../../actors/ports/blob-store.ts'
import { digestOf } from '../../protocols/kernel/hashing.ts'
import type { Digest, PeerId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { BlobRef } from '../../protocols/kernel/payload.ts'
import { faultOf } from './log-store.ts'

export interface BlobSwarmUnderTest {
  /** The store of one peer of a small world in which everybody reaches everybody that was opened. */
  open(peer: PeerId): Promise<BlobStore>
  /** From now on the peer sends other bytes than those asked for. */
  makeLiar(peer: PeerId): void
  /** Lets a promise end, where that takes more than waiting. */
  settle?<T>(promise: Promise<T>): Promise<T>
  /** The store of another peer, that takes no more than that. */
  openSmall(peer: PeerId, quotaBytes: number): Promise<BlobStore>
  stop?(): Promise<void>
}

export const [ada, bob, eve, zoe] = ['ada', 'bob', 'eve', 'zoe'] as PeerId[] as [PeerId, PeerId, PeerId, PeerId]

export function patternBytes(length: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (at * 31 + (at >> 8) * seed) & 0xff)
}

/** What every BlobStore must do. */
export function blobStoreContract(name: string, setup: () => BlobSwarmUnderTest | Promise<BlobSwarmUnderTest>): void {
  describe(`${name} keeps the blob store contract`, () => {
    let swarm: BlobSwarmUnderTest
    let mine: BlobStore
    let theirs: BlobStore
    beforeEach(async () => {
      swarm = await setup()
      mine = await swarm.open(ada)
      theirs = await swarm.open(bob)
    })
    afterEach(() => swarm.stop?.())
    const settle = <T>(promise: Promise<T>): Promise<T> => swarm.settle?.(promise) ?? promise

    it.each([0, 1, limits.blobChunkBytes, limits.blobChunkBytes * 3 + 17])('stores %i bytes under their digest', async (length) => {
      const bytes = patternBytes(length)
      const ref = await mine.put(bytes, { name: 'a.bin', mediaType: 'application/octet-stream' })
      expect(ref).toEqual({ $blob: digestOf(bytes), sizeBytes: length, name: 'a.bin', mediaType: 'application/octet-stream', holders: [ada] })
      expect(BlobRef.safeParse(ref).success).toBe(true)
      expect(await mine.has(ref.$blob)).toBe(true)
      expect(await mine.get(ref.$blob)).toEqual(bytes)
    })

    it('does not know what it was not given', async () => {
      const digest = digestOf(patternBytes(9, 9))
      expect(await mine.has(digest)).toBe(false)
      expect(await mine.get(digest)).toBeUndefined()
    })

    it('keeps its own copy, and gives copies', async () => {
      const bytes = patternBytes(100)
      const ref = await mine.put(bytes)
      bytes.fill(0)
      const first = await mine.get(ref.$blob)
      first!.fill(0)
      expect(await mine.get(ref.$blob)).toEqual(patternBytes(100))
    })

    it('takes the same content any number of times, also at once', async () => {
      const refs = await Promise.all(Array.from({ length: 8 }, () => mine.put(patternBytes(300_000))))
      expect(new Set(refs.map((ref) => ref.$blob)).size).toBe(1)
      expect(await mine.get(refs[0]!.$blob)).toEqual(patternBytes(300_000))
    })

    it('fetches from a holder, verified, and then has it', async () => {
      const bytes = patternBytes(limits.blobChunkBytes * 2 + 5)
      const ref = await theirs.put(bytes)
      await settle(mine.fetch(ref))
      expect(await mine.has(ref.$blob)).toBe(true)
      expect(await mine.get(ref.$blob)).toEqual(bytes)
      await settle(mine.fetch(ref))
    })

    it('goes on to the next holder when one does not have it or is not there, and to those to try besides', async () => {
      const ref = await theirs.put(patternBytes(1_000))
      await swarm.open(eve)
      await settle(mine.fetch({ ...ref, holders: [zoe, eve, ada] }, [bob]))
      expect(await mine.get(ref.$blob)).toEqual(patternBytes(1_000))
    })

    it('drops what a liar sends and asks the next', async () => {
      const liar = await swarm.open(eve)
      const ref = await theirs.put(patternBytes(5_000))
      await liar.put(patternBytes(5_000))
      swarm.makeLiar(eve)
      expect((await faultOf(settle(mine.fetch({ ...ref, holders: [eve] })))).code).toBe('unknown-blob')
      expect(await mine.has(ref.$blob)).toBe(false)
      await settle(mine.fetch({ ...ref, holders: [eve, bob] }))
      expect(await mine.get(ref.$blob)).toEqual(patternBytes(5_000))
    })

    it('frees what it is told to, here and nowhere else, and takes it again', async () => {
      const [first, second] = [await mine.put(patternBytes(1_000)), await mine.put(patternBytes(2_000))]
      const theirsToo = await theirs.put(patternBytes(1_000))
      await mine.remove([first.$blob, digestOf(patternBytes(9, 9))])
      expect([await mine.has(first.$blob), await mine.get(first.$blob), await mine.has(second.$blob), await theirs.has(first.$blob)]).toEqual([false, undefined, true, true])
      await settle(mine.fetch(theirsToo))
      expect(await mine.get(first.$blob)).toEqual(patternBytes(1_000))
      expect(await mine.remove([])).toEqual([])
    })

    it('keeps what was in use lately, and says so', async () => {
      const [first, second] = [await mine.put(patternBytes(1_000)), await mine.put(patternBytes(2_000))]
      const absent = digestOf(patternBytes(9, 9))
      expect(await mine.remove([first.$blob, absent, second.$blob], 600_000)).toEqual([first.$blob, second.$blob])
      expect([await mine.has(first.$blob), await mine.has(second.$blob)]).toEqual([true, true])
      expect(await mine.remove([second.$blob])).toEqual([])
      expect([await mine.has(first.$blob), await mine.has(second.$blob)]).toEqual([true, false])
    })

    it('tells what is idle, unused for longest first, page by page', async () => {
      const refs = []
      for (const size of [1_000, 2_000, 3_000, 4_000]) refs.push(await mine.put(patternBytes(size)))
      const [first, second, third, fourth] = refs.map(({ $blob }) => $blob)
      expect(await mine.idle(600_000, 10)).toEqual([])
      await mine.get(first!)
      await mine.has(second!)
      const idle = await mine.idle(0, 10)
      expect(idle.map(({ digest, sizeBytes }) => [digest, sizeBytes])).toEqual([[third, 3_000], [fourth, 4_000], [first, 1_000], [second, 2_000]])
      const page = await mine.idle(0, 2)
      expect(page).toEqual(idle.slice(0, 2))
      expect(await mine.idle(0, 10, page[1])).toEqual(idle.slice(2))
      await mine.remove([third!, first!])
      expect((await mine.idle(0, 10)).map(({ digest }) => digest)).toEqual([fourth, second])
      expect((await mine.idle(0, 10, page[0])).map(({ digest }) => digest)).toEqual([fourth, second])
    })

    it('says unknown-blob when nobody has it', async () => {
      const bytes = patternBytes(77, 3)
      const fault = await faultOf(settle(mine.fetch({ $blob: digestOf(bytes), sizeBytes: 77, holders: [bob, zoe] })))
      expect(fault.code).toBe('unknown-blob')
      expect(fault.next).toBeTruthy()
      expect((await faultOf(settle(mine.fetch({ $blob: digestOf(bytes), sizeBytes: 77 })))).code).toBe('unknown-blob')
    })

    it('refuses what is over the limit, and takes no more bytes than the reference states', async () => {
      const ref = await theirs.put(patternBytes(5_000))
      expect((await faultOf(settle(mine.fetch({ ...ref, sizeBytes: limits.blobBytesMax + 1 })))).code).toBe('too-large')
      expect((await faultOf(settle(mine.fetch({ ...ref, sizeBytes: 4_999 })))).code).toBe('unknown-blob')
      expect(await mine.has(ref.$blob)).toBe(false)
    })

    it('asks for room when something does not fit, waits for it, and refuses only what still does not fit', async () => {
      const small = await swarm.openSmall(zoe, 10_000)
      const [first, second] = [await small.put(patternBytes(4_000, 1)), await small.put(patternBytes(5_000, 2))]
      expect((await faultOf(settle(small.put(patternBytes(6_000, 3))))).code).toBe('storage-failed')
      const wanted: number[] = []
      let frees: Digest[] = []
      small.onRoomWanted(async (bytes) => {
        wanted.push(bytes)
        await small.remove(frees)
      })
      expect((await faultOf(settle(small.put(patternBytes(6_000, 3))))).code).toBe('storage-failed')
      frees = [first.$blob, second.$blob]
      const third = await settle(small.put(patternBytes(6_000, 3)))
      expect(wanted).toHaveLength(2)
      expect(Math.min(...wanted)).toBeGreaterThanOrEqual(5_000)
      expect([await small.has(first.$blob), await small.has(third.$blob)]).toEqual([false, true])
      await small.put(patternBytes(3_000, 4))
      expect(wanted).toHaveLength(2)
    })

    it('lets concurrent fetches of one content end together, whoever each of them asks', async () => {
      const ref = await theirs.put(patternBytes(10_000))
      const fetches = [[zoe], [bob], [zoe, bob]].map((holders) => settleAll(mine.fetch({ ...ref, holders })))
      const outcomes = await settle(Promise.all(fetches))
      expect(outcomes.slice(1)).toEqual(['ok', 'ok'])
      expect(await mine.get(ref.$blob)).toEqual(patternBytes(10_000))
    })
  })
}

function settleAll(promise: Promise<void>): Promise<string> {
  return promise.then(
    () => 'ok',
    (error: unknown) => String(error),
  )
}
