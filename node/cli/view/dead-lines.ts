/** `mission dead list`: what died, and everybody who tried. */
import type { DeadView } from '../../../protocols/tasking/views.ts'
import type { Colours } from './colours.ts'
import { counted, fit, printable, seconds } from './format.ts'

export function deadLines(letters: readonly DeadView[], nowWallMs: number, colours: Colours, columns: number): string[] {
  if (letters.length === 0) return ['no dead letters']
  return letters.flatMap((letter) => linesOf(letter, nowWallMs, colours)).map((line) => fit(line, columns))
}

function linesOf(letter: DeadView, nowWallMs: number, colours: Colours): string[] {
  const { bold, dim, red } = colours
  const ago = (wallMs: number): string => `${seconds(nowWallMs - wallMs)} ago`
  const about = letter.kind === 'message' ? 'a message' : [printable(letter.capability ?? 'a task'), ...(letter.missionName === undefined ? [] : [`of ${printable(letter.missionName)}`])].join(' ')
  const attempts = letter.attempts ?? []
  const died = letter.kind === 'message' ? `lost ${ago(letter.atWallMs)}` : `died ${ago(letter.atWallMs)} after ${counted(attempts.length, 'attempt')}`
  return [
    `${bold(letter.id)}  ${about}  ${dim(died)}`,
    `  ${red(printable(letter.reason))}${letter.fault?.next === undefined ? '' : `  → ${printable(letter.fault.next)}`}`,
    ...attempts.flatMap((attempt) => {
      const took = attempt.endedAtWallMs === undefined ? '' : ` after ${seconds(attempt.endedAtWallMs - attempt.awardedAtWallMs)}`
      return [`  attempt ${attempt.attempt}: ${printable(attempt.workerName)} ${attempt.outcome}${took}, ${ago(attempt.awardedAtWallMs)}${attempt.fault === undefined ? '' : ` · ${printable(attempt.fault.detail)}`}`]
    }),
  ]
}
