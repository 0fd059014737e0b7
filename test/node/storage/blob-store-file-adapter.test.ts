import { mkdtemp, readdir, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openFileBlobStore, type FetchFrom, type FileBlobStore, type FileBlobStoreInit } from '../../../node/storage/blob-store-file-adapter.ts'
import { openLevelLogStore } from '../../../node/storage/log-store-level-adapter.ts'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import { digestOf } from '../../../protocols/kernel/hashing.ts'
import type { Digest, PeerId } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { ada, blobStoreContract, bob, eve, patternBytes, zoe } from '../../contracts/blob-store.ts'
import { faultOf } from '../../contracts/log-store.ts'
import { withFullDisk, withUnwritableFolder } from './faulty-disk.ts'

async function* inPieces(bytes: Uint8Array, pieceBytes = 10_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    await turn()
    yield bytes.subarray(at, at + pieceBytes)
  }
}

blobStoreContract('the file blob store', async () => {
  const parent = await mkdtemp(join(tmpdir(), 'skein-blobs-'))
  const stores = new Map<PeerId, FileBlobStore>()
  const liars = new Set<PeerId>()
  const fetchFrom: FetchFrom = async function* (peer, digest) {
    const opened = await stores.get(peer)?.open(digest)
    if (liars.has(peer)) yield patternBytes(5_000, 99)
    else if (opened === undefined) throw new MeshError('unknown-blob', 'this node does not have it')
    else yield* opened.read()
  }
  return {
    async open(peer) {
      const store = await openFileBlobStore({ directory: join(parent, peer), self: peer, fetchFrom })
      stores.set(peer, store)
      return store
    },
    async openSmall(peer, quotaBytes) {
      const store = await openFileBlobStore({ directory: join(parent, peer), self: peer, quotaBytes })
      stores.set(peer, store)
      return store
    },
    makeLiar: (peer) => void liars.add(peer),
    async stop() {
      for (const store of stores.values()) await store.close()
      await rm(parent, { recursive: true, force: true })
    },
  }
})

