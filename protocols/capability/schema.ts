/** What nodes offer and how they say so. */
import { z } from 'zod'
import { CapabilityName, PeerId } from '../kernel/ids.ts'
import { limits } from '../kernel/limits.ts'

/** `major.minor`: a different major is another contract, a higher minor only adds. */
export const SchemaVersion = z.string().regex(/^\d{1,4}\.\d{1,4}$/, 'is not a version (major.minor, like 1.0)')
export type SchemaVersion = z.infer<typeof SchemaVersion>

/** Attributes a cfp may require: `model`, `contextTokens`, `vramBytes`, `quantisation`, … */
export const Attributes = z.record(z.string().max(64), z.union([z.string().max(256), z.number(), z.boolean()]))
export type Attributes = z.infer<typeof Attributes>

/** What executing a capability may do to the world outside the task. */
export const Effects = z.enum(['none', 'external'])
export type Effects = z.infer<typeof Effects>

export const Capability = z.object({
  name: CapabilityName,
  version: SchemaVersion,
  /** composite: its skill plans children and synthesises their results; leaf: its skill executes. */
  kind: z.enum(['leaf', 'composite']),
  effects: Effects,
  attributes: Attributes,
  summary: z.string().max(280),
  /** Places of its own for its tasks; absent: they take the node's. A model says how many calls it serves at a time. */
  slots: z.number().int().min(0).max(100_000).optional(),
})
export type Capability = z.infer<typeof Capability>

export const Gpu = z.object({
  vendor: z.enum(['nvidia', 'amd', 'apple', 'other']),
  model: z.string().max(128),
  vramBytes: z.number().int().min(0),
  vramFreeBytes: z.number().int().min(0),
  /** In [0,1]; absent when the tool does not tell. */
  utilisation: z.number().min(0).max(1).optional(),
})
export type Gpu = z.infer<typeof Gpu>

export const Environment = z.object({
  os: z.string().max(32),
  arch: z.string().max(32),
  cores: z.number().int().min(1),
  memoryBytes: z.number().int().min(0),
  memoryFreeBytes: z.number().int().min(0),
  container: z.string().max(32).optional(),
  cloud: z.string().max(32).optional(),
  battery: z.object({ charging: z.boolean(), fraction: z.number().min(0).max(1) }).optional(),
})
export type Environment = z.infer<typeof Environment>

export const Load = z.object({
  slots: z.number().int().min(0),
  slotsBusy: z.number().int().min(0),
  waiting: z.number().int().min(0),
  missionsOwned: z.number().int().min(0),
  managers: z.number().int().min(0),
  /** One-minute load average over cores; 1 is busy. */
  cpu: z.number().min(0),
  loopDelayMs: z.number().min(0),
})
export type Load = z.infer<typeof Load>

export const Duty = z.enum(['worker', 'replica', 'bridge'])
export type Duty = z.infer<typeof Duty>

/** A node's statement about itself. The newest (peerId, sequence) counts; it expires at `expiresAtWallMs`. */
export const Advert = z.object({
  peerId: PeerId,
  sequence: z.number().int().min(1),
  issuedAtWallMs: z.number(),
  expiresAtWallMs: z.number(),
  name: z.string().min(1).max(64),
  release: z.string().max(32),
  duties: z.array(Duty).max(8),
  addrs: z.array(z.string().max(256)).max(32),
  http: z.string().max(256).optional(),
  capabilities: z.array(Capability).max(limits.advertCapabilitiesMax),
  gpus: z.array(Gpu).max(64),
  environment: Environment,
  load: Load,
  /** True from the moment a graceful stop begins: the node takes no more work. */
  leaving: z.boolean(),
})
export type Advert = z.infer<typeof Advert>

/** The canonical JSON of an Advert with the Ed25519 signature of the peer named in it. */
export const SignedAdvert = z.object({
  advert: z.string().max(limits.advertBytesMax),
  signature: z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.byteLength === 64, 'is not a 64-byte signature'),
})
export type SignedAdvert = z.infer<typeof SignedAdvert>

/** Newest advert of the sender, by gossip or on connecting. */
export const AdvertMessage = z.object({
  kind: z.literal('advert'), signed: SignedAdvert,
  /** Into how many shards the sender divides the mesh, a power of two: a hint, for newcomers. */
  shards: z.number().int().min(1).max(limits.shardsMax).refine((shards) => (shards & (shards - 1)) === 0, 'is not a power of two').optional(),
})
/** Asks one node for its advert (after a DHT hit). Answered by `advert`. */
export const AdvertRequest = z.object({ kind: z.literal('advert-request') })

export const capabilityMessages = [AdvertMessage, AdvertRequest] as const
export type CapabilityMessage = z.infer<(typeof capabilityMessages)[number]>

/** What a call asks of a capability. */
export const CapabilityQuery = z.object({
  capability: CapabilityName,
  /** Exact major, minimum minor; absent: any version. */
  version: SchemaVersion.optional(),
  /** Numbers are minima, strings and booleans must be equal. */
  attributes: Attributes.optional(),
})
export type CapabilityQuery = z.infer<typeof CapabilityQuery>

/** The capability that answers a query, or why none does. */
export type Match = { readonly capability: Capability } | { readonly unmet: 'no-capability' | 'version-mismatch' | 'attributes-unmet'; readonly detail: string }
