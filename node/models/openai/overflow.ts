/** How endpoints say that a prompt is too long for a model: each in its own words, most with the numbers in them. */

export interface Overflow {
  /** Tokens that were asked for. */
  readonly neededTokens?: number
  readonly contextTokens?: number
}

/** Error codes and types that mean it. */
const codes = new Set(['context_length_exceeded', 'exceed_context_size_error', 'string_above_max_length'])

/** `needs` and `has` are the two numbers; `answer` is what was asked for beside the prompt. */
const texts: readonly RegExp[] = [
  // vLLM, of an answer that leaves no room for its prompt
  /too large: (?<answer>\d+)\. This model's maximum context length is (?<has>\d+) tokens and your request has (?<needs>\d+) input tokens/s,
  /maximum context length is (?<has>\d+) tokens.*?(?<answer>\d+) output tokens and your prompt contains (?:at least )?(?<needs>\d+)/s,
  // OpenAI and vLLM
  /maximum context length is (?<has>\d+) tokens.*?(?:you requested|resulted in|requested a total of|for a total of(?: at least)?) (?<needs>\d+)/s,
  /prompt \(length (?<needs>\d+)\) is longer than the maximum model length of (?<has>\d+)/,
  // OpenAI's newer models
  /exceeds? the configured limit of (?<has>[\d,]+) tokens.*?resulted in (?<needs>[\d,]+)/s,
  // llama.cpp, and Ollama which runs it
  /request \((?<needs>\d+) tokens\) exceeds the available context size \((?<has>\d+) tokens\)/,
  /exceeds the available context size/,
  /input length exceeds (?:the )?(?:maximum )?context length/,
  // LM Studio
  /keep the first (?<needs>\d+) tokens when (?:the )?context (?:the )?overflows.*?context length of only (?<has>\d+)/s,
  /n_keep: (?<needs>\d+)\s*>=\s*n_ctx: (?<has>\d+)/,
  // Together
  /must be <= (?<has>\d+)\. Given: (?<needs>\d+) `inputs` tokens and (?<answer>\d+)/,
  // Gemini, Anthropic
  /input token count \(?(?<needs>\d+)\)? exceeds the maximum number of tokens allowed \(?(?<has>\d+)/,
  /prompt is too long: (?<needs>\d+) tokens > (?<has>\d+) maximum/,
  // Whoever else
  /maximum context length is (?<has>\d+) tokens/,
  /context[ _](?:length|window|size) (?:was |is )?exceeded/i,
  /(?:prompt|input|request) is too long/i,
]

/** @returns undefined when it says something else. */
export function overflowIn(code: string | undefined, text: string): Overflow | undefined {
  for (const pattern of texts) {
    const match = pattern.exec(text)
    if (match === null) continue
    const [needs, has, answer] = ['needs', 'has', 'answer'].map((group) => tokens(match.groups?.[group]))
    return {
      ...(needs === undefined ? {} : { neededTokens: needs + (answer ?? 0) }),
      ...(has === undefined ? {} : { contextTokens: has }),
    }
  }
  return code !== undefined && codes.has(code) ? {} : undefined
}

function tokens(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text.replaceAll(',', ''))
}
