/** A report as text for people. */
import { type Colours } from '../../node/cli/view/colours.ts'
import { printable, width } from '../../node/cli/view/format.ts'
import { table } from '../../node/cli/view/table.ts'
import type { Distribution5, NodeFigures, SimulationReport } from '../../sim/report.ts'
import { bytes, kept, number, percent, time, times, whole } from './format.ts'

const nodesShown = 6
const violationsShown = 10
const kindsShown = 8
const barColumns = 24

/** @param wallMs what the run took of real time; left out where it is not known. */
export function reportText(report: SimulationReport, colours: Colours, columns: number, wallMs?: number): string[] {
  const { missions, leaves, messages } = report
  const heading = (text: string): string => colours.bold(text)
  const verdict = kept(report)
  const verdictText = !verdict.checked ? colours.yellow(verdict.text) : verdict.all ? colours.green(verdict.text) : colours.red(verdict.text)
  return [
    '',
    `${heading(report.scenario)}, seed ${report.seed}: ${verdictText}`,
    ...(report.about === '' ? [] : filled(printable(report.about), columns).map(colours.dim)),
    '',
    ...rows(columns, [
      ['missions', `${whole(missions.submitted)} submitted: ${listed([[missions.completed, 'completed'], [missions.failed, 'failed'], [missions.cancelled, 'cancelled'], [missions.refused, 'refused'], [missions.unknown, 'outcome unknown'], [missions.unended, 'not ended']])}`],
      ['leaves', `${whole(leaves.accepted)} accepted with ${whole(leaves.awards)} awards${leaves.repeated > 0 ? `, ${whole(leaves.repeated)} of them again` : ''}${leaves.dead > 0 ? `; ${whole(leaves.dead)} dead` : ''}${leaves.cancelled > 0 ? `; ${whole(leaves.cancelled)} cancelled` : ''}`],
      ['time', `${time(report.virtualMs)} of virtual time${wallMs === undefined ? '' : ` in ${time(wallMs)} (${times(report.virtualMs / Math.max(1, wallMs))})`}, ${whole(report.events)} events`],
      ['nodes', `${whole(report.nodes)}, slots ${percent(report.utilisation)} busy`],
      ['messages', `${whole(messages.total)} (${bytes(messages.bytes)})${messages.perTask === undefined ? '' : `; per task ${number(messages.perTask)} (${bytes(messages.bytesPerTask ?? 0)})`}${messages.addedPerTask === undefined ? '' : `, ${number(messages.addedPerTask)} that it adds to an idle mesh`}`],
      ['', `per node: half have up to ${whole(messages.perNode.p50)} (${bytes(messages.bytesPerNode.p50)}), the busiest ${whole(messages.perNode.max)} (${bytes(messages.bytesPerNode.max)})`],
    ]),
    '',
    ...table([
      ['', 'COUNT', 'MEAN', 'P50', 'P90', 'P99', 'MAX'],
      spread('flow (submitted to ended)', report.flowMs),
      spread('wait (to the first start)', report.waitMs),
      spread('run of a leaf', report.runMs),
      ...(['worker', 'manager', 'owner'] as const).filter((who) => report.recoveryMs[who].count > 0).map((who) => spread(`recovery of a lost ${who}`, report.recoveryMs[who])),
      ...(report.clairvoyant === undefined ? [] : [spread('flow with perfect foresight', report.clairvoyant.flowMs)]),
    ], columns, colours.dim),
    ...(report.clairvoyant === undefined ? [] : [colours.dim(`against perfect foresight: median ${times(report.clairvoyant.ratioP50)}, 99th percentile ${times(report.clairvoyant.ratioP99)}`)]),
    '',
    ...awards(report.perNode, colours, columns),
    ...faults(report, colours, columns),
    heading('Messages by kind'),
    ...messageKinds(report, columns),
    '',
    ...promises(report, colours, columns),
    `trace hash ${colours.bold(report.traceHash)}`,
  ]
}

/** Columns of words, the last one in as many lines as it takes. */
function rows(columns: number, lines: readonly (readonly [...heads: string[], last: string])[]): string[] {
  const heads = Array.from({ length: (lines[0]?.length ?? 1) - 1 }, (_, at) => Math.max(...lines.map((line) => width(line[at] ?? ''))))
  const columnsBefore = heads.reduce((sum, head) => sum + head + 2, 0)
  return table(lines.flatMap((line) => {
    const lastInLines = filled(line.at(-1) ?? '', Math.max(20, columns - columnsBefore))
    return lastInLines.map((text, at) => [...line.slice(0, -1).map((cell) => (at === 0 ? cell : '')), text])
  }), columns)
}

function listed(parts: readonly (readonly [number, string])[]): string {
  const there = parts.filter(([count]) => count > 0)
  return there.length === 0 ? 'none ended' : there.map(([count, what]) => `${whole(count)} ${what}`).join(', ')
}

