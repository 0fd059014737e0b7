/**
 * Small charts as inline SVG. The drawings stretch with the page (their strokes do not), and all text is HTML around them,
 * so that it stays readable on a phone.
 */
import { type Html, html } from './html.ts'

export interface Series {
  readonly name: string
  /** A colour class of style.ts: `c1` … `c5`, `bad`, `muted`. */
  readonly colour: string
  readonly kind: 'area' | 'line' | 'dashed' | 'bars'
  readonly values: readonly number[]
}

export interface TimeChart {
  readonly series: readonly Series[]
  /** When each value was, in the same unit and order. */
  readonly at: readonly number[]
  readonly end: number
  /** Instants to mark with a line, and how many things happened then. */
  readonly marks?: readonly { readonly at: number; readonly count: number }[]
  readonly markName?: string
  readonly show: (value: number) => string
  /** Of a scale in units of 1,024; absent: 1,000. */
  readonly isBinary?: boolean
  readonly showAt: (at: number) => string
  /** One sentence for those who do not see the drawing. */
  readonly label: string
}

const width = 1_000
const height = 100

export function timeChart(chart: TimeChart): Html {
  const { series, at, end, marks = [], show, showAt } = chart
  const top = niceCeiling(largest(series.flatMap((one) => one.values)), chart.isBinary)
  const x = (instant: number): string => fixed((instant / Math.max(end, 1e-9)) * width)
  const y = (value: number): string => fixed(height - (value / top) * height)
  // Half a node cannot be up.
  const ticks = top < 10 && top % 2 !== 0 ? [0, top] : [0, top / 2, top]
  const legend = html`<ul class="legend">${series.map((one) => html`<li><i class="swatch ${one.colour} ${one.kind}"></i>${one.name}</li>`)}${marks.length > 0 && html`<li><i class="swatch bad mark"></i>${chart.markName ?? 'faults'}</li>`}</ul>`
  const drawings = series.map((one) => drawing(one, at, x, y))
  // Where something happens all the time, lines over the whole height would hide what is drawn.
  const markHeight = marks.length > at.length / 5 ? 7 : height
  const counts = new Map(marks.map((mark) => [mark.at, mark.count]))
  const columns = at.map((instant, index) => {
    const from = at[index - 1] ?? 0
    const told = [showAt(instant), ...series.map((one) => `${one.name}: ${show(one.values[index] ?? 0)}`)]
    const count = counts.get(instant)
    if (count !== undefined) told.push(`${chart.markName ?? 'faults'}: ${count}`)
    return html`<rect class="hover" x="${x(from)}" y="0" width="${x(instant - from)}" height="${height}"><title>${told.join('\n')}</title></rect>`
  })
  return html`${legend}<div class="chart" role="img" aria-label="${chart.label}">
<div class="ys" aria-hidden="true">${ticks.map((tick) => html`<span style="bottom:${fixed((tick / top) * 100)}%">${show(tick)}</span>`)}</div>
<svg class="plot" viewBox="0 0 ${width} ${height}" preserveAspectRatio="none">
${ticks.map((tick) => html`<line class="grid" x1="0" x2="${width}" y1="${y(tick)}" y2="${y(tick)}"/>`)}
${marks.map((mark) => html`<line class="bad faultmark" x1="${x(mark.at)}" x2="${x(mark.at)}" y1="0" y2="${markHeight}"/>`)}
${drawings}${columns}
</svg>
<div class="xs" aria-hidden="true">${timeTicks(end).map((tick) => axisText(tick / Math.max(end, 1e-9), showAt(tick).replace(/^0 ms$/, '0').replace(/\.0+ s$/, ' s').replace(/ 00 (s|min)$/, '')))}</div>
</div>`
}

function drawing(series: Series, at: readonly number[], x: (instant: number) => string, y: (value: number) => string): Html {
  const { colour, kind, values } = series
  if (values.length === 0) return html``
  if (kind === 'bars') return html`<path class="${colour} fill" d="${at.map((instant, index) => `M${x(at[index - 1] ?? 0)},${y(0)}V${y(values[index] ?? 0)}H${x(instant)}V${y(0)}Z`).join('')}"/>`
  const points = at.map((instant, index) => `${x(instant)},${y(values[index] ?? 0)}`)
  const line = `M${points.join('L')}`
  const area = kind === 'area' && html`<path class="${colour} wash" d="${line}L${x(at.at(-1) ?? 0)},${y(0)}L${x(at[0] ?? 0)},${y(0)}Z"/>`
  return html`${area}<path class="${colour} line ${kind}" d="${line}"/>`
}

/** A round number, at least `value`. */
export function niceCeiling(value: number, isBinary = false): number {
  if (value <= 0) return 1
  const unit = isBinary ? 1_024 ** Math.max(0, Math.floor(Math.log2(value) / 10)) : 1
  if (unit > 1) return unit * niceCeiling(value / unit)
  const power = 10 ** Math.floor(Math.log10(value))
  return [1, 2, 4, 5, 8, 10].map((step) => step * power).find((step) => step >= value * 0.999) ?? 10 * power
}

