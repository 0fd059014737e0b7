/**
 * What vendors ask for models that are sold by the token, in US dollars per million tokens, without discounts for batches or surcharges for
 * long prompts. Collected in November 2026: OpenAI's as its price page gave them on 13 September 2026 (developers.openai.com/api/docs/pricing; models that
 * left that page: the last price it gave), the others' from their price pages as public price collections quoted them in 2026. Prices change: a table
 * of one's own comes first (`prices` in the configuration), and so does what an endpoint says in its model list.
 *
 * A name stands for itself, for its dated versions (`gpt-4o-2024-11-20`), and for itself behind a vendor's name (`openai/gpt-4o`); never for longer names:
 * `gpt-5-pro` costs twelve times what `gpt-5` costs.
 */

/** [input, output, cached input]; without the third a cached token costs what any other does. */
export type ListedPrice = readonly [inputUsd: number, outputUsd: number, cachedInputUsd?: number]

/** Nobody can run these at home: their price holds wherever an endpoint seems to be. */
export const vendorOnlyPrices: Readonly<Record<string, ListedPrice>> = {
  'gpt-6-astra': [10, 50, 1],
  'gpt-5.6': [4, 20, 0.4],
  'gpt-5.6-sol': [4, 20, 0.4],
  'gpt-5.6-terra': [2, 12, 0.2],
  'gpt-5.6-luna': [0.2, 1.2, 0.02],
  'gpt-5.5': [5, 30, 0.5],
  'gpt-5.5-pro': [30, 180],
  'gpt-5.4': [2.5, 15, 0.25],
  'gpt-5.4-pro': [30, 180],
  'gpt-5.4-mini': [0.75, 4.5, 0.075],
  'gpt-5.4-nano': [0.2, 1.25, 0.02],
  'gpt-5.3-codex': [1.75, 14, 0.175],
  'gpt-5.2': [1.75, 14, 0.175],
  'gpt-5.2-codex': [1.75, 14, 0.175],
  'gpt-5.2-pro': [21, 168],
  'gpt-5.1': [1.25, 10, 0.125],
  'gpt-5.1-codex': [1.25, 10, 0.125],
  'gpt-5': [1.25, 10, 0.125],
  'gpt-5-codex': [1.25, 10, 0.125],
  'gpt-5-chat': [1.25, 10, 0.125],
  'gpt-5-pro': [15, 120],
  'gpt-5-mini': [0.25, 2, 0.025],
  'gpt-5-nano': [0.05, 0.4, 0.005],
  'gpt-4.1': [2, 8, 0.5],
  'gpt-4.1-mini': [0.4, 1.6, 0.1],
  'gpt-4.1-nano': [0.1, 0.4, 0.025],
  'gpt-4o': [2.5, 10, 1.25],
  'gpt-4o-mini': [0.15, 0.6, 0.075],
  'chatgpt-4o': [5, 15],
  'gpt-4-turbo': [10, 30],
  'gpt-4': [30, 60],
  'gpt-3.5-turbo': [0.5, 1.5],
  'o1': [15, 60, 7.5],
  'o3': [2, 8, 0.5],
  'o3-pro': [20, 80],
  'o3-mini': [1.1, 4.4, 0.55],
  'o4-mini': [1.1, 4.4, 0.275],
  'text-embedding-3-small': [0.02, 0],
  'text-embedding-3-large': [0.13, 0],
  'text-embedding-ada-002': [0.1, 0],

  'claude-opus-4-6': [5, 25, 0.5],
  'claude-opus-4-5': [5, 25, 0.5],
  'claude-sonnet-4-6': [3, 15, 0.3],
  'claude-sonnet-4-5': [3, 15, 0.3],
  'claude-haiku-4-5': [1, 5, 0.1],
  'gemini-3.1-pro-preview': [2, 12, 0.2],
  'gemini-3.5-flash': [1.5, 9, 0.15],
  'gemini-3.1-flash-lite': [0.25, 1.5, 0.025],
  'gemini-2.5-pro': [1.25, 10, 0.125],
  'gemini-2.5-flash': [0.3, 2.5, 0.03],
  'gemini-2.5-flash-lite': [0.1, 0.4, 0.01],
}

/** Open weights: what they cost at vendors that serve them (Together's price where it has them). On one's own machines they cost nothing. */
export const openWeightPrices: Readonly<Record<string, ListedPrice>> = {
  'openai/gpt-oss-120b': [0.15, 0.6],
  'openai/gpt-oss-20b': [0.05, 0.2],
  'meta-llama/Llama-3.3-70B-Instruct-Turbo': [0.88, 0.88],
  'meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo': [0.18, 0.18],
  'Qwen/Qwen3-235B-A22B-Instruct-2507-tput': [0.2, 0.6],
  'Qwen/Qwen2.5-7B-Instruct-Turbo': [0.3, 0.3],
  'deepseek-ai/DeepSeek-V3.1': [0.6, 1.7],
  'deepseek-ai/DeepSeek-V4-Pro': [2.1, 4.4, 0.2],
  'deepseek-v4-pro': [0.435, 0.87],
  'deepseek-v4-flash': [0.14, 0.28],
  'moonshotai/Kimi-K2.5': [0.5, 2.8],
  'BAAI/bge-base-en-v1.5': [0.01, 0],
  'BAAI/bge-large-en-v1.5': [0.02, 0],
  'intfloat/multilingual-e5-large-instruct': [0.02, 0],
}
