/** Takes every award, confirms it, and gives no sign of life from then on, as a hung process with a live connection would. Only who stops it gets an answer. */
import type { SkillRunEvent } from '../../actors/ports/skill-runner.ts'
import type { Misconduct } from './parts.ts'

export const fallsSilent: Misconduct<'falls-silent'> = (_conduct, ports, { clock }) => {
  const silent = new Map<string, { readonly listener: (event: SkillRunEvent) => void; readonly startedMs: number }>()
  return {
    ...ports,
    skillRunner: {
      ...ports.skillRunner,
      start: (run, listener) => void silent.set(run.runId, { listener, startedMs: clock.monotonicMs() }),
      stop(runId, why) {
        const one = silent.get(runId)
        if (one === undefined) return
        silent.delete(runId)
        // Told later, as the real runner does.
        clock.soon(() => one.listener({ type: 'failed', fault: why, stats: { queueMs: 0, transferMs: 0, runMs: clock.monotonicMs() - one.startedMs, costUsd: 0 } }))
      },
    },
  }
}
