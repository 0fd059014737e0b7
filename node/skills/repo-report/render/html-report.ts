/** The report as one self-contained page: no script, nothing loaded, every value escaped. */
import type { Finding, RepoReport } from '../report-model.ts'
import type { ReportSection } from '../schema.ts'
import { formatCount, plural } from './format.ts'
import * as chapters from './html-sections.ts'
import type { Chapter } from './html-sections.ts'
import { reportStyle } from './html-style.ts'
import { html, Html } from './html-text.ts'
import { headlineOf } from './summary.ts'

const order: readonly (readonly [ReportSection | undefined, (report: RepoReport) => Chapter | undefined])[] = [
  ['secrets', chapters.secrets],
  ['languages', chapters.languages],
  ['languages', chapters.lines],
  ['tests', chapters.tests],
  ['history', chapters.history],
  ['complexity', chapters.complexity],
  ['duplicates', chapters.duplicates],
  ['large', chapters.longest],
  ['large', chapters.large],
  ['dependencies', chapters.dependencies],
  ['licences', chapters.licences],
  ['documentation', chapters.documentation],
  ['markers', chapters.markers],
  [undefined, chapters.folder],
]

const signs: Readonly<Record<Finding['level'], string>> = { problem: '✕', warning: '!', good: '✓', note: 'i' }

/** A skein of geese, seen from below. */
const mark = new Html('<svg viewBox="0 0 52 32" aria-hidden="true"><path d="M4 6q5-4 8 2q3-6 8-2M20 20q5-4 8 2q3-6 8-2M32 8q5-4 8 2q3-6 8-2"/></svg>')

export function renderHtml(report: RepoReport): string {
  const shown = order.filter(([section]) => section === undefined || report.sections.includes(section)).map(([, chapter]) => chapter(report)).filter((chapter) => chapter !== undefined)
  const origin = [report.source, report.branch === undefined ? undefined : `branch ${report.branch}`].filter((part) => part !== undefined).join(' · ')
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="referrer" content="no-referrer"><title>${report.name} · repository report</title><style>${new Html(reportStyle)}</style></head><body>
<header class="top"><div class="inner"><div class="brand">${mark}<span>Skein repository report</span></div><h1>${report.name}</h1>
<div class="origin">${origin}${origin !== '' && report.commit !== undefined ? ' · ' : ''}${report.commit === undefined ? undefined : html`<code>${report.commit.slice(0, 12)}</code>`}</div>
<nav aria-label="Chapters">${shown.map((chapter) => html`<a href="#${chapter.id}">${chapter.title}</a>`)}</nav></div></header>
<main><div class="tiles">${headlineOf(report).map((each) => html`<div class="tile${each.label.startsWith('probable secret') && report.totals.secrets > 0 ? ' alarm' : ''}"><div class="label">${each.label}</div><div class="value">${each.value}</div><div class="detail">${each.detail}</div></div>`)}</div>
${missingBanner(report)}
<section class="card" id="findings"><h2>Findings</h2><ul class="findings">${report.findings.map((finding) => html`<li class="${finding.level}"><span class="sign" role="img" aria-label="${finding.level}">${signs[finding.level]}</span><div>${finding.text}</div></li>`)}</ul></section>
<div class="grid">${widened(shown).map((chapter) => html`<section class="card${chapter.wide ? ' wide' : ''}" id="${chapter.id}"><h2>${chapter.title}</h2>${chapter.body}</section>`)}</div></main>
<footer>Made by the nodes of a Skein mesh. Complexity, tests and secrets are found by rules of thumb; the numbers of lines and files are counted.</footer>
</body></html>
`
  return page.text
}

/** A narrow card without a neighbour takes the whole width. */
function widened(shown: readonly Chapter[]): Chapter[] {
  const result: Chapter[] = []
  for (let index = 0; index < shown.length; index++) {
    const chapter = shown[index]
    if (chapter === undefined) break
    const neighbour = shown[index + 1]
    if (chapter.wide) {
      result.push(chapter)
    } else if (neighbour !== undefined && !neighbour.wide) {
      result.push(chapter, neighbour)
      index++
    } else {
      result.push({ ...chapter, wide: true })
    }
  }
  return result
}

function missingBanner(report: RepoReport): Html | undefined {
  if (report.missing.length === 0) return undefined
  return html`<section class="banner" role="alert"><b>This report is incomplete.</b> ${plural(report.missing.length, 'part')} of the work failed for good${report.missingFiles > 0 ? `; ${formatCount(report.missingFiles)} files are in none of the numbers` : ''}.<ul>${report.missing.map((part) => html`<li><code>${part.part}</code>: ${part.reason}</li>`)}</ul></section>`
}
