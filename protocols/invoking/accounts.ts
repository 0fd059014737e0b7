/**
 * What the calls of one task, or of one caller, may cost together. A call sets aside the price of its bid before it begins and gives back what
 * it did not cost when it ends; one that was lost has cost its price. So the sum never exceeds the budget, however many are under way (S16).
 */
export interface Account {
  /** US dollars; Infinity: no limit. */
  budgetUsd: number
  spentUsd: number
  setAsideUsd: number
}

/** By a name that its user chooses. */
export type Accounts = Map<string, Account>

/** Sums of money are added up in floating point: the larger, the less exactly. */
function roundingUsd({ budgetUsd }: Account): number {
  return 1e-9 * Math.max(1, Number.isFinite(budgetUsd) ? budgetUsd : 1)
}

export function accountOf(accounts: Accounts, name: string, budgetUsd: number): Account {
  let account = accounts.get(name)
  if (account === undefined) accounts.set(name, (account = { budgetUsd, spentUsd: 0, setAsideUsd: 0 }))
  return account
}

export function leftUsd({ budgetUsd, spentUsd, setAsideUsd }: Account): number {
  return Math.max(0, budgetUsd - spentUsd - setAsideUsd)
}

/** @returns whether there was enough. */
export function setAside(account: Account, priceUsd: number): boolean {
  if (priceUsd > leftUsd(account) + roundingUsd(account)) return false
  account.setAsideUsd += priceUsd
  return true
}

/** A price rests on a guess of what goes in: so many times of it are set aside where there is enough. */
const priceMargin = 3

/**
 * What a call may spend, and is set aside for it: its price at least. One whose capability spends (an agent's work) has half of what is left,
 * so that others beside it and after it have some; one with a price has a margin, but no more than that half. An account without a limit divides nothing.
 */
export function allowanceUsd(account: Account, priceUsd: number, spends: boolean): number {
  if (account.budgetUsd === Infinity) return priceUsd
  const halfUsd = leftUsd(account) / 2
  return Math.max(priceUsd, spends ? halfUsd : Math.min(priceUsd * priceMargin, halfUsd))
}

/** Of what a provider says it has cost: no more than was set aside. What goes beyond its bid is its own affair, and an account without a limit pays what it is told. */
export function owedUsd({ budgetUsd }: Account, setAsideUsd: number, toldUsd: number): number {
  return budgetUsd === Infinity ? toldUsd : Math.min(toldUsd, setAsideUsd)
}

/** @param costUsd what it has cost; the whole price when that cannot be known. */
export function settle(account: Account, priceUsd: number, costUsd: number): void {
  account.setAsideUsd = Math.max(0, account.setAsideUsd - priceUsd)
  account.spentUsd += costUsd
}
