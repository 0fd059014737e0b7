/** The report as Markdown, for a terminal, a wiki or a pull request. */
import type { RepoReport } from '../report-model.ts'
import { formatBytes, formatCount, formatDate, formatPercent, plural, share } from './format.ts'
import { headlineOf } from './summary.ts'

type Cell = string | number

/** Text from files must not become markup. */
function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Bidi_Control}]/gu, ' ').replace(/[\\`*_{}[\]<>|#~&]/g, (char) => (char === '<' ? '&lt;' : char === '>' ? '&gt;' : char === '&' ? '&amp;' : `\\${char}`))
}

/** A path as code; a backtick inside one would end it. */
function path(text: string): string {
  const clean = text.replace(/[\p{Cc}\p{Bidi_Control}]/gu, '□').replaceAll('|', '\\|')
  return clean.includes('`') ? `\`\` ${clean} \`\`` : `\`${clean}\``
}

function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string[] {
  if (rows.length === 0) return []
  const numeric = head.map((_, index) => rows.every((row) => typeof row[index] === 'number' || /^[<\d][\d., %KMGTiB+−-]*$/.test(String(row[index]))))
  return [`| ${head.join(' | ')} |`, `| ${numeric.map((right) => (right ? '---:' : '---')).join(' | ')} |`, ...rows.map((row) => `| ${row.map((cell) => (typeof cell === 'number' ? formatCount(cell) : cell)).join(' | ')} |`), '']
}

function counts(record: Readonly<Record<string, number>>, max = 20): string {
  return Object.entries(record).sort((left, right) => right[1] - left[1] || (left[0] < right[0] ? -1 : 1)).slice(0, max).map(([name, value]) => `${plain(name)} ${formatCount(value)}`).join(', ')
}

const signs = { problem: '❌', warning: '⚠️', good: '✅', note: '•' } as const

export function renderMarkdown(report: RepoReport): string {
  const out: string[] = [`# ${plain(report.name)}`, '']
  const origin = [report.source === undefined ? undefined : path(report.source), report.branch === undefined ? undefined : `branch ${path(report.branch)}`, report.commit === undefined ? undefined : `commit ${path(report.commit.slice(0, 12))}`].filter((part) => part !== undefined)
  if (origin.length > 0) out.push(origin.join(' · '), '')
  out.push(...table(headlineOf(report).map((each) => each.label), [headlineOf(report).map((each) => `**${each.value}**<br>${each.detail}`)]))
  if (report.missing.length > 0) out.push('> **This report is incomplete.**', ...report.missing.map((part) => `> - ${plain(part.part)}: ${plain(part.reason)}`), ...(report.missingFiles > 0 ? [`> - ${plural(report.missingFiles, 'file')} in none of the numbers`] : []), '')
  out.push('## Findings', '', ...report.findings.map((finding) => `- ${signs[finding.level]} ${plain(finding.text)}`), '')
  for (const [section, chapter] of chapters) if (section === undefined || report.sections.includes(section)) out.push(...chapter(report))
  return `${out.join('\n').trimEnd()}\n`
}

const chapters: readonly (readonly [RepoReport['sections'][number] | undefined, (report: RepoReport) => string[]])[] = [
  ['secrets', secrets],
  ['languages', languages],
  ['tests', tests],
  ['history', history],
  ['complexity', complexity],
  ['duplicates', duplicates],
  ['large', large],
  ['dependencies', dependencies],
  ['licences', licences],
  ['documentation', documentation],
  ['markers', markers],
  [undefined, leftOut],
]

function secrets({ secrets: found }: RepoReport): string[] {
  if (found.total === 0) return []
  return ['## Probable secrets', '', `${plural(found.total, 'place')}; values are never shown, equal fingerprints mean equal values.`, '', ...table(['Rule', 'Place', 'Fingerprint'], found.places.map((each) => [plain(each.rule), path(`${each.path}:${each.line}`), path(each.fingerprint)]))]
}

function languages(report: RepoReport): string[] {
  if (report.totals.textFiles === 0) return []
  const rows = report.languages.map((each): Cell[] => [plain(each.name), each.files, each.code, each.comment, each.blank, each.lines, formatBytes(each.sizeBytes)])
  const { totals } = report
  return ['## Languages', '', ...table(['Language', 'Files', 'Code', 'Comment', 'Blank', 'Lines', 'Size'], [...rows, ['**Sum**', totals.textFiles, totals.code, totals.comment, totals.blank, totals.lines, formatBytes(report.languages.reduce((sum, each) => sum + each.sizeBytes, 0))]])]
}

function tests({ tests: found }: RepoReport): string[] {
  if (found.files + found.sourceFiles === 0) return []
  return ['## Tests', '', `${plural(found.cases, 'test case')} in ${plural(found.files, 'test file')}; ${formatCount(found.code)} lines of tests for ${formatCount(found.sourceCode)} lines of code (${share(found.code, found.sourceCode).toFixed(2)}).${Object.keys(found.byLanguage).length > 1 ? ` Cases by language: ${counts(found.byLanguage)}.` : ''}`, '']
}

function history({ history: found }: RepoReport): string[] {
  if (found === undefined || found.commits === 0) return []
  const period = found.firstCommitMs === null || found.lastCommitMs === null ? '' : `, from ${formatDate(found.firstCommitMs)} to ${formatDate(found.lastCommitMs)}`
  return ['## History', '', `${found.truncated ? 'The last ' : ''}${plural(found.commits, 'commit')} by ${plural(found.authors, 'author')} on ${plural(found.activeDays, 'day')}${period}. ${plural(found.busFactor, 'author')} made half of them.`, '', ...table(['Hot spot', 'Commits', 'Added', 'Deleted', 'Authors', 'Size'], found.hotspots.map((each) => [path(each.path), each.commits, each.added, each.deleted, each.authors, formatBytes(each.sizeBytes)]))]
}

function complexity({ complexity: found }: RepoReport): string[] {
  if (found.functions === 0) return []
  return ['## Complexity', '', `${plural(found.functions, 'function')}, ${(found.sum / found.functions).toFixed(1)} on average; ${formatCount(found.over10)} over 10, ${formatCount(found.over20)} over 20 (cyclomatic, approximated).`, '', ...table(['Function', 'Place', 'Complexity', 'Lines'], found.worstFunctions.map((each) => [path(each.name), path(`${each.path}:${each.line}`), each.complexity, each.lines]))]
}

function duplicates({ duplicates: found }: RepoReport): string[] {
  if (found === undefined || (found.comparedLines === 0 && found.identical.groups === 0)) return []
  return [
    '## Repeated code',
    '',
    `${formatCount(found.lines)} of ${formatCount(found.comparedLines)} compared lines (${formatPercent(found.share)}) stand in more than one place.${found.sampled ? ' Sampled, because the tree is large.' : ''}`,
    '',
    ...table(['Lines', 'Places', 'Where'], found.groups.map((group) => [group.lines, group.placesTotal, group.places.slice(0, 3).map((each) => path(`${each.path}:${each.fromLine}-${each.toLine}`)).join('<br>')])),
    ...(found.identical.groups > 0 ? [`${plural(found.identical.files, 'file')} have a twin with the same content; ${formatBytes(found.identical.wastedBytes)} are kept more than once.`, ''] : []),
  ]
}

function large({ large: found, totals }: RepoReport): string[] {
  return ['## Large and binary files', '', `${plural(totals.files, 'file')}, ${formatBytes(totals.sizeBytes)}; ${formatCount(totals.binaryFiles)} binary.`, '', ...table(['File', 'Size'], found.files.map((each) => [path(each.path), formatBytes(each.value)])), ...table(['Binary kind', 'Files', 'Size'], found.binaryKinds.map((each) => [plain(each.kind), each.files, formatBytes(each.sizeBytes)])), ...table(['Longest source file', 'Lines'], found.longest.map((each) => [path(each.path), each.value]))]
}

function dependencies({ dependencies: found }: RepoReport): string[] {
  if (found === undefined || found.manifestsTotal + found.lockFiles.length === 0) return []
  return [
    '## Dependencies',
    '',
    ...table(['Ecosystem', 'Manifests', 'Dependencies', 'For development', 'Locked packages'], Object.entries(found.byEcosystem).map(([name, each]) => [plain(name), each.manifests, each.dependencies, each.developmentDependencies, each.locked])),
    ...table(['Manifest', 'Ecosystem', 'Dependencies', 'For development', 'Lock file'], found.manifests.slice(0, 30).map((each) => [path(each.path), plain(each.ecosystem), each.dependencies, each.developmentDependencies, each.lockFile === undefined ? 'none' : path(each.lockFile)])),
    ...(found.manifestsTotal > 30 ? [`And ${formatCount(found.manifestsTotal - 30)} more manifests.`, ''] : []),
    ...(Object.keys(found.lockedLicences).length > 0 ? [`Licences of locked packages: ${counts(found.lockedLicences)}.`, ''] : []),
  ]
}

function licences({ licences: found }: RepoReport): string[] {
  const rows = found.files.slice(0, 20).map((each) => [path(each.path), plain(each.licences.join(', '))])
  const declared = Object.keys(found.declared).length > 0 ? [`Declared in manifests: ${counts(found.declared)}.`, ''] : []
  const headers = Object.keys(found.headers).length > 0 ? [`SPDX headers in files: ${counts(found.headers)}.`, ''] : []
  return rows.length + declared.length + headers.length === 0 ? [] : ['## Licences', '', ...table(['File', 'Licence'], rows), ...declared, ...headers]
}

function documentation({ documentation: found }: RepoReport): string[] {
  if (found.files === 0) return []
  return ['## Documentation', '', `${plural(found.files, 'document')} with ${plural(found.lines, 'line')}.${Object.keys(found.kinds).length > 0 ? ` ${counts(found.kinds)}.` : ''}`, '', ...found.readmes.slice(0, 8).map((each) => `- ${path(each)}`), ...(found.readmes.length > 0 ? [''] : [])]
}

function markers({ markers: found, totals }: RepoReport): string[] {
  if (totals.markers === 0) return []
  return ['## Notes to self', '', `${counts(found.byKind)}.`, '', ...table(['Kind', 'Place', 'Text'], found.places.map((each) => [plain(each.kind), path(`${each.path}:${each.line}`), plain(each.text)]))]
}

function leftOut({ folder, problems }: RepoReport): string[] {
  const rows: Cell[][] = [
    ...folder.unreadable.map((each) => [path(each.path), plain(`could not be read: ${each.reason}`)]),
    ...folder.linksThatLeave.map((each) => [path(each), 'link out of the folder, not followed']),
    ...folder.changedWhileRead.map((each) => [path(each), 'changed while being read']),
    ...folder.skipped.map((each) => [path(each.path), plain(`skipped: ${each.reason}`)]),
    ...problems.map((each) => [path(each.path), plain(each.reason)]),
  ]
  return rows.length === 0 ? [] : ['## What was left out', '', ...table(['Path', 'Why'], rows)]
}
