/**
 * What a token of a model costs. First comes the node's own table, then what the endpoint says in its model list, then the table of
 * vendors' prices. Models of one's own machines cost nothing. Whoever is left is unknown and far away: it is taken to cost what the dearest known model
 * costs, so that no budget is exceeded by a guess, and that is said once.
 */
import type { Telemetry } from '../../actors/ports/telemetry.ts'
import type { Usage } from '../../protocols/models/schema.ts'
import { openWeightPrices, vendorOnlyPrices } from './price-table.ts'
import type { ListedPrice } from './price-table.ts'

/** US dollars per million tokens. */
export interface TokenPrice {
  readonly inputUsdPerMillion: number
  readonly outputUsdPerMillion: number
  /** Of input tokens that the provider had from before. */
  readonly cachedInputUsdPerMillion: number
}

export const free: TokenPrice = { inputUsdPerMillion: 0, outputUsdPerMillion: 0, cachedInputUsdPerMillion: 0 }

/** As one writes it in the configuration: `{ "gpt-5-mini": { input: 0.25, output: 2 }, "my-finetune*": { input: 1, output: 4 } }`, in US dollars per million tokens. */
export type OwnPrices = Readonly<Record<string, OwnPrice>>

export interface OwnPrice {
  readonly input: number
  /** Default 0: embeddings have no output. */
  readonly output?: number
  /** Default: as `input`. */
  readonly cachedInput?: number
}

export interface PricesOptions {
  readonly own?: OwnPrices
  readonly telemetry?: Telemetry
}

export interface PriceQuestion {
  readonly model: string
  /** Where it is served. */
  readonly url: URL
  /** What the endpoint's model list says. */
  readonly told?: TokenPrice | undefined
}

export interface Prices {
  of(question: PriceQuestion): TokenPrice
}

const dearest = [...Object.values(vendorOnlyPrices), ...Object.values(openWeightPrices)].reduce<TokenPrice>(
  (most, [input, output]) => ({
    inputUsdPerMillion: Math.max(most.inputUsdPerMillion, input),
    outputUsdPerMillion: Math.max(most.outputUsdPerMillion, output),
    cachedInputUsdPerMillion: Math.max(most.cachedInputUsdPerMillion, input),
  }),
  free,
)

/** What a model is taken to cost of which nothing is known: as much as the dearest one of the table. */
export const unknownModelPrice: TokenPrice = dearest

export function createPrices({ own = {}, telemetry }: PricesOptions = {}): Prices {
  const exact = new Map<string, TokenPrice>()
  const prefixes: (readonly [string, TokenPrice])[] = []
  for (const [pattern, price] of Object.entries(own)) {
    const full = { inputUsdPerMillion: price.input, outputUsdPerMillion: price.output ?? 0, cachedInputUsdPerMillion: price.cachedInput ?? price.input }
    if (pattern.endsWith('*')) prefixes.push([pattern.slice(0, -1), full])
    else exact.set(pattern, full)
  }
  // The longest says most.
  prefixes.sort(([left], [right]) => right.length - left.length)
  const warned = new Set<string>()

  return {
    of({ model, url, told }) {
      const ours = exact.get(model) ?? prefixes.find(([prefix]) => model.startsWith(prefix))?.[1]
      if (ours !== undefined) return ours
      if (told !== undefined) return told
      const vendorOnly = listed(vendorOnlyPrices, model)
      if (vendorOnly !== undefined) return vendorOnly
      if (isOwnNetwork(url)) return free
      const openWeight = listed(openWeightPrices, model)
      if (openWeight !== undefined) return openWeight
      if (!warned.has(model)) {
        warned.add(model)
        telemetry?.record({
          name: 'models.price-unknown',
          level: 'warn',
          fields: { model, endpoint: url.host, inputUsdPerMillion: dearest.inputUsdPerMillion, outputUsdPerMillion: dearest.outputUsdPerMillion, next: `state what "${model}" costs under "prices" in the configuration` },
        })
      }
      return unknownModelPrice
    },
  }
}

/** @returns US dollars. */
export function costUsd(price: TokenPrice, { promptTokens, cachedTokens, completionTokens }: Pick<Usage, 'promptTokens' | 'cachedTokens' | 'completionTokens'>): number {
  const cached = Math.min(cachedTokens, promptTokens)
  return ((promptTokens - cached) * price.inputUsdPerMillion + cached * price.cachedInputUsdPerMillion + completionTokens * price.outputUsdPerMillion) / 1_000_000
}

function listed(table: Readonly<Record<string, ListedPrice>>, model: string): TokenPrice | undefined {
  const undated = model.replace(/-(20\d{2}-\d{2}-\d{2}|20\d{6}|latest)$/, '')
  const bare = (name: string): string => name.slice(name.indexOf('/') + 1)
  for (const name of [model, undated, bare(model), bare(undated)]) {
    const price = Object.hasOwn(table, name) ? table[name] : undefined
    if (price !== undefined) return { inputUsdPerMillion: price[0], outputUsdPerMillion: price[1], cachedInputUsdPerMillion: price[2] ?? price[0] }
  }
  return undefined
}

/** Loopback, private and link-local addresses, and names that only one's own network knows (`nas.local`, `ollama`): nobody sells tokens there. */
export function isOwnNetwork(url: URL): boolean {
  const host = url.hostname.toLowerCase().replace(/^\[|\]$/g, '')
  if (host.includes(':')) return host === '::1' || /^f[cd][0-9a-f]{2}:/.test(host) || /^fe[89ab][0-9a-f]:/.test(host) || /^::ffff:(7f[0-9a-f]{2}:|a[0-9a-f]{2}:|c0a8:)/.test(host)
  if (/^\d+\.\d+\.\d+\.\d+$/.test(host)) return /^(127\.|10\.|192\.168\.|169\.254\.|172\.(1[6-9]|2\d|3[01])\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.)/.test(host)
  return !host.includes('.') || /\.(localhost|local|lan|internal|home\.arpa)$/.test(host)
}
