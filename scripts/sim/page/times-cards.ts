/** How long things took: missions, leaves, what came back after a fault; and how much of it perfect foresight would have saved. */
import type { Distribution5, SimulationReport } from '../../../sim/report.ts'
import { time, times } from '../format.ts'
import { type SpreadRow, barRows, spreadRows } from './charts.ts'
import { type Html, html } from './html.ts'

const row = (label: string, measured: Distribution5, colour: string): SpreadRow => ({ label, ...measured, colour })

export function timesCards(report: SimulationReport): Html {
  const lasted = [row('flow: submitted to ended', report.flowMs, 'c1'), row('wait: to the first start', report.waitMs, 'c2'), row('run of a leaf', report.runMs, 'c3')].filter(({ count }) => count > 0)
  const back = [row('worker: lost award to the next', report.recoveryMs.worker, 'c3'), row('manager', report.recoveryMs.manager, 'c4'), row('owner: gone to taken over', report.recoveryMs.owner, 'c2')].filter(({ count }) => count > 0)
  const scale = 'The dot is the median, the bar reaches to the 90th percentile and, paler, the 99th; the thin line to the longest.'
  return html`<section class="card"><h2>Times of missions and leaves</h2><p>${scale}</p>${spreadRows(lasted, time)}</section>
<section class="card"><h2>Recovery</h2><p>From the loss of a worker, a manager or an owner to the one that carries on.</p>${back.length === 0 ? html`<p class="none">Nothing had to be recovered.</p>` : spreadRows(back, time)}</section>
${foresight(report)}`
}

function foresight({ clairvoyant, flowMs }: SimulationReport): Html {
  if (clairvoyant === undefined) return html``
  const pair = (name: string, at: 'p50' | 'p90' | 'p99'): Parameters<typeof barRows>[0] => [
    { label: `${name}, this mesh`, value: flowMs[at], text: time(flowMs[at]), colour: 'c1' },
    { label: `${name}, foresight`, value: clairvoyant.flowMs[at], text: time(clairvoyant.flowMs[at]), colour: 'c5' },
  ]
  return html`<section class="card wide"><h2>Against perfect foresight</h2><p>The same work under a scheduler that knows every arrival and length beforehand, and needs no messages: median ${times(clairvoyant.ratioP50)}, 99th percentile ${times(clairvoyant.ratioP99)} of its flow time.</p>${barRows([...pair('median', 'p50'), ...pair('p90', 'p90'), ...pair('p99', 'p99')])}</section>`
}
