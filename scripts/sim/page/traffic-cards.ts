/** What went over the wires, and what went wrong. */
import type { SimulationReport } from '../../../sim/report.ts'
import { bytes, number, percent, whole } from '../format.ts'
import { barRows, timeChart } from './charts.ts'
import { type Html, html } from './html.ts'
import { overTime } from './load-cards.ts'

const kindsShown = 12

export function trafficCards(report: SimulationReport): Html {
  const { buckets, messages } = report
  const common = overTime(report)
  const perTask = messages.perTask === undefined ? '' : `${number(messages.perTask)} per task${messages.addedPerTask === undefined ? '' : `, ${number(messages.addedPerTask)} of them because of it`}. `
  const charts = buckets.length === 0 ? html`` : html`<section class="card"><h2>Messages</h2><p>${whole(messages.total)} in all. ${perTask}The busiest node has ${whole(messages.perNode.max)}.</p>
${timeChart({ ...common, show: whole, label: 'Messages over time', series: [{ name: 'messages', colour: 'c4', kind: 'area', values: buckets.map((bucket) => bucket.messages) }] })}</section>
<section class="card"><h2>Bytes</h2><p>${bytes(messages.bytes)} in all.${messages.bytesPerTask === undefined ? '' : ` ${bytes(messages.bytesPerTask)} per task.`} The busiest node has ${bytes(messages.bytesPerNode.max)}.</p>
${timeChart({ ...common, show: bytes, isBinary: true, label: 'Bytes over time', series: [{ name: 'bytes', colour: 'c1', kind: 'area', values: buckets.map((bucket) => bucket.bytes) }] })}</section>`
  return html`${charts}${kindsCard(report)}${faultsCard(report)}`
}

function kindsCard({ messages }: SimulationReport): Html {
  const kinds = Object.entries(messages.byKind).filter(([, count]) => count > 0).sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
  const all = kinds.reduce((sum, [, count]) => sum + count, 0)
  const rest = kinds.slice(kindsShown)
  const shown = [...kinds.slice(0, kindsShown), ...(rest.length > 0 ? [[`${rest.length} others`, rest.reduce((sum, [, count]) => sum + count, 0)] as const] : [])]
  const rows = shown.map(([label, count]) => ({ label, value: count, text: `${whole(count)} · ${percent(count / all)}`, colour: 'c4' }))
  return html`<section class="card"><h2>Messages by kind</h2>${rows.length === 0 ? html`<p class="none">There were none.</p>` : barRows(rows)}</section>`
}

function faultsCard({ faults }: SimulationReport): Html {
  const kinds = Object.entries(faults).filter(([, count]) => count > 0).sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
  if (kinds.length === 0) return html`<section class="card"><h2>Faults</h2><p class="none">None was injected.</p></section>`
  const all = kinds.reduce((sum, [, count]) => sum + count, 0)
  return html`<section class="card"><h2>Faults</h2><p>${whole(all)} injected, of ${kinds.length} ${kinds.length === 1 ? 'kind' : 'kinds'}.</p>${barRows(kinds.map(([label, count]) => ({ label, value: count, text: whole(count), colour: 'bad' })))}</section>`
}
