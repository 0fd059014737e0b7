/**
 * Writes GGUF files, version 3: a header with typed metadata and the tensors' shapes, then their values, each aligned to 32 bytes.
 * Source: ggml's docs/gguf.md.
 */
import { open } from 'node:fs/promises'

export type GgufScalar =
  | { readonly type: 'uint32'; readonly value: number }
  | { readonly type: 'float32'; readonly value: number }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }

export type GgufValue =
  | GgufScalar
  | { readonly type: 'strings'; readonly values: readonly string[] }
  | { readonly type: 'float32s'; readonly values: readonly number[] }
  | { readonly type: 'int32s'; readonly values: readonly number[] }

/** Of 32-bit floats. */
export interface GgufTensor {
  readonly name: string
  /** The fastest running dimension first: a matrix that maps `in` values to `out` values is `[in, out]`, and lies in memory row by row of `in` values. */
  readonly shape: readonly number[]
  fill(values: Float32Array): void
}

export interface GgufContents {
  readonly metadata: Readonly<Record<string, GgufValue>>
  readonly tensors: readonly GgufTensor[]
}

const version = 3
const alignmentBytes = 32
const typeNumbers = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9 } as const
const tensorTypeF32 = 0

/** @returns how many bytes the file has. */
export async function writeGguf(path: string, { metadata, tensors }: GgufContents): Promise<number> {
  const header = headerOf(metadata, tensors)
  const file = await open(path, 'w')
  try {
    await file.write(header)
    let position = header.byteLength
    for (const tensor of tensors) {
      const values = new Float32Array(valuesIn(tensor))
      tensor.fill(values)
      await file.write(new Uint8Array(values.buffer), 0, values.byteLength, position)
      position += aligned(values.byteLength)
    }
    await file.truncate(position)
    return position
  } finally {
    await file.close()
  }
}

/** A file of the right header and the right size whose values are all zero and take no space on the disk. @returns how many bytes it seems to have. */
export async function writeSparseGguf(path: string, { metadata, tensors }: GgufContents): Promise<number> {
  const header = headerOf(metadata, tensors)
  const sizeBytes = tensors.reduce((sum, tensor) => sum + aligned(valuesIn(tensor) * 4), header.byteLength)
  const file = await open(path, 'w')
  try {
    await file.write(header)
    await file.truncate(sizeBytes)
    return sizeBytes
  } finally {
    await file.close()
  }
}

function headerOf(metadata: GgufContents['metadata'], tensors: readonly GgufTensor[]): Uint8Array {
  const pieces: Uint8Array[] = [new TextEncoder().encode('GGUF'), uint32(version), uint64(tensors.length), uint64(Object.keys(metadata).length)]
  for (const [key, value] of Object.entries(metadata)) pieces.push(text(key), ...valueBytes(value))
  let offset = 0
  for (const tensor of tensors) {
    pieces.push(text(tensor.name), uint32(tensor.shape.length), ...tensor.shape.map(uint64), uint32(tensorTypeF32), uint64(offset))
    offset += aligned(valuesIn(tensor) * 4)
  }
  const bytes = Buffer.concat(pieces)
  return Buffer.concat([bytes, new Uint8Array(aligned(bytes.byteLength) - bytes.byteLength)])
}

function valueBytes(value: GgufValue): Uint8Array[] {
  switch (value.type) {
    case 'strings':
      return [...arrayHead(typeNumbers.string, value.values.length), ...value.values.map(text)]
    case 'float32s':
      return [...arrayHead(typeNumbers.float32, value.values.length), ...value.values.map(float32)]
    case 'int32s':
      return [...arrayHead(typeNumbers.int32, value.values.length), ...value.values.map(uint32)]
    case 'string':
      return [uint32(typeNumbers.string), text(value.value)]
    case 'bool':
      return [uint32(typeNumbers.bool), Uint8Array.of(value.value ? 1 : 0)]
    case 'float32':
      return [uint32(typeNumbers.float32), float32(value.value)]
    case 'uint32':
      return [uint32(typeNumbers.uint32), uint32(value.value)]
  }
}

function arrayHead(typeNumber: number, length: number): Uint8Array[] {
  return [uint32(typeNumbers.array), uint32(typeNumber), uint64(length)]
}

function valuesIn({ shape }: GgufTensor): number {
  return shape.reduce((product, side) => product * side, 1)
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / alignmentBytes) * alignmentBytes
}

function text(value: string): Uint8Array {
  const bytes = new TextEncoder().encode(value)
  return Buffer.concat([uint64(bytes.byteLength), bytes])
}

function uint32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function uint64(value: number): Uint8Array {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}

function float32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4)
  bytes.writeFloatLE(value)
  return bytes
}
