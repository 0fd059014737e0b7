/** A mission as the lines of a tree: pure, from what is known to text. */
import type { TaskId } from '../../../protocols/kernel/ids.ts'
import { type Attempt, type MissionFold, type TaskNode, isTerminal } from '../../../protocols/tasking/mission-state.ts'
import type { MissionState, TaskState } from '../../../protocols/tasking/schema.ts'
import type { Colours } from './colours.ts'
import { counted, fit, pad, printable, seconds, width } from './format.ts'
import { type MissionProgress, isRunning, lastAttempt, leafCounts, nameOf, rankedBids, stateOf } from './mission-progress.ts'

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

/** What a skill says of its progress must not push out who bid. */
const noteColumnsMax = 28

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
  const header = fit(headerLine(progress, now, options.colours), options.columns)
  const { fold } = progress
  if (fold === undefined) return [header]
  const rowsMax = Math.max(1, options.rows - 1)
  let rows: Row[] = []
  for (const compaction of compactions) {
    rows = rowsOf({ progress, fold, now, compaction })
    if (rows.length <= rowsMax) break
  }
  const hidden = rows.length - rowsMax
  const shown = hidden > 0 ? rows.slice(0, rowsMax - 1) : rows
  const lines = laidOut(shown, options)
  if (hidden > 0) lines.push(options.colours.dim(`   … ${counted(hidden + 1, 'more line')}`))
  return [header, ...lines.map((line) => fit(line, options.columns))]
}

function headerLine(progress: MissionProgress, now: number, colours: Colours): string {
  const { fold } = progress
  if (fold === undefined) return `${colours.cyan('○')} waiting for the mission's first event`
  const counts = leafCounts(progress)
  const state = missionState(progress, fold)
  const paint = missionPaint(state, colours)
  const facts = [
    paint(state),
    seconds((fold.endedAtWallMs ?? now) - fold.submittedAtWallMs),
    counts.leaves === 0 ? '' : `${counts.done} of ${counts.leaves} ${counts.leaves === 1 ? 'leaf' : 'leaves'} done`,
    counts.running === 0 ? '' : `${counts.running} running`,
    counts.dead === 0 ? '' : colours.red(`${counts.dead} dead`),
    colours.dim(fold.missionId),
  ]
  return `${paint(missionGlyphs[state])} ${colours.bold(printable(fold.name))} · ${facts.filter((fact) => fact !== '').join(' · ')}`
}

/** The root's synthesis is a state of the mission that no log entry tells. */
function missionState(progress: MissionProgress, fold: MissionFold): MissionState {
  return fold.state === 'running' && progress.notes.get('root' as TaskId)?.phase === 'synthesising' ? 'synthesising' : fold.state
}

function missionPaint(state: MissionState, colours: Colours): (text: string) => string {
  if (state === 'completed') return colours.green
  if (state === 'failed' || state === 'orphaned') return colours.red
  return state === 'paused' || state === 'cancelled' || state === 'waiting' ? colours.yellow : colours.cyan
}

interface View {
  readonly progress: MissionProgress
  readonly fold: MissionFold
  readonly now: number
  readonly compaction: Compaction
}

function rowsOf(view: View): Row[] {
  const rows: Row[] = []
  const root = view.fold.tasks.get('root' as TaskId)
  if (root === undefined) return rows
  rows.push(rowOf(view, root, ''))
  if (!(view.compaction.foldDone && isDone(view.fold, root))) addChildren(view, root, '', rows)
  return rows
}

function addChildren(view: View, parent: TaskNode, indent: string, rows: Row[]): void {
  const { fold, compaction } = view
  const shown: TaskNode[] = []
  const done: TaskNode[] = []
  const idle: TaskNode[] = []
  for (const task of parent.children.flatMap((id) => fold.tasks.get(id) ?? [])) {
    if (compaction.mergeDone && isDone(fold, task)) done.push(task)
    else if (compaction.mergeIdle && task.children.length === 0 && task.state === 'pending' && task.attempts.length === 0) idle.push(task)
    else shown.push(task)
  }
  const merged: Row[] = []
  if (done.length > 0) merged.push(mergedRow('accepted', counted(done.length, 'finished task'), done))
  if (idle.length > 0) merged.push(mergedRow('pending', counted(idle.length, 'waiting task'), idle))
  shown.forEach((task, index) => {
    const isLast = index === shown.length - 1 && merged.length === 0
    rows.push(rowOf(view, task, `${indent}${isLast ? '└─ ' : '├─ '}`))
    if (!(compaction.foldDone && isDone(fold, task))) addChildren(view, task, `${indent}${isLast ? '   ' : '│  '}`, rows)
  })
  merged.forEach((row, index) => rows.push({ ...row, lead: `${indent}${index === merged.length - 1 ? '└─ ' : '├─ '}` }))
}

function mergedRow(state: TaskState, name: string, tasks: readonly TaskNode[]): Row {
  const names = tasks.slice(0, 4).map(nameOf).join(', ')
  return { lead: '', name, capability: '', worker: '', time: '', detail: `${names}${tasks.length > 4 ? ', …' : ''}`, state }
}

/** The whole subtree came to a good end. */
function isDone(fold: MissionFold, task: TaskNode): boolean {
  return task.state === 'accepted' && task.children.every((id) => {
    const child = fold.tasks.get(id)
    return child === undefined || isDone(fold, child)
  })
}

