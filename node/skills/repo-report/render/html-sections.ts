/** The chapters of the page. Each takes the report and gives a card, or nothing when there is nothing to say. */
import type { RepoReport } from '../report-model.ts'
import { formatBytes, formatCount, formatDate, formatPercent, plural, share } from './format.ts'
import { barList, monthColumns, ring, safeColor, stackedBar } from './html-charts.ts'
import { breakablePath, html } from './html-text.ts'
import type { Html } from './html-text.ts'

export interface Chapter {
  readonly id: string
  readonly title: string
  readonly wide: boolean
  readonly body: Html
}

const languagesShown = 15

function chips(counts: Readonly<Record<string, number>>, max = 20): Html {
  const sorted = Object.entries(counts).sort((left, right) => right[1] - left[1] || (left[0] < right[0] ? -1 : 1))
  return html`<ul class="chips">${sorted.slice(0, max).map(([name, value]) => html`<li>${name}<b>${formatCount(value)}</b></li>`)}${sorted.length > max ? html`<li class="muted">and ${formatCount(sorted.length - max)} more</li>` : undefined}</ul>`
}

export function languages(report: RepoReport): Chapter | undefined {
  const { totals } = report
  if (totals.textFiles === 0) return undefined
  const rest = report.languages.slice(languagesShown)
  return {
    id: 'languages',
    title: 'Languages',
    wide: true,
    body: html`<p class="lead">${plural(totals.lines, 'line')} in ${plural(totals.textFiles, 'text file')}${report.generatedFiles > 0 ? `, ${formatCount(report.generatedFiles)} of them generated` : ''}.</p>
${stackedBar(report.languages.map((each) => ({ label: each.name, value: each.code, ...(each.color === undefined ? {} : { color: each.color }) })), 9)}
<div class="scroll"><table><thead><tr><th>Language</th><th class="num">Files</th><th class="num">Code</th><th class="num">Comment</th><th class="num">Blank</th><th class="num">Lines</th><th class="num">Size</th></tr></thead><tbody>${report.languages
      .slice(0, languagesShown)
      .map((each, index) => html`<tr><td><span class="dot" style="background:${safeColor(each.color, index)}"></span>${each.name}</td><td class="num">${formatCount(each.files)}</td><td class="num">${formatCount(each.code)}</td><td class="num">${formatCount(each.comment)}</td><td class="num">${formatCount(each.blank)}</td><td class="num">${formatCount(each.lines)}</td><td class="num">${formatBytes(each.sizeBytes)}</td></tr>`)}</tbody></table></div>
${rest.length > 0 ? html`<p class="muted">And ${plural(rest.length, 'more language')}: ${rest.map((each) => each.name).join(', ')}.</p>` : undefined}`,
  }
}

export function lines(report: RepoReport): Chapter | undefined {
  const { totals } = report
  if (totals.lines === 0) return undefined
  return {
    id: 'lines',
    title: 'Lines',
    wide: false,
    body: html`<p class="lead">Lines that end in a newline, and a last one that does not.</p>${ring(
      [
        { label: 'code', value: totals.code, tone: 'code' },
        { label: 'comment', value: totals.comment, tone: 'comment' },
        { label: 'blank', value: totals.blank, tone: 'blank' },
      ],
      formatCount(totals.lines),
      'lines',
    )}`,
  }
}

export function tests(report: RepoReport): Chapter | undefined {
  const { tests: found } = report
  if (found.sourceFiles + found.files === 0) return undefined
  return {
    id: 'tests',
    title: 'Tests',
    wide: false,
    body: html`<p class="lead">${plural(found.cases, 'test case')} in ${plural(found.files, 'test file')}, told by names and folders.</p>${found.files === 0 ? undefined : ring(
      [
        { label: 'lines of code', value: found.sourceCode, tone: 'code' },
        { label: 'lines of tests', value: found.code, tone: 'test' },
      ],
      share(found.code, found.sourceCode).toFixed(2),
      'tests per code',
    )}${Object.keys(found.byLanguage).length > 1 ? html`<h3>Cases by language</h3>${chips(found.byLanguage)}` : undefined}`,
  }
}

