/** The report as one JSON value: everything that the Markdown and the page show comes from here, so their numbers cannot differ. */
import { z } from 'zod'
import { DependencyReport, HistoryReport, LanguageTotals, Measurement, ReportSection } from './schema.ts'

const count = z.number().int().min(0)
const ranked = z.array(z.object({ path: z.string(), value: count }))
const notes = z.array(z.object({ path: z.string(), reason: z.string() }))

export const findingLevels = ['good', 'note', 'warning', 'problem'] as const
export const Finding = z.object({ level: z.enum(findingLevels), section: ReportSection.or(z.literal('folder')), text: z.string() })
export type Finding = z.infer<typeof Finding>

export const Totals = z.object({
  files: count,
  sizeBytes: count,
  textFiles: count,
  binaryFiles: count,
  lines: count,
  code: count,
  comment: count,
  blank: count,
  languages: count,
  testCases: count,
  markers: count,
  secrets: count,
  functions: count,
  duplicatedLines: count,
  dependencies: count,
  commits: count,
})
export type Totals = z.infer<typeof Totals>

export const DuplicatesReport = z.object({
  lines: count,
  comparedLines: count,
  /** In [0,1]. */
  share: z.number().min(0).max(1),
  files: count,
  sampled: z.boolean(),
  groups: z.array(z.object({ lines: count, places: z.array(z.object({ path: z.string(), fromLine: count, toLine: count })), placesTotal: count })),
  /** Files with the same content. */
  identical: z.object({ groups: count, files: count, wastedBytes: count, largest: z.array(z.object({ sizeBytes: count, paths: z.array(z.string()), pathsTotal: count })) }),
})
export type DuplicatesReport = z.infer<typeof DuplicatesReport>

export const RepoReport = z.object({
  format: z.literal('skein-repo-report-1'),
  name: z.string(),
  source: z.string().optional(),
  commit: z.string().optional(),
  branch: z.string().optional(),
  sections: z.array(ReportSection),
  totals: Totals,
  findings: z.array(Finding),
  languages: z.array(LanguageTotals.extend({ name: z.string() })),
  generatedFiles: count,
  emptyFiles: count,
  tests: Measurement.shape.tests,
  documentation: Measurement.shape.documentation,
  markers: Measurement.shape.markers,
  secrets: Measurement.shape.secrets,
  large: z.object({ files: ranked, binaries: ranked, binaryKinds: z.array(z.object({ kind: z.string(), files: count, sizeBytes: count })), longest: ranked, unmeasured: count }),
  complexity: Measurement.shape.complexity,
  duplicates: DuplicatesReport.optional(),
  dependencies: DependencyReport.optional(),
  licences: z.object({ headers: z.record(z.string(), count), declared: z.record(z.string(), count), files: z.array(z.object({ path: z.string(), licences: z.array(z.string()) })) }),
  history: HistoryReport.optional(),
  folder: z.object({
    links: count,
    linksThatLeave: z.array(z.string()),
    linksThatLeaveTotal: count,
    unreadable: notes,
    unreadableTotal: count,
    skipped: notes,
    skippedTotal: count,
    changedWhileRead: z.array(z.string()),
  }),
  /** Parts of the work that failed for good; what they would have told is not in this report. */
  missing: z.array(z.object({ part: z.string(), reason: z.string() })),
  missingFiles: count,
  problems: notes,
})
export type RepoReport = z.infer<typeof RepoReport>
