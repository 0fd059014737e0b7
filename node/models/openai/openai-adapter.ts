/**
 * Language models behind an OpenAI-compatible endpoint: OpenAI, Together, vLLM, Ollama, LM Studio, …
 *
 * ```ts
 * const provider = createOpenAiProvider({ name: 'openai', baseUrl: 'https://api.openai.com/v1', apiKey, prices: createPrices(), slots: 8, clock })
 * await provider.refresh()
 * const { content } = await provider.chat('gpt-5-mini', { messages: [{ role: 'user', content: 'Say hello.' }] }, { signal })
 * ```
 *
 * A request is made again, at most twice, when the connection failed or the endpoint answered 408, 409, 429 or 5xx, and nothing of the answer had come. With a
 * schema the answer is checked here as well, for many endpoints take the schema and ignore it: what does not fit goes back once with the reasons. So that nobody
 * sees pieces of an answer that does not count, such an answer is delivered in one piece. What fails after tokens were computed throws a `PaidFailure`.
 *
 * @packageDocumentation
 */
import type { Clock } from '../../../actors/ports/clock.ts'
import type { LlmProvider, ModelInfo } from '../../../actors/ports/llm-provider.ts'
import type { Telemetry } from '../../../actors/ports/telemetry.ts'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import type { FaultOptions } from '../../../protocols/kernel/errors.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import type { DurationMs } from '../../../protocols/kernel/units.ts'
import { noUsage } from '../../../protocols/models/schema.ts'
import type { ChatDelta, ChatInput, ChatOutput, Usage } from '../../../protocols/models/schema.ts'
import { createBreaker } from '../breaker.ts'
import type { Breaker } from '../breaker.ts'
import { askAgain, jsonJudge } from '../json-answer.ts'
import { PaidFailure } from '../paid-failure.ts'
import { costUsd, isOwnNetwork } from '../prices.ts'
import type { Prices } from '../prices.ts'
import { BrokenAnswer, chatOnce } from './chat-call.ts'
import type { Dialects } from './chat-call.ts'
import type { RawAnswer } from './chat-stream.ts'
import { embedAll } from './embed-call.ts'
import { readEndpoint } from './endpoint.ts'
import { endpointFault, overflowFault } from './faults.ts'
import { openLine } from './line.ts'
import { askForDetails, readModelList } from './model-list.ts'
import type { AskBeside, ListedModel } from './model-list.ts'
import { contextByName, contextTokensDefault, doesByName } from './model-names.ts'
import { countChat, countText, countTexts, tokensAtMost } from './tokens.ts'

/** A model that is offered although, or otherwise than, the endpoint lists it. */
export interface ConfiguredModel {
  readonly name: string
  readonly does?: 'chat' | 'embed'
  readonly contextTokens?: number
  readonly slots?: number
}

export interface OpenAiProviderOptions {
  /** For people, and in errors: `openai`. */
  readonly name: string
  /** `https://api.openai.com/v1`; without a path it gets `/v1`. User and password in it are sent, and never shown. */
  readonly baseUrl: string
  readonly apiKey?: string
  readonly organisation?: string
  /** Where the key is set, for the error that says it is wrong. Default: `OPENAI_API_KEY`. */
  readonly keySetting?: string
  readonly models?: readonly ConfiguredModel[]
  /** Whether `refresh` offers what the endpoint lists beside `models`. Default: yes. */
  readonly offersListed?: boolean
  readonly prices: Prices
  /** Requests that the endpoint is sent at a time. */
  readonly slots: number
  readonly clock: Pick<Clock, 'monotonicMs' | 'schedule' | 'wallMs'>
  readonly breaker?: Breaker
  readonly fetch?: typeof globalThis.fetch
  /** How long the first byte of an answer may take: a model may have to be loaded, or thinks before it speaks. Default 5 minutes, which is also the most that Node allows. */
  readonly firstByteMs?: DurationMs
  /** How long may pass between two bytes. Default 1 minute. */
  readonly idleMs?: DurationMs
  /** Default 2. */
  readonly retriesMax?: number
  /** Before the first retry; it doubles. Default 500 ms. */
  readonly retryBaseMs?: DurationMs
  readonly telemetry?: Telemetry
}

