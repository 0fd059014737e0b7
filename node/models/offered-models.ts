/** The models of this node as capabilities of the mesh. */
import { type Attributes, Capability } from '../../protocols/capability/schema.ts'
import { chatCapability, embedCapability, modelsVersion } from '../../protocols/models/schema.ts'
import { type HostedModel, slotsOf } from './hosted-models.ts'

const summaries: Readonly<Record<HostedModel['capability'], string>> = {
  [chatCapability]: 'a language model answers a chat, calls functions and keeps to a JSON schema if asked to',
  [embedCapability]: 'a language model turns texts into vectors, which lie close to each other where the texts mean about the same',
}

/** @param tokensPerSecond what was measured: of an answer, of vectors of their texts. */
export function offerOf(model: HostedModel, tokensPerSecond: number | undefined): Capability {
  const { capability } = model
  return Capability.parse({ name: capability, version: modelsVersion, kind: 'leaf', effects: 'none', attributes: attributesOf(model, tokensPerSecond), slots: slotsOf(model), summary: summaries[capability] })
}

export function attributesOf(model: HostedModel, tokensPerSecond: number | undefined): Attributes {
  const { name, members } = model
  const infos = members.map(({ info }) => info)
  const quantisation = infos.find((info) => info.quantisation !== undefined)?.quantisation
  return {
    model: name,
    provider: [...new Set(members.map(({ by }) => by.name))].join(', ').slice(0, 256),
    // What holds whichever of its providers takes the call.
    contextTokens: Math.min(...infos.map(({ contextTokens }) => contextTokens)),
    ...(quantisation === undefined ? {} : { quantisation }),
    slots: slotsOf(model),
    ...(tokensPerSecond === undefined ? {} : { tokensPerSecond }),
    inputUsdPerMillion: Math.max(...infos.map(({ inputUsdPerMillion }) => inputUsdPerMillion)),
    outputUsdPerMillion: Math.max(...infos.map(({ outputUsdPerMillion }) => outputUsdPerMillion)),
  }
}

/** Two digits are all that a measurement is worth. */
export function tokensPerSecondOf({ capability, speed }: HostedModel): number | undefined {
  const ms = capability === chatCapability ? speed.msPerOutput() : speed.msPerInput()
  return ms === undefined || ms <= 0 ? undefined : Number((1_000 / ms).toPrecision(2))
}
