import { MeshError } from '../../protocols/kernel/errors.ts'
import type { FolderFile } from './schema.ts'

/** The bytes of one file inside its pack (its head, when that is all that was kept). @throws MeshError `bad-input` beyond the pack's end. */
export function fileBytes(pack: Uint8Array, file: Pick<FolderFile, 'path' | 'offset' | 'sizeBytes' | 'headBytes'>): Uint8Array {
  const length = file.headBytes ?? file.sizeBytes
  if (file.offset + length > pack.byteLength) throw new MeshError('bad-input', `the manifest places ${file.path} beyond the end of its pack`, { next: 'pack the folder again' })
  return pack.subarray(file.offset, file.offset + length)
}
