import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Discovery } from '../../actors/ports/discovery.ts'
import type { PeerId } from '../../protocols/kernel/ids.ts'

export interface DiscoveryUnderTest {
  /** At least four nodes of one mesh, connected or about to be. */
  readonly nodes: readonly { readonly peerId: PeerId; readonly discovery: Discovery }[]
  /** A node that knows nobody. */
  readonly lone: Discovery
  /** Repeats an asynchronous question until its answer satisfies. */
  ask<T>(question: () => Promise<T>, satisfies: (answer: T) => boolean): Promise<T>
  stop?(): void | Promise<void>
}

/** What every Discovery must do. */
export function discoveryContract(name: string, setup: () => DiscoveryUnderTest | Promise<DiscoveryUnderTest>): void {
  describe(`${name} keeps the discovery contract`, () => {
    let under: DiscoveryUnderTest
    beforeEach(async () => {
      under = await setup()
    })
    afterEach(() => under.stop?.())

    function node(index: number): DiscoveryUnderTest['nodes'][number] {
      const found = under.nodes[index]
      if (found === undefined) throw new Error(`the contract needs a node ${index}`)
      return found
    }

    it('finds those who provide a key, and only those', async () => {
      node(1).discovery.provide(['capability/repo.report', 'gpu/24GiB'])
      node(2).discovery.provide(['capability/repo.report'])
      const both = await under.ask(() => node(0).discovery.findProviders('capability/repo.report', 10, 2_000), (found) => found.length === 2)
      expect([...both].sort()).toEqual([node(1).peerId, node(2).peerId].sort())
      const gpu = await under.ask(() => node(3).discovery.findProviders('gpu/24GiB', 10, 2_000), (found) => found.length > 0)
      expect(gpu).toEqual([node(1).peerId])
    })

    it('stops at the number asked for', async () => {
      for (const index of [1, 2, 3]) node(index).discovery.provide(['capability/program'])
      await under.ask(() => node(0).discovery.findProviders('capability/program', 10, 2_000), (found) => found.length === 3)
      expect(await node(0).discovery.findProviders('capability/program', 1, 2_000)).toHaveLength(1)
      expect(await node(0).discovery.findProviders('capability/program', 0, 2_000)).toEqual([])
    })

    it('answers with nobody when there is nobody', async () => {
      expect(await node(0).discovery.findProviders('capability/unheard.of', 3, 2_000)).toEqual([])
    })

    it('does not keep a lone node waiting', async () => {
      under.lone.provide(['capability/repo.report'])
      expect(await under.lone.findProviders('capability/other', 3, 500)).toEqual([])
    })
  })
}
