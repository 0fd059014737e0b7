/**
 * `docs.answer` and the skill it is made of: a question and a folder of documents, with citations to file and line.
 *
 * ```sh
 * skein run docs.answer --input path=./handbook --input question="How long is the warranty?"
 * ```
 *
 * @packageDocumentation
 */
import { defineSkill } from '../define-skill.ts'
import type { CompositeSkill, LeafSkill } from '../define-skill.ts'
import { composeAnswer } from './compose-answer.ts'
import { declared } from './declarations.ts'
import type { AnswerOutput } from './declarations.ts'
import { gatherFound } from './gather-found.ts'
import { planSearch } from './plan-search.ts'
import { readManifest } from './read-folder.ts'
import { renderMarkdown, renderSummary } from './render-answer.ts'
import type { ShownAnswer } from './render-answer.ts'
import { docsBounds } from './schema.ts'
import { searchPart } from './search-part.ts'
import { termsOf } from './words.ts'

export const docsAnswer: CompositeSkill = defineSkill({
  ...declared.answer,
  plan: planSearch,
  async synthesise({ input, children }, context): Promise<AnswerOutput> {
    const terms = termsOf(input.question)
    const found = gatherFound(children, await readManifest(input.folder, context), terms)
    const { answer, answered, written, model, citations, notes } = await composeAnswer(input, terms, found, context)
    const shown: ShownAnswer = {
      question: input.question, folder: input.folder.name, answer, answered, written, model,
      citations: citations.slice(0, docsBounds.citationsMax),
      notes: [...notes, ...found.notes].slice(0, docsBounds.notesMax),
    }
    return {
      answer, answered, written, ...(model === undefined ? {} : { model }),
      citations: [...shown.citations],
      notes: [...shown.notes],
      summary: renderSummary(shown),
      markdown: await context.blobs.write(renderMarkdown(shown), { name: 'answer.md', mediaType: 'text/markdown' }),
    }
  },
})

export const docsSearch: LeafSkill = defineSkill({
  ...declared.search,
  run: searchPart,
})

/** Everything that a node needs to offer for `docs.answer`. */
export const docsAnswerSkills: readonly (CompositeSkill | LeafSkill)[] = [docsAnswer, docsSearch]

export default docsAnswerSkills
