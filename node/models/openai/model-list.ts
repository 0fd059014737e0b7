/**
 * Which models an endpoint has: OpenAI's list, and what some servers add to it (vLLM, llama.cpp, Together, OpenRouter). LM Studio and Ollama tell how
 * large a context is in lists of their own beside it.
 */
import { z } from 'zod'
import { limits } from '../../../protocols/kernel/limits.ts'
import type { TokenPrice } from '../prices.ts'
import { doesByName } from './model-names.ts'

export interface ListedModel {
  readonly name: string
  readonly does: 'chat' | 'embed'
  readonly contextTokens?: number
  readonly quantisation?: string
  readonly price?: TokenPrice
  /** Its server cuts a prompt that is too long without saying so. */
  readonly cutsPrompts?: boolean
}

/** GET or POST to a route beside `/v1`. @returns its JSON; undefined when the server has no such route. */
export type AskBeside = (method: 'get' | 'post', path: string, body?: unknown) => Promise<unknown>

const modelsMax = 1_000
const detailsAtOnce = 4
/** What Ollama gives a model that is not told otherwise, on a machine with little memory. */
const ollamaContextTokens = 4_096

const Tokens = z.number().int().min(1).max(limits.contextTokensMax)
const Amount = z.union([z.number(), z.string().min(1).transform(Number)]).pipe(z.number().min(0))

const Entry = z.object({
  id: z.string().min(1).max(256),
  type: z.string().optional().catch(undefined),
  max_model_len: Tokens.optional().catch(undefined),
  context_length: Tokens.optional().catch(undefined),
  context_window: Tokens.optional().catch(undefined),
  meta: z.object({ n_ctx: Tokens.optional(), n_ctx_train: Tokens.optional() }).optional().catch(undefined),
  architecture: z.object({ output_modalities: z.array(z.string()).optional() }).optional().catch(undefined),
  /** OpenRouter: texts, US dollars per token. Together: numbers, per million. */
  pricing: z.object({ prompt: Amount.optional(), completion: Amount.optional(), input_cache_read: Amount.optional(), input: Amount.optional(), output: Amount.optional(), cached_input: Amount.optional() }).optional().catch(undefined),
})
type Entry = z.infer<typeof Entry>

/** What servers call the kinds of models that chat; `model` is what OpenAI's list calls all of them. */
const chatTypes = new Set(['chat', 'language', 'llm', 'vlm', 'model', 'code'])
const embedTypes = new Set(['embedding', 'embeddings', 'embed'])

/** @param listed the answer of `/models`. @returns what of it is a model for texts; undefined when it is no list at all. */
export function readModelList(listed: unknown): ListedModel[] | undefined {
  const entries = entriesOf(listed)
  if (entries === undefined) return undefined
  const found = new Map<string, ListedModel>()
  for (const raw of entries.slice(0, modelsMax)) {
    const entry = Entry.safeParse(raw)
    if (!entry.success) continue
    const does = doesWhat(entry.data)
    if (does === undefined) continue
    const { id, max_model_len, context_length, context_window, meta } = entry.data
    const contextTokens = max_model_len ?? context_length ?? context_window ?? meta?.n_ctx ?? meta?.n_ctx_train
    const price = priceOf(entry.data)
    found.set(id, { name: id, does, ...(contextTokens === undefined ? {} : { contextTokens }), ...(price === undefined ? {} : { price }) })
  }
  return [...found.values()]
}

function entriesOf(listed: unknown): readonly unknown[] | undefined {
  if (Array.isArray(listed)) return listed
  const { data, models } = z.object({ data: z.array(z.unknown()).optional().catch(undefined), models: z.array(z.unknown()).optional().catch(undefined) }).catch({}).parse(listed)
  return data ?? models
}

function doesWhat({ id, type, architecture }: Entry): 'chat' | 'embed' | undefined {
  if (type !== undefined && embedTypes.has(type)) return 'embed'
  if (type !== undefined && !chatTypes.has(type)) return undefined
  if (architecture?.output_modalities !== undefined && !architecture.output_modalities.includes('text')) return undefined
  return doesByName(id)
}

