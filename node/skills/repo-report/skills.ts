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
import { packGit } from '../../folders/pack-git.ts'
import { FolderHistory } from '../../folders/schema.ts'
import type { FolderRef } from '../../folders/schema.ts'
import { defineSkill, MeshError } from '../define-skill.ts'
import type { CompositeSkill, LeafSkill, SkillContext } from '../define-skill.ts'
import { fileBytes } from '../../folders/file-bytes.ts'
import { buildReportModel } from './build-report.ts'
import { ReportOutput, declared } from './declarations.ts'
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
import type { ReportOptions } from './schema.ts'

export const repoReport: CompositeSkill = defineSkill({
  ...declared.report,
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
  ...declared.section,
  plan: async (input, context) => planSection(input, await readSlice(input, context), context),
  synthesise: async ({ input, children }, context) => handUp(await gather(children, input.topN, context), context),
})

export const repoMeasure: LeafSkill = defineSkill({
  ...declared.measure,
  run: measureSlice,
})

export const repoHistory: LeafSkill = defineSkill({
  ...declared.history,
  async run(input, context) {
    context.progress(0, 'reading the history')
    const manifest = await readManifest({ $folder: input.folder }, context)
    const history = FolderHistory.parse(JSON.parse(new TextDecoder().decode(await context.blobs.read(input.history))))
    const sizes = new Map(manifest.files.map((file) => [file.path, file.sizeBytes]))
    return measureHistory(history, sizes, input.topN, (fraction) => context.progress(fraction, 'counting changes'))
  },
})

export const repoDependencies: LeafSkill = defineSkill({
  ...declared.dependencies,
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
