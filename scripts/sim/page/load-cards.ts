/** How busy the mesh was over time, and what came in and went out. */
import type { SimulationReport } from '../../../sim/report.ts'
import { time, whole } from '../format.ts'
import { type TimeChart, timeChart } from './charts.ts'
import { type Html, html } from './html.ts'

export function loadCards(report: SimulationReport): Html {
  const { buckets } = report
  if (buckets.length === 0) return html``
  const common = overTime(report)
  const submitted = summed(buckets.map((bucket) => bucket.submitted))
  const completed = summed(buckets.map((bucket) => bucket.completed))
  const failed = summed(buckets.map((bucket) => bucket.failed))
  return html`<section class="card wide"><h2>Load</h2><p>Leaves that run and leaves that wait for an award, and how many slots there are to run them.</p>
${timeChart({
    ...common, show: whole, label: 'Leaves running and waiting, and slots, over time',
    series: [
      { name: 'slots up', colour: 'c5', kind: 'dashed', values: buckets.map((bucket) => bucket.slotsUp) },
      { name: 'slots busy', colour: 'c3', kind: 'line', values: buckets.map((bucket) => bucket.slotsBusy) },
      { name: 'leaves running', colour: 'c1', kind: 'area', values: buckets.map((bucket) => bucket.running) },
      { name: 'leaves waiting', colour: 'c2', kind: 'line', values: buckets.map((bucket) => bucket.waiting) },
    ],
  })}</section>
<section class="card"><h2>Missions</h2><p>All that were submitted and all that ended, up to each instant.</p>
${timeChart({
    ...common, show: whole, label: 'Missions submitted, completed and failed, over time',
    series: [
      { name: 'submitted', colour: 'c5', kind: 'line', values: submitted },
      { name: 'completed', colour: 'c1', kind: 'area', values: completed },
      ...((failed.at(-1) ?? 0) > 0 ? [{ name: 'failed', colour: 'c2', kind: 'line' as const, values: failed }] : []),
    ],
  })}</section>
<section class="card"><h2>Nodes</h2><p>How many were up.</p>
${timeChart({ ...common, show: whole, label: 'Nodes up, over time', series: [{ name: 'nodes up', colour: 'c3', kind: 'area', values: buckets.map((bucket) => bucket.nodesUp) }] })}</section>`
}

/** What all charts over time share: the instants and the faults. */
export function overTime({ buckets, virtualMs }: SimulationReport): Omit<TimeChart, 'series' | 'show' | 'label'> {
  return {
    at: buckets.map((bucket) => bucket.atMs), end: Math.max(virtualMs, buckets.at(-1)?.atMs ?? 0), showAt: time,
    marks: buckets.filter((bucket) => bucket.faults > 0).map((bucket) => ({ at: bucket.atMs, count: bucket.faults })), markName: 'faults',
  }
}

function summed(values: readonly number[]): number[] {
  let sum = 0
  return values.map((value) => (sum += value))
}
