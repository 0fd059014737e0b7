/** Makes the report of what the tasks found. Pure. */
import type { FolderManifest, FolderRef } from '../../folders/schema.ts'
import { findDuplicates } from './find-duplicates.ts'
import { findingsOf } from './findings.ts'
import type { FingerprintSet } from './measure/fingerprints.ts'
import type { DuplicatesReport, RepoReport } from './report-model.ts'
import { reportSections } from './schema.ts'
import type { DependencyReport, HistoryReport, Measurement, ReportOptions } from './schema.ts'

export interface Gathered {
  readonly folder: FolderRef
  readonly manifest: FolderManifest
  readonly options: ReportOptions
  readonly measured: Measurement
  readonly fingerprints?: FingerprintSet | undefined
  readonly dependencies?: DependencyReport | undefined
  readonly history?: HistoryReport | undefined
}

const shownMax = 100

export function buildReportModel(gathered: Gathered): RepoReport {
  const { folder, manifest, options, measured, dependencies, history } = gathered
  const sections = reportSections.filter((section) => options.sections?.includes(section) ?? true)
  const wants = (section: (typeof reportSections)[number]) => sections.includes(section)
  const languages = Object.entries(measured.languages).map(([name, totals]) => ({ name, ...totals })).sort((left, right) => right.code - left.code || right.lines - left.lines || (left.name < right.name ? -1 : 1))
  const duplicates = options.duplicates && wants('duplicates') ? duplicatesOf(gathered) : undefined
  const shownDependencies = wants('dependencies') ? dependencies : undefined
  const shownHistory = wants('history') ? history : undefined
  const leaving = manifest.links.filter((link) => link.leavesFolder).map((link) => link.path)
  const report: RepoReport = {
    format: 'skein-repo-report-1',
    name: folder.name,
    ...(manifest.git?.source === undefined ? {} : { source: manifest.git.source }),
    ...(manifest.git?.commit === undefined ? {} : { commit: manifest.git.commit }),
    ...(manifest.git?.branch === undefined ? {} : { branch: manifest.git.branch }),
    sections,
    totals: {
      files: measured.files,
      sizeBytes: measured.sizeBytes,
      textFiles: measured.textFiles,
      binaryFiles: measured.binaryFiles,
      lines: measured.lines.total,
      code: measured.lines.code,
      comment: measured.lines.comment,
      blank: measured.lines.blank,
      languages: languages.filter((language) => language.type !== 'unknown').length,
      testCases: measured.tests.cases,
      markers: Object.values(measured.markers.byKind).reduce((sum, each) => sum + each, 0),
      secrets: measured.secrets.total,
      functions: measured.complexity.functions,
      duplicatedLines: duplicates?.lines ?? 0,
      dependencies: shownDependencies?.directTotal ?? 0,
      commits: shownHistory?.commits ?? 0,
    },
    findings: [],
    languages,
    generatedFiles: measured.generatedFiles,
    emptyFiles: measured.emptyFiles,
    tests: measured.tests,
    documentation: measured.documentation,
    markers: measured.markers,
    secrets: measured.secrets,
    large: {
      files: measured.largestFiles,
      binaries: measured.largestBinaries,
      binaryKinds: Object.entries(measured.binaryKinds).map(([kind, totals]) => ({ kind, ...totals })).sort((left, right) => right.sizeBytes - left.sizeBytes || (left.kind < right.kind ? -1 : 1)).slice(0, options.topN),
      longest: measured.longestFiles,
      unmeasured: measured.unmeasuredFiles,
    },
    complexity: measured.complexity,
    ...(duplicates === undefined ? {} : { duplicates }),
    ...(shownDependencies === undefined ? {} : { dependencies: shownDependencies }),
    licences: { headers: measured.licences.headers, declared: dependencies?.declaredLicences ?? {}, files: dependencies?.licenceFiles ?? [] },
    ...(shownHistory === undefined ? {} : { history: shownHistory }),
    folder: {
      links: manifest.links.length,
      linksThatLeave: leaving.slice(0, shownMax),
      linksThatLeaveTotal: leaving.length,
      unreadable: manifest.unreadable.slice(0, shownMax),
      unreadableTotal: manifest.unreadable.length,
      skipped: manifest.skipped.slice(0, shownMax),
      skippedTotal: manifest.skipped.length,
      changedWhileRead: manifest.files.filter((file) => file.changedWhileRead === true).map((file) => file.path).slice(0, shownMax),
    },
    missing: measured.missing,
    missingFiles: Math.max(0, manifest.files.length - measured.files),
    problems: [...measured.problems, ...(dependencies?.problems ?? [])].slice(0, shownMax),
  }
  return { ...report, findings: findingsOf(report) }
}

function duplicatesOf({ manifest, measured, fingerprints, options }: Gathered): DuplicatesReport {
  const found = fingerprints === undefined ? { lines: 0, files: 0, groups: [], sampled: false } : findDuplicates(fingerprints, options.topN)
  const lines = Math.min(found.lines, measured.comparedLines)
  return {
    lines,
    comparedLines: measured.comparedLines,
    share: measured.comparedLines === 0 ? 0 : lines / measured.comparedLines,
    files: found.files,
    sampled: found.sampled,
    groups: found.groups.map((group) => ({ lines: group.lines, places: group.places.slice(0, 10), placesTotal: group.places.length })),
    identical: identicalFiles(manifest, options.topN),
  }
}

function identicalFiles(manifest: FolderManifest, topN: number): DuplicatesReport['identical'] {
  const byHash = new Map<string, { sizeBytes: number; paths: string[] }>()
  for (const file of manifest.files) {
    // Empty and tiny files are alike by nature.
    if (file.sizeBytes < 64) continue
    const known = byHash.get(file.sha256)
    if (known === undefined) byHash.set(file.sha256, { sizeBytes: file.sizeBytes, paths: [file.path] })
    else known.paths.push(file.path)
  }
  const groups = [...byHash.values()].filter((group) => group.paths.length > 1)
  const wasted = (group: { sizeBytes: number; paths: string[] }) => group.sizeBytes * (group.paths.length - 1)
  return {
    groups: groups.length,
    files: groups.reduce((sum, group) => sum + group.paths.length, 0),
    wastedBytes: groups.reduce((sum, group) => sum + wasted(group), 0),
    largest: groups.sort((left, right) => wasted(right) - wasted(left) || ((left.paths[0] ?? '') < (right.paths[0] ?? '') ? -1 : 1)).slice(0, topN).map((group) => ({ sizeBytes: group.sizeBytes, paths: group.paths.slice(0, 5), pathsTotal: group.paths.length })),
  }
}
