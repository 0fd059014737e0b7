/**
 * What the skills of a report are, without how they do it: what a node that starts says of them, without a thread and without
 * loading what only their runs need (the rules for secrets, the languages, the parsers). `skills.ts` adds the code.
 */
import { z } from 'zod'
import { BlobRef } from '../../../protocols/kernel/payload.ts'
import { withoutPassword } from '../../folders/git-address.ts'
import { FolderRef } from '../../folders/schema.ts'
import { Totals } from './report-model.ts'
import { DependenciesInput, DependencyReport, HistoryInput, HistoryReport, Measurement, PartInput, ReportOptions, SectionInput } from './schema.ts'

const version = '1.0'
const MiB = 1024 * 1024

export const ReportInput = z.union([
  ReportOptions.extend({ folder: FolderRef }).strict(),
  ReportOptions.extend({ git: z.string().min(1).max(2_000).regex(withoutPassword, 'the address holds a password: clone it yourself and give path=FOLDER') }).strict(),
])
export type ReportInput = z.infer<typeof ReportInput>

export const ReportOutput = z.object({
  /** Headline numbers and findings as a few lines of text. */
  summary: z.string(),
  findings: z.array(z.string()),
  totals: Totals,
  /** Parts of the work that failed for good. Empty when the report is complete. */
  missing: z.array(z.string()),
  json: BlobRef,
  markdown: BlobRef,
  html: BlobRef,
})
export type ReportOutput = z.infer<typeof ReportOutput>

/** In the order in which `skills.ts` has them. */
export const declared = {
  report: {
    kind: 'composite',
    capability: 'repo.report',
    version,
    summary: 'Measures a folder or a git repository: languages, lines, tests, dependencies, licences, secrets, complexity, repetition, hot spots; as Markdown, HTML and JSON.',
    effects: 'none',
    limits: { timeMs: 10 * 60_000, memoryBytes: 1024 * MiB },
    input: ReportInput,
    output: ReportOutput,
  },
  section: {
    kind: 'composite',
    capability: 'repo.section',
    version,
    summary: 'Measures one section of a large tree with tasks of its own. Part of repo.report.',
    effects: 'none',
    input: SectionInput,
    output: Measurement,
  },
  measure: {
    kind: 'leaf',
    capability: 'repo.measure',
    version,
    summary: 'Measures files: languages, lines, tests, markers, probable secrets, complexity, fingerprints of code. Part of repo.report.',
    effects: 'none',
    limits: { timeMs: 5 * 60_000, memoryBytes: 768 * MiB },
    input: PartInput,
    output: Measurement,
  },
  history: {
    kind: 'leaf',
    capability: 'repo.history',
    version,
    summary: 'Finds hot spots in the git history of a packed folder: what changes often and is large. Part of repo.report.',
    effects: 'none',
    input: HistoryInput,
    output: HistoryReport,
  },
  dependencies: {
    kind: 'leaf',
    capability: 'repo.dependencies',
    version,
    summary: 'Reads package manifests, lock files and licences of a packed folder. Part of repo.report.',
    effects: 'none',
    input: DependenciesInput,
    output: DependencyReport,
  },
} as const
