/** What was promised, and whether it was kept. */
import type { SimulationReport } from '../../../sim/report.ts'
import { time, whole } from '../format.ts'
import { type Html, html } from './html.ts'

/** Nothing, when nothing was broken. */
export function violationCard({ violations }: SimulationReport): Html {
  if (violations.length === 0) return html``
  return html`<section class="card wide broken"><h2>Broken promises</h2><ul class="violations">${violations.map((violation) => html`<li><b>${violation.promise}</b> ${violation.detail} <span>at ${time(violation.atMs)}${violation.missionId !== undefined && html`, mission ${violation.missionId}`}</span></li>`)}</ul></section>`
}

export function promiseCard({ promises }: SimulationReport): Html {
  if (promises.length === 0) return html`<section class="card wide"><h2>Promises</h2><p class="none">They were not checked in this run.</p></section>`
  const row = (entry: SimulationReport['promises'][number]): Html => html`<tr><td class="mark ${entry.violations === 0 ? 'good' : 'bad'}">${entry.violations === 0 ? '✓' : '✗'} ${entry.promise}</td><td>${entry.says}</td><td class="n">${entry.violations === 0 ? 'kept' : `broken ${entry.violations === 1 ? 'once' : `${whole(entry.violations)} times`}`}</td></tr>`
  return html`<section class="card wide"><h2>Promises</h2><p>Each is checked on everything that happened in the run, by an observer who sees all nodes.</p><table><tbody>${promises.map(row)}</tbody></table></section>`
}
