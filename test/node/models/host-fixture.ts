/** A model host over the real adapter of OpenAI-compatible endpoints, at a scripted server. */
import { afterEach } from 'vitest'
import type { Clock } from '../../../actors/ports/clock.ts'
import type { CapabilityMeasure } from '../../../actors/ports/skill-runner.ts'
import type { Fact } from '../../../actors/ports/telemetry.ts'
import { type AnswerCacheSettings, createAnswerCache } from '../../../node/models/answer-cache.ts'
import { createModelHost, type ModelHost } from '../../../node/models/model-host.ts'
import { createOpenAiProvider } from '../../../node/models/openai/openai-adapter.ts'
import { createPrices, type OwnPrices } from '../../../node/models/prices.ts'
import { createMemoryBlobs, type MemoryBlobs } from '../../../node/skills/memory-blobs.ts'
import { type OpenAiServer, type OpenAiServerOptions, startOpenAiServer } from '../../support/openai-server/server.ts'

export const realClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  schedule(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
  soon: (callback) => queueMicrotask(callback),
}

export interface HostFixture {
  readonly host: ModelHost
  readonly server: OpenAiServer
  readonly blobs: MemoryBlobs
  readonly facts: Fact[]
  /** As it was told last. */
  measures(): readonly CapabilityMeasure[]
  /** How often capabilities have changed. */
  changes(): number
}

export interface HostFixtureInit {
  readonly server?: OpenAiServerOptions
  readonly slots?: number
  readonly prices?: OwnPrices
  readonly contextTokens?: number
  readonly cache?: Partial<AnswerCacheSettings>
  readonly apiKey?: string
  readonly redact?: (text: string) => string
  /** As if the endpoint computed in this process. */
  readonly isLocal?: boolean
}

const open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

export async function startHost(init: HostFixtureInit = {}): Promise<HostFixture> {
  const server = await startOpenAiServer(init.server)
  open.push(() => server.close())
  const facts: Fact[] = []
  const telemetry = { record: (fact: Fact) => void facts.push(fact) }
  const provider = createOpenAiProvider({
    name: 'scripted', baseUrl: server.url, slots: init.slots ?? 4, clock: realClock, telemetry, prices: createPrices(init.prices === undefined ? {} : { own: init.prices }), retriesMax: 0,
    ...(init.apiKey === undefined ? {} : { apiKey: init.apiKey }),
    ...(init.contextTokens === undefined ? {} : { models: [{ name: 'test-model', contextTokens: init.contextTokens }] }),
  })
  await provider.refresh()
  const blobs = createMemoryBlobs()
  const host = createModelHost({
    providers: [{ provider, name: 'scripted', isLocal: init.isLocal ?? false, breaker: provider.breaker }], blobs, clock: realClock, telemetry, pulseMs: 20,
    ...(init.cache === undefined ? {} : { cache: createAnswerCache({ chat: { exact: false, similar: 0 }, embed: { exact: false }, bytesMax: 1_000_000, ...init.cache }) }),
    ...(init.redact === undefined ? {} : { redact: init.redact }),
  })
  open.push(() => host.close())
  let measured: readonly CapabilityMeasure[] = []
  let changes = 0
  host.onMeasured((told) => (measured = told))
  host.onCapabilitiesChanged(() => (changes += 1))
  return { host, server, blobs, facts, measures: () => measured, changes: () => changes }
}
