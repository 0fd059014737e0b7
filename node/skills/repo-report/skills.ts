/**
 * `repo.report` and the skills it is made of. Give it a packed folder or a repository's address:
 *
 * ```sh
 * skein run repo.report --input folder=./project
 * ```
 *
 * @packageDocumentation
 */
import { join } from 'node:path'
import { packGit, withoutPassword } from '../../folders/pack-git.ts'
import { FolderHistory, FolderRef } from '../../folders/schema.ts'
import { BlobRef } from '../../../protocols/kernel/payload.ts'
import { defineSkill, MeshError, z } from '../define-skill.ts'
import type { CompositeSkill, LeafSkill, SkillContext } from '../define-skill.ts'
import { fileBytes } from '../../folders/file-bytes.ts'
import { buildReportModel } from './build-report.ts'
import { gather, handUp } from './gather-report.ts'
import { DependencyCollector } from './measure-dependencies.ts'
import { measureHistory } from './measure-history.ts'
import { measureSlice, readSlice } from './measure-slice.ts'
import { decodeText } from './measure/file-text.ts'
import { findSecrets } from './measure/find-secrets.ts'
import { planReport, planSection, readManifest } from './plan-report.ts'
import { renderHtml } from './render/html-report.ts'
import { renderMarkdown } from './render/markdown-report.ts'
import { renderSummary } from './render/summary.ts'
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

export const repoReport: CompositeSkill = defineSkill({
  capability: 'repo.report',
  version,
  summary: 'Measures a folder or a git repository: languages, lines, tests, dependencies, licences, secrets, complexity, repetition, hot spots; as Markdown, HTML and JSON.',
  effects: 'none',
  limits: { timeMs: 10 * 60_000, memoryBytes: 1024 * MiB },
  input: ReportInput,
  output: ReportOutput,
  async plan(input, context) {
    const { topN, duplicates } = input
    const options: ReportOptions = { topN, duplicates, ...(input.sections === undefined ? {} : { sections: input.sections }) }
    if ('folder' in input) return planReport(input.folder, options, context)
    // The clone lives on this node only: it is packed, and the report on the packed folder is a task of its own.
    if ((context.planLimits?.depthLeft ?? 2) < 2) throw new MeshError('over-limit', 'a report on a repository address needs two levels of tasks', { next: 'raise the limit of depth, or clone the repository and give its folder' })
    const folder = await cloneAndPack(input.git, context)
    return { name: `report on ${folder.name}`.slice(0, 128), tasks: { report: { capability: 'repo.report', input: { folder, ...options }, effort: folder.sizeBytes + 1 } } }
  },
  async synthesise({ input, children }, context): Promise<ReportOutput> {
    if ('git' in input) return outputOfOnlyChild(children)
    const options: ReportOptions = { topN: input.topN, duplicates: input.duplicates, ...(input.sections === undefined ? {} : { sections: input.sections }) }
    const manifest = await readManifest(input.folder, context)
    const gathered = await gather(children, input.topN, context)
    context.progress(0.5, 'writing the report')
    const report = buildReportModel({ folder: input.folder, manifest, options, ...gathered })
    const slug = report.name.replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^[-.]+/, '').slice(0, 80) || 'report'
    return {
      summary: renderSummary(report),
      findings: report.findings.map((finding) => finding.text),
      totals: report.totals,
      missing: report.missing.map((part) => `${part.part}: ${part.reason}`),
      json: await context.blobs.write(`${JSON.stringify(report, null, 2)}\n`, { name: `${slug}-report.json`, mediaType: 'application/json' }),
      markdown: await context.blobs.write(renderMarkdown(report), { name: `${slug}-report.md`, mediaType: 'text/markdown' }),
      html: await context.blobs.write(renderHtml(report), { name: `${slug}-report.html`, mediaType: 'text/html' }),
    }
  },
})

