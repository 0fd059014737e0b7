/** What skills really ran, by the nodes' own logs: a mission's log tells only what it has been told. */
import { z } from 'zod'
import type { MissionProgress } from '../view/mission-progress.ts'

/** A node writes this down when a skill is about to run for an award. */
const Taken = z.object({ msg: z.literal('award.taken'), award: z.string(), time: z.number() })

export interface WhatRan {
  /** A line of any node's log. */
  hear(line: string): void
  /** Tasks that were run after their result had been accepted. A correct mesh keeps this at 0. All clocks are one machine's. */
  repeated(progress: MissionProgress): number
}

export function watchWhatRan(): WhatRan {
  const runs: { readonly taskId: string; readonly atWallMs: number }[] = []
  return {
    hear(line) {
      if (!line.includes('"award.taken"')) return
      try {
        const { award, time } = Taken.parse(JSON.parse(line))
        runs.push({ taskId: award.slice(award.indexOf(':') + 1, award.lastIndexOf('#')), atWallMs: time })
      } catch {
        // A process that was killed in the middle of a line.
      }
    },
    repeated(progress) {
      const again = new Set<string>()
      for (const task of progress.fold?.tasks.values() ?? []) {
        const acceptedAtWallMs = task.attempts.find((attempt) => attempt.outcome === 'accepted')?.endedAtWallMs
        if (acceptedAtWallMs !== undefined && runs.some((run) => run.taskId === task.spec.taskId && run.atWallMs > acceptedAtWallMs)) again.add(task.spec.taskId)
      }
      return Math.max(again.size, progress.repeated)
    },
  }
}
