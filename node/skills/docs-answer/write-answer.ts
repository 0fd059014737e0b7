/** An answer that a model of the mesh writes from the passages, held to them afterwards. */
import { z } from 'zod'
import { ChatOutput, chatCapability } from '../../../protocols/models/schema.ts'
import type { ChatMessage } from '../../../protocols/models/schema.ts'
import type { Json } from '../../../protocols/kernel/payload.ts'
import type { OfferedCapability, SkillContext } from '../define-skill.ts'
import { MeshError } from '../define-skill.ts'
import { withoutThoughts } from '../json-in-text.ts'
import { checkCitations } from './check-citations.ts'
import { condense } from './condense.ts'
import type { Condenser } from './condense.ts'
import type { ComposedAnswer } from './extract-answer.ts'
import { answerPrompt, answerSchema, materialOf } from './prompts.ts'
import type { Material } from './prompts.ts'
import type { RankedPassage } from './rank.ts'
import type { Citation } from './schema.ts'
import { citationOf, overlap, statementsOf } from './statements.ts'
import { estimateTokens } from './tokens.ts'
import { stemsOf } from './words.ts'

export interface WrittenAnswer extends ComposedAnswer {
  readonly model: string
}

/** Of a model whose context nobody has stated. */
const contextTokensAssumed = 4_096
const answerTokensMax = 1_024
const answerShare = 0.25
/** For what the model's own chat template adds. */
const templateTokens = 64
const overflowsMax = 3
const unanswered = 'The passages do not answer the question.'

/** @returns the largest context among the chat models that may write, or undefined when the mesh has none. */
export function chatContextTokens(offered: readonly OfferedCapability[], model: string | undefined): number | undefined {
  const contexts = offered
    .filter((one) => one.name === chatCapability && one.providers > 0)
    .flatMap((one) => (one.attributes.length === 0 && model === undefined ? [{}] : one.attributes))
    .filter((attributes: Readonly<Record<string, unknown>>) => model === undefined || attributes['model'] === model)
    .map((attributes: Readonly<Record<string, unknown>>) => (typeof attributes['contextTokens'] === 'number' ? attributes['contextTokens'] : contextTokensAssumed))
  return contexts.length === 0 ? undefined : Math.max(...contexts)
}

export interface WriteInit {
  readonly question: string
  /** Best first. */
  readonly ranked: readonly RankedPassage[]
  readonly model: string | undefined
  readonly contextTokens: number
  readonly context: SkillContext
}

/** @throws MeshError what the calls of the model throw; `context-overflow` when it cannot even hold one passage. */
export async function writeAnswer(init: WriteInit): Promise<WrittenAnswer> {
  // A model counts tokens in its own way: an estimate that turns out too low is doubled, and the passages are condensed further.
  for (let estimateFactor = 1, overflows = 0; ; estimateFactor *= 2) {
    try {
      return await writeWithin(init, estimateFactor)
    } catch (thrown) {
      if (!(thrown instanceof MeshError) || thrown.fault.code !== 'context-overflow' || ++overflows >= overflowsMax) throw thrown
    }
  }
}

