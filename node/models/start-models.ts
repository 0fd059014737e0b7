/**
 * What a node's configuration says of models, made to run: the files are loaded, the endpoints asked what they have. The only place that builds their adapters;
 * a node without models loads none of this.
 *
 * @packageDocumentation
 */
import type { BlobStore } from '../../actors/ports/blob-store.ts'
import type { Clock } from '../../actors/ports/clock.ts'
import type { LlmProvider } from '../../actors/ports/llm-provider.ts'
import type { SkillRunner } from '../../actors/ports/skill-runner.ts'
import type { Telemetry } from '../../actors/ports/telemetry.ts'
import { MeshError } from '../../protocols/kernel/errors.ts'
import type { DurationMs } from '../../protocols/kernel/units.ts'
import type { Endpoint, ModelFile } from '../config/model-settings.ts'
import { type AnswerCacheSettings, createAnswerCache } from './answer-cache.ts'
import { type EndpointLink, linkEndpoint } from './endpoint-link.ts'
import type { HostedProvider } from './hosted-models.ts'
import { createModelHost, type ModelHost } from './model-host.ts'
import { createPrices, isOwnNetwork } from './prices.ts'
import { withModels } from './with-models.ts'

export interface StartModelsInit {
  readonly files: readonly ModelFile[]
  readonly endpoints: readonly Endpoint[]
  readonly cache: AnswerCacheSettings
  readonly blobs: BlobStore
  readonly clock: Clock
  readonly telemetry: Telemetry & { keepSecret(secret: string): void }
}

export interface StartedModels {
  /** The runner with the models beside its skills. @throws MeshError `bad-request` when a skill offers what models do. */
  over(inner: SkillRunner): SkillRunner
  close(): Promise<void>
}

/** An endpoint that answers is there when the node is ready; for one that does not, it does not wait. */
const firstAnswerMs: DurationMs = 1_000
/** How often an endpoint is asked what it has: one's own machines are switched off and on. */
const renewNearbyMs: DurationMs = 60_000
const renewAwayMs: DurationMs = 15 * 60_000
/** Requests at a time, where nobody has said: one's own machines do few well. */
const slotsNearby = 4
const slotsAway = 16

/**
 * @throws MeshError what is wrong with a model file, or that node-llama-cpp is missing (`not-available`): whoever names a file wants it. `bad-request` for two
 *   files of one name, and for a key that is not there. An endpoint that cannot be reached is no error: it is tried again.
 */
export async function startModels({ files, endpoints, cache, blobs, clock, telemetry }: StartModelsInit): Promise<StartedModels> {
  const keys = endpoints.flatMap(({ key }) => key ?? [])
  for (const key of keys) telemetry.keepSecret(key)
  const redact = (text: string): string => keys.reduce((left, key) => left.replaceAll(key, '[redacted]'), text)
  for (const { name, url, key, keyFrom } of endpoints) {
    if (keyFrom !== undefined && key === undefined) throw new MeshError('bad-request', `the key of the endpoint ${name} (${url}) is not there: the variable ${keyFrom} is not set`, { next: `set ${keyFrom}, or take keyFrom out of the configuration` })
  }

  const local = await openFiles(files)
  const caches = cache.chat.exact || cache.chat.similar > 0 || cache.embed.exact
  const host = createModelHost({ providers: local, blobs, clock, telemetry, redact, ...(caches ? { cache: createAnswerCache(cache) } : {}) })
  const links: EndpointLink[] = []
  let closeEndpoints: () => Promise<void> = () => Promise.resolve()
  if (endpoints.length > 0) {
    const opened = await openEndpoints(endpoints, host, { clock, telemetry, redact })
    links.push(...opened.links)
    closeEndpoints = opened.close
    await settled(links, clock)
  }
  return {
    over: (inner) => withModels(inner, host),
    async close() {
      for (const link of links) link.close()
      await host.close()
      await closeEndpoints()
    },
  }
}

