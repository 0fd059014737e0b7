/** Takes every award, shows signs of life for ever, and never comes to an end. Only who stops it gets an answer. */
import type { SkillRunEvent } from '../../actors/ports/skill-runner.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Misconduct } from './parts.ts'

interface Stalled {
  readonly listener: (event: SkillRunEvent) => void
  readonly startedMs: number
  /** The real run has ended. */
  isOver: boolean
  cancelPulse: () => void
}

export const bidsAndStalls: Misconduct<'bids-and-stalls'> = (_conduct, ports, { clock }) => {
  const { skillRunner } = ports
  const stalled = new Map<string, Stalled>()

  function pulse(one: Stalled): void {
    one.cancelPulse = clock.schedule(limits.pulseMs, () => {
      one.listener({ type: 'pulse', fraction: 0.99 })
      pulse(one)
    })
  }

  return {
    ...ports,
    skillRunner: {
      ...skillRunner,
      start(run, listener) {
        const one: Stalled = { listener, startedMs: clock.monotonicMs(), isOver: false, cancelPulse: () => undefined }
        stalled.set(run.runId, one)
        skillRunner.start(run, (event) => {
          if (stalled.get(run.runId) !== one) return listener(event)
          if (event.type === 'started' || event.type === 'pulse') return listener(event)
          one.isOver = true
          pulse(one)
        })
      },
      stop(runId, why) {
        const one = stalled.get(runId)
        stalled.delete(runId)
        one?.cancelPulse()
        if (one?.isOver !== true) return skillRunner.stop(runId, why)
        // Told later, as the real runner does.
        clock.soon(() => one.listener({ type: 'failed', fault: why, stats: { queueMs: 0, transferMs: 0, runMs: clock.monotonicMs() - one.startedMs, costUsd: 0 } }))
      },
    },
  }
}
