/**
 * Tokens counted here: what a text comes to in the encodings of OpenAI's models. Exact for those, an estimate for all others. The encodings are loaded when
 * they are first needed, and long texts are counted in parts, with other work in between.
 */
import { setImmediate } from 'node:timers/promises'
import type { ChatInput } from '../../../protocols/models/schema.ts'

/** What is counted in one go: a few milliseconds. */
const partChars = 8_192
/** OpenAI's models wrap every message, and the answer. */
const tokensPerMessage = 3
const tokensPerAnswer = 3

type Count = (text: string) => number

const loaded = new Map<string, Promise<Count>>()

/** Models from before GPT-4o. */
const olderModel = /^(?:[\w.-]+\/)?(?:gpt-4(?!o|\.\d)|gpt-3\.5|text-embedding-)/

function counter(model: string): Promise<Count> {
  const name = olderModel.test(model) ? 'cl100k_base' : 'o200k_base'
  let count = loaded.get(name)
  if (count === undefined) {
    count = load(name)
    loaded.set(name, count)
    // Not being there now need not last.
    count.catch(() => loaded.delete(name))
  }
  return count
}

async function load(name: 'cl100k_base' | 'o200k_base'): Promise<Count> {
  const { countTokens } = name === 'cl100k_base' ? await import('gpt-tokenizer/encoding/cl100k_base') : await import('gpt-tokenizer/encoding/o200k_base')
  // What looks like a control token in a text is text.
  return (text) => countTokens(text, { disallowedSpecial: new Set() })
}

/** @returns how many tokens the text has. */
export async function countText(model: string, text: string): Promise<number> {
  const count = await counter(model)
  let sum = 0
  for (let start = 0; start < text.length;) {
    const end = partEnd(text, start)
    sum += count(text.slice(start, end))
    start = end
    if (start < text.length) await setImmediate()
  }
  return sum
}

/** Parts end before a space or a line, where tokens end as well, if there is one. */
function partEnd(text: string, start: number): number {
  const latest = start + partChars
  if (latest >= text.length) return text.length
  for (let at = latest; at > start + partChars / 2; at--) if (/\s/.test(text.charAt(at)) && !/\s/.test(text.charAt(at - 1))) return at
  // Not within a pair of surrogates.
  return /[\uDC00-\uDFFF]/.test(text.charAt(latest)) ? latest - 1 : latest
}

/** @returns what the prompt comes to: messages, tools and schema. */
export async function countChat(model: string, { messages, tools, schema }: Pick<ChatInput, 'messages' | 'tools' | 'schema'>): Promise<number> {
  const texts = messages.map((message) => {
    const calls = message.role === 'assistant' ? (message.toolCalls ?? []).map(({ name, arguments: text }) => `${name}${text}`) : []
    return [message.content ?? '', ...calls].join('\n')
  })
  const rest = [tools === undefined || tools.length === 0 ? '' : JSON.stringify(tools), schema === undefined ? '' : JSON.stringify(schema)]
  let sum = tokensPerAnswer
  for (const text of texts) sum += tokensPerMessage + 1 + await countText(model, text)
  for (const text of rest) sum += await countText(model, text)
  return sum
}