/** Not by spreading them as arguments: there may be more than a call takes. */
function largest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), 0)
}

const timeSteps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 21_600_000]
const timeTicksMax = 6

/** Round instants in milliseconds. */
function timeTicks(endMs: number): number[] {
  const step = timeSteps.find((candidate) => endMs / candidate <= timeTicksMax) ?? endMs
  return Array.from({ length: Math.floor(endMs / step + 1e-9) + 1 }, (_, index) => index * step)
}

export interface BarRow {
  readonly label: string
  readonly value: number
  /** What is written after the bar. */
  readonly text: string
  /** Where a tick stands, in the unit of `value`. */
  readonly expected?: number
  readonly colour?: string
  readonly note?: string
  readonly title?: string
}

/** Horizontal bars, one row each. @param most of the scale; absent: the largest value or tick */
export function barRows(rows: readonly (BarRow | 'gap')[], most?: number): Html {
  const there = rows.filter((row) => row !== 'gap')
  const top = most ?? Math.max(1e-9, largest(there.flatMap((row) => [row.value, row.expected ?? 0])))
  return html`<div class="bars">${rows.map((row) => (row === 'gap' ? html`<div class="gap" aria-hidden="true">⋯</div>` : barRow(row, top)))}</div>`
}

function barRow(row: BarRow, top: number): Html {
  const at = (value: number): string => fixed(Math.min(1, value / top) * width)
  const expected = row.expected === undefined ? html`` : html`<line class="tick" x1="${at(row.expected)}" x2="${at(row.expected)}" y1="0" y2="20"/>`
  return html`<div class="row"><span class="name">${row.label}${row.note !== undefined && html` <em>${row.note}</em>`}</span><svg viewBox="0 0 ${width} 20" preserveAspectRatio="none" role="img" aria-label="${row.text}">${row.title !== undefined && html`<title>${row.title}</title>`}<rect class="track" x="0" y="4" width="${width}" height="12"/><rect class="${row.colour ?? 'c1'} fill" x="0" y="4" width="${at(row.value)}" height="12"/>${expected}</svg><span class="value">${row.text}</span></div>`
}

export interface SpreadRow {
  readonly label: string
  readonly count: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
  readonly colour: string
}

/** Percentiles on a logarithmic scale: the dot is the median, the bars reach to the 90th and 99th, the line to the largest. */
export function spreadRows(rows: readonly SpreadRow[], show: (value: number) => string): Html {
  const values = rows.flatMap((row) => [row.p50, row.max]).filter((value) => value > 0)
  if (values.length === 0) return html`<p class="none">Nothing was measured.</p>`
  const low = Math.floor(Math.log10(Math.min(...values)) - 0.05)
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values)) + 0.02))
  const share = (value: number): number => Math.min(1, Math.max(0, (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low)))
  const x = (value: number): string => fixed(share(value) * width)
  const span = (row: SpreadRow): Html => html`<svg viewBox="0 0 ${width} 20" preserveAspectRatio="none" aria-hidden="true">${decades(low, high).map((tick) => html`<line class="grid" x1="${x(tick)}" x2="${x(tick)}" y1="0" y2="20"/>`)}<rect class="${row.colour} fill faint" x="${x(row.p50)}" y="9" width="${fixed((share(row.max) - share(row.p50)) * width)}" height="2"/><rect class="${row.colour} fill half" x="${x(row.p50)}" y="6" width="${fixed((share(row.p99) - share(row.p50)) * width)}" height="8"/><rect class="${row.colour} fill" x="${x(row.p50)}" y="6" width="${fixed((share(row.p90) - share(row.p50)) * width)}" height="8"/></svg><i class="dot ${row.colour}" style="left:${fixed(share(row.p50) * 100)}%"></i>`
  return html`<div class="spreads">${rows.map((row) => html`<div class="spread"><div class="what"><b>${row.label}</b> <span>${row.count.toLocaleString('en-US')} measured</span></div><div class="span">${span(row)}</div><div class="figures"><span>p50 <b>${show(row.p50)}</b></span><span>p90 <b>${show(row.p90)}</b></span><span>p99 <b>${show(row.p99)}</b></span><span>max <b>${show(row.max)}</b></span></div></div>`)}
<div class="xs log" aria-hidden="true">${decades(low, high).map((tick) => axisText(share(tick), decadeText(tick)))}</div></div>`
}

/** Centred under its place, but never beyond the drawing's edges. */
function axisText(share: number, text: string): Html {
  return html`<span class="${share < 0.03 ? 'first' : share > 0.97 ? 'last' : ''}" style="left:${fixed(share * 100)}%">${text}</span>`
}

function decades(low: number, high: number): number[] {
  return Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index))
}

/** Of milliseconds: `0.1 ms`, `10 ms`, `1 s`, `1,000 s`. */
function decadeText(ms: number): string {
  return ms >= 1_000 ? `${(ms / 1_000).toLocaleString('en-US')} s` : `${Number(ms.toPrecision(2))} ms`
}

function fixed(value: number): string {
  return Number(value.toFixed(2)).toString()
}
