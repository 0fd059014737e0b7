/** The children of a plan as its later steps see them: which result stands for which task now, how it was judged, what is in doubt. Pure. */
import type { Json } from '../../../protocols/kernel/payload.ts'
import type { SkillChild } from '../define-skill.ts'
import { kindOfName, roundOf } from './names.ts'
import { type AgentUsage, type Conflict, type Part, PlanOutput, type Planned, type Refinement, ReviewOutput, type Verdict, WorkOutput } from './schema.ts'
import { addUsage, nothingUsed } from './usage.ts'

/** One accepted result of a task, be it the first or a mended one. */
export interface Version {
  readonly name: string
  readonly capability: string
  readonly round: number
  readonly result: Json
  readonly part?: Part
  readonly verdict?: Verdict
}

export interface Strand {
  /** The task of a plan that all versions are of. */
  readonly root: string
  /** In the order in which they were made. */
  readonly versions: readonly Version[]
  /** Made and failed ones together. */
  readonly fixesTried: number
}

export interface Gathered {
  readonly strands: readonly Strand[]
  /** What was settled between others. */
  readonly merges: readonly Version[]
  readonly conflicts: readonly (Conflict & { readonly round: number })[]
  /** Tasks of a model's plan that ended without a result. */
  readonly failures: readonly SkillChild[]
  readonly planned: readonly Planned[]
  readonly usage: AgentUsage
}

export function gather(children: readonly SkillChild[]): Gathered {
  const verdicts = new Map<string, Verdict>()
  const conflicts: (Conflict & { round: number })[] = []
  const planned = new Map<number, Planned>()
  const versions: Version[] = []
  let usage = nothingUsed
  for (const child of children) {
    if (child.state !== 'accepted') continue
    const review = child.capability === 'agent.review' ? ReviewOutput.safeParse(child.output).data : undefined
    if (review !== undefined) {
      usage = addUsage(usage, review.usage)
      for (const verdict of review.verdicts) verdicts.set(verdict.of, verdict)
      for (const conflict of review.conflicts) conflicts.push({ ...conflict, round: roundOf(child.name) })
      continue
    }
    const made = WorkOutput.safeParse(child.output).data ?? PlanOutput.safeParse(child.output).data
    if (made !== undefined) {
      usage = addUsage(usage, made.usage)
      const plan = made.part?.planned
      if (plan !== undefined && !planned.has(plan.round)) planned.set(plan.round, plan)
    }
    versions.push({ name: child.name, capability: child.capability, round: roundOf(child.name), result: made?.result ?? child.output ?? null, ...(made?.part === undefined ? {} : { part: made.part }) })
  }
  const judged = versions.map((version): Version => {
    const verdict = verdicts.get(version.name)
    return verdict === undefined ? version : { ...version, verdict }
  })
  const tasks = judged.filter(({ name }) => kindOfName(name) === 'task')
  return {
    strands: tasks.map((first) => ({
      root: first.name,
      versions: [first, ...judged.filter((one) => one.part?.supersedes === first.name).sort((left, right) => left.round - right.round)],
      fixesTried: children.filter((child) => kindOfName(child.name) === 'fix' && child.name.replace(/\.r\d+$/, '') === `fix_${first.name}`).length,
    })),
    merges: judged.filter(({ name }) => kindOfName(name) === 'merge'),
    conflicts,
    failures: children.filter((child) => child.state !== 'accepted' && kindOfName(child.name) === 'task'),
    planned: [...planned.values()].sort((left, right) => left.round - right.round),
    usage: addUsage(usage, ...[...planned.values()].map((plan) => plan.usage)),
  }
}

export function latest({ versions }: Strand): Version {
  return versions.at(-1) as Version
}

/** The one that was judged best; one that was not judged counts as better than what was refused before it. */
export function best({ versions }: Strand): Version {
  return versions.reduce((chosen, next) => {
    if (next.verdict === undefined || chosen.verdict === undefined) return next
    if (next.verdict.accept !== chosen.verdict.accept) return next.verdict.accept ? next : chosen
    return next.verdict.score >= chosen.verdict.score ? next : chosen
  })
}

/** What each mending has brought. */
export function refinementsOf({ strands }: Gathered): Refinement[] {
  return strands.flatMap(({ root, versions }) => versions.slice(1).flatMap((version, index): Refinement[] => {
    const scoreBefore = versions[index]?.verdict?.score
    return scoreBefore === undefined ? [] : [{ task: root, round: index + 1, scoreBefore, ...(version.verdict === undefined ? {} : { scoreAfter: version.verdict.score }) }]
  }))
}

/** The same for a contradiction in whatever order its sides are named, and whichever version of them. */
export function conflictKey(between: readonly string[], strands: readonly Strand[]): string {
  return between.map((name) => strands.find((strand) => strand.versions.some((version) => version.name === name))?.root ?? name).sort().join(' ')
}

export function unsettled(gathered: Gathered): readonly (Conflict & { readonly round: number })[] {
  const settled = new Set(gathered.merges.map((merge) => conflictKey(merge.part?.settles ?? [], gathered.strands)))
  return gathered.conflicts.filter((conflict, index, all) => {
    const key = conflictKey(conflict.between, gathered.strands)
    return !settled.has(key) && all.findIndex((other) => conflictKey(other.between, gathered.strands) === key) === index
  })
}

/** What whoever reads the result should know to be shaky. */
export function doubtsOf(gathered: Gathered): string[] {
  return [
    ...gathered.strands.flatMap((strand) => {
      const { name, verdict } = best(strand)
      return verdict === undefined || verdict.accept ? [] : [`${name} was refused (score ${verdict.score}): ${verdict.reasons.join('; ')}`.slice(0, 1_000)]
    }),
    ...unsettled(gathered).map(({ between, about }) => `${between.join(' and ')} contradict each other: ${about}`.slice(0, 1_000)),
  ]
}
