import picocolors from 'picocolors'
import { describe, expect, test } from 'vitest'
import { DeadView } from '../../../protocols/tasking/views.ts'
import { deadLines } from '../../../node/cli/view/dead-lines.ts'
import { deadViews } from '../../../actors/behaviours/mission-views.ts'
import { awarded, dead, ended, fold, planned, spec, taskIn } from '../../protocols/tasking/histories.ts'
import type { Principal } from '../../../protocols/kernel/ids.ts'
import { applyEvent } from '../../../protocols/tasking/mission-state.ts'

const plain = picocolors.createColors(false)
const poisoned = () => fold(planned('root', spec('root/c', 'composite')), awarded('root/c'), planned('root/c', spec('root/c/x')), awarded('root/c/x'), ended('root/c/x', 'failed'), awarded('root/c/x', 2), ended('root/c/x', 'lost', 2), dead('root/c/x'), dead('root/c'))

describe('dead letters', () => {
  test('tell of everybody who tried, when and why it failed', () => {
    const letters = deadViews(poisoned())
    expect(letters.map((letter) => DeadView.parse(letter))).toEqual(letters)
    expect(letters).toMatchObject([{ kind: 'task', taskId: 'root/c/x', missionName: 'test', capability: 'number.double', atWallMs: 6, reason: 'it broke', attempts: [{ attempt: 1, workerName: 'w', outcome: 'failed', awardedAtWallMs: 3, endedAtWallMs: 4, fault: { detail: 'it broke' } }, { attempt: 2, outcome: 'lost' }] }])
    const text = deadLines([...letters, DeadView.parse({ id: 'letter-4', kind: 'message', atWallMs: 5, reason: 'no such actor' })], 60_006, plain, 200)
    expect(text).toEqual([
      `${letters[0]?.id ?? ''}  number.double of test  died 1 min 00 s ago after 2 attempts`,
      '  it broke',
      expect.stringMatching(/^ {2}attempt 1: w failed after .*, 1 min 00 s ago · it broke$/),
      expect.stringMatching(/^ {2}attempt 2: w lost after .*, 1 min 00 s ago · it broke$/),
      'letter-4  a message  lost 1 min 00 s ago',
      '  no such actor',
    ])
    expect(deadLines([], 0, plain, 80)).toEqual(['no dead letters'])
  })

  test('are listed no more once they were dropped; what they took down with them is none', () => {
    const mission = poisoned()
    applyEvent(mission, { type: 'dead-dropped', atWallMs: 7, taskId: taskIn(mission, 'root/c/x').spec.taskId, by: 'local' as Principal }, 50)
    expect(deadViews(mission)).toEqual([])
  })
})
