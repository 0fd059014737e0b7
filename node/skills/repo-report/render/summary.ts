/** The headline numbers and the findings as plain lines, for a terminal. */
import type { RepoReport } from '../report-model.ts'
import { formatBytes, formatCount, plural } from './format.ts'

/** The numbers that stand at the top of every rendering. */
export function headlineOf(report: RepoReport): { readonly label: string; readonly value: string; readonly detail: string }[] {
  const { totals } = report
  const wants = (section: RepoReport['sections'][number]) => report.sections.includes(section)
  const list = [
    { label: 'files', value: formatCount(totals.files), detail: totals.binaryFiles === 0 ? formatBytes(totals.sizeBytes) : `${formatBytes(totals.sizeBytes)}, ${formatCount(totals.binaryFiles)} binary` },
    { label: 'lines', value: formatCount(totals.lines), detail: `${formatCount(totals.comment)} comment, ${formatCount(totals.blank)} blank` },
    { label: 'lines of code', value: formatCount(totals.code), detail: `in ${plural(totals.languages, 'language')}` },
  ]
  if (wants('tests')) list.push({ label: 'test cases', value: formatCount(totals.testCases), detail: `in ${plural(report.tests.files, 'test file')}` })
  if (wants('complexity')) list.push({ label: 'functions', value: formatCount(totals.functions), detail: `${formatCount(report.complexity.over10)} over complexity 10` })
  if (report.dependencies !== undefined) list.push({ label: 'dependencies', value: formatCount(totals.dependencies), detail: `direct, in ${plural(report.dependencies.manifestsTotal, 'manifest')}` })
  if (report.history !== undefined) list.push({ label: 'commits', value: `${formatCount(totals.commits)}${report.history.truncated ? '+' : ''}`, detail: `by ${plural(report.history.authors, 'author')}` })
  if (wants('secrets')) list.push({ label: totals.secrets === 1 ? 'probable secret' : 'probable secrets', value: formatCount(totals.secrets), detail: totals.secrets === 0 ? 'none found' : `${formatCount(report.secrets.inTests)} in tests` })
  return list
}

const signs = { problem: '✗', warning: '!', good: '✓', note: '·' } as const

export function renderSummary(report: RepoReport): string {
  const headline = headlineOf(report).map((each) => `${each.value} ${each.label}`).join(' · ')
  return [`${report.name}: ${headline}`, ...report.findings.map((finding) => `${signs[finding.level]} ${finding.text}`)].join('\n')
}
