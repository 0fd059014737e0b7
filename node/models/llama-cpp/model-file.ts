/** What a GGUF file says of itself, read from its header only. */
import type { FileHandle } from 'node:fs/promises'
import { open } from 'node:fs/promises'
import { basename } from 'node:path'
import type { GgufFileInfo } from 'node-llama-cpp'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import type { LlamaLibrary } from './library.ts'
import { inUnits } from './memory.ts'

export interface ModelFile {
  readonly path: string
  readonly fileBytes: number
  readonly info: GgufFileInfo
  /** Its file's name without the ending: `qwen3-4b-instruct-q4_k_m`. */
  readonly name: string
  readonly does: 'chat' | 'embed'
  /** Undefined when it does not say. */
  readonly trainContextTokens?: number
  readonly parameters: number
  /** `Q4_K_M`, `F16`. */
  readonly quantisation?: string
}

const next = 'name a file in the GGUF format, whole, such as those on huggingface.co whose names end in .gguf'
/** The parser believes what it reads: what no model has is refused before it allocates for it. */
const tensorsMax = 1_000_000
const metadataMax = 1_000_000
/** Architectures that write nothing, whether their files say how they pool or not. */
const encoders = /bert|embed|t5encoder/

/** @throws MeshError `bad-request` for a file that is not there, or is no GGUF. */
export async function readModelFile(library: LlamaLibrary, path: string): Promise<ModelFile> {
  const fileBytes = await checkBeginning(path)
  let info: GgufFileInfo
  try {
    info = await library.readGgufFileInfo(path, { sourceType: 'filesystem', logWarnings: false })
  } catch (thrown) {
    throw new MeshError('bad-request', `the file ${path} begins like a model, but its header cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { next })
  }
  const architecture = info.metadata.general?.architecture
  if (architecture === undefined || info.fullTensorInfo === undefined || info.fullTensorInfo.length === 0) throw new MeshError('bad-request', `the file ${path} is a GGUF file, but holds no model`, { next })

  // Which keys an architecture has is not of interest here.
  const own = info.architectureMetadata as Readonly<Record<string, unknown>>
  const trainContextTokens = countOf(own['context_length'])
  const quantisation = quantisationOf(library, info)
  return {
    path, fileBytes, info,
    name: basename(path).replace(/\.gguf$/i, '').replace(/-00001-of-\d{5}$/, ''),
    does: own['pooling_type'] !== undefined || encoders.test(architecture) ? 'embed' : 'chat',
    parameters: info.fullTensorInfo.reduce((sum, { dimensions }) => sum + dimensions.reduce<number>((product, side) => product * Number(side), 1), 0),
    ...(trainContextTokens === undefined ? {} : { trainContextTokens }),
    ...(quantisation === undefined ? {} : { quantisation }),
  }
}

/** @returns the file's size in bytes. */
async function checkBeginning(path: string): Promise<number> {
  let file: FileHandle
  try {
    file = await open(path, 'r')
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
    throw new MeshError('bad-request', code === 'ENOENT' ? `there is no file ${path}` : `the file ${path} cannot be opened: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { next: 'check the path of the model' })
  }
  try {
    const stat = await file.stat()
    if (!stat.isFile()) throw new MeshError('bad-request', `${path} is not a file`, { next })
    const head = Buffer.alloc(24)
    const { bytesRead } = await file.read(head, 0, head.byteLength, 0)
    if (bytesRead < head.byteLength || head.toString('latin1', 0, 4) !== 'GGUF') throw new MeshError('bad-request', `the file ${path} is not a model: it does not begin with GGUF`, { next })
    const version = head.readUInt32LE(4)
    if (version !== 2 && version !== 3) throw new MeshError('bad-request', `the file ${path} says it is GGUF of version ${version}; 2 and 3 are known`, { next })
    if (head.readBigUInt64LE(8) > tensorsMax || head.readBigUInt64LE(16) > metadataMax) throw new MeshError('bad-request', `the file ${path} begins like a model, but its header makes no sense`, { next })
    return stat.size
  } finally {
    await file.close()
  }
}

/**
 * A download that broke off loads, or crashes, depending on where it did.
 * @param weightBytes as the library counts them. @throws MeshError `bad-request`.
 */
export function requireWhole({ path, fileBytes, info }: ModelFile, weightBytes: number): void {
  // A model in several files is looked at by llama.cpp alone.
  if (info.splicedParts > 1) return
  const wholeBytes = info.metadataSize + (info.tensorInfoSize ?? 0) + weightBytes
  if (fileBytes < wholeBytes) throw new MeshError('bad-request', `the file ${path} is cut off: it has ${inUnits(fileBytes)} of at least ${inUnits(wholeBytes)}`, { next: 'fetch it again' })
}

function quantisationOf(library: LlamaLibrary, info: GgufFileInfo): string | undefined {
  const type = countOf(info.metadata.general?.file_type)
  if (type === undefined) return undefined
  const name = (library.GgufFileType as Readonly<Record<number, string | undefined>>)[type]
  // `MOSTLY_Q4_K_M`, `ALL_F32`.
  return name?.replace(/^(?:MOSTLY|ALL)_/, '')
}

function countOf(value: unknown): number | undefined {
  const number = typeof value === 'bigint' ? Number(value) : value
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined
}
