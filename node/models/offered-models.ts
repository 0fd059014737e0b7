/** The models of this node as capabilities of the mesh. */
import { type Attributes, Capability } from '../../protocols/capability/schema.ts'
import { modelsVersion, chatCapability } from '../../protocols/models/schema.ts'
import { type HostedModel, slotsOf } from './hosted-models.ts'

/** @param tokensPerSecond what was measured: of an answer, of vectors of their texts. */
export function offerOf(model: HostedModel, tokensPerSecond: number | undefined): Capability {
  const { name, capability, members } = model
  const infos = members.map(({ info }) => info)
  const quantisation = infos.find((info) => info.quantisation !== undefined)?.quantisation
  const providers = [...new Set(members.map(({ by }) => by.name))].join(', ')
  const slots = slotsOf(model)
  const attributes: Attributes = {
    model: name,
    provider: providers.slice(0, 256),
    // What holds whichever of its providers takes the call.
    contextTokens: Math.min(...infos.map(({ contextTokens }) => contextTokens)),
    ...(quantisation === undefined ? {} : { quantisation }),
    slots,
    ...(tokensPerSecond === undefined ? {} : { tokensPerSecond }),
    inputUsdPerMillion: Math.max(...infos.map(({ inputUsdPerMillion }) => inputUsdPerMillion)),
    outputUsdPerMillion: Math.max(...infos.map(({ outputUsdPerMillion }) => outputUsdPerMillion)),
  }
  return Capability.parse({
    name: capability, version: modelsVersion, kind: 'leaf', effects: 'none', attributes, slots,
    summary: `${capability === chatCapability ? 'answers a chat' : 'turns texts into vectors'}: ${name}, by ${providers}`.slice(0, 280),
  })
}

/** Two digits are all that a measurement is worth. */
export function tokensPerSecondOf({ capability, speed }: HostedModel): number | undefined {
  const ms = capability === chatCapability ? speed.msPerOutput() : speed.msPerInput()
  return ms === undefined || ms <= 0 ? undefined : Number((1_000 / ms).toPrecision(2))
}