async function cloneAndPack(url: string, context: SkillContext): Promise<FolderRef> {
  context.progress(0, 'cloning')
  // git is silent for as long as it clones; the thread is not.
  const alive = setInterval(() => context.progress(0.1, 'cloning'), 500)
  try {
    return await packGit(url, {
      allowLocal: false,
      workFolder: join(await context.workFolder()),
      put: (bytes, about) => context.blobs.write(bytes, about),
      signal: context.signal,
      onProgress: ({ files, filesTotal }) => context.progress(0.5 + (files / filesTotal) * 0.5, `packing ${files} of ${filesTotal} files`),
    })
  } finally {
    clearInterval(alive)
  }
}

function outputOfOnlyChild(children: readonly { readonly output?: unknown; readonly fault?: Parameters<typeof MeshError.from>[0] }[]): ReportOutput {
  const child = children[0]
  if (child?.output !== undefined) return ReportOutput.parse(child.output)
  throw child?.fault === undefined ? new MeshError('skill-failed', 'the report on the cloned repository was not made', { retryable: false }) : MeshError.from(child.fault)
}

export const repoSection: CompositeSkill = defineSkill({
  capability: 'repo.section',
  version,
  summary: 'Measures one section of a large tree with tasks of its own. Part of repo.report.',
  effects: 'none',
  input: SectionInput,
  output: Measurement,
  plan: async (input, context) => planSection(input, await readSlice(input, context), context),
  synthesise: async ({ input, children }, context) => handUp(await gather(children, input.topN, context), context),
})

export const repoMeasure: LeafSkill = defineSkill({
  capability: 'repo.measure',
  version,
  summary: 'Measures files: languages, lines, tests, markers, probable secrets, complexity, fingerprints of code. Part of repo.report.',
  effects: 'none',
  limits: { timeMs: 5 * 60_000, memoryBytes: 768 * MiB },
  input: PartInput,
  output: Measurement,
  run: measureSlice,
})

export const repoHistory: LeafSkill = defineSkill({
  capability: 'repo.history',
  version,
  summary: 'Finds hot spots in the git history of a packed folder: what changes often and is large. Part of repo.report.',
  effects: 'none',
  input: HistoryInput,
  output: HistoryReport,
  async run(input, context) {
    context.progress(0, 'reading the history')
    const manifest = await readManifest({ $folder: input.folder }, context)
    const history = FolderHistory.parse(JSON.parse(new TextDecoder().decode(await context.blobs.read(input.history))))
    const sizes = new Map(manifest.files.map((file) => [file.path, file.sizeBytes]))
    return measureHistory(history, sizes, input.topN, (fraction) => context.progress(fraction, 'counting changes'))
  },
})

export const repoDependencies: LeafSkill = defineSkill({
  capability: 'repo.dependencies',
  version,
  summary: 'Reads package manifests, lock files and licences of a packed folder. Part of repo.report.',
  effects: 'none',
  input: DependenciesInput,
  output: DependencyReport,
  async run(input, context) {
    const { files } = await readSlice(input, context)
    const collector = new DependencyCollector()
    let loaded: { index: number; bytes: Uint8Array } | undefined
    for (const [index, file] of [...files].sort((left, right) => left.pack - right.pack || left.offset - right.offset).entries()) {
      context.progress(index / files.length, file.path)
      const ref = input.packs[file.pack]
      if (ref === undefined) throw new MeshError('bad-input', `the pack of ${file.path} is not among the task's packs`)
      if (loaded?.index !== file.pack) loaded = { index: file.pack, bytes: await context.blobs.read(ref) }
      const text = decodeText(fileBytes(loaded.bytes, file))
      if (text === undefined) continue
      const { masked } = await findSecrets(file.path, text, 'masking only', () => context.progress(index / files.length, file.path))
      collector.add({ path: file.path, text: masked })
    }
    return collector.report(input.topN)
  },
})

/** Everything that a node needs to offer for `repo.report`. */
export const repoReportSkills: readonly (CompositeSkill | LeafSkill)[] = [repoReport, repoSection, repoMeasure, repoHistory, repoDependencies]

export default repoReportSkills
