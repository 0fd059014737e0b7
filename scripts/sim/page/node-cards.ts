/** Who did the work, and whether that is what its speed and slots would have it do. */
import type { NodeFigures, SimulationReport } from '../../../sim/report.ts'
import { bytes, number, percent, whole } from '../format.ts'
import { expectedShares } from '../report-text.ts'
import { type BarRow, barRows } from './charts.ts'
import { type Html, html } from './html.ts'

/** More nodes than this, and only those with most and least are shown. */
const rowsMax = 30
const endsShown = 12
const tableRowsMax = 2_000

export function nodeCards({ perNode }: SimulationReport): Html {
  const workers = perNode.filter((node) => node.slots > 0 || node.awards > 0).sort((a, b) => b.awards - a.awards || (a.node < b.node ? -1 : 1))
  if (workers.length === 0) return html``
  const expected = expectedShares(perNode)
  const awards = (node: NodeFigures): BarRow => ({
    label: node.node, value: node.share, expected: expected.get(node.node) ?? 0, text: `${whole(node.awards)} · ${percent(node.share)}`, colour: node.conduct === undefined ? 'c1' : 'c2',
    title: `${node.node}: ${whole(node.awards)} awards, ${percent(node.share)}; ${percent(expected.get(node.node) ?? 0)} by its speed and slots`, ...noteOf(node),
  })
  const busy = (node: NodeFigures): BarRow => ({ label: node.node, value: node.utilisation, text: percent(node.utilisation), colour: 'c3', ...noteOf(node) })
  const left = workers.length > rowsMax ? ` The ${endsShown} with most and the ${endsShown} with least of ${whole(workers.length)}.` : ''
  return html`<section class="card"><h2>Awards per node</h2><p>The tick is the share that speed × slots would give.${left}</p>${barRows(ends(workers, awards))}</section>
<section class="card"><h2>Busy time per node</h2><p>Of its slots, while the node was up.${left}</p>${barRows(ends(workers, busy), 1)}</section>`
}

function noteOf({ conduct }: NodeFigures): { note?: string } {
  return conduct === undefined ? {} : { note: conduct }
}

function ends(nodes: readonly NodeFigures[], row: (node: NodeFigures) => BarRow): (BarRow | 'gap')[] {
  if (nodes.length <= rowsMax) return nodes.map(row)
  return [...nodes.slice(0, endsShown).map(row), 'gap', ...nodes.slice(-endsShown).map(row)]
}

export function nodeTable({ perNode }: SimulationReport): Html {
  const shown = perNode.slice(0, tableRowsMax)
  const missing = perNode.length - shown.length
  const row = (node: NodeFigures): Html => html`<tr><td>${node.node}</td><td>${node.conduct ?? ''}</td><td class="n">${node.slots}</td><td class="n">${number(node.speed)}</td><td class="n">${whole(node.awards)}</td><td class="n">${whole(node.accepted)}</td><td class="n">${whole(node.failed)}</td><td class="n">${whole(node.lost)}</td><td class="n">${percent(node.utilisation)}</td><td class="n">${whole(node.messages)}</td><td class="n">${bytes(node.bytes)}</td><td class="n">${whole(node.lives)}</td></tr>`
  return html`<section class="card wide"><details><summary>All ${whole(perNode.length)} nodes</summary><div class="scroll"><table><thead><tr><th>node</th><th>conduct</th><th class="n">slots</th><th class="n">speed</th><th class="n">awards</th><th class="n">accepted</th><th class="n">failed</th><th class="n">lost</th><th class="n">busy</th><th class="n">messages</th><th class="n">bytes</th><th class="n">lives</th></tr></thead><tbody>${shown.map(row)}</tbody></table></div>${missing > 0 && html`<p class="none">and ${whole(missing)} more, in the JSON file</p>`}</details></section>`
}