export interface OpenAiProvider extends LlmProvider {
  /** The gate that this endpoint's requests pass. */
  readonly breaker: Breaker
  /**
   * Asks the endpoint which models it has. Until then only configured ones are offered, but any is asked for.
   * @throws MeshError as `chat`. The models stay as they were.
   */
  refresh(signal?: AbortSignal): Promise<void>
}

interface SchemaCall {
  readonly signal: AbortSignal
  readonly onDelta: (delta: ChatDelta) => void
  readonly budgetUsd: number | undefined
}

const listTimeoutMs: DurationMs = 15_000

/** @throws MeshError `bad-request` for an address or a key that cannot be used. */
export function createOpenAiProvider(options: OpenAiProviderOptions): OpenAiProvider {
  const { name, prices, slots, clock, telemetry, models: configured = [], offersListed = true } = options
  const endpoint = readEndpoint(name, options.baseUrl, options.apiKey)
  const breaker = options.breaker ?? createBreaker({ name, clock, slots, ...(telemetry === undefined ? {} : { telemetry }) })
  const line = openLine({
    name, endpoint, clock, breaker, telemetry,
    organisation: options.organisation,
    keySetting: options.keySetting ?? 'OPENAI_API_KEY',
    fetch: options.fetch ?? globalThis.fetch,
    firstByteMs: options.firstByteMs ?? 5 * 60_000,
    idleMs: options.idleMs ?? 60_000,
    retriesMax: options.retriesMax ?? 2,
    retryBaseMs: options.retryBaseMs ?? 500,
  })
  const dialects: Dialects = new Map()
  const numbersOnly = new Set<string>()
  const closing = new AbortController()
  let listed: readonly ListedModel[] | undefined
  let offered = offer()

  function offer(): ReadonlyMap<string, ModelInfo> {
    const infos = new Map<string, ModelInfo>()
    const known = new Map((listed ?? []).map((model) => [model.name, model]))
    const all: readonly ConfiguredModel[] = [...configured, ...(offersListed ? known.values() : [])]
    for (const model of all) {
      if (infos.has(model.name)) continue
      const told = known.get(model.name)
      const { inputUsdPerMillion, outputUsdPerMillion } = priceOf(model.name)
      infos.set(model.name, {
        name: model.name,
        does: model.does ?? told?.does ?? doesByName(model.name) ?? 'chat',
        contextTokens: model.contextTokens ?? told?.contextTokens ?? contextByName(model.name) ?? contextTokensDefault,
        slots: model.slots ?? slots,
        inputUsdPerMillion, outputUsdPerMillion,
        ...(told?.quantisation === undefined ? {} : { quantisation: told.quantisation }),
      })
    }
    return infos
  }

  function priceOf(model: string): ReturnType<Prices['of']> {
    return prices.of({ model, url: endpoint.url, told: listed?.find((each) => each.name === model)?.price })
  }

  function check(model: string, does: ModelInfo['does']): void {
    const info = offered.get(model)
    if (info === undefined && listed !== undefined) {
      const names = [...offered.values()].filter((each) => each.does === does).map((each) => each.name)
      throw new MeshError('bad-input', `the endpoint ${name} has no model "${model}"`, { next: names.length === 0 ? 'ask another endpoint' : `ask for one of: ${names.slice(0, 12).join(', ')}` })
    }
    if (info !== undefined && info.does !== does) throw new MeshError('bad-input', `the model "${model}" ${info.does === 'chat' ? 'makes no embeddings' : 'cannot chat'}`)
  }

  /** Some servers cut what is too long and say nothing: what is over by our own count is not sent. */
  async function checkFit(model: string, tokensMost: number, count: () => Promise<number>, answerTokens = 0): Promise<void> {
    const info = offered.get(model)
    if (info === undefined || listed?.find((each) => each.name === model)?.cutsPrompts !== true || tokensMost + answerTokens <= info.contextTokens) return
    const neededTokens = await count() + answerTokens
    if (neededTokens > info.contextTokens) throw overflowFault(model, { neededTokens, contextTokens: info.contextTokens })
  }

  async function usageOf(model: string, input: ChatInput, { counted, content, toolCalls }: RawAnswer): Promise<Usage> {
    const tokens = counted ?? {
      promptTokens: await countChat(model, input),
      completionTokens: await countText(model, [content ?? '', ...toolCalls.map((call) => call.name + call.arguments)].join('')),
      cachedTokens: 0,
    }
    return { ...tokens, costUsd: costUsd(priceOf(model), tokens) }
  }

  /** @param spent before. @throws MeshError, with what was spent if anything was. */
  async function answer(model: string, input: ChatInput, signal: AbortSignal, onDelta: (delta: ChatDelta) => void, spent: Usage = noUsage): Promise<{ readonly raw: RawAnswer; readonly usage: Usage }> {
    try {
      const raw = await chatOnce({ endpoint: name, line, dialects, model, input, signal, onDelta })
      return { raw, usage: added(spent, await usageOf(model, input, raw)) }
    } catch (thrown) {
      if (thrown instanceof BrokenAnswer) throw new PaidFailure(thrown.why, added(spent, await usageOf(model, input, thrown.soFar)))
      throw thrown instanceof MeshError && spent !== noUsage ? new PaidFailure(thrown, spent) : thrown
    }
  }

  /** @throws MeshError `bad-output` when the answer is no JSON of the schema twice. */
  async function chatBySchema(model: string, input: ChatInput, schema: NonNullable<ChatInput['schema']>, { signal, onDelta, budgetUsd }: SchemaCall): Promise<ChatOutput> {
    const judge = jsonJudge(schema)
    let spent = noUsage
    let asked = input
    for (let isLast = false; ; isLast = true) {
      const { raw, usage } = await answer(model, asked, signal, () => undefined, spent)
      spent = usage
      const refuse = (detail: string, options: FaultOptions): PaidFailure => new PaidFailure(new MeshError('bad-output', detail, options), usage)
      const found = raw.toolCalls.length > 0 ? undefined : judge(raw.content ?? '')
      if (found === undefined || found.ok) {
        const content = found?.text ?? raw.content
        if (content !== null && content !== '') onDelta({ content })
        for (const [index, call] of raw.toolCalls.entries()) onDelta({ toolCall: { index, ...call } })
        return { model, content, toolCalls: [...raw.toolCalls], finish: raw.finish, usage }
      }
      if (raw.finish === 'length') throw refuse(`the JSON of ${model} is not complete: its answer ended after ${usage.completionTokens} tokens`, { next: 'allow it a longer answer (maxTokens)' })
      if (raw.finish === 'filter') throw refuse(`${model} refuses to answer: ${(raw.content ?? '').slice(0, 300)}`, { retryable: false, next: 'ask otherwise, or use another model' })
      if (isLast) throw refuse(`the answer of ${model} does not fit the schema, asked twice: ${found.why}`, { next: 'ask again, with a simpler schema, or use another model' })
      asked = { ...input, messages: [...input.messages, { role: 'assistant', content: raw.content ?? '' }, { role: 'user', content: askAgain(found.why, schema) }] }
      const tokens = await affordable(model, asked, budgetUsd === undefined ? undefined : budgetUsd - spent.costUsd)
      if (tokens !== undefined && tokens < 1) throw refuse(`the answer of ${model} does not fit the schema, and the budget does not allow to ask again: ${found.why}`, { next: 'give it a larger budget, or use another model' })
      if (tokens !== undefined) asked = { ...asked, maxTokens: Math.min(tokens, asked.maxTokens ?? tokens) }
    }
  }

  /** @returns the longest answer that can be paid, in tokens; undefined when it is not limited. */
  async function affordable(model: string, input: ChatInput, budgetUsd: number | undefined): Promise<number | undefined> {
    const { inputUsdPerMillion, outputUsdPerMillion } = priceOf(model)
    if (budgetUsd === undefined || (inputUsdPerMillion === 0 && outputUsdPerMillion === 0)) return undefined
    const left = budgetUsd * 1_000_000 - await countChat(model, input) * inputUsdPerMillion
    return outputUsdPerMillion > 0 ? Math.min(limits.contextTokensMax, Math.floor(left / outputUsdPerMillion)) : left < 0 ? 0 : undefined
  }

  const ask: (signal: AbortSignal) => AskBeside = (signal) => async (method, path, body) => {
    try {
      const root = endpoint.baseUrl.replace(/\/v1$/, '')
      const response = await line.fetch(`${root}${path}`, { method: method.toUpperCase(), signal, ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }) })
      if (response.ok) return await response.json() as unknown
      await response.body?.cancel()
    } catch {
      // A server without that route may do anything; its own list is what counts.
    }
    return undefined
  }

  return {
    origin: endpoint.baseUrl,
    breaker,
    models: () => [...offered.values()],

    async refresh(signal) {
      const limited = AbortSignal.any([closing.signal, AbortSignal.timeout(listTimeoutMs), ...(signal === undefined ? [] : [signal])])
      const context = line.context(AbortSignal.any([closing.signal, ...(signal === undefined ? [] : [signal])]))
      try {
        const client = await line.client()
        const models = readModelList(await client.get('/models', { signal: limited }))
        if (models === undefined) throw new MeshError('provider-failed', `the endpoint ${name} lists no models: it answers something else`, { retryable: false, next: 'check its address: it usually ends in /v1' })
        listed = isOwnNetwork(endpoint.url) ? await askForDetails(models, ask(limited)) : models
      } catch (thrown) {
        if (limited.aborted && !context.signal.aborted) throw new MeshError('provider-failed', `the endpoint ${name} did not list its models within ${listTimeoutMs / 1_000} s`)
        throw endpointFault(thrown, context)
      }
      offered = offer()
    },

    countTokens: (model, input) => countChat(model, input),

    async chat(model, input, call) {
      const signal = AbortSignal.any([call.signal, closing.signal])
      check(model, 'chat')
      await checkFit(model, tokensAtMost(input), () => countChat(model, input), input.maxTokens)
      const deliver = (delta: ChatDelta): void => {
        if (!signal.aborted) call.onDelta?.(delta)
      }
      if (input.schema !== undefined) return chatBySchema(model, input, input.schema, { signal, onDelta: deliver, budgetUsd: call.budgetUsd })
      const { raw, usage } = await answer(model, input, signal, deliver)
      return { model, content: raw.content, toolCalls: [...raw.toolCalls], finish: raw.finish, usage }
    },

    async embed(model, input, call) {
      const signal = AbortSignal.any([call.signal, closing.signal])
      check(model, 'embed')
      for (const text of input.texts) await checkFit(model, Buffer.byteLength(text), () => countText(model, text))
      const { dimensions, vectors, promptTokens } = await embedAll({ endpoint: name, line, numbersOnly, model, input, signal })
      const tokens = { promptTokens: promptTokens ?? await countTexts(model, input.texts), cachedTokens: 0, completionTokens: 0 }
      return { model, dimensions, vectors: [...vectors], usage: { ...tokens, costUsd: costUsd(priceOf(model), tokens) } }
    },

    async close() {
      closing.abort()
      if (options.breaker === undefined) breaker.stop()
    },
  }
}

function added(left: Usage, right: Usage): Usage {
  return {
    promptTokens: left.promptTokens + right.promptTokens,
    cachedTokens: left.cachedTokens + right.cachedTokens,
    completionTokens: left.completionTokens + right.completionTokens,
    costUsd: left.costUsd + right.costUsd,
  }
}
