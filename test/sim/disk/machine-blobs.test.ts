/** The blobs on a disk suffer what the disk suffers. */
import { describe, expect, it } from 'vitest'
import type { PeerId } from '../../../protocols/kernel/ids.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { createVirtualBlobStore, createVirtualBlobSwarm, shelfOf } from '../../../sim/blob-store-virtual-adapter.ts'
import { createVirtualLogDisk } from '../../../sim/log-store-virtual-adapter.ts'
import { createVirtualClock } from '../../../sim/virtual-clock.ts'
import { ada, bob, patternBytes } from '../../contracts/blob-store.ts'
import { faultOf } from '../../contracts/log-store.ts'

function world(syncMs = 2) {
  const clock = createVirtualClock()
  const swarm = createVirtualBlobSwarm({ clock, bytesPerSecond: 1_000 })
  const machine = (peer: PeerId) => {
    const disk = createVirtualLogDisk({ clock, syncMs, shelf: shelfOf(swarm, peer) })
    return { disk, open: () => createVirtualBlobStore({ self: peer, swarm, drive: disk.drive }) }
  }
  return { clock, swarm, ada: machine(ada), bob: machine(bob) }
}

describe('blobs on a virtual disk', () => {
  it('take the time of a sync, times its factor', async () => {
    const { clock, ada: machine } = world()
    const store = machine.open()
    const at: number[] = []
    void store.put(patternBytes(10)).then(() => at.push(clock.nowMs()))
    await clock.runFor(50)
    machine.disk.setSyncFactor(10)
    void store.put(patternBytes(20)).then(() => at.push(clock.nowMs()))
    await clock.runFor(50)
    expect(at).toEqual([2, 70])
  })

  it('are refused by a full disk, which goes on serving', async () => {
    const { clock, ada: machine } = world()
    const store = machine.open()
    const kept = store.put(patternBytes(10))
    await clock.runFor(5)
    machine.disk.setFull(true)
    const fault = await faultOf(store.put(patternBytes(20)))
    expect(fault).toMatchObject({ code: 'storage-failed' })
    expect(await store.get((await kept).$blob)).toEqual(patternBytes(10))
    machine.disk.setFull(false)
    const later = store.put(patternBytes(20))
    await clock.runFor(5)
    expect(await store.has((await later).$blob)).toBe(true)
  })

  it('wait for a stuck disk', async () => {
    const { clock, ada: machine } = world()
    machine.disk.setStuck(true)
    let stored = false
    void machine.open().put(patternBytes(10)).then(() => (stored = true))
    await clock.runFor(10_000)
    expect(stored).toBe(false)
    machine.disk.setStuck(false)
    await clock.settle()
    expect(stored).toBe(true)
  })

  it('are gone or there, never half, after a power cut while they were stored', async () => {
    const outcomes = new Set<boolean>()
    for (let seed = 0; seed < 20; seed++) {
      const { clock, ada: machine } = world()
      let told = false
      const digest = (await createVirtualBlobStore({ self: bob, swarm: createVirtualBlobSwarm() }).put(patternBytes(10))).$blob
      void machine.open().put(patternBytes(10)).then(() => (told = true))
      machine.disk.powerCut(seededRandom([seed, 7]))
      await clock.runFor(100)
      expect(told).toBe(false)
      outcomes.add(await machine.open().has(digest))
    }
    expect(outcomes.size).toBe(2)
  })

  it('are not stored by a process that is gone', async () => {
    const { clock, ada: machine, bob: other } = world()
    const put = other.open().put(patternBytes(500))
    await clock.runFor(5)
    const ref = await put
    void machine.open().fetch(ref)
    await clock.runFor(100)
    machine.disk.kill()
    await clock.runFor(1_000)
    expect(await machine.open().has(ref.$blob)).toBe(false)
  })

  it('are wiped and rolled back with the logs', async () => {
    const { clock, ada: machine } = world()
    const first = machine.open().put(patternBytes(10))
    await clock.runFor(5)
    const copy = machine.disk.snapshot()
    const second = machine.open().put(patternBytes(20))
    await clock.runFor(5)
    machine.disk.restore(copy)
    const has = async () => [await machine.open().has((await first).$blob), await machine.open().has((await second).$blob)]
    expect(await has()).toEqual([true, false])
    machine.disk.wipe()
    expect(await has()).toEqual([false, false])
    machine.disk.restore(copy)
    expect(await has()).toEqual([true, false])
  })
})
