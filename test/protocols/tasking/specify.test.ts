import { describe, expect, it } from 'vitest'
import type { Capability } from '../../../protocols/capability/schema.ts'
import type { TaskId } from '../../../protocols/kernel/ids.ts'
import type { Payload } from '../../../protocols/kernel/payload.ts'
import { Plan, TaskSpec } from '../../../protocols/tasking/schema.ts'
import { specify, type KnownCapability, type Specifying } from '../../../protocols/tasking/specify.ts'

const offered: Capability = { name: 'number.double' as Capability['name'], version: '1.0', kind: 'leaf', effects: 'external', attributes: {}, summary: '' }

function how(about: Partial<KnownCapability> = { known: offered }): Specifying {
  return { parent: 'root/p' as TaskId, priority: 4, input: (name): Payload => ({ inline: { of: name } }), capability: () => ({ versions: [], nearest: [], ...about }) }
}

const plan = (tasks: Record<string, unknown>, rest: Record<string, unknown> = {}): Plan => Plan.parse({ tasks, ...rest })

describe('from a plan to specifications', () => {
  it('every task is named, typed by what is offered, and has the defaults filled in', () => {
    const specs = specify(plan({ a: { capability: 'number.double' }, b: { capability: 'number.double', after: ['a'], input: { x: { $from: 'a' } }, optional: true } }), how()) as TaskSpec[]
    expect(specs).toMatchObject([
      { taskId: 'root/p/a', kind: 'leaf', effects: 'external', input: { inline: { of: 'a' } }, after: [], priority: 4, effort: 1, accept: [], retry: { attemptsMax: 4, backoffMs: 1_000 }, optional: false },
      { taskId: 'root/p/b', after: ['root/p/a'], optional: true },
    ])
    for (const spec of specs) expect(TaskSpec.parse(spec)).toEqual(spec)
  })

  it('a task’s own words come before its plan’s, and those before its parent’s', () => {
    const own = { capability: 'number.double', priority: 9, effort: 7, timeLimitMs: 1_234, retry: { attemptsMax: 1 }, version: '1.0', attributes: { quick: true } }
    expect(specify(plan({ a: own, b: { capability: 'number.double' } }, { priority: 6 }), how())).toMatchObject([
      { priority: 9, effort: 7, timeLimitMs: 1_234, retry: { attemptsMax: 1, backoffMs: 1_000 }, version: '1.0', attributes: { quick: true } },
      { priority: 6 },
    ])
  })

  it('effort without a word is the size of the input', () => {
    expect(specify(plan({ a: { capability: 'number.double', input: { folder: { $blob: 'a'.repeat(64), sizeBytes: 4_096 } } } }), how())).toMatchObject([{ effort: 4_096 }])
  })
})

describe('a capability that nobody offers', () => {
  const refusal = (task: Record<string, unknown>, about: Partial<KnownCapability>) => specify(plan({ a: { capability: 'number.duoble', ...task } }), how(about))

  it('is named, with the nearest names and what to do', () => {
    expect(refusal({}, { nearest: ['number.double'] })).toMatchObject({ code: 'unknown-capability', detail: expect.stringMatching(/number\.duoble.*number\.double/s), next: expect.stringContaining('number.double') })
    expect(refusal({}, {})).toMatchObject({ code: 'unknown-capability', next: expect.stringContaining('skein capabilities') })
  })

  it('in the version or with the attributes that were asked for: says what is offered', () => {
    expect(refusal({ version: '3.0' }, { versions: ['1.0', '2.1'] })).toMatchObject({ code: 'version-mismatch', detail: expect.stringMatching(/@3\.0.*@1\.0.*@2\.1/s), next: expect.any(String) })
  })
})
