/** What an agent may use when neither its role nor its task says anything, and the sizes of what it is shown. */
import { limits } from '../../../protocols/kernel/limits.ts'

const KiB = 1024

export const agentLimits = Object.freeze({
  // one task
  steps: 20,
  calls: 40,
  tokens: 400_000,
  timeMs: 10 * 60_000,
  /** Answers that do not fit are sent back so often. */
  repairsMax: 2,
  /** The same call with the same arguments: so many are made, the next is answered with a word about it, one more ends the task. */
  sameCallsMax: 2,
  callsPerStepMax: 16,
  toolsMax: 32,
  /** Fewer are not offered because the rest does not fit. */
  toolsMin: 4,

  // what a model is shown
  /** A result longer than this is stored, and its beginning and end are shown. */
  resultCharsMax: 16 * KiB,
  headChars: 6 * KiB,
  tailChars: 2 * KiB,
  /** What the agent may read at once of what was stored. */
  readCharsMax: 12 * KiB,
  /** Text files of an input up to this size are shown whole. */
  fileBytesMax: 128 * KiB,
  /** Shorter pieces are not worth condensing. */
  condenseCharsMin: 600,
  /** Text that does not fit is halved so often. */
  condenseHalvingsMax: 6,

  // plans
  goalCharsMax: limits.goalCharsMax,
  shortlist: 24,
  schemasShown: 8,
  reviewGroupMax: 4,
  roundsMax: 2,
  replansMax: 2,
  modelCallMs: 5 * 60_000,
})

if (agentLimits.headChars + agentLimits.tailChars >= agentLimits.resultCharsMax) throw new Error('invariant broken: what is shown of a long result is shorter than it')
