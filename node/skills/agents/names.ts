/** Names of a plan's tasks. Those that a model gives have no underscore; what this code adds has one, and what later rounds add ends in `.rN`. */
export function isAgentTask(capability: string): boolean {
  return capability === 'agent.work' || capability === 'agent.act' || capability === 'agent.plan'
}

export function nameInRound(name: string, round: number): string {
  return round === 0 ? name : `${name}.r${round}`
}

/** The round in which a task was added; 0 for the first plan. */
export function roundOf(name: string): number {
  return Number(/\.r(\d+)$/.exec(name)?.[1] ?? 0)
}

export function reviewName(number: number, round: number): string {
  return nameInRound(`review_${number}`, round)
}

export function fixName(root: string, round: number): string {
  return nameInRound(`fix_${root}`, round)
}

export function mergeName(number: number, round: number): string {
  return nameInRound(`merge_${number}`, round)
}

/** `task`: of a model's plan. */
export function kindOfName(name: string): 'task' | 'review' | 'fix' | 'merge' {
  const kind = /^(review|fix|merge)_/.exec(name)?.[1]
  return kind === 'review' || kind === 'fix' || kind === 'merge' ? kind : 'task'
}
