import type { Digest, PeerId } from '../../protocols/kernel/ids.ts'
import type { Bytes, DurationMs } from '../../protocols/kernel/units.ts'
import type { BlobRef } from '../../protocols/kernel/payload.ts'
import type { LastUse } from '../../protocols/kernel/recent-use.ts'

/** A blob that has not been used for a while. */
export interface IdleBlob extends LastUse {
  readonly sizeBytes: Bytes
}

/** Content by its SHA-256: on this node, or fetched point to point from a holder, verified on arrival. */
export interface BlobStore {
  has(digest: Digest): Promise<boolean>
  /** Stores and syncs. @returns a reference that names this node as a holder. @throws MeshError `too-large`, `storage-failed`. */
  put(bytes: Uint8Array, about?: { name?: string; mediaType?: string }): Promise<BlobRef>
  /** Undefined when this node does not have it. */
  get(digest: Digest): Promise<Uint8Array | undefined>
  /**
   * Makes the content local. Tries `ref.holders` first, then `alsoTry`, each once.
   * @throws MeshError `unknown-blob` when no reachable node has it, `too-large` over the limit.
   */
  fetch(ref: BlobRef, alsoTry?: readonly PeerId[]): Promise<void>
  /**
   * Frees them here, those that are here. Other holders keep theirs.
   * @param idleForMs those that were stored, asked for or read within that time stay; default 0. It outlasts the process.
   * @returns those that stayed. @throws MeshError `storage-failed`.
   */
  remove(digests: readonly Digest[], idleForMs?: DurationMs): Promise<readonly Digest[]>
  /** At most `max` of those that are here and were not stored, asked for or read within `idleForMs`: unused for longest first, from behind `after` on when that is given. */
  idle(idleForMs: DurationMs, max: number, after?: LastUse): Promise<readonly IdleBlob[]>
  /**
   * Who is asked for room when something does not fit into the quota. What did not fit waits for the promise, and is refused if it still does not fit then.
   * Without anybody to ask it is refused at once. One at most.
   */
  onRoomWanted(listener: (bytes: Bytes) => Promise<void>): void
}
