/** From what was found to the answer: by a model where one is wanted and there, else by quoting. */
import { toFault } from '../../../protocols/kernel/errors.ts'
import type { SkillContext } from '../define-skill.ts'
import { MeshError } from '../define-skill.ts'
import type { AnswerInput } from './declarations.ts'
import { extractAnswer } from './extract-answer.ts'
import type { ComposedAnswer } from './extract-answer.ts'
import type { Found } from './gather-found.ts'
import { rankPassages } from './rank.ts'
import type { Term } from './schema.ts'
import { chatContextTokens, writeAnswer } from './write-answer.ts'

export interface Composed extends ComposedAnswer {
  readonly written: 'model' | 'extracted'
  readonly model?: string
}

/** @throws MeshError `no-provider` when a model is demanded and there is none; with `write: 'model'` also what asking it throws. */
export async function composeAnswer(input: AnswerInput, terms: readonly Term[], found: Found, context: SkillContext): Promise<Composed> {
  const ranked = rankPassages(found.candidates, found.corpus).slice(0, input.passagesMax)
  const extracted = (notes: readonly string[]): Composed => {
    const quoted = extractAnswer(input.question, terms, ranked, found.corpus, found.documents)
    return { ...quoted, notes: [...notes, ...quoted.notes], written: 'extracted' }
  }
  if (input.write === 'extracted') return extracted([])
  const contextTokens = chatContextTokens(await context.capabilities(), input.model)
  if (contextTokens === undefined) {
    const missing = input.model === undefined ? 'no node of the mesh offers a chat model' : `no node of the mesh offers the chat model ${input.model}`
    if (input.write === 'model') throw new MeshError('no-provider', missing, { next: 'start a node with --model FILE.gguf or SKEIN_LLM_URL, or ask with write=extracted' })
    return extracted(input.model === undefined ? [] : [`${missing}: the answer is quoted`])
  }
  // There is nothing that a model could write an answer from.
  if (ranked.length === 0) return extracted([])
  try {
    return { ...(await writeAnswer({ question: input.question, ranked, model: input.model, contextTokens, context })), written: 'model' }
  } catch (thrown) {
    const fault = toFault(thrown, 'skill-failed')
    if (input.write === 'model' || fault.code === 'cancelled') throw thrown
    return extracted([`no model wrote this, the answer is quoted: ${fault.detail.slice(0, 300)}`])
  }
}