async function writeWithin({ question, ranked, model, contextTokens, context }: WriteInit, estimateFactor: number): Promise<WrittenAnswer> {
  const estimate = (text: string): number => Math.ceil(estimateTokens(text) * estimateFactor)
  const answerTokens = Math.max(64, Math.min(answerTokensMax, Math.floor(contextTokens * answerShare)))
  const promptTokens = (materials: readonly Material[]): number => answerPrompt(question, materials, true).reduce((sum, message) => sum + estimate(message.content ?? ''), templateTokens)
  const materialTokensMax = contextTokens - answerTokens - promptTokens([])

  let writer = model ?? ''
  const chat = async (messages: readonly ChatMessage[], key: string, extra: { schema?: Json; maxTokens: number }): Promise<ChatOutput> => {
    const needed = messages.reduce((sum, message) => sum + estimate(message.content ?? ''), templateTokens) + extra.maxTokens
    const input = { ...(model === undefined ? {} : { model }), messages, temperature: 0, ...extra } as unknown as Json
    // Without a name any model may take it that has the room.
    const attributes = model === undefined ? { contextTokens: Math.min(needed, contextTokens) } : { model }
    const { output } = await context.call(chatCapability, input, { attributes, signal: context.signal, key: `${key}-${estimateFactor}` })
    const answer = ChatOutput.parse(output)
    writer = answer.model
    return answer.content === null ? answer : { ...answer, content: withoutThoughts(answer.content) }
  }

  const condenser: Condenser = {
    question, materialTokensMax, promptTokens,
    signal: context.signal,
    ask: async (messages, key, maxTokens) => (await chat(messages, key, { maxTokens })).content ?? '',
    progress: (text) => context.progress(undefined, text),
  }
  const passages = ranked.map((each) => each.passage)
  const condensed = await condense(passages.map((passage, index) => materialOf(passage, index + 1)), condenser)

  if (condensed.materials.length === 0) return { answer: unanswered, answered: false, citations: [], notes: [...condensed.notes, 'the model found nothing in the passages that has to do with the question'], model: writer }

  context.progress(undefined, 'writing the answer')
  const { said, by } = await askForAnswer(question, condensed.materials, (messages, key, schema) => chat(messages, key, { maxTokens: answerTokens, ...(schema === undefined ? {} : { schema }) }))
  const notes = [...condensed.notes]
  if (by.finish === 'length') notes.push(`the model's answer ends after ${by.usage.completionTokens} tokens, its limit`)
  return { ...holdToPassages(said, ranked, notes), model: by.model }
}

interface Said {
  readonly answered: boolean
  readonly answer: string
}

const Said = z.object({ answered: z.boolean(), answer: z.string() })

/** As JSON, or as prose from a model that cannot be held to JSON. */
async function askForAnswer(question: string, materials: readonly Material[], chat: (messages: readonly ChatMessage[], key: string, schema?: Json) => Promise<ChatOutput>): Promise<{ said: Said; by: ChatOutput }> {
  try {
    const by = await chat(answerPrompt(question, materials, true), 'answer', answerSchema as Json)
    const said = Said.safeParse(parsed(by.content ?? ''))
    if (said.success) return { said: said.data, by }
  } catch (thrown) {
    if (!(thrown instanceof MeshError) || thrown.fault.code !== 'bad-output') throw thrown
  }
  const by = await chat(answerPrompt(question, materials, false), 'answer-prose')
  const text = (by.content ?? '').trim()
  const refused = /^\W*not answered\b[\s:.,-]*/i
  return { said: { answered: text !== '' && !refused.test(text), answer: text.replace(refused, '') }, by }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function holdToPassages(said: Said, ranked: readonly RankedPassage[], notes: string[]): ComposedAnswer {
  const { text, cited, removed, uncited } = checkCitations(said.answer, ranked.length, said.answered)
  if (removed > 0) notes.push(`the model cited ${removed} ${removed === 1 ? 'passage that does' : 'passages that do'} not exist: removed`)
  if (uncited > 0) notes.push(`${uncited} ${uncited === 1 ? 'sentence of the answer cites' : 'sentences of the answer cite'} no passage and ${uncited === 1 ? 'is' : 'are'} marked`)
  if (said.answered && cited.length === 0) notes.push('the model answered without citing any passage, so the documents do not bear the answer out')
  const citations = cited.flatMap((number, index) => {
    const from = ranked[number - 1]
    return from === undefined ? [] : [quoteFor(from, sentencesCiting(text, index + 1))]
  })
  return { answer: text === '' ? unanswered : text, answered: said.answered && cited.length > 0, citations, notes }
}

function sentencesCiting(text: string, number: number): string {
  return text.split(/(?<=[.!?])\s+|\n/).filter((sentence) => sentence.includes(`[${number}]`)).join(' ')
}

/** The statement of the passage that what was said of it is most like. */
function quoteFor({ passage, score }: RankedPassage, said: string): Citation {
  const stems = stemsOf(said.replace(/\[\d+\]/g, ''))
  const statements = statementsOf(passage)
  const likeness = (statement: (typeof statements)[number]): number => overlap(statement.stems, stems) * Math.min(1, new Set(statement.stems).size / 4)
  const best = statements.reduce<(typeof statements)[number] | undefined>((left, right) => (left === undefined || likeness(right) > likeness(left) ? right : left), undefined)
  const first = passage.units[0]
  return citationOf(passage.file, best ?? { text: first?.text ?? '', place: first?.place ?? { page: 1 } }, score)
}
