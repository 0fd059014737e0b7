/**
 * A folder as content-addressed blobs: a manifest that lists everything that was met, and packs that hold the files' bytes.
 * A worker needs only the packs of the files it looks at; nothing refers to the disk of the machine that packed.
 */
import { z } from 'zod'
import { Digest } from '../../protocols/kernel/ids.ts'
import { BlobRef } from '../../protocols/kernel/payload.ts'

const MiB = 1024 * 1024

export const folderLimits = Object.freeze({
  /** A pack is closed once it holds this much. */
  packBytesMax: 4 * MiB,
  /** Small folders get smaller packs, so that their work can still be shared out. */
  packBytesMin: 16 * 1024,
  packsAimed: 32,
  /** Of a file over this only the size, the hash and the head are kept. */
  wholeFileBytesMax: 16 * MiB,
  headBytes: 8 * 1024,
  filesMax: 200_000,
  readsInFlightMax: 16,
  readBytesInFlightMax: 32 * MiB,
  notesMax: 5_000,
  historyCommitsMax: 5_000,
  historyChangesMax: 200_000,
  cloneTimeoutMs: 5 * 60_000,
  gitTimeoutMs: 60_000,
})

/** A path inside the folder: relative, `/`-separated, never climbing out. */
export const RelativePath = z.string().min(1).max(4_096)

export const FolderFile = z.object({
  path: RelativePath,
  sizeBytes: z.number().int().min(0),
  /** Permission bits, as in `stat`. */
  mode: z.number().int().min(0),
  /** Of the whole file, even when only its head was kept. */
  sha256: Digest,
  /** Index into the manifest's packs, and where in the pack the file's bytes begin. */
  pack: z.number().int().min(0),
  offset: z.number().int().min(0),
  /** Present when the file is over `wholeFileBytesMax`: only this many bytes of it are in the pack. */
  headBytes: z.number().int().min(0).optional(),
  /** It was written to while it was read, twice: the bytes are those of the second reading. */
  changedWhileRead: z.literal(true).optional(),
})
export type FolderFile = z.infer<typeof FolderFile>

export const FolderLink = z.object({
  path: RelativePath,
  target: z.string().max(4_096),
  /** The target lies outside the folder. Links are recorded and never followed. */
  leavesFolder: z.boolean(),
})
export type FolderLink = z.infer<typeof FolderLink>

/** Something that was met and not packed, and why. */
export const FolderNote = z.object({ path: z.string().max(4_096), reason: z.string().max(300) })
export type FolderNote = z.infer<typeof FolderNote>

export const FolderManifest = z.object({
  format: z.literal('skein-folder-1'),
  name: z.string().max(256),
  files: z.array(FolderFile).max(folderLimits.filesMax),
  packs: z.array(BlobRef),
  links: z.array(FolderLink),
  unreadable: z.array(FolderNote),
  skipped: z.array(FolderNote),
  /** How many more links and notes there were than the lists keep. */
  notesLeftOut: z.number().int().min(0),
  git: z.object({ commit: z.string().max(64).optional(), branch: z.string().max(256).optional(), shallow: z.boolean(), source: z.string().max(1_000).optional() }).optional(),
  history: BlobRef.optional(),
})
export type FolderManifest = z.infer<typeof FolderManifest>

/**
 * What an input carries for a folder. The packs are named here as well as in the manifest, so that whoever moves or pins
 * the blobs of an input sees all of them.
 */
export const FolderRef = z.object({
  $folder: BlobRef,
  name: z.string().max(256),
  files: z.number().int().min(0),
  sizeBytes: z.number().int().min(0),
  packs: z.array(BlobRef).max(4_096),
  history: BlobRef.optional(),
})
export type FolderRef = z.infer<typeof FolderRef>

/**
 * The last commits that touched the folder. Authors are numbers in the order in which they were met: no name and no
 * address leaves the machine. A commit is `[unix seconds, author, [path index, lines added, lines deleted, …]]`.
 */
export const FolderHistory = z.object({
  format: z.literal('skein-history-1'),
  paths: z.array(z.string().max(4_096)),
  commits: z.array(z.tuple([z.number(), z.number().int().min(0), z.array(z.number())])),
  authors: z.number().int().min(0),
  /** More commits exist than are listed. */
  truncated: z.boolean(),
})
export type FolderHistory = z.infer<typeof FolderHistory>

/** Stores bytes by their hash: a node's blob store, or an upload to a bridge. */
export type PutBlob = (bytes: Uint8Array, about: { name?: string; mediaType?: string }) => Promise<BlobRef>
