/** What a reader should know first, in one sentence each. The thresholds are the usual rules of thumb, and are said. */
import { isTestPath } from './measure/find-tests.ts'
import { windowLines } from './measure/fingerprints.ts'
import { formatBytes, formatCount, formatPercent, plural, share } from './render/format.ts'
import type { Finding, RepoReport } from './report-model.ts'

const order = { problem: 0, warning: 1, good: 2, note: 3 } as const
const findingsMax = 10

/** @returns at most ten, the gravest first; at least one. */
export function findingsOf(report: RepoReport): Finding[] {
  const found: Finding[] = []
  const wants = (section: Finding['section']) => section === 'folder' || report.sections.includes(section)
  const say = (level: Finding['level'], section: Finding['section'], text: string) => {
    if (wants(section)) found.push({ level, section, text })
  }
  incomplete(report, say)
  secrets(report, say)
  content(report, say)
  tests(report, say)
  complexity(report, say)
  duplicates(report, say)
  dependencies(report, say)
  documentation(report, say)
  licences(report, say)
  history(report, say)
  markers(report, say)
  return found.sort((left, right) => order[left.level] - order[right.level]).slice(0, findingsMax)
}

type Say = (level: Finding['level'], section: Finding['section'], text: string) => void

function incomplete(report: RepoReport, say: Say): void {
  if (report.missing.length > 0) {
    const parts = report.missing.map((part) => part.part)
    say('problem', 'folder', `The report is incomplete: ${parts.slice(0, 4).join(', ')}${parts.length > 4 ? ` and ${parts.length - 4} more` : ''} failed for good${report.missingFiles > 0 ? `, so ${plural(report.missingFiles, 'file')} ${report.missingFiles === 1 ? 'is' : 'are'} missing from all numbers` : ''}.`)
  }
  const { folder } = report
  if (folder.unreadableTotal > 0) say('warning', 'folder', `${plural(folder.unreadableTotal, 'file')} could not be read (${folder.unreadable[0]?.path ?? ''}: ${folder.unreadable[0]?.reason ?? ''}).`)
  if (folder.changedWhileRead.length > 0) say('warning', 'folder', `${plural(folder.changedWhileRead.length, 'file')} changed while being read; the numbers are those of one moment.`)
  if (folder.linksThatLeaveTotal > 0) say('warning', 'folder', `${plural(folder.linksThatLeaveTotal, 'symbolic link leaves', 'symbolic links leave')} the folder and ${folder.linksThatLeaveTotal === 1 ? 'was' : 'were'} not followed (${folder.linksThatLeave[0] ?? ''}).`)
}

function secrets({ secrets: found }: RepoReport, say: Say): void {
  if (found.total === 0) {
    say('good', 'secrets', 'No probable secrets were found.')
    return
  }
  const outside = found.total - found.inTests
  const first = found.places.find((place) => !isTestPath(place.path)) ?? found.places[0]
  const where = first === undefined ? '' : `, the first in ${first.path} line ${first.line} (${first.rule})`
  say(outside > 0 ? 'problem' : 'warning', 'secrets', `${plural(found.total, 'probable secret')}${found.inTests > 0 ? `, ${formatCount(found.inTests)} of them in tests` : ''}${where}. Check them, and replace what is real.`)
}

function content(report: RepoReport, say: Say): void {
  const { totals } = report
  if (totals.textFiles === 0) {
    say('note', 'languages', `There is no text here: all ${plural(totals.binaryFiles, 'file')} (${formatBytes(totals.sizeBytes)}) are binary.`)
    return
  }
  const programming = report.languages.filter((language) => language.type === 'programming')
  const first = programming[0] ?? report.languages[0]
  if (first !== undefined) {
    const of = programming.length > 0 ? programming.reduce((sum, language) => sum + language.code, 0) : totals.code
    say('note', 'languages', `${first.name} makes up ${formatPercent(share(first.code, of))} of ${formatCount(of)} lines of ${programming.length > 0 ? 'code in programming languages' : 'content'}, in ${plural(first.files, 'file')}.`)
  }
  const big = report.large.binaries[0]
  if (big !== undefined && big.value > 5 * 1024 * 1024) say('warning', 'large', `The largest binary file is ${big.path} with ${formatBytes(big.value)}; large binaries make every clone slow.`)
  else if (report.large.unmeasured > 0) say('note', 'large', `${plural(report.large.unmeasured, 'file')} over 16 MiB ${report.large.unmeasured === 1 ? 'was' : 'were'} not measured line by line.`)
}

