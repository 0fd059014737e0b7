/** What a node measures of one of its own capabilities, and what that says about a run: better than what the mere time of earlier runs does. */
import type { Capability } from '../capability/schema.ts'
import type { DurationMs } from '../kernel/units.ts'
import type { BidBreakdown, Call } from './schema.ts'

export interface CapabilityMeasure {
  readonly capability: string
  readonly version: string
  /** Tells models of one capability apart. */
  readonly model?: string
  /** Of one unit (a token), answer and prompt apart; absent: nothing was measured yet. */
  readonly msPerOutputUnit?: number
  readonly msPerInputUnit?: number
  /** It cannot be used at once: the model has to be loaded first. */
  readonly warmUpMs: DurationMs
  /** Digests of prompts whose beginning is in memory still. */
  readonly warm: readonly string[]
  /** It takes nothing for so long (its endpoint said so, or failed too often); absent: it does. */
  readonly closedForMs?: DurationMs
}

/** `llm.chat@1.0 qwen3-4b` */
export function measureKey({ name, version, attributes }: Pick<Capability, 'name' | 'version' | 'attributes'>): string {
  const model = attributes['model']
  return keyOf(name, version, typeof model === 'string' ? model : undefined)
}

export function keyOfMeasure({ capability, version, model }: CapabilityMeasure): string {
  return keyOf(capability, version, model)
}

function keyOf(name: string, version: string, model: string | undefined): string {
  return model === undefined ? `${name}@${version}` : `${name}@${version} ${model}`
}

/** Of a prompt whose beginning is in memory, so much has still to be read. */
const coldShareOfWarm = 0.2

/** The estimate with what was measured in the place of what was guessed from earlier runs; unchanged when nothing was, or the call does not say how much there is to do. */
export function sharpen(estimate: BidBreakdown, { units, prefixes }: Pick<Call, 'units' | 'prefixes'>, measure: CapabilityMeasure | undefined): BidBreakdown {
  if (measure === undefined) return estimate
  const { msPerInputUnit, msPerOutputUnit, warmUpMs, warm } = measure
  if (units === undefined || msPerOutputUnit === undefined) return { ...estimate, warmUpMs: Math.max(estimate.warmUpMs, warmUpMs) }
  const isWarm = prefixes?.some((prefix) => warm.includes(prefix)) ?? false
  return { ...estimate, warmUpMs, runMs: units.output * msPerOutputUnit + units.input * (msPerInputUnit ?? 0) * (isWarm ? coldShareOfWarm : 1), samples: Math.max(1, estimate.samples) }
}
