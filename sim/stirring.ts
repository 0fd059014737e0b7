/** Ports whose every promise makes the world's clock let promises play out, at the call and again when it is settled. */
import type { BlobStore } from '../actors/ports/blob-store.ts'
import type { Discovery } from '../actors/ports/discovery.ts'
import type { Hardware } from '../actors/ports/hardware.ts'
import type { LogStore } from '../actors/ports/log-store.ts'
import type { VirtualClock } from './virtual-clock.ts'

/** The ports that answer by a promise. */
export interface AwaitedPorts {
  readonly logStore: LogStore
  readonly blobStore: BlobStore
  readonly discovery: Discovery
  readonly hardware: Hardware
}

/** What resolves a promise later, from an event, stirs by itself; this is for what is resolved at once. */
export function withStirring({ logStore, blobStore, discovery, hardware }: AwaitedPorts, clock: Pick<VirtualClock, 'stir'>): AwaitedPorts {
  function stirred<T>(promise: Promise<T>): Promise<T> {
    clock.stir()
    return promise
  }
  return {
    logStore: {
      write: (batch) => stirred(logStore.write(batch)),
      found: () => stirred(logStore.found()),
      read: (group, fromIndex, max) => stirred(logStore.read(group, fromIndex, max)),
      ended: (beforeWallMs, max) => stirred(logStore.ended(beforeWallMs, max)),
      endedMission: (missionId) => stirred(logStore.endedMission(missionId)),
      formerCopy: (group) => stirred(logStore.formerCopy(group)),
      endedUntil: (keptUntilWallMs, max) => stirred(logStore.endedUntil(keptUntilWallMs, max)),
      room: () => stirred(logStore.room()),
      close: () => stirred(logStore.close()),
    },
    blobStore: {
      has: (digest) => stirred(blobStore.has(digest)),
      put: (bytes, about) => stirred(blobStore.put(bytes, about)),
      get: (digest) => stirred(blobStore.get(digest)),
      fetch: (ref, alsoTry) => stirred(blobStore.fetch(ref, alsoTry)),
      remove: (digests, idleForMs) => stirred(blobStore.remove(digests, idleForMs)),
      idle: (idleForMs, max, after) => stirred(blobStore.idle(idleForMs, max, after)),
      onRoomWanted: (listener) => blobStore.onRoomWanted((bytes) => stirred(listener(bytes))),
    },
    discovery: { provide: (keys) => discovery.provide(keys), findProviders: (key, max, timeoutMs) => stirred(discovery.findProviders(key, max, timeoutMs)) },
    hardware: { sample: () => stirred(hardware.sample()) },
  }
}
