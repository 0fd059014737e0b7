/** The packed folder of a question, and the list of files of one of its parts. */
import type { z } from 'zod'
import { FolderManifest } from '../../folders/schema.ts'
import type { FolderRef } from '../../folders/schema.ts'
import type { BlobRef, SkillContext } from '../define-skill.ts'
import { MeshError } from '../define-skill.ts'
import { Slice } from '../repo-report/schema.ts'

type Blobs = Pick<SkillContext, 'blobs'>

/** @throws MeshError `bad-input` when the reference leads to something else; what reading the blob throws. */
export function readManifest(folder: FolderRef, context: Blobs): Promise<FolderManifest> {
  return readJson(FolderManifest, folder.$folder, context, 'the folder reference does not lead to the list of a packed folder', 'let the command pack the folder: skein run docs.answer --input path=FOLDER')
}

/** @throws as `readManifest`. */
export function readSlice(slice: BlobRef, context: Blobs): Promise<Slice> {
  return readJson(Slice, slice, context, 'the list of files is not one that docs.answer makes', 'submit docs.answer, which makes these tasks itself')
}

async function readJson<Schema extends z.ZodType>(schema: Schema, ref: BlobRef, context: Blobs, problem: string, next: string): Promise<z.infer<Schema>> {
  const bytes = await context.blobs.read(ref)
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    value = undefined
  }
  const parsed = schema.safeParse(value)
  if (!parsed.success) throw new MeshError('bad-input', problem, { next })
  return parsed.data
}
