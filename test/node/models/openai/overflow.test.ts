import { describe, expect, it } from 'vitest'
import { overflowIn } from '../../../../node/models/openai/overflow.ts'
import { retryAfterMs } from '../../../../node/models/openai/retry-after.ts'

/** As servers were seen to say it. */
const overflows: readonly (readonly [code: string | undefined, text: string, needed: number | undefined, context: number | undefined])[] = [
  ['context_length_exceeded', "This model's maximum context length is 128000 tokens. However, your messages resulted in 204308 tokens. Please reduce the length of the messages.", 204_308, 128_000],
  ['context_length_exceeded', "This model's maximum context length is 8192 tokens, however you requested 9000 tokens (9000 in your prompt; 0 for the completion).", 9_000, 8_192],
  [undefined, 'Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300123 tokens. Please reduce the length of the messages.', 300_123, 272_000],
  [undefined, "This model's maximum context length is 16384 tokens. However, you requested 122946 tokens (112946 in the messages, 10000 in the completion). Please reduce the length of the messages or completion.", 122_946, 16_384],
  [undefined, "'max_tokens' or 'max_completion_tokens' is too large: 32000. This model's maximum context length is 32768 tokens and your request has 2000 input tokens (32000 > 32768 - 2000).", 34_000, 32_768],
  [undefined, "This model's maximum context length is 4096 tokens. However, you requested 100 output tokens and your prompt contains 5000 input tokens, for a total of 5100 tokens.", 5_100, 4_096],
  [undefined, 'The decoder prompt (length 5000) is longer than the maximum model length of 4096. Make sure that `max_model_len` is no smaller than the number of text tokens.', 5_000, 4_096],
  ['exceed_context_size_error', 'request (351 tokens) exceeds the available context size (256 tokens), try increasing it', 351, 256],
  [undefined, 'the request exceeds the available context size. try increasing the context size or enable context shift', undefined, undefined],
  [undefined, 'the input length exceeds the context length', undefined, undefined],
  [undefined, 'Trying to keep the first 15857 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough.', 15_857, 4_096],
  [undefined, 'The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 13055>= n_ctx: 4096). Try to load the model with a larger context length, or provide a shorter input.', 13_055, 4_096],
  [undefined, 'Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000 `inputs` tokens and 512 `max_new_tokens`', 9_512, 8_193],
  [undefined, 'The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).', 1_200_000, 1_048_576],
  [undefined, 'prompt is too long: 210000 tokens > 200000 maximum', 210_000, 200_000],
  ['context_length_exceeded', 'Your input exceeds the context window of this model. Please adjust your input and try again.', undefined, undefined],
]

describe('a prompt that does not fit', () => {
  it.each(overflows)('is recognised (%s): %s', (code, text, neededTokens, contextTokens) => {
    expect(overflowIn(code, text)).toEqual({ ...(neededTokens === undefined ? {} : { neededTokens }), ...(contextTokens === undefined ? {} : { contextTokens }) })
  })

  it('is not seen in other errors', () => {
    for (const text of ['max_tokens is too large: 99999. This model supports at most 16384 completion tokens', 'Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000.', 'Invalid type for messages[0].content']) expect(overflowIn('invalid_value', text)).toBeUndefined()
  })
})

describe('the time that an endpoint wants to be left alone', () => {
  const wait = (headers: Record<string, string>): number | undefined => retryAfterMs(new Headers(headers), Date.parse('2026-11-28T05:00:00Z'))

  it('is in milliseconds, in seconds, or a date', () => {
    expect(wait({ 'retry-after-ms': '1500', 'retry-after': '9' })).toBe(1_500)
    expect(wait({ 'retry-after': '2' })).toBe(2_000)
    expect(wait({ 'retry-after': '0.25' })).toBe(250)
    expect(wait({ 'retry-after': 'Sat, 28 Nov 2026 05:00:07 GMT' })).toBe(7_000)
  })

  it('is never negative, never more than a day, and nothing when it cannot be read', () => {
    expect(wait({ 'retry-after': 'Sat, 28 Nov 2026 04:00:00 GMT' })).toBe(0)
    expect(wait({ 'retry-after': '99999999' })).toBe(24 * 60 * 60_000)
    expect(wait({ 'retry-after': 'soon' })).toBeUndefined()
    expect(wait({ 'retry-after': '-5' }) ?? 0).toBe(0)
    expect(wait({})).toBeUndefined()
    expect(retryAfterMs(undefined, 0)).toBeUndefined()
  })
})
