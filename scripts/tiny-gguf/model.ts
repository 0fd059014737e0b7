/**
 * A language model of our own that says nothing sensible: random weights from a seed, in a valid GGUF file, so that llama.cpp runs for real where no model may be downloaded.
 *
 * The first value of every hidden state is a constant that no layer changes. It holds down the tokens that a random model would turn into broken UTF-8
 * (`TinyVocabulary.unsaid`): a grammar that leaves nothing else can still have them.
 *
 * @packageDocumentation
 * ```ts
 * await writeTinyGguf('/tmp/tiny.gguf')                          // 220 kB, thousands of tokens a second
 * await writeTinyGguf('/tmp/slow.gguf', { ...slowModel })        // 220 MB, a token takes some 10 ms
 * await writeTinyGguf('/tmp/embed.gguf', { pooling: 'mean' })    // for vectors
 * ```
 */
import type { Random } from '../../protocols/kernel/prng.ts'
import { seededRandom } from '../../protocols/kernel/prng.ts'
import type { GgufContents, GgufTensor, GgufValue } from './gguf-file.ts'
import { writeGguf, writeSparseGguf } from './gguf-file.ts'
import type { TinyVocabulary } from './vocabulary.ts'
import { tinyVocabulary } from './vocabulary.ts'

export interface TinyGgufOptions {
  readonly layers?: number
  /** Of the hidden state; a multiple of `heads`. */
  readonly width?: number
  readonly heads?: number
  /** Of the inner layer of the feed-forward part. Default three times the width. */
  readonly feedForward?: number
  readonly vocabulary?: number
  /** What the model says it was trained for. */
  readonly contextTokens?: number
  readonly seed?: number
  readonly name?: string
  /** Makes it a model for embeddings: the architecture is then Qwen 3's, for llama.cpp reads no pooling of a `llama`. */
  readonly pooling?: 'mean' | 'last'
  /** Without it nothing in the file says how a conversation is written. */
  readonly chatTemplate?: string | false
  /** What it says gladly, as one token: the beginning of a function call in its template's form, for one that shall call functions. */
  readonly phrase?: string
  /** How gladly it ends an answer; 0 ends one in some 150 tokens at temperature 1, 1 one in some ten. */
  readonly endBias?: number
}

/** A token of it takes 7 ms or more on one core of the machine it was made for: 4 × 54 MB of weights are read for each. */
export const slowModel = { layers: 4, width: 1_024, heads: 16, feedForward: 3_072 } as const satisfies TinyGgufOptions

/** How a turn of a conversation is written, and nothing of functions. */
export const chatMlTemplate =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

/** One with functions: they are listed for the model, and it calls one as `toolCallPhrase` begins it. */
export const toolTemplate =
  "{%- if tools %}{{- '<|im_start|>system\\n# Tools\\n' }}{%- for tool in tools %}{{- tool | tojson }}{{- '\\n' }}{%- endfor %}{{- '<|im_end|>\\n' }}{%- endif %}" +
  "{%- for message in messages %}{%- if message.role == 'user' or message.role == 'system' %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}" +
  "{%- elif message.role == 'assistant' %}{{- '<|im_start|>assistant\\n' + (message.content or '') }}{%- for tool_call in message.tool_calls or [] %}" +
  '{{- \'<tool_call>{"name": "\' + tool_call.function.name + \'", "arguments": \' }}{{- tool_call.function.arguments | tojson }}{{- \'}</tool_call>\' }}{%- endfor %}{{- \'<|im_end|>\\n\' }}' +
  "{%- elif message.role == 'tool' %}{{- '<|im_start|>user\\n<tool_response>' + message.content + '</tool_response><|im_end|>\\n' }}{%- endif %}{%- endfor %}" +
  "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"

export const toolCallPhrase = '<tool_call>{"name": "'

/** @returns how many bytes the file has. */
export function writeTinyGguf(path: string, options: TinyGgufOptions = {}): Promise<number> {
  return writeGguf(path, contentsOf(options))
}

/** The header of a model of any size, and no weights: the file takes next to no space. @returns how many bytes it seems to have. */
export function writeHollowGguf(path: string, options: TinyGgufOptions): Promise<number> {
  return writeSparseGguf(path, contentsOf(options))
}

interface Shape extends Required<Omit<TinyGgufOptions, 'pooling' | 'chatTemplate' | 'phrase'>> {
  readonly architecture: 'llama' | 'qwen3'
  readonly pooling?: 'mean' | 'last'
}

function contentsOf(options: TinyGgufOptions): GgufContents {
  const { layers = 2, width = 32, heads = 2, vocabulary: size = 384, contextTokens = 2_048, seed = 1, name = 'skein-tiny', endBias = 0, pooling } = options
  const shape: Shape = { layers, width, heads, feedForward: options.feedForward ?? width * 3, vocabulary: size, contextTokens, seed, name, endBias, architecture: pooling === undefined ? 'llama' : 'qwen3', ...(pooling === undefined ? {} : { pooling }) }
  if (width % heads !== 0 || (width / heads) % 2 !== 0) throw new Error(`a width of ${width} cannot be shared by ${heads} heads of even size`)
  const vocabulary = tinyVocabulary(size, options.phrase)
  const template = options.chatTemplate ?? chatMlTemplate
  return { metadata: metadataOf(shape, vocabulary, template === false ? undefined : template), tensors: tensorsOf(shape, vocabulary) }
}

