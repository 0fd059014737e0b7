import { dataRule } from '../data-block.ts'

export const condenseVersion = 'condense/1'

export const condensePrompt = `You shorten a text so that others can go on working with it, to at most a third of its length.
Keep whatever bears on the goal: facts, figures with units, names, paths, line numbers, quotations that carry the point, errors, labels and references exactly as they stand. Leave out repetition and what has nothing to do with the goal. Add nothing, judge nothing, answer nothing.
${dataRule}`
