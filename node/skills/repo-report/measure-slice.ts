/** Measures the files of one task. */
import { fileBytes } from '../../folders/file-bytes.ts'
import type { SkillContext } from '../define-skill.ts'
import { MeshError } from '../define-skill.ts'
import { emptyMeasurement, mergeMeasurements } from './measurement.ts'
import { encodeFingerprints, fingerprintSet } from './measure/fingerprints.ts'
import type { FileFingerprints } from './measure/fingerprints.ts'
import { measureFile } from './measure/measure-file.ts'
import { Slice } from './schema.ts'
import type { Measurement, PartInput, SliceFile } from './schema.ts'

export async function readSlice(input: Pick<PartInput, 'slice'>, context: Pick<SkillContext, 'blobs'>): Promise<Slice> {
  const bytes = await context.blobs.read(input.slice)
  const parsed = Slice.safeParse(JSON.parse(new TextDecoder().decode(bytes)))
  if (!parsed.success) throw new MeshError('bad-input', 'the list of files is not one that repo.report makes', { next: 'submit repo.report, which makes these tasks itself' })
  return parsed.data
}

/** One pack in memory at a time. */
export async function measureSlice(input: PartInput, context: SkillContext): Promise<Measurement> {
  const { files } = await readSlice(input, context)
  const inOrder = [...files].sort((left, right) => left.pack - right.pack || left.offset - right.offset)
  let sum = emptyMeasurement()
  let batch: Measurement[] = []
  const fingerprints: FileFingerprints[] = []
  let packIndex = -1
  let pack: Uint8Array = new Uint8Array(0)
  for (const [index, file] of inOrder.entries()) {
    const fraction = index / inOrder.length
    context.progress(fraction, file.path)
    if (file.pack !== packIndex) {
      pack = await readPack(input, file, context)
      packIndex = file.pack
    }
    const measured = await measureFile(
      { path: file.path, sizeBytes: file.sizeBytes, bytes: fileBytes(pack, file), headOnly: file.headBytes !== undefined },
      { secretKey: input.secretKey, duplicates: input.duplicates, pulse: () => context.progress(fraction, file.path) },
    )
    batch.push(measured.measurement)
    if (measured.fingerprints !== undefined) fingerprints.push(measured.fingerprints)
    if (batch.length >= 100) {
      sum = mergeMeasurements([sum, ...batch], input.topN)
      batch = []
    }
  }
  sum = mergeMeasurements([sum, ...batch], input.topN)
  if (fingerprints.length > 0) sum.fingerprints = [await context.blobs.write(encodeFingerprints(fingerprintSet(fingerprints)), { name: 'fingerprints', mediaType: 'application/octet-stream' })]
  context.progress(1, `${files.length} files measured`)
  return sum
}

function readPack(input: PartInput, file: SliceFile, context: SkillContext): Promise<Uint8Array> {
  const ref = input.packs[file.pack]
  if (ref === undefined) throw new MeshError('bad-input', `the pack of ${file.path} is not among the task's packs`, { next: 'submit repo.report, which makes these tasks itself' })
  return context.blobs.read(ref)
}