function metadataOf(shape: Shape, vocabulary: TinyVocabulary, template: string | undefined): Record<string, GgufValue> {
  const { architecture, special } = { ...shape, ...vocabulary }
  const count = (value: number): GgufValue => ({ type: 'uint32', value })
  const text = (value: string): GgufValue => ({ type: 'string', value })
  const poolings = { mean: 1, last: 3 }
  return {
    'general.architecture': text(architecture),
    'general.type': text('model'),
    'general.name': text(shape.name),
    'general.file_type': count(0),
    [`${architecture}.block_count`]: count(shape.layers),
    [`${architecture}.context_length`]: count(shape.contextTokens),
    [`${architecture}.embedding_length`]: count(shape.width),
    [`${architecture}.feed_forward_length`]: count(shape.feedForward),
    [`${architecture}.attention.head_count`]: count(shape.heads),
    [`${architecture}.attention.head_count_kv`]: count(shape.heads),
    [`${architecture}.attention.layer_norm_rms_epsilon`]: { type: 'float32', value: 1e-5 },
    [`${architecture}.rope.dimension_count`]: count(shape.width / shape.heads),
    [`${architecture}.vocab_size`]: count(vocabulary.tokens.length),
    ...(shape.pooling === undefined ? {} : { [`${architecture}.pooling_type`]: count(poolings[shape.pooling]) }),
    'tokenizer.ggml.model': text('llama'),
    'tokenizer.ggml.tokens': { type: 'strings', values: vocabulary.tokens },
    'tokenizer.ggml.scores': { type: 'float32s', values: vocabulary.scores },
    'tokenizer.ggml.token_type': { type: 'int32s', values: vocabulary.types },
    'tokenizer.ggml.unknown_token_id': count(special.unknown),
    'tokenizer.ggml.bos_token_id': count(special.bos),
    'tokenizer.ggml.eos_token_id': count(special.turnEnd),
    'tokenizer.ggml.eot_token_id': count(special.turnEnd),
    'tokenizer.ggml.add_bos_token': { type: 'bool', value: true },
    'tokenizer.ggml.add_eos_token': { type: 'bool', value: false },
    'tokenizer.ggml.add_space_prefix': { type: 'bool', value: false },
    ...(template === undefined ? {} : { 'tokenizer.chat_template': text(template) }),
  }
}

/** What the constant is multiplied by for a token that is not to be said, and for one that is. */
const silence = -20
const eagerness = 2

function tensorsOf(shape: Shape, { special, unsaid, phrase }: TinyVocabulary): GgufTensor[] {
  const { width, heads, feedForward, vocabulary, layers, architecture } = shape
  const root = seededRandom([shape.seed, 0x736b6569])
  const vector = (name: string, length: number, value: (index: number) => number): GgufTensor => ({ name, shape: [length], fill: (values) => values.forEach((_, index) => (values[index] = value(index))) })
  const matrix = (name: string, inner: number, outer: number, deviation: number, then?: (values: Float32Array) => void): GgufTensor => {
    const random = root.split()
    return { name, shape: [inner, outer], fill: (values) => (fillRandom(values, deviation, random), then?.(values)) }
  }
  const keepConstant = (inner: number) => (values: Float32Array) => void values.fill(0, 0, inner)
  // What a layer looks at leaves the constant out; only the last step sees it.
  const norm = (name: string): GgufTensor => vector(name, width, (index) => (index === 0 ? 0 : 1))
  const byWidth = 1 / Math.sqrt(width)

  return [
    matrix('token_embd.weight', width, vocabulary, 1, (values) => {
      for (let token = 0; token < vocabulary; token++) values[token * width] = Math.sqrt(width)
    }),
    ...Array.from({ length: layers }, (_, layer) => [
      norm(`blk.${layer}.attn_norm.weight`),
      matrix(`blk.${layer}.attn_q.weight`, width, width, byWidth),
      matrix(`blk.${layer}.attn_k.weight`, width, width, byWidth),
      matrix(`blk.${layer}.attn_v.weight`, width, width, byWidth),
      matrix(`blk.${layer}.attn_output.weight`, width, width, byWidth, keepConstant(width)),
      ...(architecture === 'qwen3' ? ['attn_q_norm', 'attn_k_norm'].map((name) => vector(`blk.${layer}.${name}.weight`, width / heads, () => 1)) : []),
      norm(`blk.${layer}.ffn_norm.weight`),
      matrix(`blk.${layer}.ffn_gate.weight`, width, feedForward, byWidth),
      matrix(`blk.${layer}.ffn_up.weight`, width, feedForward, byWidth),
      matrix(`blk.${layer}.ffn_down.weight`, feedForward, width, 1 / Math.sqrt(feedForward), keepConstant(feedForward)),
    ]).flat(),
    vector('output_norm.weight', width, () => 1),
    matrix('output.weight', width, vocabulary, byWidth, (values) => {
      for (let token = 0; token < vocabulary; token++) values[token * width] = unsaid.has(token) ? silence : 0
      values.fill(0, special.turnEnd * width, (special.turnEnd + 1) * width)
      values[special.turnEnd * width] = shape.endBias
      if (phrase !== undefined) values[phrase * width] = eagerness
    }),
  ]
}

/** Evenly spread: what matters is the deviation. */
function fillRandom(values: Float32Array, deviation: number, random: Random): void {
  const reach = deviation * Math.sqrt(3) * 2
  for (let index = 0; index < values.length; index++) values[index] = (random.next() - 0.5) * reach
}
