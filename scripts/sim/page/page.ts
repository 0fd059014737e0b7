/** A report as one self-contained page: no script, no request, readable in light and dark and on a phone. */
import type { SimulationReport } from '../../../sim/report.ts'
import { bytes, kept, number, percent, time, times, whole } from '../format.ts'
import { loadCards } from './load-cards.ts'
import { nodeCards, nodeTable } from './node-cards.ts'
import { type Html, html } from './html.ts'
import { promiseCard, violationCard } from './promise-cards.ts'
import { style } from './style.ts'
import { timesCards } from './times-cards.ts'
import { trafficCards } from './traffic-cards.ts'

export interface PageAbout {
  /** What the run took of real time. */
  readonly wallMs?: number
  /** What makes the same run again. */
  readonly command: string
}

export function reportPage(report: SimulationReport, { wallMs, command }: PageAbout): string {
  const verdict = kept(report)
  const look = !verdict.checked ? 'unchecked' : verdict.all ? 'good' : 'bad'
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${report.scenario}, seed ${report.seed}: ${verdict.text}</title>
<style>${styleSheet}</style>
</head>
<body>
<main>
<header>
<h1>${report.scenario}<small>seed ${report.seed}</small></h1>
${report.about !== '' && html`<p>${report.about}</p>`}
<div class="verdict ${look}">${verdict.checked ? (verdict.all ? '✓' : '✗') : '–'} ${capital(verdict.text)}</div>
</header>
${tiles(report, wallMs)}
<div class="cards">
${violationCard(report)}
${loadCards(report)}
${timesCards(report)}
${nodeCards(report)}
${trafficCards(report)}
${promiseCard(report)}
${nodeTable(report)}
</div>
<footer>
<div>The same run again: <code>${command}</code></div>
<div>Trace hash <code>${report.traceHash}</code> · ${whole(report.events)} events. All times are virtual: they say how the mesh would behave, not how fast this machine is.</div>
</footer>
</main>
</body>
</html>
`
  return page.text
}

const styleSheet: Html = html([style] as unknown as TemplateStringsArray)

function tiles(report: SimulationReport, wallMs: number | undefined): Html {
  const { missions, flowMs, messages, leaves } = report
  const shown: (readonly [string, string] | false)[] = [
    ['missions completed', `${whole(missions.completed)} of ${whole(missions.submitted)}`],
    ['leaves accepted', whole(leaves.accepted)],
    flowMs.count > 0 && ['flow time, median', time(flowMs.p50)],
    flowMs.count > 0 && ['flow time, p99', time(flowMs.p99)],
    ['slots busy', percent(report.utilisation)],
    messages.perTask !== undefined && ['messages per task', number(messages.perTask)],
    messages.bytesPerTask !== undefined && ['bytes per task', bytes(messages.bytesPerTask)],
    ['nodes', whole(report.nodes)],
    ['virtual time', time(report.virtualMs)],
    wallMs !== undefined && ['faster than real time', times(report.virtualMs / Math.max(1, wallMs))],
  ]
  return html`<section class="tiles">${shown.filter((tile) => tile !== false).map(([name, value]) => html`<div class="tile"><span>${name}</span><b>${value}</b></div>`)}</section>`
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