export function secrets(report: RepoReport): Chapter | undefined {
  const { secrets: found } = report
  if (found.total === 0) return undefined
  return {
    id: 'secrets',
    title: 'Probable secrets',
    wide: true,
    body: html`<p class="lead">${plural(found.total, 'place')} that look${found.total === 1 ? 's' : ''} like a credential. Values are never shown; equal fingerprints mean equal values.</p>${chips(found.byRule)}
<div class="scroll"><table><thead><tr><th>Rule</th><th>Place</th><th class="num">Fingerprint</th></tr></thead><tbody>${found.places.map((each) => html`<tr><td>${each.rule}</td><td class="path">${breakablePath(each.path)}:${each.line}</td><td class="num"><code>${each.fingerprint}</code></td></tr>`)}</tbody></table></div>
${found.total > found.places.length ? html`<p class="muted">And ${formatCount(found.total - found.places.length)} more.</p>` : undefined}`,
  }
}

export function complexity(report: RepoReport): Chapter | undefined {
  const { complexity: found } = report
  if (found.functions === 0) return undefined
  return {
    id: 'complexity',
    title: 'Complexity',
    wide: false,
    body: html`<p class="lead">${plural(found.functions, 'function')}, ${(found.sum / found.functions).toFixed(1)} on average; ${formatCount(found.over10)} over 10, ${formatCount(found.over20)} over 20. Cyclomatic, approximated.</p>${barList(
      found.worstFunctions.map((each) => ({ label: `${each.path}:${each.line}`, value: each.complexity, shown: formatCount(each.complexity), detail: `${each.name} · ${plural(each.lines, 'line')}` })),
      'heat',
    )}`,
  }
}

export function history(report: RepoReport): Chapter | undefined {
  const { history: found } = report
  if (found === undefined || found.commits === 0) return undefined
  const period = found.firstCommitMs === null || found.lastCommitMs === null ? '' : `, from ${formatDate(found.firstCommitMs)} to ${formatDate(found.lastCommitMs)}`
  return {
    id: 'history',
    title: 'History',
    wide: true,
    body: html`<p class="lead">${found.truncated ? 'The last ' : ''}${plural(found.commits, 'commit')} by ${plural(found.authors, 'author')} on ${plural(found.activeDays, 'day')}${period}. ${plural(found.busFactor, 'author')} made half of them.</p>
${monthColumns(found.months)}
${found.hotspots.length > 0 ? html`<h3>Hot spots: what changes often and is large</h3>${barList(found.hotspots.map((each) => ({ label: each.path, value: each.score, shown: plural(each.commits, 'commit'), detail: `+${formatCount(each.added)} −${formatCount(each.deleted)} lines · ${formatBytes(each.sizeBytes)} · ${plural(each.authors, 'author')}` })), 'heat')}` : undefined}`,
  }
}

export function duplicates(report: RepoReport): Chapter | undefined {
  const { duplicates: found } = report
  if (found === undefined || (found.comparedLines === 0 && found.identical.groups === 0)) return undefined
  return {
    id: 'duplicates',
    title: 'Repeated code',
    wide: false,
    body: html`<p class="lead">${formatCount(found.lines)} of ${formatCount(found.comparedLines)} compared lines (${formatPercent(found.share)}) stand in more than one place.${found.sampled ? ' Sampled, because the tree is large.' : ''}</p>
<ol class="bars">${found.groups.map(
      (group) => html`<li><div class="bar-head"><span>${formatCount(group.lines)} lines</span><span class="num">${formatCount(group.placesTotal)} places</span></div><ul class="places detail">${group.places.slice(0, 3).map((each) => html`<li class="path">${breakablePath(each.path)}:${each.fromLine}–${each.toLine}</li>`)}${group.placesTotal > 3 ? html`<li>and ${formatCount(group.placesTotal - 3)} more</li>` : undefined}</ul></li>`,
    )}</ol>
${found.identical.groups > 0 ? html`<h3>Files with the same content</h3><p class="muted">${plural(found.identical.files, 'file')} in ${plural(found.identical.groups, 'group')}; ${formatBytes(found.identical.wastedBytes)} kept more than once.</p>${barList(found.identical.largest.slice(0, 5).map((each) => ({ label: each.paths[0] ?? '', value: each.sizeBytes * (each.pathsTotal - 1), shown: `${formatCount(each.pathsTotal)} × ${formatBytes(each.sizeBytes)}`, detail: each.paths.slice(1, 3).join(', ') })))}` : undefined}`,
  }
}

