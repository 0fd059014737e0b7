/** A call keeps to what may be spent on it before it is sent: afterwards it is too late. */
import { MeshError } from '../../protocols/kernel/errors.ts'
import type { ChatInput, EmbedInput } from '../../protocols/models/schema.ts'
import { tokensAtMost } from './context-check.ts'
import type { HostedModel, Member } from './hosted-models.ts'

interface Price {
  readonly inputUsd: number
  readonly outputUsd: number
}

/** Of one token, by the dearest of its providers. */
function priceOf({ members }: HostedModel): Price {
  return {
    inputUsd: Math.max(...members.map(({ info }) => info.inputUsdPerMillion)) / 1_000_000,
    outputUsd: Math.max(...members.map(({ info }) => info.outputUsdPerMillion)) / 1_000_000,
  }
}

/**
 * @returns the longest answer that can be paid, in tokens; undefined when what the chat asks for can be paid anyway.
 * @throws MeshError `over-limit` when not even the prompt can be paid with one token of an answer.
 */
export async function affordableAnswer(model: HostedModel, input: ChatInput, budgetUsd: number | undefined): Promise<number | undefined> {
  const { inputUsd, outputUsd } = priceOf(model)
  if (budgetUsd === undefined || (inputUsd === 0 && outputUsd === 0)) return undefined
  const [first] = model.members
  // Counting takes time, and is worth it only when it may matter.
  const isAmple = input.maxTokens !== undefined && tokensAtMost(input) * inputUsd + input.maxTokens * outputUsd <= budgetUsd
  if (isAmple || first === undefined) return undefined
  const promptTokens = await first.by.provider.countTokens(first.info.name, input)
  const left = budgetUsd - promptTokens * inputUsd
  const answerTokens = outputUsd === 0 ? Infinity : Math.floor(left / outputUsd)
  if (left < 0 || answerTokens < 1) throw tooDear(model.name, promptTokens * inputUsd + outputUsd, budgetUsd)
  return answerTokens >= (input.maxTokens ?? first.info.contextTokens - promptTokens) ? undefined : answerTokens
}

/** How endpoints say what the longest answer is that they take a wish for. */
const longestAnswer = [/at most (?<tokens>\d+) (?:completion|output) tokens/, /(?:max_tokens|max_completion_tokens|max_output_tokens)\D+\d+ > (?<tokens>\d+)/]

/**
 * Sends a chat with the limit that its budget sets. It may be more than the endpoint lets anybody ask for, of which nobody knows until it says so: then what it
 * says is asked for, now and ever after.
 * @param answerTokens see `affordableAnswer`
 */
export async function sendWithin<Output>(member: Member, input: ChatInput, answerTokens: number | undefined, send: (input: ChatInput) => Promise<Output>): Promise<Output> {
  if (answerTokens === undefined) return await send(input)
  try {
    return await send({ ...input, maxTokens: Math.min(answerTokens, member.answerTokensMax ?? Infinity) })
  } catch (thrown) {
    const tokens = thrown instanceof MeshError && thrown.fault.code === 'bad-input' ? longestIn(thrown.fault.detail) : undefined
    if (tokens === undefined || tokens < 1 || tokens >= answerTokens || tokens === member.answerTokensMax) throw thrown
    member.answerTokensMax = tokens
    return await send({ ...input, maxTokens: tokens })
  }
}

function longestIn(detail: string): number | undefined {
  for (const pattern of longestAnswer) {
    const tokens = pattern.exec(detail)?.groups?.['tokens']
    if (tokens !== undefined) return Number(tokens)
  }
  return undefined
}

const charsPerToken = 4

/** @returns how many tokens the texts have, about. @throws MeshError `over-limit` when they cannot be paid. */
export function affordableTexts(model: HostedModel, { texts }: EmbedInput, budgetUsd: number | undefined): number {
  const tokens = Math.ceil(texts.reduce((sum, text) => sum + text.length, 0) / charsPerToken)
  const costUsd = tokens * priceOf(model).inputUsd
  if (budgetUsd !== undefined && costUsd > budgetUsd) throw tooDear(model.name, costUsd, budgetUsd)
  return tokens
}

function tooDear(name: string, costUsd: number, budgetUsd: number): MeshError {
  return new MeshError('over-limit', `${name} would cost ${costUsd.toPrecision(2)} USD or more, ${budgetUsd.toPrecision(2)} USD are left`, { next: 'raise the budget, shorten the input, or name a cheaper model' })
}
