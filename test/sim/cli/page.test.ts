import { describe, expect, test } from 'vitest'
import { niceCeiling } from '../../../scripts/sim/page/charts.ts'
import { html } from '../../../scripts/sim/page/html.ts'
import { reportPage } from '../../../scripts/sim/page/page.ts'
import { reportText } from '../../../scripts/sim/report-text.ts'
import { loadScenario } from '../../../scripts/sim/scenario-file.ts'
import { coloursFor } from '../../../node/cli/view/colours.ts'
import type { Distribution5, SimulationReport } from '../../../sim/report.ts'
import { createFakeSimulation } from './fake-simulation.ts'
import { scenarios } from './sim-fixture.ts'

const nothing: Distribution5 = { count: 0, mean: 0, p50: 0, p90: 0, p99: 0, max: 0 }
const empty: SimulationReport = {
  scenario: 'empty', about: '', seed: 1, traceHash: '0000000000000000', nodes: 0, virtualMs: 0, events: 0,
  missions: { submitted: 0, acknowledged: 0, completed: 0, failed: 0, cancelled: 0, refused: 0, unknown: 0, unended: 0 },
  leaves: { accepted: 0, dead: 0, cancelled: 0, awards: 0, repeated: 0 }, flowMs: nothing, waitMs: nothing, runMs: nothing, utilisation: 0,
  messages: { total: 0, bytes: 0, perNode: nothing, bytesPerNode: nothing, byKind: {} }, recoveryMs: { worker: nothing, manager: nothing, owner: nothing },
  faults: {}, perNode: [], buckets: [], promises: [], violations: [],
}

async function report(seed: number): Promise<SimulationReport> {
  return (await (await createFakeSimulation({ ...loadScenario('flock', '/', scenarios), seed })).finish()).report
}

const page = (of: SimulationReport): string => reportPage(of, { wallMs: 5, command: 'skein sim run x' })
const text = (of: SimulationReport): string => reportText(of, coloursFor(false, {}), 100, 5).join('\n')

describe('the page', () => {
  test('asks for nothing from outside and runs no script', async () => {
    const made = page(await report(3))
    expect(made).not.toMatch(/https?:|<script|<link|<img|@import|url\(|src=|href=/)
    expect(made).toContain('Content-Security-Policy')
    expect(made).toContain('prefers-color-scheme:dark')
    expect(made).toContain('name="viewport"')
  })

  test('has all its parts', async () => {
    const made = page(await report(13))
    for (const title of ['Broken promises', 'Load', 'Missions', 'Nodes', 'Times of missions and leaves', 'Recovery', 'Against perfect foresight', 'Awards per node', 'Busy time per node', 'Messages', 'Bytes', 'Messages by kind', 'Faults', 'Promises']) expect(made).toContain(`<h2>${title}</h2>`)
    expect(made).toContain('class="bad faultmark"')
    expect(made).toContain('class="tick"')
  })

  test('escapes whatever a scenario, a node or a violation says', async () => {
    const evil = '<b onclick="x">\'&'
    const of = await report(13)
    const made = page({ ...of, about: evil, perNode: of.perNode.map((node) => ({ ...node, node: evil, conduct: evil })), violations: [{ promise: evil, detail: evil, atMs: 1 }], messages: { ...of.messages, byKind: { [evil]: 3 } } })
    expect(made).not.toContain('<b onclick')
    expect(made).toContain('&lt;b onclick=&quot;x&quot;&gt;&#39;&amp;')
  })

  test('is sound when there is nothing to show, and when there is very much', async () => {
    expect(page(empty)).not.toMatch(/NaN|Infinity|undefined/)
    const of = await report(3)
    const [node, bucket] = [of.perNode[0], of.buckets[0]]
    if (node === undefined || bucket === undefined) throw new Error('the made-up report has neither')
    const large = page({ ...of, perNode: Array.from({ length: 10_000 }, (_, at) => ({ ...node, node: `n-${at}`, awards: at })), buckets: Array.from({ length: 5_000 }, (_, at) => ({ ...bucket, atMs: at })) })
    expect(large).not.toMatch(/NaN|Infinity|undefined/)
    expect(large).toContain('The 12 with most and the 12 with least of 10,000')
  })

  test.each([[0, 1], [1, 1], [3, 4], [11, 20], [431, 500], [0.07, 0.08]])('a scale for %d ends at %d', (value, top) => {
    expect(niceCeiling(value)).toBeCloseTo(top, 9)
  })

  test('a scale of bytes ends at a round number of KiB', () => {
    expect(niceCeiling(3_500, true)).toBe(4_096)
  })

  test('a template escapes what is put into it, and nests', () => {
    expect(html`<p>${'<'}${html`<i>${'&'}</i>`}${[html`a`, html`b`]}${false}${undefined}${3}</p>`.text).toBe('<p>&lt;<i>&amp;</i>ab3</p>')
  })
})

describe('the text', () => {
  test('is sound when there is nothing to tell', () => {
    expect(text(empty)).not.toMatch(/NaN|Infinity|undefined/)
    expect(text(empty)).toContain('The promises were not checked.')
  })

  test('shows the nodes with most and with least awards', async () => {
    const of = await report(3)
    const [node] = of.perNode
    if (node === undefined) throw new Error('the made-up report has none')
    const told = text({ ...of, perNode: Array.from({ length: 100 }, (_, at) => ({ ...node, node: `n-${at}`, awards: at })) })
    expect(told).toContain('n-99')
    expect(told).toContain('n-0 ')
    expect(told).toContain('88 more')
    expect(told).not.toContain('n-50')
  })
})
