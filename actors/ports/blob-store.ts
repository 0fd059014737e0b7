import type { Digest, PeerId } from '../../protocols/kernel/ids.ts'
import type { DurationMs } from '../../protocols/kernel/units.ts'
import type { BlobRef } from '../../protocols/kernel/payload.ts'

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
   * @param idleForMs those that were stored, asked for or read within that time stay; default 0. What an earlier process did is not known: its use counts from the opening.
   * @returns those that stayed. @throws MeshError `storage-failed`.
   */
  remove(digests: readonly Digest[], idleForMs?: DurationMs): Promise<readonly Digest[]>
}