function tests({ tests: found, totals }: RepoReport, say: Say): void {
  if (found.sourceFiles === 0) return
  if (found.files === 0 && found.cases === 0) {
    if (found.sourceCode > 200) say('warning', 'tests', `No tests were found beside ${formatCount(found.sourceCode)} lines of code.`)
    return
  }
  const ratio = share(found.code, found.sourceCode)
  say(ratio >= 0.3 ? 'good' : 'note', 'tests', `${plural(found.cases, 'test case')} in ${plural(found.files, 'test file')}: ${ratio.toFixed(2)} lines of test for each line of code.`)
  if (totals.textFiles > 0 && ratio < 0.05 && found.sourceCode > 2_000) say('warning', 'tests', `Tests make up only ${formatPercent(share(found.code, found.code + found.sourceCode))} of the code.`)
}

function complexity({ complexity: found }: RepoReport, say: Say): void {
  const worst = found.worstFunctions[0]
  if (worst === undefined) return
  if (worst.complexity > 20) say('warning', 'complexity', `${plural(found.over20, 'function')} of ${formatCount(found.functions)} ${found.over20 === 1 ? 'has' : 'have'} a complexity over 20; the highest is ${worst.name} with ${formatCount(worst.complexity)} (${worst.path} line ${worst.line}).`)
  else say('good', 'complexity', `No function of ${formatCount(found.functions)} has a complexity over 20; the highest is ${worst.name} with ${formatCount(worst.complexity)} (${worst.path} line ${worst.line}).`)
}

function duplicates({ duplicates: found }: RepoReport, say: Say): void {
  if (found === undefined || found.comparedLines === 0) return
  const level = found.share > 0.1 ? 'warning' : found.share > 0.03 ? 'note' : 'good'
  const top = found.groups[0]
  say(level, 'duplicates', found.lines === 0 ? `No repeated code of ${windowLines} lines or more was found.` : `${formatCount(found.lines)} lines (${formatPercent(found.share)} of the compared code) stand in more than one place${top === undefined ? '' : `; the largest repetition has ${formatCount(top.lines)} lines in ${formatCount(top.placesTotal)} places`}.`)
  if (found.identical.wastedBytes > 1024 * 1024) say('note', 'duplicates', `${plural(found.identical.files, 'file')} have a twin; ${formatBytes(found.identical.wastedBytes)} are kept more than once.`)
}

function dependencies({ dependencies: found }: RepoReport, say: Say): void {
  if (found === undefined || found.manifestsTotal === 0) return
  const locked = found.lockFiles.reduce((sum, lock) => sum + lock.packages, 0)
  say('note', 'dependencies', `${plural(found.directTotal, 'direct dependency', 'direct dependencies')} in ${plural(found.manifestsTotal, 'package manifest')}${locked > 0 ? `; the lock files pin ${plural(locked, 'package')}` : ''}.`)
  const without = found.withoutLockFile[0]
  // A tree of installed packages has a manifest in each; only projects of one's own are expected to lock.
  if (without !== undefined && found.lockFiles.length === 0 && found.manifestsTotal <= 20) say('warning', 'dependencies', `${without} has dependencies and no lock file: two installs may differ.`)
}

function documentation({ documentation: found, totals }: RepoReport, say: Say): void {
  if (totals.textFiles === 0) return
  if (found.readmes.length === 0) say('warning', 'documentation', 'There is no README.')
  else say('note', 'documentation', `${plural(found.files, 'document')} with ${plural(found.lines, 'line')}; the README is ${found.readmes[0] ?? ''}.`)
}

function licences({ licences: found, totals }: RepoReport, say: Say): void {
  if (totals.textFiles === 0) return
  const root = found.files.find((file) => !file.path.includes('/')) ?? found.files[0]
  const declared = Object.keys(found.declared)
  if (root !== undefined) say('note', 'licences', `The licence is ${root.licences.join(', ')} (${root.path}).`)
  else if (declared.length > 0) say('note', 'licences', `Declared licence: ${declared.slice(0, 3).join(', ')}; there is no licence file.`)
  else say('warning', 'licences', 'No licence was found: nobody else may use this as it stands.')
}

function history({ history: found }: RepoReport, say: Say): void {
  if (found === undefined || found.commits === 0) return
  const hot = found.hotspots[0]
  if (hot !== undefined) say('note', 'history', `The hottest file is ${hot.path}: ${plural(hot.commits, 'commit')}, ${formatBytes(hot.sizeBytes)}.`)
  if (found.busFactor === 1 && found.authors > 1) say('note', 'history', `One of ${formatCount(found.authors)} authors made at least half of ${found.truncated ? 'the last ' : ''}${plural(found.commits, 'commit')}.`)
}

function markers({ markers: found, totals }: RepoReport, say: Say): void {
  if (totals.markers === 0) return
  const kinds = Object.entries(found.byKind).sort((left, right) => right[1] - left[1]).map(([kind, count]) => `${formatCount(count)} ${kind}`)
  say('note', 'markers', `${plural(totals.markers, 'note')} to self in the text: ${kinds.join(', ')}.`)
}
