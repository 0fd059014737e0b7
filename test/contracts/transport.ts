import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Transport } from '../../actors/ports/transport.ts'
import type { PeerId } from '../../protocols/kernel/ids.ts'
import type { Envelope, Received } from '../../protocols/wire.ts'

export interface TransportUnderTest {
  /** Three nodes that can reach each other; they may still have to find each other. */
  readonly nodes: readonly { readonly peerId: PeerId; readonly transport: Transport }[]
  /** A peer id of the right form that nobody has. */
  readonly nobody: PeerId
  /** Takes a node off the network at once and for good. */
  remove(index: number): void | Promise<void>
  waitUntil(condition: () => boolean): Promise<void>
  stop?(): void | Promise<void>
}

/** A small message that carries a text. */
export function note(text: string): Envelope {
  return { to: 'test', from: 'test', message: { kind: 'goodbye', reason: text } }
}

export function textOf({ envelope }: Pick<Received, 'envelope'>): string {
  return envelope.message.kind === 'goodbye' ? envelope.message.reason : ''
}

/** What every Transport must do. */
export function transportContract(name: string, setup: () => TransportUnderTest | Promise<TransportUnderTest>): void {
  describe(`${name} keeps the transport contract`, () => {
    let under: TransportUnderTest
    beforeEach(async () => {
      under = await setup()
    })
    afterEach(() => under.stop?.())

    function node(index: number): TransportUnderTest['nodes'][number] {
      const found = under.nodes[index]
      if (found === undefined) throw new Error(`the contract needs a node ${index}`)
      return found
    }

    function listen(index: number): Received[] {
      const heard: Received[] = []
      node(index).transport.onReceive((received) => heard.push(received))
      return heard
    }

    it('delivers what was sent, once, in order, under the name of its sender', async () => {
      const heard = listen(1)
      const texts = Array.from({ length: 2_500 }, (_, index) => `message ${index}`)
      for (const text of texts) node(0).transport.send(node(1).peerId, note(text))
      await under.waitUntil(() => heard.length >= texts.length)
      node(0).transport.send(node(1).peerId, note('last'))
      await under.waitUntil(() => heard.some((received) => textOf(received) === 'last'))
      expect(heard.map(textOf)).toEqual([...texts, 'last'])
      expect(new Set(heard.map(({ peer }) => peer))).toEqual(new Set([node(0).peerId]))
    })

    it('works both ways at once', async () => {
      const [first, second] = [listen(0), listen(1)]
      node(0).transport.send(node(1).peerId, note('to the second'))
      node(1).transport.send(node(0).peerId, note('to the first'))
      await under.waitUntil(() => first.length === 1 && second.length === 1)
      expect([...first, ...second].map(textOf)).toEqual(['to the first', 'to the second'])
    })

    it('delivers nothing from inside send', async () => {
      const heard = listen(1)
      node(0).transport.send(node(1).peerId, note('later'))
      expect(heard).toEqual([])
      await under.waitUntil(() => heard.length === 1)
    })

    it('says of every peer that it is up, and lists it', async () => {
      const up: PeerId[] = [...node(0).transport.connectedPeers()]
      node(0).transport.onPeer((peer, state) => state === 'up' && up.push(peer))
      for (const other of [node(1), node(2)]) node(0).transport.send(other.peerId, note('are you there'))
      const others = [node(1).peerId, node(2).peerId].sort()
      await under.waitUntil(() => node(0).transport.connectedPeers().length === 2)
      expect([...node(0).transport.connectedPeers()].sort()).toEqual(others)
      expect([...up].sort()).toEqual(others)
    })

    it('reports what cannot be sent, with a reason, and never throws', async () => {
      const undelivered: { peer: PeerId; text: string; reason: string }[] = []
      node(0).transport.onUndelivered((peer, envelope, reason) => undelivered.push({ peer, text: textOf({ envelope }), reason }))
      node(0).transport.send(under.nobody, note('hello?'))
      expect(undelivered).toEqual([])
      await under.waitUntil(() => undelivered.length === 1)
      expect(undelivered).toMatchObject([{ peer: under.nobody, text: 'hello?' }])
      expect(undelivered[0]?.reason).not.toBe('')
    })

    it('says once that a peer is gone, and reports what is sent to it afterwards', async () => {
      node(0).transport.send(node(1).peerId, note('are you there'))
      await under.waitUntil(() => node(0).transport.connectedPeers().includes(node(1).peerId))
      const down: PeerId[] = []
      const undelivered: string[] = []
      node(0).transport.onPeer((peer, state) => state === 'down' && down.push(peer))
      node(0).transport.onUndelivered((_peer, envelope) => undelivered.push(textOf({ envelope })))
      await under.remove(1)
      await under.waitUntil(() => down.length > 0)
      expect(node(0).transport.connectedPeers()).not.toContain(node(1).peerId)
      node(0).transport.send(node(1).peerId, note('too late'))
      await under.waitUntil(() => undelivered.includes('too late'))
      expect(down).toEqual([node(1).peerId])
    })
  })
}
