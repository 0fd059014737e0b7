/** A mission as the lines of a tree: pure, from what is known to text. */
import type { MissionState, TaskState } from '../../../protocols/tasking/schema.ts'
import type { Colours } from './colours.ts'
import { type AttemptProgress, type MissionProgress, type TaskProgress, isEnded, isRunning, lastAttempt, leafCounts, rankedBids } from './mission-progress.ts'
import { counted, fit, pad, printable, seconds, width } from './format.ts'

export interface TreeOptions {
  readonly columns: number
  /** At most so many lines; finished subtrees fold first. */
  readonly rows: number
  /** The watcher's own wall clock. */
  readonly nowWallMs: number
  readonly colours: Colours
}

interface Row {
  readonly lead: string
  readonly name: string
  readonly capability: string
  readonly worker: string
  readonly time: string
  readonly detail: string
  readonly state: TaskState
}

const glyphs: Readonly<Record<TaskState, string>> = {
  pending: '○', announced: '◌', awarded: '◔', running: '◐', validating: '◕', accepted: '✓', failed: '✗', dead: '✗', cancelled: '⊘',
}

const missionGlyphs: Readonly<Record<MissionState, string>> = {
  accepted: '○', planning: '◌', running: '◐', waiting: '◌', paused: '‖', synthesising: '◕', completed: '✓', failed: '✗', cancelled: '⊘', orphaned: '?',
}

/** How much is left out: each step hides more than the one before. */
const compactions = [
  { foldDone: false, mergeDone: false, mergeIdle: false },
  { foldDone: true, mergeDone: false, mergeIdle: false },
  { foldDone: true, mergeDone: true, mergeIdle: false },
  { foldDone: true, mergeDone: true, mergeIdle: true },
] as const
type Compaction = (typeof compactions)[number]

/** @returns at most `rows` lines, each at most `columns` wide: a header, then the tree. */
export function treeLines(progress: MissionProgress, options: TreeOptions): string[] {
  const now = options.nowWallMs + (Number.isFinite(progress.clockAheadMs) ? progress.clockAheadMs : 0)
  const header = headerLine(progress, now, options.colours)
  const rowsMax = Math.max(1, options.rows - 1)
  let rows: Row[] = []
  for (const compaction of compactions) {
    rows = rowsOf(progress, now, compaction)
    if (rows.length <= rowsMax) break
  }
  const hidden = rows.length - rowsMax
  const shown = hidden > 0 ? rows.slice(0, rowsMax - 1) : rows
  const lines = laidOut(shown, options)
  if (hidden > 0) lines.push(options.colours.dim(`   … ${counted(hidden + 1, 'more line')}`))
  return [header, ...lines].map((line) => fit(line, options.columns))
}

export function headerLine(progress: MissionProgress, nowOwnerWallMs: number, colours: Colours): string {
  const counts = leafCounts(progress)
  const took = progress.submittedAtWallMs === undefined ? undefined : (progress.endedAtWallMs ?? nowOwnerWallMs) - progress.submittedAtWallMs
  const paint = missionPaint(progress.state, colours)
  const facts = [
    paint(progress.state),
    took === undefined ? '' : seconds(took),
    counts.leaves === 0 ? '' : `${counts.done} of ${counted(counts.leaves, 'leaf').replace('leafs', 'leaves')} done`,
    counts.running === 0 ? '' : `${counts.running} running`,
    counts.dead === 0 ? '' : colours.red(`${counts.dead} dead`),
    progress.missionId === undefined ? '' : colours.dim(progress.missionId),
  ]
  return `${paint(missionGlyphs[progress.state])} ${colours.bold(printable(progress.name))} · ${facts.filter((fact) => fact !== '').join(' · ')}`
}

function missionPaint(state: MissionState, colours: Colours): (text: string) => string {
  if (state === 'completed') return colours.green
  if (state === 'failed' || state === 'orphaned') return colours.red
  return state === 'paused' || state === 'cancelled' || state === 'waiting' ? colours.yellow : colours.cyan
}

function rowsOf(progress: MissionProgress, now: number, compaction: Compaction): Row[] {
  const rows: Row[] = []
  const root = progress.tasks.get('root' as TaskProgress['id'])
  if (root === undefined) return rows
  rows.push(rowOf(progress, root, now, '', compaction))
  if (!(compaction.foldDone && isDone(progress, root) && isEnded(root.state))) children(progress, root, '', now, compaction, rows)
  return rows
}

function children(progress: MissionProgress, parent: TaskProgress, indent: string, now: number, compaction: Compaction, rows: Row[]): void {
  const listed = parent.children.flatMap((id) => progress.tasks.get(id) ?? [])
  const shown: TaskProgress[] = []
  const done: TaskProgress[] = []
  const idle: TaskProgress[] = []
  for (const task of listed) {
    if (compaction.mergeDone && isDone(progress, task)) done.push(task)
    else if (compaction.mergeIdle && task.children.length === 0 && (task.state === 'pending' || task.state === 'announced') && task.attempts.length === 0) idle.push(task)
    else shown.push(task)
  }
  const merged: Row[] = []
  if (done.length > 0) merged.push(mergedRow('accepted', counted(done.length, 'finished task'), done))
  if (idle.length > 0) merged.push(mergedRow('pending', counted(idle.length, 'waiting task'), idle))
  shown.forEach((task, index) => {
    const isLast = index === shown.length - 1 && merged.length === 0
    rows.push(rowOf(progress, task, now, `${indent}${isLast ? '└─ ' : '├─ '}`, compaction))
    if (!(compaction.foldDone && isDone(progress, task))) children(progress, task, `${indent}${isLast ? '   ' : '│  '}`, now, compaction, rows)
  })
  merged.forEach((row, index) => rows.push({ ...row, lead: `${indent}${index === merged.length - 1 ? '└─ ' : '├─ '}` }))
}