function priceOf({ pricing }: Entry): TokenPrice | undefined {
  if (pricing?.prompt !== undefined && pricing.completion !== undefined) {
    const perMillion = (usd: number): number => usd * 1_000_000
    return { inputUsdPerMillion: perMillion(pricing.prompt), outputUsdPerMillion: perMillion(pricing.completion), cachedInputUsdPerMillion: perMillion(pricing.input_cache_read ?? pricing.prompt) }
  }
  if (pricing?.input !== undefined && pricing.output !== undefined) {
    return { inputUsdPerMillion: pricing.input, outputUsdPerMillion: pricing.output, cachedInputUsdPerMillion: pricing.cached_input ?? pricing.input }
  }
  return undefined
}

const StudioModel = z.object({ id: z.string(), type: z.string().optional(), quantization: z.string().optional(), max_context_length: Tokens.optional(), loaded_context_length: Tokens.optional() })
const OllamaShown = z.object({ parameters: z.string().optional(), details: z.object({ quantization_level: z.string().optional() }).optional(), model_info: z.record(z.string(), z.unknown()).optional(), capabilities: z.array(z.string()).optional() })
const OllamaRunning = z.object({ models: z.array(z.object({ name: z.string(), context_length: Tokens.optional() })) })

/** Asks a server of one's own what it does not say in its list. @returns the same models, with what it said. */
export async function askForDetails(models: readonly ListedModel[], ask: AskBeside): Promise<ListedModel[]> {
  if (models.length === 0 || models.every(({ contextTokens }) => contextTokens !== undefined)) return [...models]
  const studio = await ask('get', '/api/v0/models')
  if (studio !== undefined) return studioDetails(models, studio)
  const running = OllamaRunning.safeParse(await ask('get', '/api/ps'))
  if (!running.success) return [...models]
  const loadedTokens = new Map(running.data.models.map(({ name, context_length }) => [name, context_length]))
  const asked: ListedModel[] = []
  for (let start = 0; start < models.length; start += detailsAtOnce) {
    asked.push(...await Promise.all(models.slice(start, start + detailsAtOnce).map(async (model) => {
      const shown = OllamaShown.safeParse(await ask('post', '/api/show', { model: model.name }))
      return shown.success ? ollamaDetails(model, shown.data, loadedTokens.get(model.name)) : model
    })))
  }
  return asked
}

function studioDetails(models: readonly ListedModel[], studio: unknown): ListedModel[] {
  const details = new Map<string, z.infer<typeof StudioModel>>()
  for (const raw of entriesOf(studio) ?? []) {
    const read = StudioModel.safeParse(raw)
    if (read.success) details.set(read.data.id, read.data)
  }
  return models.map((model) => {
    const { type, quantization, max_context_length, loaded_context_length } = details.get(model.name) ?? {}
    const contextTokens = loaded_context_length ?? max_context_length ?? model.contextTokens
    return {
      ...model,
      ...(type !== undefined && embedTypes.has(type) ? { does: 'embed' } : {}),
      ...(contextTokens === undefined ? {} : { contextTokens }),
      ...(quantization === undefined ? {} : { quantisation: quantization }),
    }
  })
}

/** A model's own context is not what Ollama gives it: that is its setting `num_ctx`, or little. What is loaded has what it was loaded with. */
function ollamaDetails(model: ListedModel, { parameters, details, model_info = {}, capabilities }: z.infer<typeof OllamaShown>, loadedTokens: number | undefined): ListedModel {
  const own = Tokens.safeParse(Object.entries(model_info).find(([key]) => key.endsWith('.context_length'))?.[1])
  const set = Number(/^num_ctx\s+(\d+)/m.exec(parameters ?? '')?.[1] ?? ollamaContextTokens)
  const contextTokens = loadedTokens ?? Math.max(1, Math.min(own.success ? own.data : set, set))
  const onlyEmbeds = capabilities !== undefined && capabilities.includes('embedding') && !capabilities.includes('completion')
  return {
    ...model,
    ...(onlyEmbeds ? { does: 'embed' } : {}),
    contextTokens,
    cutsPrompts: true,
    ...(details?.quantization_level === undefined ? {} : { quantisation: details.quantization_level }),
  }
}
