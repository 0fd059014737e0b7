/** A sweep while it goes on: one line, redrawn on a terminal, now and then a new one elsewhere. */
import type { Voice } from '../../node/cli/context.ts'
import { fit } from '../../node/cli/view/format.ts'
import { time, whole } from './format.ts'
import { bar } from './report-text.ts'
import type { SweepTally } from './sweep-tally.ts'

const redrawMs = 100
const plainLineMs = 10_000
const barColumns = 24

export interface SweepProgress {
  seed(tally: SweepTally): void
  shrinking(failures: number): void
  close(): void
}

export function sweepProgress(voice: Voice, write: (text: string) => unknown, { total, jobs }: { readonly total: number; readonly jobs: number }): SweepProgress {
  const startedAtMs = performance.now()
  let lastMs = voice.isLive ? Number.NEGATIVE_INFINITY : startedAtMs
  let isDrawn = false
  const { colours } = voice

  const show = (line: string): void => {
    if (!voice.isLive) {
      voice.say(line)
      return
    }
    write(`\r\u001b[2K${fit(line, Math.max(20, voice.columns - 1))}`)
    isDrawn = true
  }
  if (voice.isLive) show(colours.dim(`starting ${jobs} ${jobs === 1 ? 'process' : 'processes'} …`))
  return {
    seed(tally) {
      const now = performance.now()
      if (now - lastMs < (voice.isLive ? redrawMs : plainLineMs) && tally.seeds < total) return
      lastMs = now
      const wallMs = now - startedAtMs
      const leftMs = (wallMs / tally.seeds) * (total - tally.seeds)
      const failed = tally.failures.length > 0 ? colours.red(`${whole(tally.failures.length)} failed`) : 'none failed'
      const drawing = voice.isLive ? `${colours.cyan(bar(tally.seeds, total, barColumns).padEnd(barColumns, '░'))}  ` : ''
      show(`${drawing}${whole(tally.seeds)} of ${whole(total)} runs, ${failed}, ${whole(tally.virtualMs / 1_000)} s simulated${tally.seeds < total ? `, about ${time(leftMs)} left` : ''}`)
    },
    shrinking(failures) {
      show(`looking for the shortest run that fails, of ${failures === 1 ? 'one failing seed' : `${failures} failing seeds`} …`)
    },
    close() {
      if (isDrawn) write('\r\u001b[2K')
      isDrawn = false
    },
  }
}
