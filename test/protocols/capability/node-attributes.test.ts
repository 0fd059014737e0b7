import { describe, expect, it } from 'vitest'
import { attributesOfNode, discoveryKeyFor } from '../../../protocols/capability/node-attributes.ts'
import { discoveryKeys } from '../../../protocols/capability/shards.ts'
import { match } from '../../../protocols/capability/matching.ts'
import type { Capability, CapabilityQuery, Environment, Gpu } from '../../../protocols/capability/schema.ts'

const environment: Environment = { os: 'linux', arch: 'x64', cores: 8, memoryBytes: 32e9, memoryFreeBytes: 20e9 }
const card = (vramBytes: number, vendor: Gpu['vendor'] = 'nvidia'): Gpu => ({ vendor, model: 'a card', vramBytes, vramFreeBytes: vramBytes / 2 })
const chat: Capability = { name: 'llm.chat' as Capability['name'], version: '1.0', kind: 'leaf', effects: 'none', attributes: { model: 'small', cores: 2 }, summary: '' }
const query = (attributes: CapabilityQuery['attributes']): CapabilityQuery => ({ capability: chat.name, attributes })

describe('attributes of a node', () => {
  it('are those of its largest card', () => {
    expect(attributesOfNode(environment, [card(8e9), card(24e9, 'amd')])).toEqual({ os: 'linux', arch: 'x64', cores: 8, memoryBytes: 32e9, gpu: 'amd', vramBytes: 24e9, vramFreeBytes: 12e9 })
    expect(attributesOfNode(environment, [])).not.toHaveProperty('vramBytes')
  })

  it('count for every capability, but what the capability states goes first', () => {
    const ofNode = attributesOfNode(environment, [card(24e9)])
    expect(match([chat], query({ vramBytes: 20e9, model: 'small' }), ofNode)).toEqual({ capability: chat })
    expect(match([chat], query({ vramBytes: 30e9 }), ofNode)).toMatchObject({ unmet: 'attributes-unmet' })
    expect(match([chat], query({ cores: 4 }), ofNode)).toMatchObject({ unmet: 'attributes-unmet', detail: expect.stringContaining('cores is 2') as string })
  })

  it('a cold node looks under a key that every node with as much memory provides', () => {
    for (let gib = 1; gib <= 200; gib++) {
      const key = discoveryKeyFor(query({ vramBytes: gib * 2 ** 30 }))
      for (const own of [gib, gib + 1, gib * 2, gib * 3]) expect(discoveryKeys([], [card(own * 2 ** 30)])).toContain(key)
    }
    expect(discoveryKeyFor(query({}))).toBe('capability/llm.chat')
  })
})
