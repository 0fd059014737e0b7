/** How much a model has to do for an input, before any model has seen it: what bids and prices are estimated by. */
import type { Payload } from '../kernel/payload.ts'
import { chatCapability, embedCapability } from './schema.ts'

/** Of English text and code; a provider counts exactly, and what it refuses because of that is refused with the numbers. */
const charsPerToken = 4
/** Roles and separators. */
const tokensPerMessage = 8
/** Of an answer whose length nobody has limited. */
export const answerTokensGuess = 1_024

export interface Units {
  readonly input: number
  readonly output: number
}

/** @returns undefined for what is no input of a model. */
export function unitsOf(capability: string, input: unknown): Units | undefined {
  if (typeof input !== 'object' || input === null) return undefined
  const given = input as Readonly<Record<string, unknown>>
  if (capability === embedCapability) return { input: tokensIn(given['texts']), output: 0 }
  if (capability !== chatCapability) return undefined
  const messages = given['messages']
  const { maxTokens } = given as { maxTokens?: unknown }
  return {
    input: tokensIn(messages) + tokensIn(given['tools']) + tokensIn(given['schema']) + (Array.isArray(messages) ? messages.length * tokensPerMessage : 0),
    output: typeof maxTokens === 'number' ? maxTokens : answerTokensGuess,
  }
}

/** The same of an input as it travels: of one that is in the blob store only its size is known. */
export function unitsOfPayload(capability: string, input: Payload): Units | undefined {
  if ('inline' in input) return unitsOf(capability, input.inline)
  const tokens = Math.ceil(input.blob.sizeBytes / charsPerToken)
  return capability === chatCapability ? { input: tokens, output: answerTokensGuess } : capability === embedCapability ? { input: tokens, output: 0 } : undefined
}

function tokensIn(value: unknown): number {
  let chars = 0
  const pending: unknown[] = [value]
  while (pending.length > 0) {
    const next = pending.pop()
    if (typeof next === 'string') chars += next.length
    else if (typeof next === 'object' && next !== null) for (const [key, inner] of Object.entries(next)) {
      if (!Array.isArray(next)) chars += key.length
      pending.push(inner)
    }
  }
  return Math.ceil(chars / charsPerToken)
}
