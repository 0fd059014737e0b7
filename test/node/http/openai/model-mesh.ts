/** A mesh of one file whose models say what the test scripts. */
import OpenAI from 'openai'
import type { Invocation, InvokeOptions } from '../../../../actors/mesh-api.ts'
import type { BridgeLimits } from '../../../../node/http/bridge-limits.ts'
import type { Attributes } from '../../../../protocols/capability/schema.ts'
import { CapabilityView } from '../../../../protocols/capability/views.ts'
import type { Json } from '../../../../protocols/kernel/payload.ts'
import { ChatInput, chatCapability, EmbedInput, embedCapability } from '../../../../protocols/models/schema.ts'
import type { ChatOutput } from '../../../../protocols/models/schema.ts'
import { startBridge } from '../bridge-fixture.ts'
import type { BridgeFixture } from '../bridge-fixture.ts'
import { createMeshDouble, otherPeer, selfPeer } from '../mesh-double.ts'
import type { MeshDouble } from '../mesh-double.ts'

export interface ScriptedCall {
  readonly invocation: Invocation
  readonly options: InvokeOptions
  /** Passes a piece on, if the caller wants any. */
  readonly emit: (chunk: Json) => void
  /** Rejects when the caller has ended the call. */
  readonly aborted: Promise<never>
}

export type Script = (call: ScriptedCall) => Promise<Json> | Json

export interface ModelMesh extends BridgeFixture {
  readonly calls: ScriptedCall[]
  /** The official client of this bridge, which tries nothing twice. */
  readonly client: OpenAI
  /** What the newest call was given, checked as a node checks it. */
  chatInput(): ChatInput
}

export interface Offer {
  readonly capability?: string
  readonly version?: string
  readonly attributes: Attributes
  readonly nodes?: readonly ('node-a' | 'node-b')[]
}

const chatOffer: Offer = { attributes: { model: 'goose-7b', contextTokens: 32_768, quantisation: 'Q4_K_M' } }
const embedOffer: Offer = { capability: embedCapability, attributes: { model: 'goose-embed', contextTokens: 512 } }

function viewOf({ capability = chatCapability, version = '1.0', attributes, nodes = ['node-b'] }: Offer): CapabilityView {
  return CapabilityView.parse({
    name: capability, version, kind: 'leaf', effects: 'none', attributes, summary: '',
    providers: nodes.map((name) => ({ peerId: name === 'node-a' ? selfPeer : otherPeer, name, offers: [{ attributes }] })),
  })
}

export async function startModelMesh(script: Script, { offers = [chatOffer, embedOffer], limits }: { offers?: readonly Offer[]; limits?: Partial<BridgeLimits> } = {}): Promise<ModelMesh> {
  const calls: ScriptedCall[] = []
  const mesh: MeshDouble = {
    ...createMeshDouble(),
    capabilities: async () => offers.map(viewOf),
    async invoke(invocation, options) {
      const { signal, onChunk } = options
      const aborted = new Promise<never>((_resolve, reject) => {
        signal?.addEventListener('abort', () => reject(new Error('the caller has ended it')), { once: true })
      })
      aborted.catch(() => undefined)
      const call: ScriptedCall = { invocation, options, aborted, emit: (chunk) => onChunk?.(chunk) }
      calls.push(call)
      return { output: await script(call), by: { peer: otherPeer, name: 'node-b' }, stats: { queueMs: 0, transferMs: 0, runMs: 1, costUsd: 0.25 } }
    },
  }
  const bridge = await startBridge({ mesh, ...(limits === undefined ? {} : { limits }) })
  return {
    ...bridge,
    calls,
    client: new OpenAI({ baseURL: `${bridge.bridge.url}/v1`, apiKey: 'none is needed', maxRetries: 0 }),
    chatInput: () => ChatInput.parse(calls.at(-1)?.invocation.input),
  }
}

/** A whole answer of `goose-7b`. */
export function answer(said: Partial<ChatOutput> & Pick<ChatOutput, 'content'>): Json {
  const output: ChatOutput = { model: 'goose-7b', toolCalls: [], finish: 'stop', usage: { promptTokens: 7, cachedTokens: 3, completionTokens: 2, costUsd: 0.25 }, ...said }
  return output as unknown as Json
}

/** Says a text word by word. */
export const saying = (text: string): Script => ({ emit }) => {
  for (const content of text.match(/\s*\S+/g) ?? []) emit({ content })
  return answer({ content: text })
}

/** One vector per text, from its length. */
export const embedding: Script = ({ invocation }) => {
  const { texts, dimensions = 3 } = EmbedInput.parse(invocation.input)
  const vectors = texts.map((text) => Buffer.from(Float32Array.from({ length: dimensions }, (_, at) => text.length + at / 10).buffer).toString('base64'))
  return { model: 'goose-embed', dimensions, vectors, usage: { promptTokens: texts.length, cachedTokens: 0, completionTokens: 0, costUsd: 0 } }
}

export const hello = [{ role: 'user' as const, content: 'Hello' }]
