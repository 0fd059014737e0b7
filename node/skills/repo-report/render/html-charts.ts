/** Charts as inline SVG or plain boxes; no scripts, colours from the page's own palette. */
import { formatCount, formatPercent, share } from './format.ts'
import { breakablePath, html } from './html-text.ts'
import type { Html } from './html-text.ts'

const palette = ['#4c78a8', '#e58606', '#5d9a5f', '#c0504d', '#8a6bb1', '#2a9d9c', '#b56576', '#7f7f7f', '#a88f2d', '#5b8db8']

/** A worker's result names the colour: only a plain one is let into the page. */
export function safeColor(color: string | undefined, index: number): string {
  return color !== undefined && /^#[0-9a-f]{6}$/i.test(color) ? color : (palette[index % palette.length] ?? '#888888')
}

export interface Segment {
  readonly label: string
  readonly value: number
  readonly color?: string
}

/** One bar in proportional segments with its legend; what is small is gathered as "other". */
export function stackedBar(segments: readonly Segment[], segmentsMax: number): Html {
  const whole = segments.reduce((sum, segment) => sum + segment.value, 0)
  if (whole === 0) return html``
  const shown = segments.filter((segment) => segment.value > 0).slice(0, segmentsMax)
  const rest = whole - shown.reduce((sum, segment) => sum + segment.value, 0)
  const all = rest > 0 ? [...shown, { label: 'other', value: rest, color: '#9aa3ad' }] : shown
  return html`<div class="stack" role="img" aria-label="${all.map((each) => `${each.label} ${formatPercent(each.value / whole)}`).join(', ')}">${all.map(
    (each, index) => html`<span style="flex-grow:${each.value};background:${safeColor(each.color, index)}" title="${each.label}: ${formatCount(each.value)}"></span>`,
  )}</div>
<ul class="legend">${all.map((each, index) => html`<li><i style="background:${safeColor(each.color, index)}"></i>${each.label} <b>${formatPercent(each.value / whole)}</b></li>`)}</ul>`
}

export interface BarRow {
  /** A path, or a name. */
  readonly label: string
  readonly value: number
  readonly shown: string
  readonly detail?: string
}

/** Horizontal bars with their labels above, so that long paths fit a phone. */
export function barList(rows: readonly BarRow[], tone = ''): Html {
  const most = Math.max(1, ...rows.map((row) => row.value))
  return html`<ol class="bars ${tone}">${rows.map(
    (row) => html`<li><div class="bar-head"><span class="path">${breakablePath(row.label)}</span><span class="num">${row.shown}</span></div>
<div class="track"><span style="width:${Math.max(1, share(row.value, most) * 100).toFixed(1)}%"></span></div>${row.detail === undefined ? undefined : html`<div class="detail">${row.detail}</div>`}</li>`,
  )}</ol>`
}

/** Commits per month as columns. */
export function monthColumns(months: readonly { readonly month: string; readonly commits: number }[]): Html {
  const all = filledMonths(months).slice(-60)
  const first = all[0]
  const last = all.at(-1)
  if (first === undefined || last === undefined || all.length < 2) return html``
  const most = Math.max(1, ...all.map((each) => each.commits))
  const step = 600 / all.length
  const gap = Math.min(3, step * 0.25)
  return html`<figure class="chart"><svg viewBox="0 0 600 120" preserveAspectRatio="none" role="img" aria-label="commits per month from ${first.month} to ${last.month}">
<line x1="0" x2="600" y1="119.5" y2="119.5" class="axis"/>${all.map((each, index) => {
    const height = each.commits === 0 ? 0 : Math.max(2, (each.commits / most) * 112)
    return html`<rect x="${(index * step + gap / 2).toFixed(2)}" y="${(119 - height).toFixed(2)}" width="${Math.max(1, step - gap).toFixed(2)}" height="${height.toFixed(2)}" rx="1.5"><title>${each.month}: ${formatCount(each.commits)} commits</title></rect>`
  })}</svg><figcaption><span>${first.month}</span><span>at most ${formatCount(most)} commits a month</span><span>${last.month}</span></figcaption></figure>`
}

function filledMonths(months: readonly { readonly month: string; readonly commits: number }[]): { month: string; commits: number }[] {
  const known = new Map(months.map((each) => [each.month, each.commits]))
  const first = months[0]?.month
  const last = months.at(-1)?.month
  if (first === undefined || last === undefined) return []
  const filled: { month: string; commits: number }[] = []
  let [year = 1970, month = 1] = first.split('-').map(Number)
  for (let guard = 0; guard < 2_400; guard++) {
    const key = `${String(year).padStart(4, '0')}-${String(month).padStart(2, '0')}`
    filled.push({ month: key, commits: known.get(key) ?? 0 })
    if (key >= last) break
    month++
    if (month > 12) {
      month = 1
      year++
    }
  }
  return filled
}

/** Three proportions of one whole as a ring. */
export function ring(parts: readonly { readonly label: string; readonly value: number; readonly tone: string }[], centre: string, caption: string): Html {
  const whole = parts.reduce((sum, part) => sum + part.value, 0)
  if (whole === 0) return html``
  const around = 2 * Math.PI * 42
  let from = 0
  const arcs = parts.map((part) => {
    const length = (part.value / whole) * around
    const arc = html`<circle class="${part.tone}" cx="60" cy="60" r="42" stroke-dasharray="${Math.max(0, length - 1.5).toFixed(2)} ${(around - Math.max(0, length - 1.5)).toFixed(2)}" stroke-dashoffset="${(-from).toFixed(2)}"><title>${part.label}: ${formatCount(part.value)}</title></circle>`
    from += length
    return arc
  })
  return html`<div class="ring"><svg viewBox="0 0 120 120" role="img" aria-label="${parts.map((part) => `${part.label} ${formatPercent(part.value / whole)}`).join(', ')}"><g transform="rotate(-90 60 60)">${arcs}</g><text x="60" y="60" class="ring-value">${centre}</text><text x="60" y="76" class="ring-label">${caption}</text></svg>
<ul class="legend column">${parts.map((part) => html`<li><i class="${part.tone}"></i>${part.label} <b>${formatCount(part.value)}</b> <span class="muted">${formatPercent(part.value / whole)}</span></li>`)}</ul></div>`
}
