/**
 * A mission's log read by an auditor. It is written from `protocols/tasking/SPEC.md` and shares no code with the fold that
 * it judges: whatever is in the log is taken as it stands, legal or not, and the checkers say which.
 */
import type { AwardId, Epoch, PeerId, TaskId } from '../../protocols/kernel/ids.ts'
import type { AwardRecord, MissionEvent, MissionLimits, TaskSpec } from '../../protocols/tasking/schema.ts'

export interface LedgerAttempt {
  readonly award: AwardRecord
  outcome: 'running' | 'accepted' | 'refused' | 'lost' | 'failed' | 'cancelled'
}

export interface LedgerTask {
  readonly spec: TaskSpec
  readonly parent: LedgerTask | undefined
  readonly children: LedgerTask[]
  readonly attempts: LedgerAttempt[]
  state: 'open' | 'accepted' | 'dead' | 'cancelled'
  acceptedAward: AwardId | undefined
  /** Since the task was last retried by hand. */
  failures: number
  losses: number
  /** Of a composite task with a budget: what is spent or set aside of it. */
  heldUsd: number
}

export interface Ledger {
  readonly tasks: Map<TaskId, LedgerTask>
  epoch: Epoch
  owner: PeerId
  limits: MissionLimits
  paused: boolean
  state: 'open' | 'completed' | 'failed' | 'cancelled'
  /** What is spent or set aside of the mission's own money. */
  heldUsd: number
}

export function openLedger(event: Extract<MissionEvent, { type: 'submitted' }>): Ledger {
  const ledger: Ledger = { tasks: new Map(), epoch: { lineage: 1, term: 1 }, owner: event.owner, limits: event.limits, paused: false, state: 'open', heldUsd: 0 }
  addTask(ledger, event.rootSpec, undefined)
  return ledger
}

function addTask(ledger: Ledger, spec: TaskSpec, parent: LedgerTask | undefined): void {
  const task: LedgerTask = { spec, parent, children: [], attempts: [], state: 'open', acceptedAward: undefined, failures: 0, losses: 0, heldUsd: 0 }
  ledger.tasks.set(spec.taskId, task)
  parent?.children.push(task)
}

/** The attempt that the task's newest committed award began, while nothing has ended it. */
export function liveAttemptOf(task: LedgerTask): LedgerAttempt | undefined {
  return task.attempts.findLast((attempt) => attempt.outcome === 'running')
}

/** What one committed event changes. Events that speak of unknown tasks change nothing. */
export function postEvent(ledger: Ledger, event: MissionEvent): void {
  switch (event.type) {
    case 'submitted':
    case 'cancel-requested':
      return
    case 'took-over':
      ledger.epoch = event.epoch
      ledger.owner = event.owner
      return
    case 'planned': {
      const parent = ledger.tasks.get(event.taskId)
      if (parent !== undefined && event.costUsd !== undefined) billSkill(ledger, parent, event.costUsd)
      for (const spec of event.children) if (!ledger.tasks.has(spec.taskId)) addTask(ledger, spec, parent)
      if (parent !== undefined && event.givesUp !== undefined) cancelWaiting(parent, new Set(event.givesUp))
      return
    }
    case 'awarded':
      {
        const task = ledger.tasks.get(event.award.taskId)
        task?.attempts.push({ award: event.award, outcome: 'running' })
        if (task !== undefined) payer(ledger, task).heldUsd += heldBy(event.award)
        return
      }
    case 'award-ended': {
      const task = ledger.tasks.get(event.taskId)
      const attempt = task?.attempts.find(({ award }) => award.awardId === event.awardId)
      if (task === undefined || attempt === undefined || attempt.outcome !== 'running') return
      attempt.outcome = event.outcome
      if (event.outcome === 'refused') payer(ledger, task).heldUsd -= heldBy(attempt.award)
      else if (event.costUsd !== undefined) bill(ledger, task, attempt, event.costUsd, false)
      if (event.outcome === 'failed') task.failures += 1
      if (event.outcome === 'lost') task.losses += 1
      return
    }
    case 'accepted': {
      const task = ledger.tasks.get(event.taskId)
      if (task === undefined) return
      const attempt = task.attempts.find(({ award }) => award.awardId === event.awardId)
      if (attempt !== undefined) attempt.outcome = 'accepted'
      if (event.costUsd !== undefined) bill(ledger, task, attempt, event.costUsd, true)
      task.state = 'accepted'
      task.acceptedAward = event.awardId
      return
    }
    case 'dead':
    case 'task-cancelled': {
      const task = ledger.tasks.get(event.taskId)
      if (task === undefined) return
      endTask(task, event.type === 'dead' ? 'dead' : 'cancelled')
      for (const child of task.children) cancelOpen(child)
      return
    }
    case 'retried':
      reopen(ledger, event.taskId)
      return
    case 'paused':
    case 'resumed':
      ledger.paused = event.type === 'paused'
      return
    case 'changed':
      ledger.limits = { ...ledger.limits, ...Object.fromEntries(Object.entries(event.limits ?? {}).filter(([, value]) => value !== undefined)) }
      return
    case 'completed':
      ledger.state = 'completed'
      return
    case 'failed':
    case 'cancelled':
      ledger.state = event.type
      for (const task of ledger.tasks.values()) if (task.parent === undefined) cancelOpen(task)
  }
}

