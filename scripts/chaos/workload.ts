/** What the campaign asks of the mesh: plans of six to ten leaves over two levels, drawn from the seed. */
import type { Random } from '../../protocols/kernel/prng.ts'

export interface DrawnMission {
  readonly key: string
  /** Body of the submission. */
  readonly request: Readonly<Record<string, unknown>>
  readonly leaves: number
}

const retry = { attemptsMax: 20, backoffMs: 200 }

/** @param key the idempotency key, also the mission's name. @param ledger file that the leaves append to. */
export function drawMission(random: Random, key: string, ledger: string): DrawnMission {
  let drawn = 0
  const leaf = (): { label: string; ledger: string; mission: string; ms: number; effects: 'none' | 'external' } => ({
    label: `leaf-${(drawn += 1)}`, ledger, mission: key, ms: 50 + random.below(451), effects: random.below(3) === 0 ? 'external' : 'none',
  })
  const tasks: Record<string, unknown> = {}
  const groups = 2
  for (let group = 1; group <= groups; group++) {
    const leaves = Array.from({ length: 2 + random.below(2) }, leaf)
    // The second waits for the first in half of the plans.
    const waits = group > 1 && random.below(2) === 0
    tasks[`group-${group}`] = { capability: 'chaos.group', input: { leaves, ...(waits ? { needs: { $from: `group-${group - 1}` } } : {}) }, retry }
  }
  const direct = 2 + random.below(3)
  for (let at = 0; at < direct; at++) {
    const { effects, ...input } = leaf()
    tasks[input.label] = { capability: effects === 'external' ? 'chaos.effect' : 'chaos.pure', input: { ...input, ...(at === direct - 1 ? { needs: { $from: 'group-1' } } : {}) }, retry }
  }
  return { key, leaves: drawn, request: { name: key, acknowledgement: 'quorum', plan: { tasks } } }
}
