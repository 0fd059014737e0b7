/** Counts tokens on a thread of its own: loading an encoding takes a good part of a second, and a long text takes long. */
import { parentPort } from 'node:worker_threads'
import { invariant } from '../../../protocols/kernel/errors.ts'

export interface CountQuestion {
  readonly id: number
  readonly encoding: 'cl100k_base' | 'o200k_base'
  readonly texts: readonly string[]
}

export interface CountAnswer {
  readonly id: number
  /** Of all texts together. */
  readonly tokens: number
}

invariant(parentPort !== null, 'token-counter.worker runs in a thread')
const port = parentPort

port.on('message', ({ id, encoding, texts }: CountQuestion) => {
  void answer(id, encoding, texts)
})

async function answer(id: number, encoding: CountQuestion['encoding'], texts: readonly string[]): Promise<void> {
  const { countTokens } = encoding === 'cl100k_base' ? await import('gpt-tokenizer/encoding/cl100k_base') : await import('gpt-tokenizer/encoding/o200k_base')
  // What looks like a control token in a text is text.
  const options = { disallowedSpecial: new Set<string>() }
  let tokens = 0
  for (const text of texts) if (text !== '') tokens += countTokens(text, options)
  port.postMessage({ id, tokens } satisfies CountAnswer)
}