function spread(name: string, { count, mean, p50, p90, p99, max }: Distribution5): string[] {
  return count === 0 ? [name, '0', '-', '-', '-', '-', '-'] : [name, whole(count), ...[mean, p50, p90, p99, max].map(time)]
}

/** The nodes that got most and least, each against what its speed and slots would have it get. */
function awards(perNode: readonly NodeFigures[], colours: Colours, columns: number): string[] {
  const workers = perNode.filter((node) => node.slots > 0 || node.awards > 0).sort((a, b) => b.awards - a.awards || (a.node < b.node ? -1 : 1))
  if (workers.length === 0) return []
  const most = workers[0]?.awards ?? 0
  const expected = expectedShares(perNode)
  const line = (node: NodeFigures): string[] => [
    printable(node.node), whole(node.awards), colours.cyan(bar(node.awards, most)), `${percent(node.share)} of ${percent(expected.get(node.node) ?? 0)} expected`, `busy ${percent(node.utilisation)}`,
    [node.failed > 0 ? `${whole(node.failed)} failed` : '', node.lost > 0 ? `${whole(node.lost)} lost` : '', node.lives > 1 ? `${node.lives} lives` : '', node.conduct === undefined ? '' : colours.yellow(node.conduct)].filter((text) => text !== '').join(', '),
  ]
  const shown = workers.length <= 2 * nodesShown ? workers.map(line) : [...workers.slice(0, nodesShown).map(line), ['…', '', colours.dim(`${whole(workers.length - 2 * nodesShown)} more`), '', '', ''], ...workers.slice(-nodesShown).map(line)]
  return [colours.bold('Awards per node'), ...table(shown, columns), '']
}

/** What each node would get if awards followed speed × slots, in [0,1]. */
export function expectedShares(perNode: readonly NodeFigures[]): Map<string, number> {
  const all = perNode.reduce((sum, node) => sum + node.speed * node.slots, 0)
  return new Map(perNode.map((node) => [node.node, all === 0 ? 0 : (node.speed * node.slots) / all]))
}

export function bar(value: number, most: number, columns = barColumns): string {
  const eighths = most <= 0 ? 0 : Math.round((value / most) * columns * 8)
  const part = eighths % 8
  return '█'.repeat(Math.floor(eighths / 8)) + (part === 0 ? '' : '▏▎▍▌▋▊▉'.charAt(part - 1))
}

function faults(report: SimulationReport, colours: Colours, columns: number): string[] {
  const entries = Object.entries(report.faults).filter(([, count]) => count > 0).sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
  if (entries.length === 0) return [colours.dim('no faults were injected'), '']
  const total = entries.reduce((sum, [, count]) => sum + count, 0)
  return [colours.bold(`${whole(total)} ${total === 1 ? 'fault' : 'faults'} injected`), ...wrapped(entries.map(([kind, count]) => `${kind} ${whole(count)}`), columns), '']
}

function messageKinds(report: SimulationReport, columns: number): string[] {
  const entries = Object.entries(report.messages.byKind).filter(([, count]) => count > 0).sort(([, m], [, n]) => n - m)
  const rest = entries.slice(kindsShown).reduce((sum, [, count]) => sum + count, 0)
  return wrapped([...entries.slice(0, kindsShown).map(([kind, count]) => `${kind} ${whole(count)}`), ...(rest > 0 ? [`others ${whole(rest)}`] : [])], columns)
}

/** Text in lines of at most so many columns. */
export function filled(text: string, columns: number): string[] {
  const lines: string[] = []
  for (const word of text.split(/\s+/).filter((part) => part !== '')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= columns) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}

/** Items in as many lines as it takes. */
export function wrapped(items: readonly string[], columns: number): string[] {
  const lines: string[] = []
  for (const item of items) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + item.length + 4 <= Math.min(columns, 110)) lines[lines.length - 1] = `${last},  ${item}`
    else lines.push(item)
  }
  return lines
}

function promises(report: SimulationReport, colours: Colours, columns: number): string[] {
  if (report.promises.length === 0 && report.violations.length === 0) return [colours.yellow('The promises were not checked.'), '']
  const lines = report.promises.map((entry): [string, string, string] => [entry.violations === 0 ? colours.green('kept') : colours.red(`broken ${whole(entry.violations)} times`.replace(' 1 times', ' once')), entry.promise, printable(entry.says)])
  const told = report.violations.slice(0, violationsShown).map((violation) => `  ${colours.red(violation.promise)} at ${time(violation.atMs)}${violation.missionId === undefined ? '' : ` (${violation.missionId})`}: ${printable(violation.detail)}`)
  const more = report.violations.length > told.length ? [colours.dim(`  … and ${whole(report.violations.length - told.length)} more`)] : []
  return [colours.bold('Promises'), ...rows(columns, lines), ...(told.length > 0 ? ['', ...told, ...more] : []), '']
}
