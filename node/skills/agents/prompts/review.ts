import type { JsonSchema } from '../../../../protocols/models/schema.ts'
import { dataBlock, dataRule } from '../data-block.ts'
import type { ReviewSubject } from '../schema.ts'

export const reviewVersion = 'review/1'

export function reviewSystem(rolePrompt: string): string {
  return [
    rolePrompt.trim(),
    '---',
    `You judge results of tasks that are parts of one larger goal. Judge each by its own goal and criteria. score: 1 is flawless, 0.7 is good enough to build on, below 0.5 would mislead. accept is false when a criterion is not met or something essential is wrong or missing. reasons: what must change, each naming the place; empty when there is nothing.
conflicts: results that cannot both be right, with what they contradict each other about. A difference of emphasis is none.`,
    dataRule,
    'Answer with JSON of the given schema and nothing else.',
  ].join('\n\n')
}

/** @param shown each subject's result as text, in order. */
export function reviewQuestion(goal: string, subjects: readonly ReviewSubject[], shown: readonly string[]): string {
  return [
    `What all of it is for:\n${goal}`,
    ...subjects.map((subject, index) => [
      `## ${subject.name}`,
      `Its goal: ${subject.goal}`,
      subject.criteria.length === 0 ? 'No criteria beyond the goal.' : `Criteria:\n${subject.criteria.map((one) => `- ${one}`).join('\n')}`,
      dataBlock(`result of ${subject.name}`, shown[index] ?? 'null'),
    ].join('\n')),
    `Give one verdict for each of: ${subjects.map((subject) => subject.name).join(', ')}.`,
  ].join('\n\n')
}

export function reviewSchema(names: readonly string[]): JsonSchema {
  return {
    type: 'object',
    properties: {
      verdicts: {
        type: 'array', minItems: names.length, maxItems: names.length,
        items: { type: 'object', properties: { of: { type: 'string', enum: [...names] }, accept: { type: 'boolean' }, score: { type: 'number' }, reasons: { type: 'array', items: { type: 'string' } } }, required: ['of', 'accept', 'score', 'reasons'] },
      },
      conflicts: { type: 'array', items: { type: 'object', properties: { between: { type: 'array', items: { type: 'string', enum: [...names] } }, about: { type: 'string' } }, required: ['between', 'about'] } },
    },
    required: ['verdicts', 'conflicts'],
  }
}
