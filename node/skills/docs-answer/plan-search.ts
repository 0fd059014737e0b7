/** Plans who searches what. */
import { limits } from '../../../protocols/kernel/limits.ts'
import { embedCapability } from '../../../protocols/models/schema.ts'
import type { BlobRef, OfferedCapability, PlanDocument, SkillContext } from '../define-skill.ts'
import { MeshError } from '../define-skill.ts'
import type { Slice } from '../repo-report/schema.ts'
import { sliceFileOf, splitFiles } from '../repo-report/split.ts'
import type { Part } from '../repo-report/split.ts'
import type { AnswerInput } from './declarations.ts'
import { readManifest } from './read-folder.ts'
import type { SearchInput } from './schema.ts'
import { termsOf } from './words.ts'

const leafBytesAimed = 512 * 1024
const leafFilesAimed = 100
const leavesAimedMin = 4

/** @throws MeshError `over-limit` when not even one task fits into the mission's limits. */
export async function planSearch(input: AnswerInput, context: SkillContext): Promise<PlanDocument> {
  context.progress(0, 'reading the list of files')
  const manifest = await readManifest(input.folder, context)
  const { leavesLeft, depthLeft } = context.planLimits ?? { leavesLeft: limits.missionLeavesDefault, depthLeft: limits.missionDepthDefault }
  if (leavesLeft < 1 || depthLeft < 1) throw new MeshError('over-limit', 'the limits of the mission leave no task to search the documents', { next: 'raise the limits of leaves or depth' })

  const embedModel = input.embeddings ? embeddingModel(await context.capabilities()) : undefined
  const common = { question: input.question, terms: termsOf(input.question), ...(embedModel === undefined ? {} : { embedModel }) }
  // The references of the input name who has the packs now; those in the manifest name who packed.
  const packs = input.folder.packs.length === manifest.packs.length ? input.folder.packs : manifest.packs
  const files = manifest.files.map(sliceFileOf)
  const sizeBytes = files.reduce((sum, file) => sum + (file.headBytes === undefined ? file.sizeBytes : 0), 0)
  const wanted = Math.max(leavesAimedMin, Math.ceil(sizeBytes / leafBytesAimed), Math.ceil(files.length / leafFilesAimed))
  // A folder without files is searched as well: the answer then says that there was nothing.
  const parts: readonly Part[] = files.length === 0 ? [{ files: [], packs: [], effort: 1 }] : splitFiles(files, Math.min(wanted, leavesLeft))
  const tasks: PlanDocument['tasks'] = {}
  for (const [index, part] of parts.entries()) {
    const label = `part-${String(index + 1).padStart(String(parts.length).length, '0')}`
    const slice: Slice = { format: 'skein-slice-1', files: [...part.files] }
    const search: SearchInput = {
      packs: refsOf(packs, part),
      slice: await context.blobs.write(JSON.stringify(slice), { name: `${label}.json`, mediaType: 'application/json' }),
      label: `part ${index + 1} of ${parts.length}`,
      ...common,
    }
    tasks[label] = { capability: 'docs.search', input: search, effort: part.effort, optional: true }
    context.progress((index + 1) / parts.length, label)
  }
  return { name: `answer from ${input.folder.name}`.slice(0, 128), tasks }
}

/** The same for all parts, or their vectors could not be compared. */
function embeddingModel(offered: readonly OfferedCapability[]): string | undefined {
  const models = offered.filter((one) => one.name === embedCapability).flatMap((one) => one.attributes.map((attributes) => attributes['model']))
  return models.filter((model) => typeof model === 'string').sort()[0]
}

function refsOf(packs: readonly BlobRef[], part: Part): BlobRef[] {
  return part.packs.map((index) => {
    const ref = packs[index]
    if (ref === undefined) throw new MeshError('bad-input', 'the folder reference misses a pack', { next: 'pack the folder again' })
    return ref
  })
}
