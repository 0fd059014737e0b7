/** Vectors of texts without a model: every word has its own direction, drawn from its letters, so that texts with words in common lie close to each other. */

/** @returns a vector of length 1; the same for the same text, whenever and wherever. */
export function embedText(text: string, dimensions: number): Float32Array {
  const vector = new Float32Array(dimensions)
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []
  for (const word of words.length === 0 ? [text] : words) {
    let state = hash(word)
    for (let i = 0; i < dimensions; i++) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      vector[i] = (vector[i] ?? 0) + state / 2 ** 31 - 1
    }
  }
  const length = Math.hypot(...vector)
  return length === 0 ? vector : vector.map((value) => value / length)
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (const char of text) value = Math.imul(value ^ (char.codePointAt(0) ?? 0), 0x01000193) >>> 0
  return value
}
