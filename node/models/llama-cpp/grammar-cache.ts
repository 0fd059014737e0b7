/** Grammars take milliseconds to build, and the same few are asked for again and again. */
import type { GbnfJsonBasicSchema, GbnfJsonSchema, Llama, LlamaGrammar } from 'node-llama-cpp'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import type { Grammar } from './grammar.ts'
import { wholeSchema } from './grammar.ts'

export interface GrammarCache {
  /** @throws MeshError `bad-input` for one that cannot be built. */
  get(grammar: Grammar): Promise<LlamaGrammar>
}

const keptMax = 32

export function createGrammarCache(llama: Llama): GrammarCache {
  const kept = new Map<string, Promise<LlamaGrammar>>()
  return {
    async get(grammar) {
      const schema = wholeSchema(grammar)
      const key = JSON.stringify(schema)
      const made = kept.get(key) ?? build(llama, schema)
      // The last used is the last to go.
      kept.delete(key)
      kept.set(key, made)
      const [oldest] = kept.keys()
      if (kept.size > keptMax && oldest !== undefined) kept.delete(oldest)
      try {
        return await made
      } catch (thrown) {
        kept.delete(key)
        throw new MeshError('bad-input', `no grammar can be made of the schema of the answer: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { next: 'ask for a simpler answer' })
      }
    },
  }
}

/** The library's numbers may have exponents of any size: 1e999 is none in JavaScript, 1e-3 no integer. Sixteen digits are more than a number holds. */
const exponent = ' ([eE] [-+]? ("0" | [1-9] [0-9]{0,15}))?'
const digits = '("0" | [1-9] [0-9]{0,15})'
const fewerDigits = '("0" | [1-9] [0-9]{0,14})'

async function build(llama: Llama, schema: GbnfJsonSchema): Promise<LlamaGrammar> {
  // Its types want a schema that is known when this is compiled.
  const made: LlamaGrammar = await llama.createGrammarForJsonSchema(schema as GbnfJsonBasicSchema)
  const plain = made.grammar.replaceAll(exponent, '').replaceAll(digits, fewerDigits)
  if (plain === made.grammar) return made
  return llama.createGrammar({ grammar: plain, stopGenerationTriggers: made.stopGenerationTriggers, trimWhitespaceSuffix: made.trimWhitespaceSuffix })
}