describe('the file blob store', () => {
  let directory: string
  const opened: FileBlobStore[] = []
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'skein-blobs-'))
  })
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close()
    await rm(directory, { recursive: true, force: true })
  })
  async function open(init: Partial<FileBlobStoreInit> = {}): Promise<FileBlobStore> {
    const store = await openFileBlobStore({ directory, self: ada, ...init })
    opened.push(store)
    return store
  }
  const pathOf = (digest: Digest): string => join(directory, digest.slice(0, 2), digest.slice(2))
  const big = patternBytes(700_000)
  const bigDigest = digestOf(big)
  const bigRef = { $blob: bigDigest, sizeBytes: big.length }

  it('still has its blobs after reopening, and nothing that was half written', async () => {
    const ref = await (await open()).put(big)
    await writeFile(join(directory, 'incoming', 'leftover'), 'half')
    await writeFile(join(directory, 'stray.txt'), 'not ours')
    const store = await open()
    expect(await store.get(ref.$blob)).toEqual(big)
    expect(store.usage()).toEqual({ blobs: 1, bytes: big.length })
    expect(await readdir(join(directory, 'incoming'))).toEqual([])
  })

  it('knows after a restart what was in use before, as exactly as the files say', async () => {
    const before = await open()
    const [old, used] = [await before.put(patternBytes(100)), await before.put(patternBytes(200))]
    const hourAgo = new Date(Date.now() - 3_600_000)
    for (const { $blob } of [old, used]) await utimes(pathOf($blob), hourAgo, hourAgo)
    const between = await open()
    expect((await between.idle(3_600_000 - limits.blobUseNotedMs - 1, 10)).map(({ digest }) => digest).sort()).toEqual([old.$blob, used.$blob].sort())
    expect(await between.idle(3_600_000, 10)).toEqual([])
    await between.get(used.$blob)
    await expect.poll(async () => (await stat(pathOf(used.$blob))).mtimeMs).toBeGreaterThan(hourAgo.getTime())
    const after = await open()
    expect((await after.idle(1_800_000, 10)).map(({ digest }) => digest)).toEqual([old.$blob])
    expect(await after.remove([old.$blob, used.$blob], 1_800_000)).toEqual([used.$blob])
  })

  it('does not take for old what a clock that went back says is to come', async () => {
    const { $blob } = await (await open()).put(patternBytes(100))
    const tomorrow = new Date(Date.now() + 86_400_000)
    await utimes(pathOf($blob), tomorrow, tomorrow)
    const store = await open()
    expect((await store.idle(0, 10)).map(({ digest }) => digest)).toEqual([$blob])
    expect(await store.remove([$blob], 60_000)).toEqual([$blob])
  })

  it('keeps what is stored again while it is being freed', async () => {
    const store = await open()
    for (let time = 0; time < 20; time++) {
      await store.put(big)
      const [, ref] = await Promise.all([store.remove([bigDigest]), store.putStream(inPieces(big.slice(), 200_000)), store.remove([bigDigest])])
      expect((await store.open(ref.$blob)) === undefined).toBe(!(await stat(pathOf(bigDigest)).then(() => true, () => false)))
    }
  })

  it('stores a stream, and refuses one that is not what was announced or too long', async () => {
    const store = await open()
    expect(await store.putStream(inPieces(big), { expected: bigDigest, name: 'big' })).toEqual({ ...bigRef, name: 'big', holders: [ada] })
    const other = patternBytes(5_000, 3)
    expect((await faultOf(store.putStream(inPieces(other), { expected: bigDigest }))).code).toBe('bad-input')
    expect((await faultOf(store.putStream(inPieces(other), { sizeBytesMax: 4_999 }))).code).toBe('too-large')
    await expect(
      store.putStream(
        (async function* () {
          yield other
          throw new Error('the client went away')
        })(),
      ),
    ).rejects.toThrow('the client went away')
    expect(store.usage()).toEqual({ blobs: 1, bytes: big.length })
    expect(await readdir(join(directory, 'incoming'))).toEqual([])
  })

  it('reads from an offset, in pieces no longer than a chunk', async () => {
    const store = await open()
    await store.put(big)
    const source = await store.open(bigDigest)
    const pieces: Uint8Array[] = []
    for await (const piece of source!.read(100_000)) pieces.push(piece)
    expect(source!.sizeBytes).toBe(big.length)
    expect(Buffer.concat(pieces).equals(big.subarray(100_000))).toBe(true)
    expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThanOrEqual(limits.blobChunkBytes)
    expect(await store.open(digestOf(patternBytes(3)))).toBeUndefined()
  })

  it('shares one download between all who ask at once', async () => {
    let downloads = 0
    const store = await open({
      fetchFrom: (peer) => {
        downloads++
        expect(peer).toBe(bob)
        return inPieces(big)
      },
    })
    await Promise.all(Array.from({ length: 20 }, () => store.fetch({ ...bigRef, holders: [bob] })))
    expect(downloads).toBe(1)
    expect(await store.get(bigDigest)).toEqual(big)
  })

  it('asks the connected peers last and tells of every holder that failed', async () => {
    const failed: string[] = []
    const store = await open({
      connectedPeers: () => [bob, zoe, ada],
      onHolderFailed: (peer, _digest, why) => failed.push(`${peer}: ${why}`),
      fetchFrom: async function* (peer) {
        if (peer === eve) yield patternBytes(5, 3)
        else if (peer === bob) throw new MeshError('storage-failed', 'my disk is broken')
        else yield* inPieces(big)
      },
    })
    await store.fetch({ ...bigRef, holders: [eve, bob] })
    expect(failed).toEqual([`${eve}: it sent other content (${digestOf(patternBytes(5, 3))})`, `${bob}: my disk is broken`])
  })

  it('leaves a silent holder for the next, and tells it to stop', async () => {
    let silenced: AbortSignal | undefined
    const store = await open({
      silenceMsMax: 50,
      fetchFrom: async function* (peer, _digest, { signal }) {
        yield big.subarray(0, 1_000)
        if (peer === eve) {
          silenced = signal
          await new Promise(() => undefined)
        }
        yield big.subarray(1_000)
      },
    })
    await store.fetch({ ...bigRef, holders: [eve, bob] })
    expect(silenced?.aborted).toBe(true)
    expect(await store.get(bigDigest)).toEqual(big)
  })

  it('stops reading a holder that sends without end', async () => {
    let pieces = 0
    const store = await open({
      fetchFrom: async function* () {
        for (;;) {
          pieces++
          yield patternBytes(100_000)
        }
      },
    })
    const fault = await faultOf(store.fetch({ ...bigRef, holders: [eve] }))
    expect(fault.code).toBe('unknown-blob')
    expect(fault.detail).toContain('over the limit of 700000 bytes')
    expect(pieces).toBeLessThanOrEqual(9)
  })

  it('limits how many downloads run at once', async () => {
    let running = 0
    let mostRunning = 0
    let openGate: (() => void) | undefined
    const gate = new Promise<void>((resolve) => (openGate = resolve))
    const blobs = Array.from({ length: 30 }, (_, at) => patternBytes(2_000 + at))
    const store = await open({
      fetchFrom: async function* (_peer, digest) {
        mostRunning = Math.max(mostRunning, ++running)
        if (running === limits.blobFetchConcurrencyMax) openGate?.()
        await gate
        yield* inPieces(blobs.find((bytes) => digestOf(bytes) === digest)!, 500)
        running--
      },
    })
    await Promise.all(blobs.map((bytes) => store.fetch({ $blob: digestOf(bytes), sizeBytes: bytes.length, holders: [bob] })))
    expect(mostRunning).toBe(limits.blobFetchConcurrencyMax)
  })

  it('gives up its fetches when it closes', async () => {
    const store = await open({ fetchFrom: async function* () { yield await new Promise<Uint8Array>(() => undefined) } })
    const fetching = faultOf(store.fetch({ ...bigRef, holders: [bob] }))
    await turn()
    await store.close()
    expect(['unknown-blob', 'wrong-state']).toContain((await fetching).code)
  })

  it.each(['changed', 'cut', 'longer', 'gone'])('makes good a file that is %s', async (damage) => {
    const store = await open({ connectedPeers: () => [bob], fetchFrom: () => inPieces(big) })
    await store.put(big)
    const harmed = Buffer.from(big)
    harmed[500_000] = harmed[500_000]! ^ 1
    if (damage === 'changed') await writeFile(pathOf(bigDigest), harmed)
    else if (damage === 'cut') await truncate(pathOf(bigDigest), 1_000)
    else if (damage === 'longer') await truncate(pathOf(bigDigest), big.length + 1)
    else await rm(pathOf(bigDigest))
    expect(await store.get(bigDigest)).toEqual(big)
    expect(await store.get(bigDigest)).toEqual(big)
  })

  it('removes a rotten file that nobody can replace, and does not pass it on as sound', async () => {
    const store = await open()
    await store.put(big)
    await writeFile(pathOf(bigDigest), patternBytes(700_000, 9))
    const read = (async () => {
      for await (const piece of (await store.open(bigDigest))!.read()) expect(piece.length).toBeGreaterThan(0)
    })()
    expect((await faultOf(read)).detail).toContain('rotted')
    expect(await store.has(bigDigest)).toBe(false)
    expect(await store.get(bigDigest)).toBeUndefined()
    await store.put(big)
    await writeFile(pathOf(bigDigest), patternBytes(700_000, 9))
    await store.put(big)
    expect(await store.get(bigDigest)).toEqual(big)
  })

  it('fetches again what was found too short at opening', async () => {
    await (await open()).put(big)
    await truncate(pathOf(bigDigest), 1_000)
    const store = await open({ fetchFrom: () => inPieces(big) })
    await store.fetch({ ...bigRef, holders: [bob] })
    expect(await store.get(bigDigest)).toEqual(big)
  })

  it('keeps to its quota and frees what is removed or was refused', async () => {
    const store = await open({ quotaBytes: 1_000_000, fetchFrom: () => inPieces(patternBytes(400_000)) })
    await store.put(big)
    const fault = await faultOf(store.put(patternBytes(400_000)))
    expect(fault.code).toBe('storage-failed')
    expect(fault.next).toContain('quota')
    const fetched = { $blob: digestOf(patternBytes(400_000)), sizeBytes: 400_000, holders: [bob, eve] }
    expect((await faultOf(store.fetch(fetched))).detail).toContain('quota')
    await store.remove([bigDigest])
    expect(store.usage()).toEqual({ blobs: 0, bytes: 0 })
    await store.fetch(fetched)
    expect(store.usage()).toEqual({ blobs: 1, bytes: 400_000 })
  })

  it('lets the loop turn while a big blob is stored and read', async () => {
    const store = await open()
    const huge = new Uint8Array(48 * 2 ** 20).fill(7)
    let turns = 0
    let busy = true
    const counting = (async () => {
      for (; busy; turns++) await turn()
    })()
    const ref = await store.put(huge)
    expect((await store.get(ref.$blob))?.length).toBe(huge.length)
    busy = false
    await counting
    expect(turns).toBeGreaterThan(2 * (huge.length / limits.blobChunkBytes) - 10)
  })

  it('says what to do when the directory cannot be used', async (test) => {
    await writeFile(join(directory, 'file'), '')
    const fault = await faultOf(openFileBlobStore({ directory: join(directory, 'file', 'blobs'), self: ada }))
    expect(fault.code).toBe('storage-failed')
    expect(fault.next).toContain('--data')
    await withUnwritableFolder(test, async (folder) => {
      const refused = await faultOf(openFileBlobStore({ directory: join(folder, 'blobs'), self: ada }))
      expect(refused.code).toBe('storage-failed')
      expect(refused.next).toContain('rights')
      expect((await faultOf(openLevelLogStore(join(folder, 'log')))).code).toBe('storage-failed')
    })
  })

  it('survives a full disk', async (test) => {
    await withFullDisk(test, async (mount, fill, free) => {
      const store = await openFileBlobStore({ directory: join(mount, 'blobs'), self: ada, fetchFrom: () => inPieces(big) })
      const small = await store.put(patternBytes(100))
      await fill()
      const fault = await faultOf(store.put(big))
      expect(fault).toMatchObject({ code: 'storage-failed', retryable: true })
      expect(fault.detail).toContain('is full')
      expect((await faultOf(store.fetch({ ...bigRef, holders: [bob, eve] }))).detail).toContain('is full')
      expect(await store.get(small.$blob)).toEqual(patternBytes(100))
      await free()
      await store.put(big)
      expect(await store.get(bigDigest)).toEqual(big)
      await store.close()
    })
  })
})
