/** Reads `{ "answer": "…" }` as it is written and gives out the text within, as far as it is known. */

const opening = /^\s*\{\s*"answer"\s*:\s*"/
/** One whole character of a JSON string, or one whole escape; a surrogate pair that is escaped is two of them. */
const character = /^(?:[^"\\]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))/u

export class AnswerStream {
  #raw = ''
  #inside = false
  #closed = false
  #held = ''

  /** All that was given out. */
  text = ''

  /** @returns what became known by this piece of JSON: never half a character, perhaps nothing. */
  add(piece: string): string {
    this.#raw += piece
    if (!this.#inside) {
      const start = opening.exec(this.#raw)
      if (start === null) return ''
      this.#inside = true
      this.#raw = this.#raw.slice(start[0].length)
    }
    let known = this.#held
    while (!this.#closed) {
      if (this.#raw.startsWith('"')) this.#closed = true
      const next = character.exec(this.#raw)
      if (next === null) break
      known += JSON.parse(`"${escaped(next[0])}"`) as string
      this.#raw = this.#raw.slice(next[0].length)
    }
    // The second half of a pair may be on its way.
    const last = known.charCodeAt(known.length - 1)
    const isHalf = !this.#closed && last >= 0xd800 && last <= 0xdbff
    this.#held = isHalf ? known.slice(-1) : ''
    const given = isHalf ? known.slice(0, -1) : known
    this.text += given
    return given
  }
}

/** A grammar may let through a control character as it is, which JSON does not. */
function escaped(text: string): string {
  return text.length === 1 && text.charCodeAt(0) < 0x20 ? JSON.stringify(text).slice(1, -1) : text
}
