/** Makes repeated ranges out of the fingerprints of all files. */
import type { FingerprintSet } from './measure/fingerprints.ts'

export interface DuplicatePlace {
  readonly path: string
  readonly fromLine: number
  readonly toLine: number
}

export interface DuplicateGroup {
  readonly lines: number
  readonly places: readonly DuplicatePlace[]
}

export interface Duplicates {
  /** Lines that stand in more than one place, each counted once per place. */
  readonly lines: number
  readonly files: number
  readonly groups: readonly DuplicateGroup[]
  /** Only a sample of the fingerprints was kept: small repetitions may be missing. */
  readonly sampled: boolean
}

interface Mark {
  readonly key: number
  readonly file: number
  readonly from: number
  readonly to: number
}

/** A repetition in more places than this is a licence header or generated: it is counted, but pairs are not followed. */
const placesMax = 40

export function findDuplicates(set: FingerprintSet, groupsMax: number): Duplicates {
  const marks = repeatedMarks(set)
  const byKey = new Map<number, Mark[]>()
  for (const mark of marks) {
    const same = byKey.get(mark.key)
    if (same === undefined) byKey.set(mark.key, [mark])
    else same.push(mark)
  }
  const covered = new Map<number, Mark[]>()
  for (const mark of marks) {
    const inFile = covered.get(mark.file)
    if (inFile === undefined) covered.set(mark.file, [mark])
    else inFile.push(mark)
  }
  let lines = 0
  for (const inFile of covered.values()) lines += coveredLines(inFile)
  return { lines, files: covered.size, groups: groupsOf(byKey, covered, set.paths).slice(0, groupsMax), sampled: set.highestHash < 0xffff_ffff }
}

/** Marks whose hash stands in at least two places that do not overlap. */
function repeatedMarks(set: FingerprintSet): Mark[] {
  const firstOf = new Map<bigint | number, number>()
  const keyOf = (i: number) => (set.marks[i] ?? 0) * 0x20_0000 + ((set.marks[i + 1] ?? 0) & 0x1f_ffff)
  const repeated = new Set<number>()
  for (let i = 0; i < set.marks.length; i += 5) {
    const key = keyOf(i)
    const first = firstOf.get(key)
    if (first === undefined) firstOf.set(key, i)
    else if (set.marks[first + 2] !== set.marks[i + 2] || (set.marks[i + 3] ?? 0) > (set.marks[first + 4] ?? 0) || (set.marks[i + 4] ?? 0) < (set.marks[first + 3] ?? 0)) repeated.add(key)
  }
  const marks: Mark[] = []
  for (let i = 0; i < set.marks.length; i += 5) {
    const key = keyOf(i)
    if (repeated.has(key)) marks.push({ key, file: set.marks[i + 2] ?? 0, from: set.marks[i + 3] ?? 0, to: set.marks[i + 4] ?? 0 })
  }
  return marks.sort((left, right) => left.file - right.file || left.from - right.from)
}

function coveredLines(sorted: readonly Mark[]): number {
  let lines = 0
  let end = 0
  for (const { from, to } of sorted) {
    lines += Math.max(0, to - Math.max(from - 1, end))
    end = Math.max(end, to)
  }
  return lines
}

/** Follows each repetition forward in all its places at once, as long as the places agree. */
function groupsOf(byKey: ReadonlyMap<number, readonly Mark[]>, covered: ReadonlyMap<number, readonly Mark[]>, paths: readonly string[]): DuplicateGroup[] {
  const position = new Map<Mark, number>()
  for (const inFile of covered.values()) for (const [index, mark] of inFile.entries()) position.set(mark, index)
  const following = (mark: Mark) => covered.get(mark.file)?.[(position.get(mark) ?? 0) + 1]
  const used = new Set<Mark>()
  const groups: DuplicateGroup[] = []
  for (const inFile of covered.values()) {
    for (const mark of inFile) {
      if (used.has(mark)) continue
      const starts = apart((byKey.get(mark.key) ?? []).filter((each) => !used.has(each))).slice(0, placesMax)
      if (starts.length < 2) continue
      let ends = starts
      for (;;) {
        for (const end of ends) used.add(end)
        const next = ends.map(following)
        const first = next[0]
        // The same next fingerprint, beginning where the last one still reaches: the repetition goes on.
        if (first === undefined || !next.every((each, i) => each !== undefined && each.key === first.key && !used.has(each) && each.from <= (ends[i]?.to ?? 0) + 1)) break
        ends = next as Mark[]
      }
      const places = starts.map((start, i) => ({ path: paths[start.file] ?? '', fromLine: start.from, toLine: ends[i]?.to ?? start.to }))
      groups.push({ lines: Math.max(...places.map((place) => place.toLine - place.fromLine + 1)), places })
    }
  }
  const weight = (group: DuplicateGroup) => group.lines * (group.places.length - 1)
  return groups.sort((left, right) => weight(right) - weight(left) || right.lines - left.lines || ((left.places[0]?.path ?? '') < (right.places[0]?.path ?? '') ? -1 : 1))
}

/** Places of one file that overlap are one place. */
function apart(marks: readonly Mark[]): Mark[] {
  const kept: Mark[] = []
  for (const mark of marks) if (!kept.some((each) => each.file === mark.file && each.to >= mark.from && each.from <= mark.to)) kept.push(mark)
  return kept
}