function rowOf(view: View, task: TaskNode, lead: string): Row {
  const attempt = lastAttempt(task)
  const folded = view.compaction.foldDone && task.children.length > 0 && isDone(view.fold, task)
  return {
    lead,
    name: task.spec.taskId === 'root' ? printable(view.fold.name) : nameOf(task),
    capability: task.spec.capability,
    worker: attempt === undefined || (attempt.outcome !== 'running' && !isTerminal(task.state)) ? '' : printable(attempt.award.workerName),
    time: timeOf(task, attempt, view.now),
    detail: folded ? `${counted(descendants(view.fold, task), 'task')} below` : detailOf(view, task, attempt),
    state: stateOf(view.progress, task),
  }
}

function descendants(fold: MissionFold, task: TaskNode): number {
  return task.children.reduce((sum, id) => {
    const child = fold.tasks.get(id)
    return sum + 1 + (child === undefined ? 0 : descendants(fold, child))
  }, 0)
}

function timeOf(task: TaskNode, attempt: Attempt | undefined, now: number): string {
  if (attempt === undefined) return ''
  if (task.state === 'accepted' && task.tookMs !== undefined) return seconds(task.tookMs)
  return isRunning(task) ? seconds(now - attempt.awardedAtWallMs) : ''
}

function detailOf({ progress, fold }: View, task: TaskNode, attempt: Attempt | undefined): string {
  const parts: string[] = []
  const note = progress.notes.get(task.spec.taskId)
  if (isRunning(task) && (note?.text !== undefined || note?.fraction !== undefined)) {
    parts.push(`${note.fraction === undefined ? '' : `${Math.round(note.fraction * 100)} % `}${fit(printable(note.text ?? ''), noteColumnsMax)}`.trim())
  }
  const earlier = task.attempts.filter((past) => past.outcome === 'lost' || past.outcome === 'failed' || past.outcome === 'refused')
  if (earlier.length > 0) parts.push(earlier.map((past) => `${printable(past.award.workerName)} ${past.outcome}${past.endedAtWallMs === undefined ? '' : ` after ${seconds(past.endedAtWallMs - past.awardedAtWallMs)}`}`).join(', '))
  if (task.state === 'dead') parts.push(printable(task.fault?.detail ?? 'given up'))
  else if (attempt !== undefined && (attempt.outcome === 'running' || attempt.outcome === 'accepted')) parts.push(bidsLine(attempt))
  else if (stateOf(progress, task) === 'announced') parts.push('waiting for bids')
  else if (task.state === 'pending') {
    const waitsFor = task.spec.after.filter((id) => fold.tasks.get(id)?.state !== 'accepted').map((id) => id.slice(id.lastIndexOf('/') + 1))
    if (waitsFor.length > 0) parts.push(`after ${waitsFor.slice(0, 3).join(', ')}${waitsFor.length > 3 ? ', …' : ''}`)
    else if (earlier.length > 0) parts.push('to be awarded again')
  }
  return parts.join(' · ')
}

/** What the score was stands in `mission why`; here the reason is enough. */
const scorePrefix = /^best of \d+ bids, [\d.]+ to [\d.]+: /

/** `3 bids: node-b 0.9 s, node-c 1.1 s · finishes 200 ms sooner`. */
export function bidsLine(attempt: Attempt): string {
  const { award } = attempt
  const why = printable(award.why).replace(scorePrefix, '')
  const best = rankedBids(award).slice(0, 2).map((bid) => `${printable(bid.name)} ${seconds(bid.calibratedFinishMs)}`)
  return `${counted(award.bids.length, 'bid')}${best.length === 0 ? '' : `: ${best.join(', ')}`}${why === '' ? '' : ` · ${why}`}`
}

function laidOut(rows: readonly Row[], options: TreeOptions): string[] {
  const { colours } = options
  const columnOf = (cell: (row: Row) => string, most: number): number => Math.min(most, rows.reduce((max, row) => Math.max(max, width(cell(row))), 0))
  const nameColumns = columnOf((row) => row.lead + row.name, Math.max(16, Math.floor(options.columns / 3)))
  const capabilityColumns = columnOf((row) => row.capability, 24)
  const workerColumns = columnOf((row) => row.worker, 16)
  const timeColumns = columnOf((row) => row.time, 12)
  // Nothing in colour is still something at the end of a line.
  const dim = (text: string): string => (text === '' ? '' : colours.dim(text))
  return rows.map((row) => {
    const nameRoom = nameColumns - width(row.lead)
    const cells = [
      `${dim(row.lead)}${taskPaint(row.state, colours)(glyphs[row.state])} ${pad(fit(row.name, nameRoom), nameRoom)}`,
      dim(pad(fit(row.capability, capabilityColumns), capabilityColumns)),
      pad(fit(row.worker, workerColumns), workerColumns),
      ' '.repeat(Math.max(0, timeColumns - width(row.time))) + row.time,
      dim(row.detail),
    ]
    return cells.join('  ').trimEnd()
  })
}

function taskPaint(state: TaskState, colours: Colours): (text: string) => string {
  if (state === 'accepted') return colours.green
  if (state === 'dead' || state === 'failed') return colours.red
  return state === 'pending' || state === 'announced' || state === 'cancelled' ? colours.dim : colours.cyan
}