async function openFiles(files: readonly ModelFile[]): Promise<HostedProvider[]> {
  if (files.length === 0) return []
  const { openLlamaCpp } = await import('./llama-cpp/llama-cpp-adapter.ts')
  const providers: HostedProvider[] = []
  try {
    const names = new Map<string, string>()
    for (const { file, name, slots, contextTokens, gpu, threads, does } of files) {
      const provider = await openLlamaCpp({
        file, gpu: gpu === 'off' ? false : 'auto', ...(threads === undefined ? {} : { threads }),
        ...(name === undefined ? {} : { name }), ...(slots === undefined ? {} : { sequences: slots }), ...(contextTokens === undefined ? {} : { contextTokens }), ...(does === undefined ? {} : { does }),
      })
      providers.push({ provider, name: 'llama.cpp', isLocal: true })
      for (const model of provider.models()) {
        const other = names.get(model.name)
        if (other !== undefined) throw new MeshError('bad-request', `${other} and ${file} are both named ${model.name}`, { next: 'give one of them another name: models, { file, name }' })
        names.set(model.name, file)
      }
    }
    return providers
  } catch (thrown) {
    for (const { provider } of providers) await provider.close()
    throw thrown
  }
}

interface EndpointWorld {
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly redact: (text: string) => string
}

async function openEndpoints(endpoints: readonly Endpoint[], host: ModelHost, { clock, telemetry, redact }: EndpointWorld): Promise<{ readonly links: readonly EndpointLink[]; close(): Promise<void> }> {
  const { createOpenAiProvider } = await import('./openai/openai-adapter.ts')
  const waiting = new Set<LlmProvider>()
  const links = endpoints.map((endpoint) => {
    const { name, url, key, keyFrom, models, prices, contextTokens } = endpoint
    const slots = endpoint.slots ?? (isOwnNetwork(new URL(url)) ? slotsNearby : slotsAway)
    const provider = createOpenAiProvider({
      name, baseUrl: url, slots, clock, telemetry, prices: createPrices({ telemetry, ...(prices === undefined ? {} : { own: ownPrices(prices) }) }),
      keySetting: keyFrom ?? `the endpoint's key in the configuration, or ${url === 'https://api.openai.com/v1' ? 'OPENAI_API_KEY' : 'SKEIN_LLM_KEY'}`,
      ...(key === undefined ? {} : { apiKey: key }),
      ...(models === undefined ? {} : { models: models.map((model) => ({ name: model, ...(contextTokens === undefined ? {} : { contextTokens }) })), offersListed: false }),
    })
    waiting.add(provider)
    const refresh = async (): Promise<void> => {
      try {
        await provider.refresh()
      } catch (thrown) {
        // A server without a list serves what it was said to serve.
        const hasNoList = thrown instanceof MeshError && thrown.fault.code === 'provider-failed' && !thrown.fault.retryable
        if (models === undefined || !hasNoList) throw thrown
      }
    }
    const hosted: HostedProvider = { provider: contextTokens === undefined ? provider : withContext(provider, contextTokens), name, isLocal: false, breaker: provider.breaker }
    return linkEndpoint({
      name, url, clock, telemetry, redact,
      renewMs: isOwnNetwork(new URL(url)) ? renewNearbyMs : renewAwayMs,
      async open() {
        await refresh()
        waiting.delete(provider)
        host.add(hosted)
      },
      lost() {
        waiting.add(provider)
        host.remove(hosted)
      },
      async renew() {
        await refresh()
        host.refresh()
      },
    })
  })
  return {
    links,
    // The host closes those that it was given.
    close: async () => {
      await Promise.all([...waiting].map((provider) => provider.close()))
    },
  }
}

function ownPrices(prices: NonNullable<Endpoint['prices']>): Readonly<Record<string, { readonly input: number; readonly output?: number; readonly cachedInput?: number }>> {
  return Object.fromEntries(Object.entries(prices).map(([model, { input, output, cachedInput }]) => [model, { input, ...(output === undefined ? {} : { output }), ...(cachedInput === undefined ? {} : { cachedInput }) }]))
}

/** What the configuration says of an endpoint's context goes before what it says itself. */
function withContext(provider: LlmProvider, contextTokens: number): LlmProvider {
  return {
    origin: provider.origin,
    models: () => provider.models().map((model) => ({ ...model, contextTokens })),
    countTokens: (model, input) => provider.countTokens(model, input),
    chat: (model, input, call) => provider.chat(model, input, call),
    embed: (model, input, call) => provider.embed(model, input, call),
    close: () => provider.close(),
  }
}

async function settled(links: readonly EndpointLink[], clock: Clock): Promise<void> {
  let cancel = (): void => undefined
  const patience = new Promise<void>((resolve) => (cancel = clock.schedule(firstAnswerMs, resolve)))
  await Promise.race([Promise.all(links.map(({ triedOnce }) => triedOnce)), patience])
  cancel()
}
