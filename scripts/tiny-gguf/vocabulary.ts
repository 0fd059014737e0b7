/**
 * The words of the tiny model: every byte, every printable ASCII character, and pairs of letters up to the size asked for.
 * The tokenizer is SentencePiece's, as llama.cpp calls `llama`: a space is written `▁`, and what has no token of its own becomes its bytes.
 */
export interface TinyVocabulary {
  readonly tokens: readonly string[]
  readonly scores: readonly number[]
  /** llama.cpp's numbers: 1 normal, 2 unknown, 3 control, 4 defined by the user, 6 byte. */
  readonly types: readonly number[]
  readonly special: { readonly unknown: number; readonly bos: number; readonly eos: number; readonly turnStart: number; readonly turnEnd: number }
  /** Those that a random model must not say by itself: bytes (but the newline) are broken UTF-8 more often than not, control tokens mean something. */
  readonly unsaid: ReadonlySet<number>
  /** The token of the phrase that was asked for. */
  readonly phrase?: number
}

/** The fewest that a model can do with. */
export const tinyVocabularyMin = 5 + 256 + 95

const normal = 1
const control = 3
const userDefined = 4
const byte = 6

/** @param phrase a text that is to have a token of its own, whatever it is. */
export function tinyVocabulary(size: number, phrase?: string): TinyVocabulary {
  if (size < tinyVocabularyMin) throw new Error(`the vocabulary has at least ${tinyVocabularyMin} tokens, not ${size}`)
  const tokens: string[] = []
  const types: number[] = []
  const scores: number[] = []
  const unsaid = new Set<number>()
  const add = (token: string, type: number, score = 0): number => {
    types.push(type)
    scores.push(score)
    return tokens.push(token) - 1
  }
  const special = { unknown: add('<unk>', 2), bos: add('<s>', control), eos: add('</s>', control), turnStart: add('<|im_start|>', control), turnEnd: add('<|im_end|>', control) }
  for (const token of [special.unknown, special.bos, special.eos, special.turnStart]) unsaid.add(token)
  for (let value = 0; value < 256; value++) {
    const token = add(`<0x${value.toString(16).toUpperCase().padStart(2, '0')}>`, byte)
    if (value !== 0x0a) unsaid.add(token)
  }
  add('▁', normal)
  for (let code = 0x21; code <= 0x7e; code++) add(String.fromCharCode(code), normal)
  const ofPhrase = phrase === undefined ? {} : { phrase: add(phrase, userDefined) }
  for (const pair of pairs()) {
    if (tokens.length >= size) break
    // The better the score the sooner two neighbours are joined.
    add(pair, normal, -tokens.length)
  }
  if (tokens.length < size) throw new Error(`there are no more than ${tokens.length} tokens, not ${size}`)
  return { tokens, scores, types, special, unsaid, ...ofPhrase }
}

const consonants = 'tnsrhldcmfpgwybvkxjqz'
const vowels = 'eaoiu'

/** `te`, `ta`, …, then with a space before. */
function* pairs(): Generator<string> {
  for (const before of ['', '▁']) for (const consonant of consonants) for (const vowel of vowels) yield `${before}${consonant}${vowel}`
  for (const first of consonants) for (const vowel of vowels) for (const last of consonants) for (const end of vowels) yield `${first}${vowel}${last}${end}`
}
