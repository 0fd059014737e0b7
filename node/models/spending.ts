/** A call keeps to what may be spent on it before it is sent: afterwards it is too late. */
import { MeshError } from '../../protocols/kernel/errors.ts'
import type { ChatInput, EmbedInput } from '../../protocols/models/schema.ts'
import { tokensAtMost } from './context-check.ts'
import type { HostedModel } from './hosted-models.ts'

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
 * @returns the chat, its answer no longer than can be paid; one that was cut off by that ends with `length`.
 * @throws MeshError `over-limit` when not even the prompt can be paid with one token of an answer.
 */
export async function affordable(model: HostedModel, input: ChatInput, budgetUsd: number | undefined): Promise<ChatInput> {
  const { inputUsd, outputUsd } = priceOf(model)
  if (budgetUsd === undefined || (inputUsd === 0 && outputUsd === 0)) return input
  const [first] = model.members
  const most = tokensAtMost(input)
  // Counting takes time, and is worth it only when it may matter.
  const isAmple = input.maxTokens !== undefined && most * inputUsd + input.maxTokens * outputUsd <= budgetUsd
  if (isAmple || first === undefined) return input
  const promptTokens = await first.by.provider.countTokens(first.info.name, input)
  const left = budgetUsd - promptTokens * inputUsd
  const answerTokens = outputUsd === 0 ? Infinity : Math.floor(left / outputUsd)
  if (left < 0 || answerTokens < 1) throw tooDear(model.name, promptTokens * inputUsd + outputUsd, budgetUsd)
  // Where the context ends anyway no limit is named: not every endpoint takes one that is larger.
  if (answerTokens >= (input.maxTokens ?? first.info.contextTokens - promptTokens)) return input
  return { ...input, maxTokens: answerTokens }
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
