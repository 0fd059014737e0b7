/** What the tasks of a report say to each other. Every list is bounded and every sum is associative, so parts merge in any grouping. */
import { z } from 'zod'
import { RelativePath } from '../../folders/schema.ts'
import { BlobRef } from '../../../protocols/kernel/payload.ts'

const count = z.number().int().min(0)
const size = z.number().int().min(0)

export const reportSections = ['languages', 'tests', 'documentation', 'markers', 'secrets', 'large', 'complexity', 'duplicates', 'dependencies', 'licences', 'history'] as const
export const ReportSection = z.enum(reportSections)
export type ReportSection = z.infer<typeof ReportSection>

export const ReportOptions = z.object({
  /** Which chapters the report has. Default: all. */
  sections: z.array(ReportSection).min(1).optional(),
  /** How many entries the lists have. */
  topN: z.number().int().min(1).max(100).default(10),
  /** Look for repeated code. */
  duplicates: z.boolean().default(true),
})
export type ReportOptions = z.infer<typeof ReportOptions>

/** The files of one task: which of its packs they lie in and where. Stored as a blob; the packs stand in the task's input. */
export const SliceFile = z.object({ path: RelativePath, sizeBytes: size, pack: count, offset: count, headBytes: count.optional() })
export type SliceFile = z.infer<typeof SliceFile>
export const Slice = z.object({ format: z.literal('skein-slice-1'), files: z.array(SliceFile) })
export type Slice = z.infer<typeof Slice>

/** Input of `repo.measure`; with `leavesMax`, of `repo.section`. */
export const PartInput = z.object({
  packs: z.array(BlobRef).max(4_096),
  slice: BlobRef,
  /** For people: `part 3 of 12`. */
  label: z.string().max(128),
  topN: z.number().int().min(1).max(100),
  duplicates: z.boolean(),
  /** Keys the fingerprints of secrets: drawn for one report, useless outside it. */
  secretKey: z.string().min(16).max(128),
})
export type PartInput = z.infer<typeof PartInput>
export const SectionInput = PartInput.extend({ leavesMax: z.number().int().min(1) })
export type SectionInput = z.infer<typeof SectionInput>

/** Input of `repo.dependencies`: the files that describe the project. */
export const DependenciesInput = z.object({ packs: z.array(BlobRef), slice: BlobRef, topN: z.number().int().min(1).max(100) })
export type DependenciesInput = z.infer<typeof DependenciesInput>
/** Input of `repo.history`. */
export const HistoryInput = z.object({ history: BlobRef, folder: BlobRef, topN: z.number().int().min(1).max(100) })
export type HistoryInput = z.infer<typeof HistoryInput>

export const LanguageTotals = z.object({ type: z.string(), color: z.string().optional(), files: count, sizeBytes: size, lines: count, code: count, comment: count, blank: count })
export type LanguageTotals = z.infer<typeof LanguageTotals>

const place = { path: z.string(), line: z.number().int().min(1) }
const ranked = z.object({ path: z.string(), value: count })

/** What was measured of a set of files. */
export const Measurement = z.object({
  files: count,
  sizeBytes: size,
  textFiles: count,
  binaryFiles: count,
  emptyFiles: count,
  generatedFiles: count,
  /** Too large to be sent whole: their size counts, their lines do not. */
  unmeasuredFiles: count,
  lines: z.object({ total: count, code: count, comment: count, blank: count }),
  languages: z.record(z.string(), LanguageTotals),
  tests: z.object({ files: count, cases: count, code: count, sourceFiles: count, sourceCode: count, byLanguage: z.record(z.string(), count) }),
  documentation: z.object({ files: count, lines: count, readmes: z.array(z.string()), kinds: z.record(z.string(), count) }),
  markers: z.object({ byKind: z.record(z.string(), count), places: z.array(z.object({ kind: z.string(), ...place, text: z.string() })), filesWithMost: z.array(ranked) }),
  secrets: z.object({ total: count, inTests: count, byRule: z.record(z.string(), count), places: z.array(z.object({ rule: z.string(), ...place, fingerprint: z.string() })) }),
  largestFiles: z.array(ranked),
  largestBinaries: z.array(ranked),
  binaryKinds: z.record(z.string(), z.object({ files: count, sizeBytes: size })),
  longestFiles: z.array(ranked),
  complexity: z.object({
    functions: count,
    sum: count,
    over10: count,
    over20: count,
    worstFunctions: z.array(z.object({ ...place, name: z.string(), complexity: count, lines: count })),
    worstFiles: z.array(ranked),
  }),
  licences: z.object({ headers: z.record(z.string(), count) }),
  /** Files that could be told to be code, in lines that can repeat. */
  comparedLines: count,
  fingerprints: z.array(BlobRef),
  problems: z.array(z.object({ path: z.string(), reason: z.string() })),
  /** Parts whose task failed for good: their files are missing from all sums. */
  missing: z.array(z.object({ part: z.string(), reason: z.string() })),
})
export type Measurement = z.infer<typeof Measurement>

export const bounds = Object.freeze({ problems: 100, readmes: 20, missing: 200, binaryKinds: 200, paths: 100 })

export const Hotspot = z.object({ path: z.string(), commits: count, added: count, deleted: count, authors: count, sizeBytes: size, score: z.number().min(0) })
export const HistoryReport = z.object({
  commits: count,
  /** More commits exist than were read. */
  truncated: z.boolean(),
  authors: count,
  /** The fewest authors who together made half of the commits. */
  busFactor: count,
  /** Commits of each author, most first, without names; at most 20. */
  commitsByAuthor: z.array(count),
  firstCommitMs: z.number().nullable(),
  lastCommitMs: z.number().nullable(),
  activeDays: count,
  months: z.array(z.object({ month: z.string(), commits: count, added: count, deleted: count })),
  hotspots: z.array(Hotspot),
})
export type HistoryReport = z.infer<typeof HistoryReport>

export const ManifestFacts = z.object({
  path: z.string(),
  ecosystem: z.string(),
  name: z.string().optional(),
  version: z.string().optional(),
  licence: z.string().optional(),
  dependencies: count,
  developmentDependencies: count,
  /** Present and readable. */
  lockFile: z.string().optional(),
})
export type ManifestFacts = z.infer<typeof ManifestFacts>
export const DependencyReport = z.object({
  manifests: z.array(ManifestFacts),
  manifestsTotal: count,
  byEcosystem: z.record(z.string(), z.object({ manifests: count, dependencies: count, developmentDependencies: count, locked: count })),
  /** The direct dependencies named most often over all manifests. */
  direct: z.array(z.object({ ecosystem: z.string(), name: z.string(), manifests: count, development: z.boolean() })),
  directTotal: count,
  lockFiles: z.array(z.object({ path: z.string(), ecosystem: z.string(), packages: count })),
  withoutLockFile: z.array(z.string()),
  /** Licences of the locked packages, as far as the lock file tells. */
  lockedLicences: z.record(z.string(), count),
  licenceFiles: z.array(z.object({ path: z.string(), licences: z.array(z.string()) })),
  declaredLicences: z.record(z.string(), count),
  problems: z.array(z.object({ path: z.string(), reason: z.string() })),
})
export type DependencyReport = z.infer<typeof DependencyReport>