function mergedRow(state: TaskState, name: string, tasks: readonly TaskProgress[]): Row {
  const names = tasks.slice(0, 4).map((task) => task.name).join(', ')
  return { lead: '', name, capability: '', worker: '', time: '', detail: `${names}${tasks.length > 4 ? ', …' : ''}`, state }
}

/** The whole subtree came to a good end. */
function isDone(progress: MissionProgress, task: TaskProgress): boolean {
  return task.state === 'accepted' && task.children.every((id) => {
    const child = progress.tasks.get(id)
    return child === undefined || isDone(progress, child)
  })
}

function rowOf(progress: MissionProgress, task: TaskProgress, now: number, lead: string, compaction: Compaction): Row {
  const attempt = lastAttempt(task)
  const folded = compaction.foldDone && task.children.length > 0 && isDone(progress, task)
  return {
    lead,
    name: task.id === 'root' ? printable(progress.name) : task.name,
    capability: task.capability,
    worker: attempt === undefined || (attempt.outcome !== 'running' && !isEnded(task.state)) ? '' : printable(attempt.award.workerName),
    time: timeOf(task, attempt, now),
    detail: folded ? `${counted(descendants(progress, task), 'task')} below` : detailOf(progress, task, attempt),
    state: task.state,
  }
}

function descendants(progress: MissionProgress, task: TaskProgress): number {
  return task.children.reduce((sum, id) => {
    const child = progress.tasks.get(id)
    return sum + 1 + (child === undefined ? 0 : descendants(progress, child))
  }, 0)
}

function timeOf(task: TaskProgress, attempt: AttemptProgress | undefined, now: number): string {
  if (attempt === undefined) return ''
  if (task.state === 'accepted' && task.tookMs !== undefined) return seconds(task.tookMs)
  return isRunning(task) ? seconds(now - attempt.awardedAtWallMs) : ''
}

function detailOf(progress: MissionProgress, task: TaskProgress, attempt: AttemptProgress | undefined): string {
  const parts: string[] = []
  const earlier = task.attempts.filter((past) => past.outcome === 'lost' || past.outcome === 'failed' || past.outcome === 'refused')
  if (earlier.length > 0) parts.push(earlier.map((past) => `${printable(past.award.workerName)} ${past.outcome}${past.endedAtWallMs === undefined ? '' : ` after ${seconds(past.endedAtWallMs - past.awardedAtWallMs)}`}`).join(', '))
  if (task.fault !== undefined) parts.push(printable(task.fault.detail))
  else if (attempt !== undefined && (attempt.outcome === 'running' || attempt.outcome === 'accepted')) parts.push(bidsLine(attempt))
  else if (task.state === 'pending') {
    const waitsFor = task.after.filter((id) => progress.tasks.get(id)?.state !== 'accepted').map((id) => id.slice(id.lastIndexOf('/') + 1))
    if (waitsFor.length > 0) parts.push(`after ${waitsFor.slice(0, 3).join(', ')}${waitsFor.length > 3 ? ', …' : ''}`)
    else if (earlier.length > 0) parts.push('to be awarded again')
  } else if (task.state === 'announced') parts.push('waiting for bids')
  if (isRunning(task) && (task.text !== undefined || task.fraction !== undefined)) {
    parts.push(`${task.fraction === undefined ? '' : `${Math.round(task.fraction * 100)} % `}${printable(task.text ?? '')}`.trim())
  }
  return parts.join(' · ')
}

/** `3 bids: node-b 0.9 s, node-c 1.1 s · earliest finish`. */
export function bidsLine(attempt: AttemptProgress): string {
  const { award } = attempt
  const best = rankedBids(award).slice(0, 2).map((bid) => `${printable(bid.name)} ${seconds(bid.calibratedFinishMs)}`)
  return `${counted(award.bids.length, 'bid')}${best.length === 0 ? '' : `: ${best.join(', ')}`}${award.why === '' ? '' : ` · ${printable(award.why)}`}`
}

function laidOut(rows: readonly Row[], options: TreeOptions): string[] {
  const { colours } = options
  const columnOf = (cell: (row: Row) => string, most: number): number => Math.min(most, rows.reduce((max, row) => Math.max(max, width(cell(row))), 0))
  const nameColumns = columnOf((row) => row.lead + row.name, Math.max(16, Math.floor(options.columns / 3)))
  const capabilityColumns = columnOf((row) => row.capability, 24)
  const workerColumns = columnOf((row) => row.worker, 16)
  const timeColumns = columnOf((row) => row.time, 12)
  return rows.map((row) => {
    const nameRoom = nameColumns - width(row.lead)
    const cells = [
      `${colours.dim(row.lead)}${taskPaint(row.state, colours)(glyphs[row.state])} ${pad(fit(row.name, nameRoom), nameRoom)}`,
      colours.dim(pad(fit(row.capability, capabilityColumns), capabilityColumns)),
      pad(fit(row.worker, workerColumns), workerColumns),
      ' '.repeat(Math.max(0, timeColumns - width(row.time))) + row.time,
      colours.dim(row.detail),
    ]
    return cells.join('  ').trimEnd()
  })
}

function taskPaint(state: TaskState, colours: Colours): (text: string) => string {
  if (state === 'accepted') return colours.green
  if (state === 'dead' || state === 'failed') return colours.red
  return state === 'pending' || state === 'announced' || state === 'cancelled' ? colours.dim : colours.cyan
}
