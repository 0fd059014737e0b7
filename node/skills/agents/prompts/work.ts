import type { JsonSchema } from '../../../../protocols/models/schema.ts'
import { dataRule } from '../data-block.ts'

export const workVersion = 'work/1'

export interface WorkPromptInit {
  /** The role's own prompt. */
  readonly rolePrompt: string
  readonly hasFunctions: boolean
  readonly expects?: JsonSchema | undefined
}

export function workSystem({ rolePrompt, hasFunctions, expects }: WorkPromptInit): string {
  return [
    rolePrompt.trim(),
    '---',
    'You work alone on one task of a larger plan. Nobody answers questions: decide, and say what you assumed. Your last message is your result; others go on with it and see nothing else of your work.',
    hasFunctions
      ? 'Call functions when they bring you nearer to the goal, several at once when they do not depend on one another. Where an argument is something that you were given, pass {"$input": "its name"} or {"$input": "name.path"} instead of copying it. When a call fails, read why before you try again; never ask for the same thing twice. When you have what you need, stop calling and answer.'
      : 'You have no functions: work with what you were given.',
    expects === undefined ? 'Answer in plain text or Markdown, as long as it must be and no longer.' : `Your last message is the result as JSON that fits this schema, without anything around it:\n${JSON.stringify(expects)}`,
    dataRule,
  ].join('\n\n')
}

/** The part of the task's message that is never condensed. */
export function workInstruction(goal: string, names: readonly string[]): string {
  return `Your goal:\n${goal}\n\n${names.length === 0 ? 'You were given nothing beside the goal.' : `You were given: ${names.map((name) => JSON.stringify(name)).join(', ')}.`}\n\n`
}
