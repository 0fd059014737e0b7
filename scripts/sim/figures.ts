/** The main figures of a report, for comparing. */
import type { SimulationReport } from '../../sim/report.ts'
import { bytes, number, percent, time, times, whole } from './format.ts'

export interface Figure {
  readonly name: string
  /** For JSON. */
  readonly key: string
  /** Undefined: this run has none. */
  of(report: SimulationReport): number | undefined
  show(value: number): string
}

const recovery = (who: 'worker' | 'manager' | 'owner'): Figure => ({
  name: `recovery of a lost ${who}, median`, key: `${who}RecoveryP50Ms`, show: time,
  of: ({ recoveryMs }) => (recoveryMs[who].count === 0 ? undefined : recoveryMs[who].p50),
})

const spread = (name: string, key: 'flowMs' | 'waitMs' | 'runMs', at: 'p50' | 'p90' | 'p99'): Figure => ({
  name: `${name}, ${at === 'p50' ? 'median' : `${at.slice(1)}th percentile`}`, key: `${key.slice(0, -2)}${at.toUpperCase()}Ms`, show: time,
  of: (report) => (report[key].count === 0 ? undefined : report[key][at]),
})

export const figures: readonly Figure[] = [
  { name: 'missions completed', key: 'completed', show: whole, of: ({ missions }) => missions.completed },
  { name: 'missions failed', key: 'failed', show: whole, of: ({ missions }) => missions.failed },
  { name: 'missions not ended', key: 'unended', show: whole, of: ({ missions }) => missions.unended },
  { name: 'leaves accepted', key: 'leavesAccepted', show: whole, of: ({ leaves }) => leaves.accepted },
  { name: 'awards made again', key: 'repeated', show: whole, of: ({ leaves }) => leaves.repeated },
  spread('flow time', 'flowMs', 'p50'), spread('flow time', 'flowMs', 'p90'), spread('flow time', 'flowMs', 'p99'),
  spread('wait', 'waitMs', 'p50'), spread('wait', 'waitMs', 'p99'), spread('run of a leaf', 'runMs', 'p50'),
  { name: 'slots busy', key: 'utilisation', show: percent, of: ({ utilisation }) => utilisation },
  { name: 'messages', key: 'messages', show: whole, of: ({ messages }) => messages.total },
  { name: 'messages per task', key: 'messagesPerTask', show: number, of: ({ messages }) => messages.perTask },
  { name: 'messages that a task adds', key: 'messagesAddedPerTask', show: number, of: ({ messages }) => messages.addedPerTask },
  { name: 'bytes per task', key: 'bytesPerTask', show: bytes, of: ({ messages }) => messages.bytesPerTask },
  { name: 'messages of the busiest node', key: 'messagesPerNodeMax', show: whole, of: ({ messages }) => messages.perNode.max },
  recovery('worker'), recovery('manager'), recovery('owner'),
  { name: 'against perfect foresight, median', key: 'clairvoyantRatioP50', show: times, of: ({ clairvoyant }) => clairvoyant?.ratioP50 },
  { name: 'against perfect foresight, 99th percentile', key: 'clairvoyantRatioP99', show: times, of: ({ clairvoyant }) => clairvoyant?.ratioP99 },
  { name: 'promises broken', key: 'violations', show: whole, of: ({ violations }) => violations.length },
]

/** The middle one, or the mean of the two in the middle; undefined of none. */
export function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b)
  const upper = sorted[Math.floor(sorted.length / 2)]
  const lower = sorted[Math.ceil(sorted.length / 2) - 1]
  return upper === undefined || lower === undefined ? undefined : (upper + lower) / 2
}
