/**
 * A scripted model that plans, works, judges and puts results together for missions that compare READMEs. Every answer is computed from the prompt alone:
 * another README, another goal or another capability in the mesh gives other plans, other findings and another recommendation.
 *
 * It errs as models do, where its prompt gives the occasion: its first plan of a comparison goes round in a circle; of what calls itself
 * tiny it first says no figure, so that the review refuses it; and of what is released "every" so often it says nothing to the point when first asked.
 */
import { type ChatRequest, type Script, on, rules, say, sayJson } from '../openai-server/server.ts'
import { capabilitiesIn, dataIn, levelsIn, sectionsOf, slug, subjectsIn } from './reading-prompts.ts'

export const marks = { plan: 'You plan work for a mesh of agents', work: 'You work alone on one task', review: 'You judge results of tasks', synthesise: 'Others have worked on parts of a goal' } as const
export type Part = keyof typeof marks

/** Which step of the agents asks. */
export function partOf({ system }: Pick<ChatRequest, 'system'>): Part | undefined {
  return (Object.keys(marks) as Part[]).find((part) => system.includes(marks[part]))
}

/** What the step asks, without answers that were sent back. */
export function questionOf({ messages }: Pick<ChatRequest, 'messages'>): string {
  return messages.find(({ role }) => role === 'user')?.content ?? ''
}

export function wasSentBack({ messages }: Pick<ChatRequest, 'messages'>): boolean {
  return messages.some(({ role, content }) => role === 'user' && content.startsWith('Your answer was refused'))
}

/** Which capability could say more about a section, by a word that both have. */
function moreAbout(heading: string, prompt: string): ReturnType<typeof capabilitiesIn>[number] | undefined {
  const words = heading.toLowerCase().split(/\s+/).filter((word) => word.length > 4)
  return capabilitiesIn(prompt).find(({ name, summary }) => !/^(agent|docs|repo)\./.test(name) && words.some((word) => summary.toLowerCase().includes(word)))
}

const unneeded = new Set(['Install', 'API'])

function criteriaOf(section: string): string[] {
  return [...(section.includes(' kB') ? ['gives the size in kB'] : []), ...(/Version \d/.test(section) ? ['names the version'] : [])]
}

function plan(request: ChatRequest): unknown {
  const prompt = questionOf(request)
  const given = dataIn(prompt)
  const readmes = given.filter(({ text }) => sectionsOf(text).size > 0)
  const use = given.find(({ name }) => name === 'use')?.text ?? /for this use: (.*)/.exec(prompt)?.[1] ?? 'any'
  const [only] = readmes
  if (only === undefined) return { doItYourself: true, why: 'one train of thought', role: 'analyst' }
  if (readmes.length > 1 && levelsIn(prompt) > 0) {
    const names = readmes.map(({ name }) => slug(name))
    const after = (index: number): string[] => (wasSentBack(request) ? [] : [names[(index + 1) % names.length] ?? ''])
    return { why: 'each library is studied by itself', tasks: readmes.map(({ name }, index) => ({ name: slug(name), capability: 'agent.plan', role: 'researcher', goal: `Find out what ${name} is worth for this use: ${use}`, uses: [`input.${name}`], after: after(index) })) }
  }
  const sections = [...sectionsOf(only.text)].filter(([heading]) => !unneeded.has(heading))
  return {
    why: `the README of ${only.name} has ${sections.length} sections that matter`,
    tasks: sections.flatMap(([heading, section]) => {
      const more = moreAbout(heading, prompt)
      const found = { name: slug(heading), capability: 'agent.work', role: 'researcher', goal: `Quote the section "${heading}" of ${only.name}, for this use: ${use}`, uses: [`input.${only.name}`], criteria: criteriaOf(section), accept: [{ path: 'text', matches: '“' }] }
      return [found, ...(more === undefined ? [] : [{ name: slug(more.name), capability: more.name, input: { [more.properties[0] ?? '']: { $from: found.name, path: 'text' } } }])]
    }),
  }
}

function work(request: ChatRequest, earlier: number): string {
  const blocks = dataIn(questionOf(request))
  const isFix = blocks.some(({ name }) => name === 'the objections')
  const [, heading = '', library = ''] = /Quote the section \\?"([^"\\]+)\\?" of ([\w-]+)/.exec(questionOf(request)) ?? []
  const section = blocks.map(({ text }) => sectionsOf(text).get(heading)).find((text) => text !== undefined)
  if (section === undefined) return `“${questionOf(request).slice(0, 200)}”`
  if (!isFix && section.includes('tiny')) return `Of ${library}: “It is tiny”.`
  if (earlier === 0 && section.includes('every')) return `${library} is looked after.`
  return `Of ${library}: “${section.replaceAll(/\s+/g, ' ')}”`
}

const checks: Readonly<Record<string, RegExp>> = { 'gives the size in kB': /\d kB/, 'names the version': /Version \d+\.\d+/ }

function review(request: ChatRequest): unknown {
  const verdicts = subjectsIn(questionOf(request)).map(({ name, criteria, result }) => {
    const unmet = criteria.filter((criterion) => checks[criterion]?.test(result) === false)
    return { of: name, accept: unmet.length === 0, score: unmet.length === 0 ? 0.9 : 0.3, reasons: unmet.map((criterion) => `not met: ${criterion}`) }
  })
  return { verdicts, conflicts: [] }
}

function synthesise(request: ChatRequest): string {
  const results = subjectsIn(questionOf(request)).map(({ name, result }) => ({ name, text: result.replaceAll(/ ?\[[\w.-]+\]/g, '') }))
  const told = results.map(({ name, text }) => `${text} [${name}]`).join('\n')
  const sized = results.flatMap((result) => {
    const size = /weighs (\d+) kB/.exec(result.text)?.[1]
    return size === undefined ? [] : [{ ...result, sizeKb: Number(size) }]
  })
  const [best] = sized.filter(({ text }) => !/GPL|copyleft/.test(text)).sort((left, right) => left.sizeKb - right.sizeKb)
  return best === undefined || sized.length < 2 ? told : `I recommend ${best.name} [${best.name}], for its ${best.sizeKb} kB.\n${told}`
}

/** What each answer of the team is billed for. */
export const billed = { prompt_tokens: 1_000, completion_tokens: 100 } as const

export function scriptedTeam(): Script {
  const asked = new Map<string, number>()
  const timesBefore = (question: string): number => {
    const times = asked.get(question) ?? 0
    asked.set(question, times + 1)
    return times
  }
  return rules(
    on({ system: marks.plan }, (request) => sayJson(plan(request), { usage: billed })),
    on({ system: marks.work }, (request) => say(work(request, timesBefore(questionOf(request))), { usage: billed })),
    on({ system: marks.review }, (request) => sayJson(review(request), { usage: billed })),
    on({ system: marks.synthesise }, (request) => say(synthesise(request), { usage: billed })),
  )
}
