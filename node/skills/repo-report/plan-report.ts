/** Plans the tasks of a report and of a section. */
import { randomBytes } from 'node:crypto'
import { isProjectFile } from '../../folders/project-files.ts'
import { FolderManifest } from '../../folders/schema.ts'
import type { FolderRef } from '../../folders/schema.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import type { BlobRef, PlanDocument, SkillContext } from '../define-skill.ts'
import { MeshError } from '../define-skill.ts'
import type { PartInput, ReportOptions, SectionInput, Slice, SliceFile } from './schema.ts'
import { shapeOf, sliceFileOf, splitFiles, wholePart } from './split.ts'
import type { Part } from './split.ts'

type Tasks = PlanDocument['tasks']

export async function readManifest(folder: Pick<FolderRef, '$folder'>, context: Pick<SkillContext, 'blobs'>): Promise<FolderManifest> {
  const bytes = await context.blobs.read(folder.$folder)
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    value = undefined
  }
  const manifest = FolderManifest.safeParse(value)
  if (!manifest.success) throw new MeshError('bad-input', 'the folder reference does not lead to the list of a packed folder', { next: 'let the command pack the folder: skein run repo.report --input folder=PATH' })
  return manifest.data
}

/** @throws MeshError `over-limit` when not even one task fits into the mission's limits. */
export async function planReport(folder: FolderRef, options: ReportOptions, context: SkillContext): Promise<PlanDocument> {
  context.progress(0, 'reading the list of files')
  const manifest = await readManifest(folder, context)
  if (manifest.files.length === 0) throw new MeshError('bad-input', 'the folder holds no files', { next: 'give a folder with files in it' })
  const wants = (section: string) => options.sections === undefined || options.sections.some((each) => each === section)
  const { leavesLeft, depthLeft } = context.planLimits ?? { leavesLeft: limits.missionLeavesDefault, depthLeft: limits.missionDepthDefault }
  const tasks: Tasks = {}

  // The references of the input name who has the packs now; those in the manifest name who packed.
  const packs = folder.packs.length === manifest.packs.length ? folder.packs : manifest.packs
  const projectFiles = manifest.files.filter((file) => isProjectFile(file.path) && file.headBytes === undefined).map(sliceFileOf)
  const measureShare = (share: number) => leavesLeft - share
  let reserved = 0
  if (projectFiles.length > 0 && (wants('dependencies') || wants('licences')) && measureShare(reserved) > 1) {
    const part = wholePart(projectFiles)
    const input = { packs: refsOf(packs, part), slice: await writeSlice(part.files, 'project files', context), topN: options.topN }
    tasks['dependencies'] = { capability: 'repo.dependencies', input, effort: part.effort, optional: true }
    reserved++
  }
  const history = folder.history ?? manifest.history
  if (history !== undefined && wants('history') && measureShare(reserved) > 1) {
    const input = { history, folder: folder.$folder, topN: options.topN }
    tasks['history'] = { capability: 'repo.history', input, effort: history.sizeBytes + folder.$folder.sizeBytes, optional: true }
    reserved++
  }
  const leaves = measureShare(reserved)
  if (leaves < 1 || depthLeft < 1) throw new MeshError('over-limit', 'the limits of the mission leave no task to this report', { next: 'raise the limits of leaves or depth' })

  const files = manifest.files.map(sliceFileOf)
  const shape = shapeOf(files.length, folder.sizeBytes, leaves, depthLeft)
  const common = { topN: options.topN, duplicates: options.duplicates && wants('duplicates'), secretKey: randomBytes(16).toString('hex') }
  const parts = splitFiles(files, shape.sections > 0 ? shape.sections : shape.leaves)
  for (const [index, part] of parts.entries()) {
    const label = partLabel(shape.sections > 0 ? 'section' : 'part', index, parts.length)
    const input: PartInput = { packs: refsOf(packs, part), slice: await writeSlice(part.files, label, context), label, ...common }
    tasks[label] =
      shape.sections > 0
        ? { capability: 'repo.section', input: { ...input, leavesMax: shape.leavesPerSection } satisfies SectionInput, effort: part.effort, optional: true }
        : { capability: 'repo.measure', input, effort: part.effort, optional: true }
    context.progress((index + 1) / parts.length, label)
  }
  return { name: `report on ${folder.name}`.slice(0, 128), tasks }
}

export async function planSection(input: SectionInput, slice: Slice, context: SkillContext): Promise<PlanDocument> {
  const leaves = Math.max(1, Math.min(input.leavesMax, context.planLimits?.leavesLeft ?? input.leavesMax))
  const { packs, topN, duplicates, secretKey } = input
  const tasks: Tasks = {}
  const parts = splitFiles(slice.files, leaves)
  for (const [index, part] of parts.entries()) {
    const label = partLabel('part', index, parts.length)
    const inner: PartInput = { packs: refsOf(packs, part), slice: await writeSlice(part.files, label, context), label, topN, duplicates, secretKey }
    tasks[label] = { capability: 'repo.measure', input: inner, effort: part.effort, optional: true }
    context.progress((index + 1) / parts.length, label)
  }
  return { name: input.label, tasks }
}

function partLabel(word: string, index: number, of: number): string {
  return `${word}-${String(index + 1).padStart(String(of).length, '0')}`
}

function refsOf(packs: readonly BlobRef[], part: Part): BlobRef[] {
  return part.packs.map((index) => {
    const ref = packs[index]
    if (ref === undefined) throw new MeshError('bad-input', 'the folder reference misses a pack', { next: 'pack the folder again' })
    return ref
  })
}

function writeSlice(files: readonly SliceFile[], label: string, context: SkillContext): Promise<BlobRef> {
  const slice: Slice = { format: 'skein-slice-1', files: [...files] }
  return context.blobs.write(JSON.stringify(slice), { name: `${label}.json`, mediaType: 'application/json' })
}
