import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Gossip } from '../../actors/ports/gossip.ts'
import type { PeerId } from '../../protocols/kernel/ids.ts'
import type { Received } from '../../protocols/wire.ts'
import { note, textOf } from './transport.ts'

export interface GossipUnderTest {
  /** At least three nodes of one mesh, connected or about to be. */
  readonly nodes: readonly { readonly peerId: PeerId; readonly gossip: Gossip }[]
  waitUntil(condition: () => boolean): Promise<void>
  stop?(): void | Promise<void>
}

interface Heard {
  readonly topic: string
  readonly received: Received
}

/** What every Gossip must do. Subscriptions take their time to get around, so the suite repeats itself until it is heard. */
export function gossipContract(name: string, setup: () => GossipUnderTest | Promise<GossipUnderTest>): void {
  describe(`${name} keeps the gossip contract`, () => {
    let under: GossipUnderTest
    let heard: Heard[][]
    beforeEach(async () => {
      under = await setup()
      heard = under.nodes.map(({ gossip }) => {
        const mine: Heard[] = []
        gossip.onGossip((topic, received) => mine.push({ topic, received }))
        return mine
      })
    })
    afterEach(() => under.stop?.())

    function node(index: number): GossipUnderTest['nodes'][number] {
      const found = under.nodes[index]
      if (found === undefined) throw new Error(`the contract needs a node ${index}`)
      return found
    }

    function textsHeardBy(index: number, topic: string): string[] {
      return (heard[index] ?? []).filter((entry) => entry.topic === topic).map(({ received }) => textOf(received))
    }

    /** Publishes `<text> 1`, `<text> 2`, … until every listener has heard one of them. @returns the text all have heard. */
    async function publishUntilHeard(from: number, topic: string, text: string, listeners: readonly number[]): Promise<void> {
      let count = 0
      let lastMs = 0
      await under.waitUntil(() => {
        if (performance.now() - lastMs > 100 || count === 0) {
          lastMs = performance.now()
          node(from).gossip.publish(topic, note(`${text} ${++count}`))
        }
        return listeners.every((listener) => textsHeardBy(listener, topic).some((told) => told.startsWith(`${text} `)))
      })
    }

    it('reaches every subscriber, the publisher too, under the name of the publisher', async () => {
      for (const index of [0, 1, 2]) node(index).gossip.subscribe('news')
      await publishUntilHeard(0, 'news', 'first', [0, 1, 2])
      for (const index of [0, 1, 2]) {
        expect(new Set(heard[index]?.map(({ received }) => received.peer))).toEqual(new Set([node(0).peerId]))
      }
    })

    it('brings one message once', async () => {
      for (const index of [0, 1, 2]) node(index).gossip.subscribe('news')
      await publishUntilHeard(0, 'news', 'warm', [0, 1, 2])
      const texts = Array.from({ length: 200 }, (_, index) => `batch of one tick ${index}`)
      for (const text of texts) node(0).gossip.publish('news', note(text))
      await under.waitUntil(() => [0, 1, 2].every((index) => texts.every((text) => textsHeardBy(index, 'news').includes(text))))
      await publishUntilHeard(0, 'news', 'over', [0, 1, 2])
      for (const index of [0, 1, 2]) expect(textsHeardBy(index, 'news').filter((text) => text.startsWith('batch'))).toHaveLength(texts.length)
    })

    it('keeps topics apart', async () => {
      node(1).gossip.subscribe('news')
      node(2).gossip.subscribe('weather')
      await publishUntilHeard(0, 'weather', 'rain', [2])
      await publishUntilHeard(0, 'news', 'first', [1])
      expect(textsHeardBy(1, 'weather')).toEqual([])
      expect(textsHeardBy(2, 'news')).toEqual([])
      expect(heard[0]).toEqual([])
    })

    it('is silent after unsubscribing', async () => {
      for (const index of [1, 2]) node(index).gossip.subscribe('news')
      await publishUntilHeard(0, 'news', 'first', [1, 2])
      node(1).gossip.unsubscribe('news')
      await publishUntilHeard(0, 'news', 'second', [2])
      expect(textsHeardBy(1, 'news').filter((text) => text.startsWith('second'))).toEqual([])
    })

    it('takes a publication that nobody hears', async () => {
      node(0).gossip.publish('nobody listens', note('hello?'))
      node(0).gossip.subscribe('self')
      await publishUntilHeard(0, 'self', 'still works', [0])
    })
  })
}
