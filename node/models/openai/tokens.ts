/**
 * Tokens counted here: what a text comes to in the encodings of OpenAI's models. Exact for those, an estimate for all others. It is done on a thread that is
 * started when it is first needed, and ended when it is not needed for a while.
 */
import { Worker } from 'node:worker_threads'
import type { DurationMs } from '../../../protocols/kernel/units.ts'
import type { ChatInput } from '../../../protocols/models/schema.ts'
import { siblingModule } from '../../source-or-bundle.ts'
import type { CountAnswer, CountQuestion } from './token-counter.worker.ts'

/** OpenAI's models wrap every message, and the answer. */
const tokensPerMessage = 4
const tokensPerAnswer = 3
/** The encodings take some 100 MB of memory. */
const idleMs: DurationMs = 60_000
/** Of most texts, generously. */
const bytesPerTokenGuessed = 3

/** Models from before GPT-4o. */
const olderModel = /^(?:[\w.-]+\/)?(?:gpt-4(?!o|\.\d)|gpt-3\.5|text-embedding-)/

/** @returns how many tokens the text has. */
export function countText(model: string, text: string): Promise<number> {
  return countTexts(model, [text])
}

/** @returns how many tokens the texts have together. */
export async function countTexts(model: string, texts: readonly string[]): Promise<number> {
  if (texts.every((text) => text === '')) return 0
  return (thread ??= startThread()).count(olderModel.test(model) ? 'cl100k_base' : 'o200k_base', texts)
}

/** @returns what the prompt comes to: messages, tools and schema. */
export async function countChat(model: string, input: Pick<ChatInput, 'messages' | 'tools' | 'schema'>): Promise<number> {
  return tokensPerAnswer + tokensPerMessage * input.messages.length + await countTexts(model, textsOf(input))
}

/** No chat has more tokens than this: one is at least a byte. Much quicker to say. */
export function tokensAtMost(input: Pick<ChatInput, 'messages' | 'tools' | 'schema'>): number {
  return textsOf(input).reduce((sum, text) => sum + Buffer.byteLength(text), tokensPerAnswer + tokensPerMessage * input.messages.length)
}

function textsOf({ messages, tools, schema }: Pick<ChatInput, 'messages' | 'tools' | 'schema'>): string[] {
  const texts = messages.map((message) => {
    const calls = message.role === 'assistant' ? (message.toolCalls ?? []).map(({ name, arguments: text }) => `${name}${text}`) : []
    return [message.content ?? '', ...calls].join('\n')
  })
  if (tools !== undefined && tools.length > 0) texts.push(JSON.stringify(tools))
  if (schema !== undefined) texts.push(JSON.stringify(schema))
  return texts
}

interface CounterThread {
  count(encoding: CountQuestion['encoding'], texts: readonly string[]): Promise<number>
}

let thread: CounterThread | undefined
let questions = 0

function startThread(): CounterThread {
  const worker = new Worker(siblingModule(import.meta.url, './token-counter.worker'), { name: 'skein-tokens', execArgv: [], argv: [] })
  const waiting = new Map<number, { readonly texts: readonly string[]; readonly resolve: (tokens: number) => void }>()
  let timer: NodeJS.Timeout | undefined

  function settle(id: number, tokens: number): void {
    waiting.get(id)?.resolve(tokens)
    waiting.delete(id)
    if (waiting.size > 0) return
    // Nobody waits: it keeps no process alive.
    worker.unref()
    timer = setTimeout(() => void worker.terminate(), idleMs)
    timer.unref()
  }

  const counter: CounterThread = {
    count(encoding, texts) {
      clearTimeout(timer)
      const id = ++questions
      return new Promise((resolve) => {
        waiting.set(id, { texts, resolve })
        worker.ref()
        worker.postMessage({ id, encoding, texts } satisfies CountQuestion)
      })
    },
  }
  worker.on('message', ({ id, tokens }: CountAnswer) => settle(id, tokens))
  worker.on('error', () => undefined)
  worker.on('exit', () => {
    clearTimeout(timer)
    if (thread === counter) thread = undefined
    // What was paid for already must not fail because it cannot be counted.
    for (const { texts, resolve } of waiting.values()) resolve(guess(texts))
    waiting.clear()
  })
  return counter
}

function guess(texts: readonly string[]): number {
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
  return Math.ceil(bytes / bytesPerTokenGuessed)
}
