/** Splits files into parts of about equal work. Pure. */
import type { FolderFile } from '../../folders/schema.ts'
import type { SliceFile } from './schema.ts'

const MiB = 1024 * 1024

/** Above either, the tree is split into sections that are planned where they were awarded. */
export const largeTree = Object.freeze({ sizeBytes: 24 * MiB, files: 4_000 })
const leafBytesAimed = MiB
const leafFilesAimed = 250
const leavesAimedMin = 8
/** What opening and looking up a file costs, in bytes of reading. */
const fileOverheadBytes = 4 * 1024
const sectionBytesAimed = 24 * MiB
const sectionsMax = 6

export interface Part {
  readonly files: readonly SliceFile[]
  /** Which packs of the whole the part needs; its files' `pack` is an index into this list. */
  readonly packs: readonly number[]
  /** What reading and measuring it is expected to cost, in bytes. */
  readonly effort: number
}

export function sliceFileOf(file: FolderFile): SliceFile {
  return { path: file.path, sizeBytes: file.sizeBytes, pack: file.pack, offset: file.offset, ...(file.headBytes === undefined ? {} : { headBytes: file.headBytes }) }
}

export function effortOf(file: SliceFile): number {
  return (file.headBytes ?? file.sizeBytes) + fileOverheadBytes
}

/**
 * Contiguous runs of packed files, so that each part needs few packs and no pack is needed by many parts.
 * @param partsMax at least 1; fewer parts come back when there are fewer files.
 */
export function splitFiles(files: readonly SliceFile[], partsMax: number): Part[] {
  const ordered = [...files].sort((left, right) => left.pack - right.pack || left.offset - right.offset || (left.path < right.path ? -1 : 1))
  const parts: Part[] = []
  let effortLeft = ordered.reduce((sum, file) => sum + effortOf(file), 0)
  let next = 0
  for (let partsLeft = Math.min(Math.max(1, partsMax), ordered.length); partsLeft > 0; partsLeft--) {
    const aimed = effortLeft / partsLeft
    const mine: SliceFile[] = []
    let effort = 0
    for (let file = ordered[next]; file !== undefined; file = ordered[next]) {
      const filesLeft = ordered.length - next
      // Each part that is still to come gets a file at least; a file that would overshoot by more than half of itself waits.
      if (mine.length > 0 && partsLeft > 1 && (filesLeft < partsLeft || effort + effortOf(file) / 2 > aimed)) break
      mine.push(file)
      effort += effortOf(file)
      next++
    }
    if (mine.length === 0) break
    effortLeft -= effort
    parts.push(partOf(mine, effort))
  }
  return parts
}

function partOf(files: readonly SliceFile[], effort: number): Part {
  const packs = [...new Set(files.map((file) => file.pack))].sort((left, right) => left - right)
  const place = new Map(packs.map((pack, index) => [pack, index]))
  return { files: files.map((file) => ({ ...file, pack: place.get(file.pack) ?? 0 })), packs, effort }
}

/** The whole as one part, for a task that reads all of the given files. */
export function wholePart(files: readonly SliceFile[]): Part {
  return partOf(files, files.reduce((sum, file) => sum + effortOf(file), 0))
}

export interface Shape {
  /** 0: the leaves hang on the report itself. */
  readonly sections: number
  readonly leavesPerSection: number
  readonly leaves: number
}

/**
 * How wide and how deep to split.
 * @param leavesLeft leaves that measuring may use. @param depthLeft levels below this task.
 */
export function shapeOf(files: number, sizeBytes: number, leavesLeft: number, depthLeft: number): Shape {
  const wanted = Math.min(files, Math.max(leavesAimedMin, Math.ceil(sizeBytes / leafBytesAimed), Math.ceil(files / leafFilesAimed)))
  const isLarge = sizeBytes > largeTree.sizeBytes || files > largeTree.files
  if (isLarge && depthLeft >= 2 && leavesLeft >= 8) {
    const sections = Math.min(sectionsMax, Math.floor(leavesLeft / 4), Math.max(2, Math.ceil(sizeBytes / sectionBytesAimed), Math.ceil(files / largeTree.files)))
    // A section may count against the limit of leaves as well: room for them is left.
    const leavesPerSection = Math.max(1, Math.floor((Math.min(wanted, leavesLeft) - sections) / sections))
    return { sections, leavesPerSection, leaves: sections * leavesPerSection }
  }
  return { sections: 0, leavesPerSection: 0, leaves: Math.max(1, Math.min(wanted, leavesLeft)) }
}
