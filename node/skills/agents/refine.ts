/** What follows from the verdicts on a plan's results: tasks that mend, that bring up to date what rested on the mended, that settle contradictions. Pure. */
import type { z } from 'zod'
import type { PlannedTask } from '../../../protocols/tasking/schema.ts'
import { type DraftScope, type Named, givenTo, modelsOf, resultOf, reviewTasks, reviewsWithin } from './plan-draft.ts'
import { type Gathered, type Strand, best, conflictKey, latest, unsettled } from './gather.ts'
import { fixName, isAgentTask, mergeName } from './names.ts'
import type { Part, ReviewSubject } from './schema.ts'

type Tasks = Record<string, z.input<typeof PlannedTask>>

/**
 * @param scope `leavesLeft` is kept to: the worst results come first, and reviews of the mended ones only as there is room.
 * @returns tasks by name; none when nothing is to be mended, or may be any more.
 */
export function refinements(gathered: Gathered, scope: DraftScope): Tasks {
  const { roundsMax } = scope.input
  let left = scope.leavesLeft
  const tasks: Tasks = {}
  const subjects: ReviewSubject[] = []

  const merges = scope.round > roundsMax ? [] : unsettled(gathered).filter((conflict) => conflict.round === scope.round - 1)
  for (const [index, { between, about }] of merges.entries()) {
    if (left < 1) break
    left -= 1
    tasks[mergeName(index + 1, scope.round)] = mergeTask(between, about, gathered, scope)
  }

  // A task that is mended makes out of date what rested on it.
  const refused = gathered.strands.filter((strand) => latest(strand).verdict?.accept === false && strand.fixesTried < roundsMax && isAgentTask(latest(strand).capability))
    .sort((one, other) => (latest(one).verdict?.score ?? 0) - (latest(other).verdict?.score ?? 0))
  const mended = new Map<string, string>()
  for (const strand of refused) if (left > 0) {
    left -= 1
    mended.set(strand.root, fixName(strand.root, scope.round))
  }
  for (let found = true; found; ) {
    found = false
    for (const strand of gathered.strands) {
      const { capability, part } = latest(strand)
      if (left < 1 || mended.has(strand.root) || !isAgentTask(capability) || !(part?.uses ?? []).some((use) => mended.has(use))) continue
      left -= 1
      mended.set(strand.root, fixName(strand.root, scope.round))
      found = true
    }
  }
  for (const strand of gathered.strands) {
    const name = mended.get(strand.root)
    if (name === undefined) continue
    const { goal, criteria } = partOf(strand)
    const scoreBefore = latest(strand).verdict?.score
    tasks[name] = fixTask(strand, gathered, mended, scope)
    subjects.push({ name, goal, criteria, output: { $from: name }, ...(scoreBefore === undefined ? {} : { scoreBefore }) })
  }
  return { ...tasks, ...reviewTasks(subjects, scope, reviewsWithin(subjects.length, left)) }
}

function partOf(strand: Strand): Part {
  return latest(strand).part ?? { goal: strand.root, criteria: [], uses: [], settles: [] }
}

function fixTask(strand: Strand, gathered: Gathered, mended: ReadonlyMap<string, string>, scope: DraftScope): Tasks[string] {
  const before = latest(strand)
  const { goal, criteria, uses, expects } = partOf(strand)
  const { verdict } = before
  const corrected = uses.filter((use) => mended.has(use))
  // What it rests on, as it stands by now.
  const named: Named = (name) => {
    const fix = mended.get(name)
    if (fix !== undefined) return { name: fix, capability: 'agent.work' }
    const other = gathered.strands.find((one) => one.root === name)
    return other === undefined ? undefined : best(other)
  }
  const given = givenTo(uses.filter((use) => use === 'input' || use.startsWith('input.') || named(use) !== undefined), scope.input, named)
  const isRefused = verdict?.accept === false
  return {
    capability: 'agent.work', optional: true,
    input: {
      goal: isRefused
        ? 'The result under "the result so far" was judged and refused. Mend it: meet every objection under "the objections" that is right. It is to fulfil the task under "the task".'
        : 'The result under "the result so far" rests on something that has been corrected since. Bring it up to date. It is to fulfil the task under "the task".',
      role: scope.roles.get('fixer') ?? 'fixer',
      context: {
        ...('value' in given ? given.value.context : {}),
        'the task': criteria.length === 0 ? goal : { goal, criteria },
        'the result so far': resultOf(before),
        ...(isRefused ? { 'the objections': verdict.reasons } : {}),
        ...(corrected.length === 0 ? {} : { 'corrected since': corrected }),
      },
      part: { goal, criteria, uses, supersedes: strand.root, settles: [], ...(expects === undefined ? {} : { expects }) },
      ...(expects === undefined ? {} : { expects }), ...modelsOf(scope.input.models),
    },
  }
}

function mergeTask(between: readonly string[], about: string, gathered: Gathered, scope: DraftScope): Tasks[string] {
  const sides = between.flatMap((name) => gathered.strands.flatMap((strand) => strand.versions.filter((version) => version.name === name)))
  const goal = `The results ${between.join(' and ')} contradict each other; "the contradiction" says about what. Settle it by the material: say what holds, by which evidence, and what the other side got wrong. If it cannot be decided, say exactly what is open.`
  return {
    capability: 'agent.work', optional: true,
    input: {
      goal, role: scope.roles.get('fixer') ?? 'fixer',
      context: { ...scope.input.context, 'the contradiction': about, ...Object.fromEntries(sides.map((side) => [side.name, resultOf(side)])) },
      part: { goal, criteria: [], uses: [...between], settles: conflictKey(between, gathered.strands).split(' ') },
      ...modelsOf(scope.input.models),
    },
  }
}
