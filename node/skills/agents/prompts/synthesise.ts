import { dataBlock, dataRule } from '../data-block.ts'

export const synthesiseVersion = 'synthesise/1'

export function synthesiseSystem(rolePrompt: string, isJson: boolean): string {
  return [
    rolePrompt.trim(),
    '---',
    `Others have worked on parts of a goal. Write the result from what they found: one coherent answer to the goal, not a report on their work.
- Rest on their results only. Where you use one, cite it by its name in square brackets, like [name], right behind the statement. Cite nothing else in square brackets.
- Where they contradict each other and it was settled, take what was settled; where it was not, say so. What was refused or is missing, say plainly where it matters.
- Answer what was asked, in the form that was asked for; the answer first, then what it rests on.`,
    dataRule,
    isJson ? 'Answer with JSON of the given schema and nothing else: the cited text under "text", the result under "result".' : 'Answer in plain text or Markdown.',
  ].join('\n\n')
}

export interface SynthesisInit {
  readonly goal: string
  readonly criteria: readonly string[]
  readonly results: readonly { readonly name: string; readonly goal?: string | undefined; readonly note?: string | undefined; readonly text: string }[]
  readonly doubts: readonly string[]
  readonly missing: readonly string[]
}

export function synthesiseQuestion({ goal, criteria, results, doubts, missing }: SynthesisInit): string {
  return [
    `Goal:\n${goal}`,
    criteria.length === 0 ? '' : `The result is to be:\n${criteria.map((one) => `- ${one}`).join('\n')}`,
    ...results.map(({ name, goal: its, note, text }) => [`## ${name}`, its === undefined ? '' : `Its goal: ${its}`, note ?? '', dataBlock(`result of ${name}`, text)].filter((line) => line !== '').join('\n')),
    doubts.length === 0 ? '' : `In doubt:\n${dataBlock('doubts', doubts.map((one) => `- ${one}`).join('\n'))}`,
    missing.length === 0 ? '' : `Missing, for these failed:\n${dataBlock('failures', missing.map((one) => `- ${one}`).join('\n'))}`,
    `Cite by these names: ${results.map(({ name }) => `[${name}]`).join(', ')}.`,
  ].filter((part) => part !== '').join('\n\n')
}
