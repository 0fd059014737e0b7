import type { ChatDelta, ChatInput, ChatOutput, EmbedInput, EmbedOutput } from '../../protocols/models/schema.ts'

/** One model that a provider serves. */
export interface ModelInfo {
  readonly name: string
  readonly does: 'chat' | 'embed'
  /** Prompt and answer together, in tokens. */
  readonly contextTokens: number
  /** Of a local model: `Q4_K_M`, `F16`. */
  readonly quantisation?: string
  /** Calls that it serves at the same time. */
  readonly slots: number
  /** US dollars per million tokens; 0 for what runs here. */
  readonly inputUsdPerMillion: number
  readonly outputUsdPerMillion: number
}

export interface LlmCall {
  readonly signal: AbortSignal
  /** With it the answer is streamed: every piece once, in order, before the promise resolves. */
  readonly onDelta?: (delta: ChatDelta) => void
  /** What the call may cost in US dollars. Whoever asks limits the first answer by `maxTokens`; a provider that asks its model again keeps to what is left. */
  readonly budgetUsd?: number
}

/**
 * One way to language models: a file that runs here, or an endpoint. It serves what it is asked and waits for nobody: how many calls run
 * at a time is its user's business (`ModelInfo.slots`).
 */
export interface LlmProvider {
  /** For people: the file, or the endpoint's address without credentials. */
  readonly origin: string
  models(): readonly ModelInfo[]
  /**
   * The text of `messages`, tools and schema in the model's own tokens; an estimate where the provider does not say.
   * @returns how many.
   */
  countTokens(model: string, input: ChatInput): Promise<number>
  /**
   * Checks nothing of the answer but that it is one, except that with `schema` it is JSON of that schema.
   * @throws MeshError `context-overflow` (nothing is ever cut silently), `provider-failed` (with `retryAfterMs` when it says), `overloaded`
   *   (429), `unauthorised` (its key), `bad-output` (no JSON of the schema), `cancelled` (the signal), `bad-input`.
   */
  chat(model: string, input: ChatInput, call: LlmCall): Promise<ChatOutput>
  /** @throws as `chat`. */
  embed(model: string, input: EmbedInput, call: Pick<LlmCall, 'signal'>): Promise<EmbedOutput>
  close(): Promise<void>
}
