/** How fast a model reads and writes here, from the calls that it has served. */

export interface ModelSpeed {
  readonly promptTokensPerSecond?: number
  readonly answerTokensPerSecond?: number
}

export interface SpeedSample {
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly completionTokens: number
  readonly promptMs: number
  readonly answerMs: number
}

export interface SpeedMeter {
  record(sample: SpeedSample): void
  speed(): ModelSpeed
}

/** What a sample weighs against all before; fewer tokens say less. */
const weightOfWholeSample = 0.3
const wholeSampleTokens = 64

export function createSpeedMeter(): SpeedMeter {
  let prompt: number | undefined
  let answer: number | undefined
  return {
    record({ promptTokens, cachedTokens, completionTokens, promptMs, answerMs }) {
      prompt = blended(prompt, promptTokens - cachedTokens, promptMs)
      // The first token comes with the prompt.
      answer = blended(answer, completionTokens - 1, answerMs)
    },
    speed: () => ({ ...(prompt === undefined ? {} : { promptTokensPerSecond: prompt }), ...(answer === undefined ? {} : { answerTokensPerSecond: answer }) }),
  }
}

function blended(known: number | undefined, tokens: number, durationMs: number): number | undefined {
  if (tokens < 1 || durationMs <= 0) return known
  const measured = (tokens / durationMs) * 1_000
  if (known === undefined) return measured
  const weight = weightOfWholeSample * Math.min(1, tokens / wholeSampleTokens)
  return known + (measured - known) * weight
}
