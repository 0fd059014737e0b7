/** What a soak says in the end, or when somebody stops it. */
import { quantileOf, text } from '../bench/figure.ts'
import { tableHead, tableRow } from '../bench/table.ts'
import type { Tally } from './load.ts'
import type { Sample } from './samples.ts'
import { type Point, type Trend, type Verdict, lastTwoThirds, trendOf, verdictOf } from './trend.ts'

export interface Soaked {
  readonly machine: string
  readonly nodes: readonly string[]
  readonly tally: Tally
  readonly samples: readonly Sample[]
  /** Saturated, before the load; absent when the rate was given. */
  readonly saturatedPerSecond?: number
  readonly askedPerSecond: number
  readonly tasksPerMission: number
  readonly tookMs: number
  /** Of the missions that were asked for once more in the end. */
  readonly lookedAgain?: { readonly missions: number; readonly missing: number }
  readonly interrupted: boolean
}

type Measure = 'rssBytes' | 'heapBytes' | 'externalBytes' | 'files' | 'storeBytes' | 'descriptors'

interface Grown {
  readonly atStart: number
  readonly atEnd: number
  /** Over the last two thirds, per hour. */
  readonly trend: Trend
  readonly verdict: Verdict
}

interface NodeReport extends Readonly<Record<Measure, Grown>> {
  readonly node: string
  readonly samples: number
  /** Of the 99th percentiles of each interval between samples: the median; of the longest delays: the longest. */
  readonly loopDelayP99Ms: number
  readonly loopDelayMaxMs: number
  readonly cpuMicrosPerTask: number
}

const MB = 1e6

export interface Summary {
  readonly part: 'soak'
  readonly machine: string
  readonly minutes: number
  readonly interrupted: boolean
  readonly tasks: Omit<Tally, 'missionMs' | 'completed'>
  readonly lookedAgain?: { readonly missions: number; readonly missing: number }
  readonly perSecond: { readonly saturated?: number; readonly asked: number; readonly done: number }
  readonly missions: { readonly tasks: number; readonly completed: number; readonly p50Ms: number; readonly p95Ms: number }
  readonly nodes: readonly NodeReport[]
}

export function summaryOf({ machine, nodes, tally, samples, saturatedPerSecond, askedPerSecond, tasksPerMission, tookMs, lookedAgain, interrupted }: Soaked): Summary {
  const { missionMs, completed, ...tasks } = tally
  return {
    part: 'soak', machine, minutes: tookMs / 60_000, interrupted, tasks,
    ...(lookedAgain === undefined ? {} : { lookedAgain }),
    perSecond: { ...(saturatedPerSecond === undefined ? {} : { saturated: saturatedPerSecond }), asked: askedPerSecond, done: tally.done / (tookMs / 1_000) },
    missions: { tasks: tasksPerMission, completed: completed.length, p50Ms: quantileOf(missionMs, 0.5), p95Ms: quantileOf(missionMs, 0.95) },
    nodes: nodes.map((node) => nodeReport(node, samples.filter((sample) => sample.node === node), tally.done)),
  }
}

function nodeReport(node: string, samples: readonly Sample[], tasksDone: number): NodeReport {
  const grown = (measure: Measure): Grown => {
    const points: Point[] = samples.filter((sample) => Number.isFinite(sample[measure])).map((sample) => ({ atMs: sample.atMs, value: sample[measure] }))
    const trend = trendOf(lastTwoThirds(points))
    return { atStart: points[0]?.value ?? Number.NaN, atEnd: points.at(-1)?.value ?? Number.NaN, trend, verdict: verdictOf(trend) }
  }
  const finite = (of: (sample: Sample) => number): number[] => samples.map(of).filter(Number.isFinite)
  return {
    node, samples: samples.length,
    rssBytes: grown('rssBytes'), heapBytes: grown('heapBytes'), externalBytes: grown('externalBytes'), files: grown('files'), storeBytes: grown('storeBytes'), descriptors: grown('descriptors'),
    loopDelayP99Ms: quantileOf(finite(({ loopDelayP99Ms }) => loopDelayP99Ms), 0.5),
    loopDelayMaxMs: Math.max(...finite(({ loopDelayMaxMs }) => loopDelayMaxMs), 0),
    cpuMicrosPerTask: ((samples.at(-1)?.cpuMicros ?? Number.NaN) - (samples[0]?.cpuMicros ?? Number.NaN)) / tasksDone,
  }
}

export function describeSummary({ machine, minutes, interrupted, tasks, lookedAgain, perSecond, missions, nodes }: Summary): string {
  const again = lookedAgain === undefined ? 'not looked at again' : `of ${lookedAgain.missions} missions looked at again from every node ${lookedAgain.missing} results were missing`
  return [
    machine,
    interrupted ? `Interrupted after ${minutes.toFixed(1)} minutes.` : `${minutes.toFixed(1)} minutes.`,
    '',
    tableHead(['tasks done', 'lost', 'under way', 'tasks/s', 'asked', 'saturated', `missions of ${missions.tasks}`, 'p50, ms', 'p95, ms', 'late', 'turned away']),
    tableRow([count(tasks.done), count(tasks.lost), count(tasks.underWay), text(perSecond.done), text(perSecond.asked), perSecond.saturated === undefined ? '–' : text(perSecond.saturated), count(missions.completed), text(missions.p50Ms), text(missions.p95Ms), count(tasks.late), count(tasks.turnedAway)]),
    '',
    tableHead(['node', 'RSS, MB', 'RSS, MB/h', 'heap, MB', 'heap, MB/h', 'outside the heap, MB/h', 'store, MB', 'store, MB/h', 'files', 'open', 'loop delay p99 / most, ms', 'processor, µs a task']),
    ...nodes.map((node) => tableRow([
      node.node, span(node.rssBytes, MB), slope(node.rssBytes, MB), span(node.heapBytes, MB), slope(node.heapBytes, MB), slope(node.externalBytes, MB), span(node.storeBytes, MB), slope(node.storeBytes, MB),
      span(node.files, 1), span(node.descriptors, 1), `${text(node.loopDelayP99Ms)} / ${text(node.loopDelayMaxMs)}`, text(node.cpuMicrosPerTask),
    ])),
    '',
    `Slopes are of the last two thirds, ± their standard error. ${tasks.lost === 0 ? 'No task was lost' : `${count(tasks.lost)} tasks were LOST`}; ${again}.`,
    ...nodes.map(verdictLine),
    ...tasks.complaints,
  ].join('\n')
}

/** Whether its memory is flat, and what the store did meanwhile. */
function verdictLine({ node, rssBytes, heapBytes, storeBytes }: NodeReport): string {
  const words: Readonly<Record<Verdict, string>> = { flat: 'is flat', grows: 'GROWS', shrinks: 'shrinks', 'too short to tell': 'cannot be told in so short a time' }
  const perHour = (grown: Grown): string => `${slope(grown, MB)} MB/h`
  return `${node}: memory ${words[rssBytes.verdict]} (resident ${perHour(rssBytes)}, heap ${perHour(heapBytes)}: ${heapBytes.verdict}); its store: ${perHour(storeBytes)}.`
}

function span({ atStart, atEnd }: Grown, unit: number): string {
  return `${text(atStart / unit)} → ${text(atEnd / unit)}`
}

function slope({ trend: { slopePerHour, standardError } }: Grown, unit: number): string {
  return `${slopePerHour >= 0 ? '+' : ''}${text(slopePerHour / unit)} ± ${text(standardError / unit)}`
}

function count(value: number): string {
  return value.toLocaleString('en-US')
}