export function large(report: RepoReport): Chapter | undefined {
  const { large: found, totals } = report
  if (totals.files === 0) return undefined
  return {
    id: 'large',
    title: 'Large and binary files',
    wide: false,
    body: html`<p class="lead">${plural(totals.files, 'file')}, ${formatBytes(totals.sizeBytes)}; ${formatCount(totals.binaryFiles)} binary${found.unmeasured > 0 ? `, ${formatCount(found.unmeasured)} too large to measure by line` : ''}.</p>
${barList(found.files.map((each) => ({ label: each.path, value: each.value, shown: formatBytes(each.value) })))}
${found.binaryKinds.length > 0 ? html`<h3>Binary files by kind</h3><ul class="chips">${found.binaryKinds.map((each) => html`<li>${each.kind} <b>${formatCount(each.files)}</b> <span class="muted">${formatBytes(each.sizeBytes)}</span></li>`)}</ul>` : undefined}`,
  }
}

export function longest(report: RepoReport): Chapter | undefined {
  const rows = report.large.longest
  if (rows.length === 0) return undefined
  return { id: 'longest', title: 'Longest source files', wide: false, body: html`<p class="lead">By physical lines, generated files left out.</p>${barList(rows.map((each) => ({ label: each.path, value: each.value, shown: plural(each.value, 'line') })))}` }
}

export function dependencies(report: RepoReport): Chapter | undefined {
  const { dependencies: found } = report
  if (found === undefined || found.manifestsTotal + found.lockFiles.length === 0) return undefined
  return {
    id: 'dependencies',
    title: 'Dependencies',
    wide: true,
    body: html`<p class="lead">${plural(found.directTotal, 'direct dependency', 'direct dependencies')} in ${plural(found.manifestsTotal, 'manifest')}, ${plural(found.lockFiles.length, 'lock file')}.</p>
<div class="scroll"><table><thead><tr><th>Ecosystem</th><th class="num">Manifests</th><th class="num">Dependencies</th><th class="num">For development</th><th class="num">Locked packages</th></tr></thead><tbody>${Object.entries(found.byEcosystem).map(([name, each]) => html`<tr><td>${name}</td><td class="num">${formatCount(each.manifests)}</td><td class="num">${formatCount(each.dependencies)}</td><td class="num">${formatCount(each.developmentDependencies)}</td><td class="num">${formatCount(each.locked)}</td></tr>`)}</tbody></table></div>
${found.direct.length > 0 ? html`<h3>Named most often</h3><ul class="chips">${found.direct.slice(0, 40).map((each) => html`<li>${each.name}${each.manifests > 1 ? html`<b>${formatCount(each.manifests)}</b>` : undefined}${each.development ? html` <span class="muted">dev</span>` : undefined}</li>`)}</ul>` : undefined}
${found.withoutLockFile.length > 0 ? html`<details><summary>${plural(found.withoutLockFile.length, 'manifest')} without a lock file</summary><ul class="places">${found.withoutLockFile.slice(0, 30).map((path) => html`<li class="path">${breakablePath(path)}</li>`)}</ul></details>` : undefined}
${Object.keys(found.lockedLicences).length > 0 ? html`<h3>Licences of locked packages</h3>${chips(found.lockedLicences, 15)}` : undefined}`,
  }
}

