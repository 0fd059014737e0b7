/**
 * Writes a model of our own in the GGUF format, with random weights: what llama.cpp needs to run for real where no model may be downloaded.
 *
 * `node scripts/run24.js scripts/tiny-gguf.ts FILE [--slow] [--embed] [--layers N] [--width N] [--heads N] [--vocabulary N] [--context-tokens N] [--seed N]`
 * `--slow`: one whose tokens take some 10 ms. `--embed`: one for vectors.
 */
import { parseArgs } from 'node:util'
import { slowModel, writeTinyGguf } from './tiny-gguf/model.ts'

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    slow: { type: 'boolean', default: false }, embed: { type: 'boolean', default: false }, layers: { type: 'string' }, width: { type: 'string' }, heads: { type: 'string' },
    vocabulary: { type: 'string' }, 'context-tokens': { type: 'string' }, seed: { type: 'string' },
  },
})
const [path] = positionals
if (path === undefined || positionals.length > 1) throw new Error('usage: tiny-gguf.ts FILE [--slow] [--embed] [--layers N] [--width N] [--heads N] [--vocabulary N] [--context-tokens N] [--seed N]')

const number = (text: string | undefined, name: string): Record<string, number> => {
  if (text === undefined) return {}
  if (!/^\d+$/.test(text)) throw new Error(`${name} is a whole number, not ${text}`)
  return { [name]: Number(text) }
}
const sizeBytes = await writeTinyGguf(path, {
  ...(flags.slow ? slowModel : {}), ...(flags.embed ? { pooling: 'mean' as const } : {}),
  ...number(flags.layers, 'layers'), ...number(flags.width, 'width'), ...number(flags.heads, 'heads'), ...number(flags.vocabulary, 'vocabulary'), ...number(flags['context-tokens'], 'contextTokens'), ...number(flags.seed, 'seed'),
})
console.log(`${path}: ${sizeBytes} bytes`)
