/** The empty measurement and the sum of two: together a commutative monoid, which is what lets a section of a section add up to the same report. */
import { bounds } from './schema.ts'
import type { LanguageTotals, Measurement } from './schema.ts'

export function emptyMeasurement(): Measurement {
  return {
    files: 0, sizeBytes: 0, textFiles: 0, binaryFiles: 0, emptyFiles: 0, generatedFiles: 0, unmeasuredFiles: 0,
    lines: { total: 0, code: 0, comment: 0, blank: 0 },
    languages: {},
    tests: { files: 0, cases: 0, code: 0, sourceFiles: 0, sourceCode: 0, byLanguage: {} },
    documentation: { files: 0, lines: 0, readmes: [], kinds: {} },
    markers: { byKind: {}, places: [], filesWithMost: [] },
    secrets: { total: 0, inTests: 0, byRule: {}, places: [] },
    largestFiles: [], largestBinaries: [], binaryKinds: {}, longestFiles: [],
    complexity: { functions: 0, sum: 0, over10: 0, over20: 0, worstFunctions: [], worstFiles: [] },
    licences: { headers: {} },
    comparedLines: 0, fingerprints: [], problems: [], missing: [],
  }
}

/** How many places of secrets and markers are kept, for lists of `topN`. */
export function placesKept(topN: number): number {
  return topN * 5
}

const text = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0)
/** Total orders: the first n of a union are among the first n of its parts only when no two entries tie. */
const byPlace = (left: { path: string; line: number }, right: { path: string; line: number }): number => text(left.path, right.path) || left.line - right.line
const byValue = (left: { path: string; value: number }, right: { path: string; value: number }): number => right.value - left.value || text(left.path, right.path)
const byReason = (left: { path: string; reason: string }, right: { path: string; reason: string }): number => text(left.path, right.path) || text(left.reason, right.reason)

/** @param topN length of the ranked lists. @returns a new measurement; the parts are not changed. */
export function mergeMeasurements(parts: readonly Measurement[], topN: number): Measurement {
  const sum = emptyMeasurement()
  const first = <Entry>(pick: (part: Measurement) => readonly Entry[], order: (left: Entry, right: Entry) => number, max: number): Entry[] => parts.flatMap((part) => pick(part)).sort(order).slice(0, max)
  for (const part of parts) {
    for (const key of ['files', 'sizeBytes', 'textFiles', 'binaryFiles', 'emptyFiles', 'generatedFiles', 'unmeasuredFiles', 'comparedLines'] as const) sum[key] += part[key]
    for (const key of ['total', 'code', 'comment', 'blank'] as const) sum.lines[key] += part.lines[key]
    for (const key of ['files', 'cases', 'code', 'sourceFiles', 'sourceCode'] as const) sum.tests[key] += part.tests[key]
    for (const key of ['functions', 'sum', 'over10', 'over20'] as const) sum.complexity[key] += part.complexity[key]
    sum.documentation.files += part.documentation.files
    sum.documentation.lines += part.documentation.lines
    sum.secrets.total += part.secrets.total
    sum.secrets.inTests += part.secrets.inTests
    addCounts(sum.tests.byLanguage, part.tests.byLanguage)
    addCounts(sum.documentation.kinds, part.documentation.kinds)
    addCounts(sum.markers.byKind, part.markers.byKind)
    addCounts(sum.secrets.byRule, part.secrets.byRule)
    addCounts(sum.licences.headers, part.licences.headers)
    for (const [name, totals] of Object.entries(part.languages)) sum.languages[name] = addLanguage(sum.languages[name], totals)
    for (const [kind, totals] of Object.entries(part.binaryKinds)) {
      const known = sum.binaryKinds[kind]
      sum.binaryKinds[kind] = { files: (known?.files ?? 0) + totals.files, sizeBytes: (known?.sizeBytes ?? 0) + totals.sizeBytes }
    }
    sum.fingerprints.push(...part.fingerprints)
  }
  sum.documentation.readmes = first((part) => part.documentation.readmes, (left, right) => left.split('/').length - right.split('/').length || text(left, right), bounds.readmes)
  sum.markers.places = first((part) => part.markers.places, byPlace, placesKept(topN))
  sum.markers.filesWithMost = first((part) => part.markers.filesWithMost, byValue, topN)
  sum.secrets.places = first((part) => part.secrets.places, (left, right) => byPlace(left, right) || text(left.rule, right.rule), placesKept(topN))
  sum.largestFiles = first((part) => part.largestFiles, byValue, topN)
  sum.largestBinaries = first((part) => part.largestBinaries, byValue, topN)
  sum.longestFiles = first((part) => part.longestFiles, byValue, topN)
  sum.complexity.worstFunctions = first((part) => part.complexity.worstFunctions, (left, right) => right.complexity - left.complexity || byPlace(left, right) || text(left.name, right.name), topN)
  sum.complexity.worstFiles = first((part) => part.complexity.worstFiles, byValue, topN)
  sum.problems = first((part) => part.problems, byReason, bounds.problems)
  sum.missing = first((part) => part.missing, (left, right) => text(left.part, right.part), bounds.missing)
  return sum
}

/** Own keys only: a file may claim to be under a licence called `constructor`. */
function addCounts(into: Record<string, number>, more: Readonly<Record<string, number>>): void {
  for (const [key, value] of Object.entries(more)) into[key] = (Object.hasOwn(into, key) ? (into[key] ?? 0) : 0) + value
}

function addLanguage(known: LanguageTotals | undefined, more: LanguageTotals): LanguageTotals {
  if (known === undefined) return { ...more }
  return {
    ...known,
    files: known.files + more.files,
    sizeBytes: known.sizeBytes + more.sizeBytes,
    lines: known.lines + more.lines,
    code: known.code + more.code,
    comment: known.comment + more.comment,
    blank: known.blank + more.blank,
  }
}
