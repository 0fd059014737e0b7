/** What a model's name tells when its endpoint does not. */

/** Prompt and answer together, in tokens, of a model of which nothing is known. */
export const contextTokensDefault = 8_192

/** Not for chats, and not for embeddings; or to be reached by other routes than `/chat/completions` only. */
const elsewhere = /whisper|\btts\b|-tts|transcribe|dall-e|gpt-image|chatgpt-image|\bsora\b|moderation|realtime|audio|speech|rerank|stable-diffusion|flux|video|deep-research|computer-use|codex|gpt-3\.5-turbo-instruct|^(?:davinci|babbage)-00|^(?:o\d|gpt-[\d.]+)-pro\b/i

const embedding = /embed|\bbge[-_]|\be5[-_]|\bgte[-_]|minilm|mpnet|jina-embeddings|voyage-/i

/** @returns undefined for a model that neither chats nor embeds texts. */
export function doesByName(name: string): 'chat' | 'embed' | undefined {
  if (embedding.test(name)) return 'embed'
  return elsewhere.test(name) ? undefined : 'chat'
}

/** As its maker says, in tokens. The first that fits counts. */
const contexts: readonly (readonly [RegExp, number])[] = [
  [/^gpt-5.*-chat/, 128_000],
  [/^gpt-5\.[4-9](?!-(?:mini|nano))/, 1_050_000],
  [/^gpt-[5-9]/, 400_000],
  [/^gpt-4\.1/, 1_047_576],
  [/^(?:chat)?gpt-4o|^gpt-4-turbo/, 128_000],
  [/^gpt-4-32k/, 32_768],
  [/^gpt-4/, 8_192],
  [/^gpt-3\.5/, 16_385],
  [/^o\d/, 200_000],
  [/^text-embedding-/, 8_192],
  [/^claude-/, 200_000],
  [/^gemini-/, 1_048_576],
  [/gpt-oss/, 131_072],
  [/deepseek/, 131_072],
  [/kimi-k2/, 262_144],
  [/llama-?(?:3[.-][1-9]|[4-9])/, 131_072],
  [/llama-?3/, 8_192],
  [/qwen3.*(?:2507|next|coder)/, 262_144],
  [/qwen/, 32_768],
  [/gemma-?[3-9]/, 131_072],
  [/mistral|mixtral|ministral/, 32_768],
  [/bge-m3|nomic-embed|jina-embeddings/, 8_192],
  [/bge|e5-|gte-|minilm|mpnet/, 512],
]

export function contextByName(name: string): number | undefined {
  const bare = name.slice(name.indexOf('/') + 1).toLowerCase()
  return contexts.find(([pattern]) => pattern.test(bare))?.[1]
}
