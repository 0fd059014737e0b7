/** The models of the whole mesh, by what its nodes advertise. */
import { z } from 'zod'
import { versionSatisfies } from '../../../protocols/capability/matching.ts'
import type { CapabilityView } from '../../../protocols/capability/views.ts'
import { PeerId } from '../../../protocols/kernel/ids.ts'
import { chatCapability, embedCapability, modelsVersion } from '../../../protocols/models/schema.ts'

/** OpenAI's model object, and what Skein knows beyond it. */
export const ServedModel = z.object({
  id: z.string(),
  object: z.literal('model'),
  created: z.number().int().describe('When this bridge was started, in seconds since 1970: models have no date here.'),
  owned_by: z.string().describe('The name of a node that serves it.'),
  context_length: z.number().int().optional().describe('Prompt and answer together, in tokens; the least of its nodes.'),
  skein: z.object({
    does: z.array(z.enum(['chat', 'embed'])),
    nodes: z.array(z.object({ node: z.string(), peer_id: PeerId, quantisation: z.string().optional() })),
  }),
})
export type ServedModel = z.infer<typeof ServedModel>

const created = Math.floor(Date.now() / 1000)
const doing = { [chatCapability]: 'chat', [embedCapability]: 'embed' } as const

/** Each model once, by name. */
export function modelsIn(views: readonly CapabilityView[]): ServedModel[] {
  const models = new Map<string, ServedModel>()
  for (const view of views) {
    const does = (doing as Readonly<Record<string, 'chat' | 'embed' | undefined>>)[view.name]
    if (does === undefined || !versionSatisfies(view.version, modelsVersion)) continue
    for (const { peerId, name: node, offers } of view.providers) for (const { attributes } of offers) {
      const { model: id, contextTokens, quantisation } = attributes
      if (typeof id !== 'string') continue
      let model = models.get(id)
      if (model === undefined) models.set(id, (model = { id, object: 'model', created, owned_by: node, skein: { does: [], nodes: [] } }))
      if (typeof contextTokens === 'number') model.context_length = Math.min(model.context_length ?? contextTokens, contextTokens)
      if (!model.skein.does.includes(does)) model.skein.does.push(does)
      if (!model.skein.nodes.some(({ peer_id: known }) => known === peerId)) model.skein.nodes.push({ node, peer_id: peerId, ...(typeof quantisation === 'string' ? { quantisation } : {}) })
    }
  }
  return [...models.values()].sort((left, right) => (left.id < right.id ? -1 : 1))
}