export function licences(report: RepoReport): Chapter | undefined {
  const { licences: found } = report
  if (found.files.length + Object.keys(found.declared).length + Object.keys(found.headers).length === 0) return undefined
  return {
    id: 'licences',
    title: 'Licences',
    wide: false,
    body: html`${found.files.length > 0 ? html`<table><tbody>${found.files.slice(0, 8).map((each) => html`<tr><td class="path">${breakablePath(each.path)}</td><td class="num">${each.licences.join(', ')}</td></tr>`)}</tbody></table>${found.files.length > 8 ? html`<p class="muted">And ${formatCount(found.files.length - 8)} more.</p>` : undefined}` : html`<p class="lead">There is no licence file.</p>`}
${Object.keys(found.declared).length > 0 ? html`<h3>Declared in manifests</h3>${chips(found.declared, 12)}` : undefined}
${Object.keys(found.headers).length > 0 ? html`<h3>SPDX headers in files</h3>${chips(found.headers, 12)}` : undefined}`,
  }
}

export function documentation(report: RepoReport): Chapter | undefined {
  const { documentation: found } = report
  if (found.files === 0) return undefined
  return {
    id: 'documentation',
    title: 'Documentation',
    wide: false,
    body: html`<p class="lead">${plural(found.files, 'document')} with ${plural(found.lines, 'line')}.</p>${Object.keys(found.kinds).length > 0 ? chips(found.kinds) : undefined}<ul class="places">${found.readmes.slice(0, 8).map((path) => html`<li class="path">${breakablePath(path)}</li>`)}</ul>`,
  }
}

export function markers(report: RepoReport): Chapter | undefined {
  const { markers: found, totals } = report
  if (totals.markers === 0) return undefined
  const row = (each: (typeof found.places)[number]) => html`<tr><td>${each.kind}</td><td class="path">${breakablePath(each.path)}:${each.line}</td><td>${each.text}</td></tr>`
  const table = (rows: typeof found.places) => html`<div class="scroll"><table><tbody>${rows.map(row)}</tbody></table></div>`
  return {
    id: 'markers',
    title: 'Notes to self',
    wide: true,
    body: html`${chips(found.byKind)}${table(found.places.slice(0, 10))}${found.places.length > 10 ? html`<details><summary>${formatCount(found.places.length - 10)} more places</summary>${table(found.places.slice(10))}</details>` : undefined}`,
  }
}

export function folder(report: RepoReport): Chapter | undefined {
  const { folder: found, problems } = report
  const list = (title: string, rows: readonly { readonly path: string; readonly reason?: string }[]) =>
    rows.length === 0 ? undefined : html`<details><summary>${title}</summary><ul class="places">${rows.map((each) => html`<li><span class="path">${breakablePath(each.path)}</span>${each.reason === undefined ? undefined : html` <span class="muted">${each.reason}</span>`}</li>`)}</ul></details>`
  if (found.unreadableTotal + found.skippedTotal + found.linksThatLeaveTotal + found.changedWhileRead.length + problems.length === 0) return undefined
  return {
    id: 'folder',
    title: 'What was left out',
    wide: true,
    body: html`${list(`${plural(found.unreadableTotal, 'path')} could not be read`, found.unreadable)}${list(`${plural(found.linksThatLeaveTotal, 'link')} out of the folder, not followed`, found.linksThatLeave.map((path) => ({ path })))}${list(`${plural(found.changedWhileRead.length, 'file')} changed while being read`, found.changedWhileRead.map((path) => ({ path })))}${list(`${plural(found.skippedTotal, 'path')} skipped`, found.skipped)}${list(`${plural(problems.length, 'file')} with a problem`, problems)}`,
  }
}
