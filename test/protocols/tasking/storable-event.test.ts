import { describe, expect, it } from 'vitest'
import { limits } from '../../../protocols/kernel/limits.ts'
import type { Json } from '../../../protocols/kernel/payload.ts'
import type { MissionEvent } from '../../../protocols/tasking/schema.ts'
import { storableEvent } from '../../../protocols/tasking/storable-event.ts'
import { accepted, awarded, checkpointed, dead, ended, planned, spec, submitted } from './histories.ts'

function nested(levels: number): Json {
  let value: Json = 1
  for (let i = 0; i < levels; i++) value = [value]
  return value
}

describe('what may enter a log', () => {
  it.each([submitted(), planned('root', spec('root/t')), awarded('root/t'), ended('root/t', 'failed', 1, 5), checkpointed('root/t', { step: 3 }), accepted('root/t'), dead('root/t')])('$type as it is made', (event) => {
    expect(storableEvent(event)).toBeUndefined()
  })

  it('a value as deep as a result may be, and text that is mended on its way in', () => {
    expect(storableEvent({ ...accepted('root/t'), result: { inline: nested(limits.payloadDepthMax - 1) } })).toBeUndefined()
    expect(storableEvent(checkpointed('root/t', 'half an emoji: \ud83d'))).toBeUndefined()
    expect(storableEvent({ ...planned('root'), result: undefined } as unknown as MissionEvent)).toBeUndefined()
  })

  it.each<[string, unknown, RegExp]>([
    ['a result that is missing', { ...accepted('root/t'), result: { inline: undefined } }, /result/],
    ['a field of another type', { ...dead('root/t'), fault: { ...dead('root/t').fault, retryable: 'yes' } }, /fault\.retryable/],
    ['a text over its maximum', { ...awarded('root/t'), award: { ...awarded('root/t').award, why: 'x'.repeat(501) } }, /award\.why/],
    ['a number that is none', { ...accepted('root/t'), tookMs: Number.NaN }, /neither text, number/],
    ['something that is not data', { ...checkpointed('root/t', 1), checkpoint: { inline: new Map() } }, /neither text, number/],
    ['a value without end', { ...checkpointed('root/t', 1), checkpoint: { inline: nested(limits.eventDepthMax) } }, /levels deep/],
    ['what its schema does not name', { ...dead('root/t'), colour: 'red' }, /does not name/],
    ['what its schema would fill in', { ...planned('root', { ...spec('root/t'), accept: [{ exists: true } as never] }) }, /fills in/],
  ])('not %s', (_, event, detail) => {
    expect(storableEvent(event as MissionEvent)).toMatchObject({ code: 'bad-request', retryable: false, detail: expect.stringMatching(detail) })
  })
})
