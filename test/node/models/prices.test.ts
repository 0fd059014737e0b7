import { describe, expect, it } from 'vitest'
import type { Fact } from '../../../actors/ports/telemetry.ts'
import { openWeightPrices, vendorOnlyPrices } from '../../../node/models/price-table.ts'
import { costUsd, createPrices, free, isOwnNetwork, unknownModelPrice } from '../../../node/models/prices.ts'

const openai = new URL('https://api.openai.com/v1')
const home = new URL('http://127.0.0.1:11434/v1')

describe('prices', () => {
  it('of well-known models, their dated versions, and behind a vendor\'s name', () => {
    const prices = createPrices()
    const mini = { inputUsdPerMillion: 0.25, outputUsdPerMillion: 2, cachedInputUsdPerMillion: 0.025 }
    for (const model of ['gpt-5-mini', 'gpt-5-mini-2025-08-07', 'openai/gpt-5-mini', 'openai/gpt-5-mini-2025-08-07']) expect(prices.of({ model, url: openai })).toEqual(mini)
    expect(prices.of({ model: 'chatgpt-4o-latest', url: openai }).outputUsdPerMillion).toBe(15)
  })

  it('never of a model whose name only begins alike', () => {
    const prices = createPrices()
    expect(prices.of({ model: 'gpt-5-pro', url: openai }).outputUsdPerMillion).toBe(120)
    expect(prices.of({ model: 'gpt-5-super-deluxe', url: openai })).toEqual(unknownModelPrice)
  })

  it('are nothing on one\'s own machines, unless only a vendor can run the model', () => {
    const prices = createPrices()
    expect(prices.of({ model: 'qwen3:4b', url: home })).toEqual(free)
    expect(prices.of({ model: 'openai/gpt-oss-120b', url: home })).toEqual(free)
    expect(prices.of({ model: 'gpt-4o', url: home }).inputUsdPerMillion).toBe(2.5)
    expect(prices.of({ model: 'openai/gpt-oss-120b', url: new URL('https://api.together.xyz/v1') }).outputUsdPerMillion).toBe(0.6)
  })

  it('one\'s own come first, exact before prefixes, the longest prefix before others', () => {
    const prices = createPrices({ own: { 'gpt-5-mini': { input: 9, output: 8, cachedInput: 7 }, 'my-*': { input: 1, output: 2 }, 'my-big-*': { input: 3, output: 4 }, 'vectors': { input: 5 } } })
    expect(prices.of({ model: 'gpt-5-mini', url: openai })).toEqual({ inputUsdPerMillion: 9, outputUsdPerMillion: 8, cachedInputUsdPerMillion: 7 })
    expect(prices.of({ model: 'my-small', url: home })).toEqual({ inputUsdPerMillion: 1, outputUsdPerMillion: 2, cachedInputUsdPerMillion: 1 })
    expect(prices.of({ model: 'my-big-one', url: home, told: free }).inputUsdPerMillion).toBe(3)
    expect(prices.of({ model: 'vectors', url: openai })).toEqual({ inputUsdPerMillion: 5, outputUsdPerMillion: 0, cachedInputUsdPerMillion: 5 })
  })

  it('what the endpoint says comes before the table', () => {
    const told = { inputUsdPerMillion: 1, outputUsdPerMillion: 2, cachedInputUsdPerMillion: 0.5 }
    expect(createPrices().of({ model: 'gpt-5-mini', url: openai, told })).toEqual(told)
  })

  it('an unknown model far away costs what the dearest does, and that is said once', () => {
    const facts: Fact[] = []
    const prices = createPrices({ telemetry: { record: (fact) => void facts.push(fact) } })
    const url = new URL('https://models.example.com/v1')
    for (let i = 0; i < 3; i++) expect(prices.of({ model: 'who-knows', url })).toEqual(unknownModelPrice)
    prices.of({ model: 'somebody-else', url })
    expect(facts.map(({ name, level, fields }) => [name, level, fields['model']])).toEqual([['models.price-unknown', 'warn', 'who-knows'], ['models.price-unknown', 'warn', 'somebody-else']])
    for (const [input, output] of [...Object.values(vendorOnlyPrices), ...Object.values(openWeightPrices)]) {
      expect(unknownModelPrice.inputUsdPerMillion).toBeGreaterThanOrEqual(input)
      expect(unknownModelPrice.outputUsdPerMillion).toBeGreaterThanOrEqual(output)
    }
  })

  it('cost: cached tokens at their own price, and never more of them than there are', () => {
    const price = { inputUsdPerMillion: 2, outputUsdPerMillion: 10, cachedInputUsdPerMillion: 0.2 }
    expect(costUsd(price, { promptTokens: 1_000_000, cachedTokens: 500_000, completionTokens: 100_000 })).toBeCloseTo(1 + 0.1 + 1, 12)
    expect(costUsd(price, { promptTokens: 10, cachedTokens: 999, completionTokens: 0 })).toBeCloseTo(10 * 0.2 / 1_000_000, 15)
    expect(costUsd(free, { promptTokens: 10, cachedTokens: 0, completionTokens: 10 })).toBe(0)
  })

  it('one\'s own network', () => {
    const own = ['http://127.0.0.1:1', 'http://localhost:1', 'http://[::1]:1', 'http://10.1.2.3', 'http://192.168.0.9:8000', 'http://172.16.0.1', 'http://172.31.255.1', 'http://169.254.1.1', 'http://100.64.0.1', 'http://ollama:11434', 'http://nas.local', 'http://gpu.internal', 'http://[fd00::1]', 'http://[fe80::1]', 'http://[::ffff:127.0.0.1]', 'http://[::ffff:192.168.1.1]']
    expect(own.filter((url) => !isOwnNetwork(new URL(url)))).toEqual([])
    const foreign = ['https://api.openai.com', 'http://172.32.0.1', 'http://172.15.0.1', 'http://8.8.8.8', 'http://100.63.0.1', 'http://127.0.0.1.example.com', 'http://[2001:db8::1]', 'http://localhost.example.com', 'http://[::ffff:8.8.8.8]']
    expect(foreign.filter((url) => isOwnNetwork(new URL(url)))).toEqual([])
  })
})
