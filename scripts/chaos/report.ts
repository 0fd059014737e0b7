/** What a campaign tells in the end: a table by kind of fault, what went against the promises, and the same as JSON. */
import { type FaultKind, faultKinds } from './fault-kinds.ts'
import type { FaultRecord } from './killer.ts'
import type { Verdict, Violation } from './verdict.ts'

export interface KindRow {
  readonly kind: FaultKind | 'no fault yet'
  readonly injected: number
  /** The smallest number of missions under way at one of them. */
  readonly inFlightMin: number | undefined
  readonly stuck: number
  /** Expectation → violations that are held against faults of this kind. */
  readonly violations: Readonly<Record<string, number>>
  readonly recoveryP50Ms: number | undefined
  readonly recoveryP99Ms: number | undefined
}

/** A process that ended without having been killed, or in an exception whatever it had been asked. */
export interface UnwantedExit {
  readonly node: string
  readonly atMs: number
  readonly how: string
  /** It had been asked to end, and had to be killed. */
  readonly hung: boolean
  readonly lastWords: string
}

export interface CampaignReport {
  readonly seed: number
  readonly minutes: number
  readonly ok: boolean
  readonly left: readonly string[]
  readonly rows: readonly KindRow[]
  readonly faults: readonly FaultRecord[]
  readonly violations: Readonly<Record<string, readonly Violation[]>>
  readonly notes: Readonly<Record<string, number>>
  readonly exits: readonly UnwantedExit[]
}

/** Node's own last line, below the stack of what nobody caught. */
export function endedInException({ lastWords }: { readonly lastWords: string }): boolean {
  return /^Node\.js v\d+\./m.test(lastWords)
}

function exceptionIn(lastWords: string): string {
  return /^\w*(Error|Exception)\b.*$/m.exec(lastWords)?.[0] ?? 'an exception'
}

export function reportOf({ seed, minutes, left, faults, verdict, inFlightMin, exits }: { readonly seed: number; readonly minutes: number; readonly left: readonly string[]; readonly faults: readonly FaultRecord[]; readonly verdict: Verdict; readonly inFlightMin: number; readonly exits: readonly UnwantedExit[] }): CampaignReport {
  const heldAgainst = ({ atMs, after }: Violation): KindRow['kind'] => (after === true ? faults.find((fault) => fault.atMs > atMs) : undefined)?.kind ?? faults.filter((fault) => fault.atMs <= atMs).at(-1)?.kind ?? 'no fault yet'
  const row = (kind: KindRow['kind']): KindRow => {
    const mine = faults.filter((fault) => fault.kind === kind)
    const recovered = mine.flatMap((fault) => fault.recoveryMs)
    return {
      kind, injected: mine.length, inFlightMin: mine.length === 0 ? undefined : Math.min(...mine.map((fault) => fault.inFlight)), stuck: mine.reduce((sum, fault) => sum + fault.stuck.length, 0),
      violations: Object.fromEntries(verdict.expectations.map(({ name, violations }) => [name, violations.filter((violation) => heldAgainst(violation) === kind).length])),
      recoveryP50Ms: quantile(recovered, 0.5), recoveryP99Ms: quantile(recovered, 0.99),
    }
  }
  const rows = [row('no fault yet'), ...faultKinds.map(row)].filter((line) => line.injected > 0 || Object.values(line.violations).some((count) => count > 0))
  const few = faults.filter((fault) => fault.inFlight < inFlightMin)
  const violations: Record<string, readonly Violation[]> = {
    ...Object.fromEntries(verdict.expectations.map((expectation) => [expectation.name, expectation.violations])),
    'missions that did not go on': faults.flatMap((fault) => fault.stuck.map((mission) => ({ mission, atMs: fault.atMs, detail: `no acceptance after ${fault.kind}: ${fault.about}` }))),
    'nodes that did not come back': faults.flatMap((fault) => fault.absent.map((name) => ({ mission: '', atMs: fault.atMs, detail: `${name} after ${fault.kind}: ${fault.about}` }))),
    'faults with too few missions under way': few.map((fault) => ({ mission: '', atMs: fault.atMs, detail: `${fault.inFlight} at ${fault.kind}` })),
    // A full disk is a reason to end; an exception that nobody caught is a defect, though the mesh survives it.
    'nodes that ended in an exception': exits.filter(endedInException).map(({ node, atMs, lastWords }) => ({ mission: '', atMs, detail: `${node}: ${exceptionIn(lastWords)}` })),
    'nodes that did not end when they were asked to': exits.filter(({ hung }) => hung).map(({ node, atMs }) => ({ mission: '', atMs, detail: `${node} had to be killed` })),
    'no fault at all': faults.length > 0 ? [] : [{ mission: '', atMs: 0, detail: 'nothing was tried' }],
  }
  return { seed, minutes, ok: Object.values(violations).every((found) => found.length === 0), left, rows, faults, violations, notes: verdict.notes, exits }
}

const columns = ['fault', 'injected', 'in flight', 'stuck', 'lost', 'double', 'repeated', 'two ids', 'unordered', 'p50 s', 'p99 s'] as const
const shown = ['missions lost', 'double acceptances', 'accepted subtasks run again', 'double submissions', 'unordered reads'] as const

export function describeReport(report: CampaignReport): string {
  const seconds = (ms: number | undefined): string => (ms === undefined ? '–' : (ms / 1_000).toFixed(1))
  const cells = report.rows.map((row) => [row.kind, row.injected, row.inFlightMin ?? '–', row.stuck, ...shown.map((name) => row.violations[name] ?? 0), seconds(row.recoveryP50Ms), seconds(row.recoveryP99Ms)].map(String))
  const widths = columns.map((name, at) => Math.max(name.length, ...cells.map((row) => row[at]?.length ?? 0)))
  const line = (row: readonly string[]): string => row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join('  ')
  const wrong = Object.entries(report.violations).filter(([, found]) => found.length > 0)
  return [
    line(columns), ...cells.map(line), '',
    ...Object.entries(report.notes).map(([name, count]) => `${name}: ${count.toLocaleString('en')}`),
    `nodes that ended by themselves: ${report.exits.length}`,
    ...report.exits.filter((exit) => !exit.hung && !endedInException(exit)).slice(0, 5).map(({ node, how }) => `  ${node}: ${how}`),
    ...report.left.map((text) => `left out: ${text}`), '',
    ...wrong.flatMap(([name, found]) => [`${name}: ${found.length}, none was expected`, ...found.slice(0, 5).map((violation) => `  ${[violation.mission, violation.detail].filter((text) => text !== '').join(': ')}`), ...(found.length > 5 ? [`  … and ${found.length - 5} more`] : [])]),
    `seed ${report.seed}: ${report.faults.length} faults, ${wrong.length === 0 ? 'everything as promised' : `${wrong.length} expectations failed`}`,
  ].join('\n')
}

/** Nearest rank. */
function quantile(values: readonly number[], share: number): number | undefined {
  const sorted = [...values].sort((left, right) => left - right)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]
}
