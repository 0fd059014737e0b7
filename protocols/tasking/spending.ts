/**
 * A mission's money. An award sets aside what it may cost; only one that was refused gives all of it back. A result, or a failure that
 * says so, gives back what it has not cost; what was lost has cost all of it. A composite task with a budget of its own sets it aside once,
 * and everything below it draws on that: so the mission's limit holds however deep its tree is (S16).
 */
import { parentTaskId, type TaskId } from '../kernel/ids.ts'
import type { Attempt, MissionFold, TaskNode } from './fold.ts'
import type { AwardRecord } from './schema.ts'

/** Sums of money are added up in floating point: the larger, the less exactly. */
const roundingShare = 1e-9

/** Whose money a task draws on: the composite task above it that has a budget of its own, or the mission. */
export type Purse = TaskId | 'mission'

export function purseOf(fold: Pick<MissionFold, 'tasks'>, taskId: TaskId): Purse {
  for (let above = parentTaskId(taskId); above !== undefined; above = parentTaskId(above)) if (fold.tasks.get(above)?.spec.budgetUsd !== undefined) return above
  return 'mission'
}

/** What has been spent or set aside of it, and what may be. */
export function balanceOf(fold: MissionFold, purse: Purse): { readonly heldUsd: number; readonly budgetUsd: number } {
  if (purse === 'mission') return { heldUsd: fold.spentUsd, budgetUsd: fold.limits.budgetUsd }
  const task = fold.tasks.get(purse)
  return { heldUsd: task?.heldUsd ?? 0, budgetUsd: task?.spec.budgetUsd ?? 0 }
}

export function setAsideBy({ setAsideUsd, bid }: Pick<AwardRecord, 'setAsideUsd' | 'bid'>): number {
  return setAsideUsd ?? bid.priceUsd
}

/** What the next award of a task sets aside: its bid's price, or its budget if that is more. A composite task's budget stays set aside from its first award on. */
export function setAsideNext({ spec, attempts }: Pick<TaskNode, 'spec' | 'attempts'>, priceUsd: number): number {
  const hasBefore = spec.kind === 'composite' && attempts.some(({ outcome }) => outcome !== 'refused')
  return hasBefore ? priceUsd : Math.max(priceUsd, spec.budgetUsd ?? 0)
}

export function isAffordable(fold: MissionFold, purse: Purse, usd: number, alsoHeldUsd = 0): boolean {
  const { heldUsd, budgetUsd } = balanceOf(fold, purse)
  return usd <= 0 || heldUsd + alsoHeldUsd + usd <= budgetUsd + roundingShare * Math.max(1, budgetUsd)
}

/** @param usd negative: given back. */
export function charge(fold: MissionFold, purse: Purse, usd: number): void {
  if (usd === 0) return
  if (purse === 'mission') fold.spentUsd = Math.max(0, fold.spentUsd + usd)
  else {
    const task = fold.tasks.get(purse)
    if (task !== undefined) task.heldUsd = Math.max(0, (task.heldUsd ?? 0) + usd)
  }
}

/**
 * What the steps of a composite task's own skill have cost. They run where its manager runs and nobody else sees them: what is said beyond
 * what was left counts for nothing.
 * @returns what counts.
 */
export function chargeSkill(fold: MissionFold, taskId: TaskId, toldUsd: number): number {
  const purse = fold.tasks.get(taskId)?.spec.budgetUsd === undefined ? purseOf(fold, taskId) : taskId
  const { heldUsd, budgetUsd } = balanceOf(fold, purse)
  const usd = Math.min(toldUsd, Math.max(0, budgetUsd - heldUsd))
  charge(fold, purse, usd)
  return usd
}

/** Of what a leaf's worker says it has cost: no more than was set aside for it. It has agreed to that. */
export function owedFor(award: Pick<AwardRecord, 'setAsideUsd' | 'bid'>, toldUsd: number): number {
  return Math.min(toldUsd, setAsideBy(award))
}

/** An attempt has ended with a result or a failure that says what it has cost. */
export function settleCost(fold: MissionFold, task: TaskNode, attempt: Attempt | undefined, toldUsd: number, isOver: boolean): void {
  const { taskId, kind, budgetUsd } = task.spec
  const purse = purseOf(fold, taskId)
  if (kind === 'leaf') {
    if (attempt === undefined) return
    const owedUsd = owedFor(attempt.award, toldUsd)
    task.costUsd = (task.costUsd ?? 0) + owedUsd
    charge(fold, purse, owedUsd - setAsideBy(attempt.award))
    return
  }
  task.costUsd = (task.costUsd ?? 0) + chargeSkill(fold, taskId, toldUsd)
  // Nothing more is drawn on its budget: what is left goes back.
  if (isOver && budgetUsd !== undefined && attempt !== undefined) charge(fold, purse, (task.heldUsd ?? 0) - budgetUsd)
}
