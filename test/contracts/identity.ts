import { describe, expect, it } from 'vitest'
import type { Identity } from '../../actors/ports/identity.ts'
import type { PeerId } from '../../protocols/kernel/ids.ts'

/** What every Identity must do. `setup` gives two different identities. */
export function identityContract(name: string, setup: () => readonly [Identity, Identity] | Promise<readonly [Identity, Identity]>): void {
  const message = new TextEncoder().encode('an advert')

  describe(`${name} keeps the identity contract`, () => {
    it('signs what the other can verify by the peer id alone', async () => {
      const [mine, theirs] = await setup()
      const signature = mine.sign(message)
      expect(signature).toHaveLength(64)
      expect(theirs.verify(mine.peerId, message, signature)).toBe(true)
      expect(mine.verify(mine.peerId, message, signature)).toBe(true)
    })

    it('refuses another message, another signer and a broken signature', async () => {
      const [mine, theirs] = await setup()
      const signature = mine.sign(message)
      expect(theirs.verify(mine.peerId, new TextEncoder().encode('another advert'), signature)).toBe(false)
      expect(theirs.verify(theirs.peerId, message, signature)).toBe(false)
      const broken = signature.slice()
      broken[10] = (broken[10] ?? 0) ^ 1
      expect(theirs.verify(mine.peerId, message, broken)).toBe(false)
      expect(theirs.verify(mine.peerId, message, signature.subarray(0, 63))).toBe(false)
      expect(theirs.verify(mine.peerId, message, new Uint8Array())).toBe(false)
    })

    it('says no, and does not throw, for what is no peer id', async () => {
      const [mine] = await setup()
      expect(mine.verify('nobody' as PeerId, message, mine.sign(message))).toBe(false)
      expect(mine.verify('nobody' as PeerId, message, mine.sign(message))).toBe(false)
    })

    it('has a name of its own', async () => {
      const [mine, theirs] = await setup()
      expect(mine.peerId).not.toBe(theirs.peerId)
    })
  })
}
