/** How fast a model is, by what its calls have taken. */

export interface Speed {
  /** @param cachedTokens of the prompt, that the provider had from before: they took no time. */
  learn(call: { readonly promptTokens: number; readonly cachedTokens: number; readonly completionTokens: number; /** From sending to the first piece of the answer; absent: it came in one piece. */ readonly firstMs?: number; readonly totalMs: number }): void
  /** Milliseconds of one token of the prompt; undefined when nothing was measured. */
  msPerInput(): number | undefined
  msPerOutput(): number | undefined
}

/** What a call counts less with every one after it. */
const fading = 0.8

/** Sums that fade: a long call says more than a short one, a late one more than an early one. */
function fadingRatio(): { add(ms: number, tokens: number): void; value(): number | undefined } {
  let msSum = 0
  let tokensSum = 0
  return {
    add(ms, tokens) {
      if (tokens <= 0) return
      msSum = msSum * fading + Math.max(0, ms)
      tokensSum = tokensSum * fading + tokens
    },
    value: () => (tokensSum === 0 ? undefined : msSum / tokensSum),
  }
}

export function createSpeed(): Speed {
  const input = fadingRatio()
  const output = fadingRatio()
  return {
    learn({ promptTokens, cachedTokens, completionTokens, firstMs, totalMs }) {
      const read = Math.max(0, promptTokens - cachedTokens)
      if (completionTokens === 0) return input.add(totalMs, read)
      if (firstMs === undefined) {
        // In one piece: what is known of reading is taken off, the rest was writing.
        output.add(totalMs - read * (input.value() ?? 0), completionTokens)
        return
      }
      input.add(firstMs, read)
      // The first piece has come with the reading.
      output.add(totalMs - firstMs, completionTokens - 1)
    },
    msPerInput: input.value,
    msPerOutput: output.value,
  }
}
