/**
 * A run while it goes on: one block redrawn on a terminal, now and then a line elsewhere.
 *
 * A run does not let the event loop turn, so there are no timers here: everything is drawn when the run tells of its progress.
 */
import type { Voice } from '../../node/cli/context.ts'
import { fit } from '../../node/cli/view/format.ts'
import type { SimulationProgress } from '../../sim/simulation.ts'
import { bar } from './report-text.ts'
import { time, times, whole } from './format.ts'

export interface RunPane {
  onProgress(progress: SimulationProgress): void
  /** Takes the block away. */
  close(): void
}

const redrawMs = 100
const plainLineMs = 5_000
const barColumns = 30

/** @param write to the terminal, at once @param workEndMs of virtual time, when no more work arrives and nothing more goes wrong */
export function runPane(voice: Voice, write: (text: string) => unknown, workEndMs: number, nowMs: () => number = () => performance.now()): RunPane {
  const startedAtMs = nowMs()
  let lastMs = Number.NEGATIVE_INFINITY
  let drawn = 0
  if (!voice.isLive) lastMs = startedAtMs

  const erase = (): string => (drawn === 0 ? '' : `\u001b[${drawn}A\r\u001b[0J`)
  return {
    onProgress(progress) {
      const now = nowMs()
      if (now - lastMs < (voice.isLive ? redrawMs : plainLineMs)) return
      lastMs = now
      if (!voice.isLive) {
        voice.say(plain(progress, workEndMs, now - startedAtMs))
        return
      }
      const lines = block(progress, workEndMs, now - startedAtMs, voice).map((line) => fit(line, Math.max(20, voice.columns - 1)))
      write(`\u001b[?2026h${erase()}${lines.map((line) => `${line}\n`).join('')}\u001b[?2026l`)
      drawn = lines.length
    },
    close() {
      if (drawn > 0) write(erase())
      drawn = 0
    },
  }
}

function place(progress: SimulationProgress, workEndMs: number): string {
  return progress.phase === 'faults' ? `${time(progress.atMs)} of ${time(workEndMs)}` : `${time(progress.atMs)}, ends by ${time(progress.endMs)}`
}

function plain(progress: SimulationProgress, workEndMs: number, wallMs: number): string {
  return `${place(progress, workEndMs)} (${times(progress.atMs / Math.max(1, wallMs))})  missions ${whole(progress.ended)} of ${whole(progress.submitted)} ended  leaves ${whole(progress.leavesAccepted)}  nodes up ${whole(progress.nodesUp)}  faults ${whole(progress.faults)}`
}

function block(progress: SimulationProgress, workEndMs: number, wallMs: number, { colours }: Voice): string[] {
  const phase = { faults: 'work and faults', healing: 'everything is healed, all must end', done: 'checking the promises' }[progress.phase]
  const label = (text: string): string => colours.dim(text.padEnd(9))
  const shareDone = progress.phase === 'faults' ? Math.min(1, progress.atMs / Math.max(1, workEndMs)) : 1
  return [
    `${colours.cyan(bar(shareDone, 1, barColumns).padEnd(barColumns, '░'))}  ${phase}`,
    `${label('virtual')} ${place(progress, workEndMs)}   ${colours.dim('real')} ${time(wallMs)}   ${colours.bold(times(progress.atMs / Math.max(1, wallMs)))}   ${colours.dim(`${whole(progress.events)} events`)}`,
    `${label('missions')} ${whole(progress.submitted)} submitted, ${whole(progress.ended)} ended   ${colours.dim('leaves')} ${whole(progress.leavesAccepted)}`,
    `${label('nodes up')} ${whole(progress.nodesUp)}   ${colours.dim('faults')} ${whole(progress.faults)}`,
  ]
}
