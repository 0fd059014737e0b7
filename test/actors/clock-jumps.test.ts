import { expect, it } from 'vitest'
import { clockJump } from '../../actors/behaviours/clock-jumps.ts'
import { limits } from '../../protocols/kernel/limits.ts'

const dayMs = 86_400_000
const since = { nowMs: 5_000, wallMs: 20 * dayMs }
const after = (passedMs: number, jumpMs: number) => clockJump(since, { nowMs: since.nowMs + passedMs, wallMs: since.wallMs + passedMs + jumpMs })

it('a clock that was set is told from one that ran, however much time passed, in both directions', () => {
  for (const passedMs of [0, 600_000, 30 * dayMs]) {
    for (const jumpMs of [0, 1_500, -1_500, limits.clockJumpMsMax, -limits.clockJumpMsMax]) expect(after(passedMs, jumpMs), `${jumpMs} in ${passedMs}`).toBeUndefined()
    for (const jumpMs of [limits.clockJumpMsMax + 1, -limits.clockJumpMsMax - 1, 8 * dayMs, -8 * dayMs]) expect(after(passedMs, jumpMs), `${jumpMs} in ${passedMs}`).toBe(jumpMs)
  }
})
