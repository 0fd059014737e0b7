/** The shortest run that still breaks the same promise. */

export interface ShortestPrefix {
  readonly untilMs: number
  /** How many runs it took to find. */
  readonly runs: number
}

export interface ShrinkInit {
  /** Known to fail: work arrives and faults happen until then. */
  readonly untilMs: number
  /** When the promise was seen to be broken: a good first guess. */
  readonly seenAtMs: number
  /** Whether the same promise is broken when the scenario is cut short then. */
  readonly fails: (untilMs: number) => Promise<boolean>
  readonly runsMax?: number
  /** No more runs once this says so. */
  readonly isOver?: () => boolean
}

/** Closer than this is not worth a run. */
const stepMsMin = 10
const stepFraction = 0.005

/**
 * Halves the interval between a length that passes and one that fails. A longer run need not fail because a shorter one
 * does, so the answer is one that was seen to fail, and not sure to be the shortest.
 */
export async function shortestFailing({ untilMs, seenAtMs, fails, runsMax = 14, isOver = () => false }: ShrinkInit): Promise<ShortestPrefix> {
  let passing = 0
  let failing = untilMs
  let runs = 0
  const attempt = async (at: number): Promise<void> => {
    runs += 1
    if (await fails(at)) failing = at
    else passing = Math.max(passing, at)
  }
  const guess = Math.ceil(seenAtMs) + 1
  if (guess > 1 && guess < failing) await attempt(guess)
  while (runs < runsMax && !isOver() && failing - passing > Math.max(stepMsMin, failing * stepFraction)) {
    const middle = Math.round((passing + failing) / 2)
    if (middle <= passing || middle >= failing) break
    await attempt(middle)
  }
  return { untilMs: failing, runs }
}