export function heldBy({ setAsideUsd, bid }: AwardRecord): number {
  return setAsideUsd ?? bid.priceUsd
}

/** Whose money a task draws on. @param own its own, if it has any: what a composite task's skill spends. */
export function payer(ledger: Ledger, task: LedgerTask, own = false): { heldUsd: number } {
  for (let at = own ? task : task.parent; at !== undefined; at = at.parent) if (at.spec.budgetUsd !== undefined && at.spec.kind === 'composite') return at
  return ledger
}

function bill(ledger: Ledger, task: LedgerTask, attempt: LedgerAttempt | undefined, costUsd: number, isOver: boolean): void {
  if (task.spec.kind === 'leaf') {
    if (attempt !== undefined) payer(ledger, task).heldUsd += Math.min(costUsd, heldBy(attempt.award)) - heldBy(attempt.award)
    return
  }
  billSkill(ledger, task, costUsd)
  if (isOver && task.spec.budgetUsd !== undefined && attempt !== undefined) payer(ledger, task).heldUsd += task.heldUsd - task.spec.budgetUsd
}

/** What a composite task's own steps have cost, as far as there was money for it. */
function billSkill(ledger: Ledger, task: LedgerTask, costUsd: number): void {
  const purse = payer(ledger, task, true)
  const budgetUsd = 'spec' in purse ? (purse as LedgerTask).spec.budgetUsd ?? 0 : ledger.limits.budgetUsd
  purse.heldUsd += Math.min(costUsd, Math.max(0, budgetUsd - purse.heldUsd))
}

/** A task that died while it ran has failed; one that was called off has not. */
function endTask(task: LedgerTask, state: 'dead' | 'cancelled'): void {
  task.state = state
  const attempt = liveAttemptOf(task)
  if (attempt !== undefined) attempt.outcome = state === 'dead' ? 'failed' : 'cancelled'
}

function cancelOpen(task: LedgerTask): void {
  if (task.state === 'open') endTask(task, 'cancelled')
  for (const child of task.children) cancelOpen(child)
}

/** What waits for what is given up is called off. Children come in their plans' order, which need not be that of their dependencies. */
function cancelWaiting({ children }: Pick<LedgerTask, 'children'>, gone: Set<TaskId>): void {
  const next = children.find((child) => child.state === 'open' && child.spec.after.some((needed) => gone.has(needed)))
  if (next === undefined) return
  cancelOpen(next)
  cancelWaiting({ children }, gone.add(next.spec.taskId))
}

/** The task, the ended ones above it, and whatever had been called off below tasks that are open again. */
function reopen(ledger: Ledger, taskId: TaskId): void {
  ledger.state = 'open'
  for (let task = ledger.tasks.get(taskId); task !== undefined; task = task.parent) {
    if (task.state !== 'dead' && task.state !== 'cancelled') continue
    Object.assign(task, { state: 'open', failures: 0, losses: 0 })
  }
  // Parents were added before their children.
  for (const task of ledger.tasks.values()) if (task.state === 'cancelled' && (task.parent === undefined || task.parent.state === 'open')) task.state = 'open'
}
