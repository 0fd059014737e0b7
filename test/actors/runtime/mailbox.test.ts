import { describe, expect, it } from 'vitest'
import type { Delivery } from '../../../actors/runtime/actor.ts'
import { createMailbox } from '../../../actors/runtime/mailbox.ts'
import { virtualPeerId } from '../../../sim/identity-virtual-adapter.ts'

function numbered(what: string): Delivery {
  return { message: { kind: 'tick', what }, from: { peer: virtualPeerId('node'), actor: 'test' } }
}

function contents(mailbox: ReturnType<typeof createMailbox>): string[] {
  const found: string[] = []
  for (let next = mailbox.take(); next !== undefined; next = mailbox.take()) found.push(next.message.kind === 'tick' ? (next.message.what ?? '') : '')
  return found
}

describe('a mailbox', () => {
  it('keeps the order of each lane; the system’s messages overtake', () => {
    const mailbox = createMailbox()
    for (const [what, lane] of [['u1', 'user'], ['s1', 'system'], ['u2', 'user'], ['s2', 'system']] as const) mailbox.put(numbered(what), lane)
    expect(mailbox.size).toBe(4)
    expect(contents(mailbox)).toEqual(['s1', 's2', 'u1', 'u2'])
    expect(mailbox.size).toBe(0)
  })

  it('overtakes what is half read, too', () => {
    const mailbox = createMailbox()
    for (const what of ['u1', 'u2', 'u3']) mailbox.put(numbered(what), 'user')
    expect(mailbox.take()).toEqual(numbered('u1'))
    mailbox.put(numbered('s1'), 'system')
    mailbox.put(numbered('u4'), 'user')
    expect(contents(mailbox)).toEqual(['s1', 'u2', 'u3', 'u4'])
  })

  it('refuses when a lane is full, each lane for itself, and takes again when there is room', () => {
    const mailbox = createMailbox(2)
    expect([mailbox.put(numbered('u1'), 'user'), mailbox.put(numbered('u2'), 'user'), mailbox.put(numbered('u3'), 'user')]).toEqual([true, true, false])
    expect(mailbox.put(numbered('s1'), 'system')).toBe(true)
    expect(mailbox.take()).toEqual(numbered('s1'))
    expect(mailbox.take()).toEqual(numbered('u1'))
    expect([mailbox.put(numbered('u4'), 'user'), mailbox.put(numbered('u5'), 'user')]).toEqual([true, false])
    expect(contents(mailbox)).toEqual(['u2', 'u4'])
  })
})
