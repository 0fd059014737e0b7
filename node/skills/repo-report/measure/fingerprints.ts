/**
 * Finds repeated code across tasks that never see each other's files: each task sends the hashes of all windows of
 * `windowLines` normalised lines, the synthesis compares them. A repetition of at least that many lines is found. In a very
 * large tree only the smallest hashes are kept, a bottom-k sample (Broder: "On the resemblance and containment of documents",
 * 1997): every task then keeps the same hashes, so what repeats still meets.
 */

export const windowLines = 8
/** Kept per set. */
export const fingerprintsMax = 600_000

export interface FileFingerprints {
  readonly path: string
  /** Four numbers each: hash high, hash low, first line, last line of the window. */
  readonly marks: readonly number[]
}

export interface FingerprintSet {
  readonly paths: string[]
  /** Five numbers each: hash high, hash low, index into paths, first line, last line. */
  readonly marks: Uint32Array
  /** Hashes above this were dropped; 2³² − 1 when none were. */
  readonly highestHash: number
}

/**
 * @param lines physical lines of the file. @param codeLines their code parts.
 * @returns undefined for files too short to repeat anything.
 */
export function fingerprintFile(path: string, lines: readonly string[], codeLines: readonly string[]): FileFingerprints | undefined {
  const numbers: number[] = []
  const highs: number[] = []
  const lows: number[] = []
  for (const [index, code] of codeLines.entries()) {
    // Braces, imports and lone words repeat everywhere and mean nothing.
    if (code.length < 4 || !/\w.*\w/.test(code) || /^\s*(?:import|from|use|using|#include|package|require|export \* from)\b/.test(code)) continue
    const normalised = (lines[index] ?? '').trim().replace(/\s+/g, ' ').slice(0, 500)
    numbers.push(index + 1)
    highs.push(hashText(normalised, 0x811c9dc5))
    lows.push(hashText(normalised, 0x9e3779b9))
  }
  const windows = numbers.length - windowLines + 1
  if (windows < 1) return undefined
  const marks: number[] = []
  for (let start = 0; start < windows; start++) {
    let high = 17
    let low = 31
    for (let k = 0; k < windowLines; k++) {
      high = mix(high, highs[start + k] ?? 0)
      low = mix(low, lows[start + k] ?? 0)
    }
    marks.push(high, low, numbers[start] ?? 0, numbers[start + windowLines - 1] ?? 0)
  }
  return { path, marks }
}

function hashText(text: string, seed: number): number {
  let hash = seed
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}

function mix(hash: number, value: number): number {
  let mixed = Math.imul(hash ^ value, 0x85ebca6b)
  mixed ^= mixed >>> 13
  mixed = Math.imul(mixed, 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

export function fingerprintSet(files: readonly FileFingerprints[]): FingerprintSet {
  const flat: number[] = []
  for (const [index, file] of files.entries()) {
    for (let i = 0; i < file.marks.length; i += 4) flat.push(file.marks[i] ?? 0, file.marks[i + 1] ?? 0, index, file.marks[i + 2] ?? 0, file.marks[i + 3] ?? 0)
  }
  return thinned(files.map((file) => file.path), Uint32Array.from(flat), 0xffff_ffff)
}

/** Associative, but for the order of paths. */
export function mergeFingerprints(sets: readonly FingerprintSet[]): FingerprintSet {
  const paths: string[] = []
  const highestHash = sets.reduce((lowest, set) => Math.min(lowest, set.highestHash), 0xffff_ffff)
  const marks = new Uint32Array(sets.reduce((sum, set) => sum + set.marks.length, 0))
  let filled = 0
  for (const set of sets) {
    for (let i = 0; i < set.marks.length; i += 5) {
      if ((set.marks[i] ?? 0) > highestHash) continue
      marks.set(set.marks.subarray(i, i + 5), filled)
      marks[filled + 2] = (set.marks[i + 2] ?? 0) + paths.length
      filled += 5
    }
    for (const path of set.paths) paths.push(path)
  }
  return thinned(paths, marks.slice(0, filled), highestHash)
}

function thinned(paths: string[], marks: Uint32Array, highestHash: number): FingerprintSet {
  if (marks.length / 5 <= fingerprintsMax) return { paths, marks, highestHash }
  const hashes = new Uint32Array(marks.length / 5)
  for (let i = 0; i < hashes.length; i++) hashes[i] = marks[i * 5] ?? 0
  const highest = hashes.sort()[fingerprintsMax - 1] ?? 0
  const kept: number[] = []
  for (let i = 0; i < marks.length; i += 5) if ((marks[i] ?? 0) <= highest) for (let k = 0; k < 5; k++) kept.push(marks[i + k] ?? 0)
  return { paths, marks: Uint32Array.from(kept), highestHash: highest }
}

/** Bytes: the length of a JSON header, the header, then the marks as little-endian 32-bit words. */
export function encodeFingerprints(set: FingerprintSet): Uint8Array {
  const header = new TextEncoder().encode(JSON.stringify({ format: 'skein-fingerprints-1', paths: set.paths, highestHash: set.highestHash }))
  const bytes = new Uint8Array(4 + header.byteLength + set.marks.length * 4)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, header.byteLength, true)
  bytes.set(header, 4)
  for (let i = 0; i < set.marks.length; i++) view.setUint32(4 + header.byteLength + i * 4, set.marks[i] ?? 0, true)
  return bytes
}

export function decodeFingerprints(bytes: Uint8Array): FingerprintSet {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const headerBytes = view.getUint32(0, true)
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + headerBytes))) as { paths: string[]; highestHash: number }
  const marks = new Uint32Array((bytes.byteLength - 4 - headerBytes) / 4)
  for (let i = 0; i < marks.length; i++) marks[i] = view.getUint32(4 + headerBytes + i * 4, true)
  return { paths: header.paths, marks, highestHash: header.highestHash }
}
