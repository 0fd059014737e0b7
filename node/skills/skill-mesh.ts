/** What skills may ask about the mesh they run in. */
import { MeshError, toFault, type Fault } from '../../protocols/kernel/errors.ts'
import type { CapabilityView } from '../../protocols/capability/views.ts'
import type { Json } from '../../protocols/kernel/payload.ts'
import type { OfferedCapability } from './define-skill.ts'

export interface SkillMesh {
  capabilities(): Promise<readonly CapabilityView[]>
  inputSchema(capability: string, version?: string): Promise<Json | undefined>
}

interface Answer {
  readonly capabilities?: readonly OfferedCapability[]
  readonly inputSchema?: Json
  readonly fault?: Fault
}

export async function answerAboutMesh(mesh: SkillMesh | undefined, about: 'capabilities' | { readonly capability: string; readonly version?: string }): Promise<Answer> {
  try {
    if (mesh === undefined) throw new MeshError('not-available', 'this skill runs outside of a mesh', { next: 'run it on a node: skein run CAPABILITY' })
    if (about === 'capabilities') return { capabilities: (await mesh.capabilities()).map(offered) }
    const inputSchema = await mesh.inputSchema(about.capability, about.version)
    return inputSchema === undefined ? {} : { inputSchema }
  } catch (thrown) {
    return { fault: toFault(thrown, 'internal') }
  }
}

function offered({ name, version, kind, effects, summary, providers }: CapabilityView): OfferedCapability {
  const attributes = new Map(providers.flatMap(({ offers }) => offers.map((offer) => [JSON.stringify(offer.attributes), offer.attributes] as const)))
  return { name, version, kind, effects, summary, attributes: [...attributes.values()], providers: providers.length }
}
