import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js'
import { Packr } from 'msgpackr'
import { describe, expect, it } from 'vitest'
import { MeshError } from '../../protocols/kernel/errors.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { seededRandom, type Random } from '../../protocols/kernel/prng.ts'
import { decodeFrame, decodeValue, encodeFrame, encodeValue, Envelope, Message, packFields, packList, protocolMajor, protocolMinor, type MessageKind } from '../../protocols/wire.ts'
import { sampleEnvelope, sampleMessages } from '../../scripts/wire-samples.ts'

const kinds = Object.keys(sampleMessages) as MessageKind[]
const golden = join(import.meta.dirname, 'golden')
const foreign = new Packr({ useRecords: false, structuredClone: true, moreTypes: true })

/** The error of a frame that must not be taken. */
function refusalOf(bytes: Uint8Array): MeshError['fault'] {
  try {
    decodeFrame(bytes)
  } catch (error) {
    if (error instanceof MeshError) return error.fault
    throw error
  }
  throw new Error('the frame was taken')
}

/** Bytes decode as Node's own kind of Uint8Array; as lists of numbers they compare. */
function comparable(value: unknown): unknown {
  if (value instanceof Uint8Array) return [...value]
  if (Array.isArray(value)) return value.map(comparable)
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, comparable(inner)])) : value
}

/** A frame with one envelope whose message is a `node-report` of anything at all. */
function reporting(report: unknown): Uint8Array {
  return foreign.pack([protocolMajor, [{ ...sampleEnvelope('node-report'), message: { kind: 'node-report', requestId: 'r', report } }]])
}

describe('every message', () => {
  it('has an example, and the union knows no other kind', () => {
    const known = Message.options.map((option) => option.shape.kind.value as string)
    expect([...known].sort()).toEqual([...kinds].sort())
    expect(new Set(known).size).toBe(known.length)
  })

  it.each(kinds)('%s comes back from its bytes as it went', (kind) => {
    const envelope = sampleEnvelope(kind)
    expect(Envelope.parse(envelope)).toEqual(envelope)
    const [decoded, ...rest] = decodeFrame(encodeFrame([envelope]))
    expect(rest).toEqual([])
    expect(comparable(decoded)).toEqual(comparable(envelope))
  })

  it('travels in batches that keep their order', () => {
    const batch = kinds.map(sampleEnvelope)
    expect(comparable(decodeFrame(encodeFrame(batch)))).toEqual(comparable(batch))
    expect(decodeFrame(encodeFrame([]))).toEqual([])
  })

  it('loses the fields that a newer minor version added, and nothing else', () => {
    for (const kind of kinds) {
      const envelope = sampleEnvelope(kind)
      const newer = { ...envelope, hops: 3, message: { ...envelope.message, addedIn: '1.9' } }
      expect(comparable(decodeFrame(encodeValue([protocolMajor, [newer]])))).toEqual(comparable([envelope]))
    }
  })
})

describe('golden bytes', () => {
  const versions = readdirSync(golden).filter((name) => name.startsWith('frames-')).map((name) => name.slice('frames-'.length, -'.json'.length))
  const framesOf = (version: string) => JSON.parse(readFileSync(join(golden, `frames-${version}.json`), 'utf8')) as Record<string, string>

  it('of this protocol version are what this release writes', () => {
    const written = framesOf(`${protocolMajor}.${protocolMinor}`)
    expect(Object.keys(written).sort(), 'run scripts/gen-wire-fixtures.ts').toEqual([...kinds].sort())
    for (const kind of kinds) expect(bytesToHex(encodeFrame([sampleEnvelope(kind)])), `the bytes of ${kind} have changed: raise the protocol version`).toBe(written[kind])
  })

  it.each(versions)('of version %s are read by this release', (version) => {
    const [major] = version.split('.')
    for (const [kind, hex] of Object.entries(framesOf(version))) {
      const bytes = hexToBytes(hex)
      if (Number(major) === protocolMajor) expect(decodeFrame(bytes)[0]?.message.kind).toBe(kind)
      else expect(refusalOf(bytes).detail).toContain(`protocol major ${major}`)
    }
  })
})

describe('what is no frame', () => {
  it('is refused with its reason', () => {
    expect(refusalOf(new Uint8Array(0)).code).toBe('bad-request')
    expect(refusalOf(Uint8Array.of(0x92, protocolMajor)).detail).toBe('the frame is not msgpack')
    for (const shape of [42, null, 'hello', {}, [], [protocolMajor], [protocolMajor, {}], [protocolMajor, [], 3]]) expect(refusalOf(encodeValue(shape)).detail).toBe('the frame is not [major, envelopes]')
    expect(refusalOf(encodeValue([protocolMajor, [{}]])).detail).toContain('outside the schema')
    expect(refusalOf(encodeValue([protocolMajor, [{ ...sampleEnvelope('hello'), message: { kind: 'no-such-kind' } }]])).detail).toContain('outside the schema')
  })

  it('says which major it speaks, and what to do', () => {
    const refused = refusalOf(encodeValue([protocolMajor + 1, []]))
    expect(refused).toMatchObject({ code: 'bad-request', retryable: false, next: 'run the same major release of Skein on both nodes' })
    expect(refused.detail).toContain(`protocol major ${protocolMajor + 1}, this node speaks ${protocolMajor}`)
  })

  it('may name its major by anything, even by what cannot be turned into text', () => {
    for (const major of [undefined, '1', null, {}, [], { toString: 1, valueOf: 1 }, Number.NaN, 1.5]) expect(refusalOf(foreign.pack([major, []])).detail).toContain('protocol major')
  })

  it('is refused when it is too large, before anything of it is looked at', () => {
    expect(refusalOf(new Uint8Array(limits.frameBytesMax + 1)).code).toBe('too-large')
    expect(refusalOf(encodeValue([protocolMajor, Array.from({ length: limits.frameMessagesMax + 1 }, () => sampleEnvelope('advert-request'))])).code).toBe('too-large')
    expect(decodeFrame(encodeValue([protocolMajor, Array.from({ length: limits.frameMessagesMax }, () => sampleEnvelope('advert-request'))]))).toHaveLength(limits.frameMessagesMax)
  })

  it('claims a length that it does not have', () => {
    for (const header of ['dd', 'df', 'db', 'c6']) expect(refusalOf(hexToBytes(`9201${header}ffffffff00`)).code).toBe('bad-request')
  })
})

describe('values that are not plain data', () => {
  it('are refused wherever they stand', () => {
    for (const value of [2n ** 60n, new Set([1]), /a+/, new Error('x'), new Date(0), new Int32Array([1]), new ArrayBuffer(2)]) expect(refusalOf(reporting({ deep: [value] })).code).toBe('bad-request')
    for (const value of [Number.NaN, Infinity]) expect(refusalOf(reporting(value)).code).toBe('bad-request')
  })

  it('cannot contain themselves: a pointer in a frame is refused', () => {
    // [major, [an array with id 1 whose only element points at id 1]]
    const cyclic = hexToBytes(`92${protocolMajor.toString(16).padStart(2, '0')}91d6690000000191d67000000001`)
    expect(refusalOf(cyclic).code).toBe('bad-request')
  })

  it('are nested within the limit', () => {
    const nested = (levels: number): unknown => Array.from({ length: levels }).reduce((inner: unknown) => [inner], 0)
    expect(decodeFrame(reporting(nested(limits.jsonDepthMax)))).toHaveLength(1)
    expect(refusalOf(reporting(nested(limits.frameDepthMax))).detail).toContain('nested')
    // Deeper than any stack: built as bytes.
    const abyss = new Uint8Array(1_000_000).fill(0x91)
    expect(refusalOf(abyss).code).toBe('bad-request')
  })

  it('do not change how later frames are read, even when they define record structures', () => {
    const poison = new Packr({ useRecords: true }).pack([protocolMajor, [{ a: 1, b: 2 }, { a: 3, b: 4 }, { c: 5 }]])
    expect(refusalOf(poison).code).toBe('bad-request')
    const numbers = Array.from({ length: 128 }, (_, i) => i)
    expect(decodeFrame(reporting(numbers))[0]?.message).toMatchObject({ report: numbers })
    expect(decodeValue(encodeValue(numbers))).toEqual(numbers)
  })

  it('cannot reach the prototype of objects', () => {
    const bytes = reporting(JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}'))
    decodeFrame(bytes)
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })
})

/** One accident on the way: flipped, cut, doubled, or overwritten bytes. */
function damaged(bytes: Uint8Array, random: Random): Uint8Array {
  const at = random.below(bytes.length)
  switch (random.below(5)) {
    case 0:
      return bytes.slice(0, at)
    case 1:
      return Uint8Array.of(...bytes.subarray(0, at), ...bytes.subarray(random.below(at + 1)))
    case 2: {
      const copy = bytes.slice()
      for (let flips = 1 + random.below(8); flips > 0; flips--) copy[random.below(copy.length)] = random.below(256)
      return copy
    }
    case 3:
      return Uint8Array.of(...bytes.subarray(0, at), ...Array.from({ length: random.below(16) }, () => random.below(256)), ...bytes.subarray(at))
    default: {
      const copy = bytes.slice()
      copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8))
      return copy
    }
  }
}

describe('values that are encoded already', () => {
  it.each([0, 1, 15, 16, 300, 70_000])('are read back as a list of %d', (count) => {
    const values = Array.from({ length: count }, (_, at) => ({ at, text: `value ${at}` }))
    expect(decodeValue(packList(values.map(encodeValue)))).toEqual(values)
  })

  it('are read back as the fields of an object', () => {
    const value = { number: 70_000, head: { group: 'roster', last: { index: 3 } }, none: [] }
    expect(decodeValue(packFields({ number: encodeValue(value.number), head: encodeValue(value.head), none: packList([]) }))).toEqual(value)
  })
})

describe('garbage', () => {
  const outcome = (bytes: Uint8Array): 'taken' | 'refused' => {
    try {
      decodeFrame(bytes)
      return 'taken'
    } catch (error) {
      if (error instanceof MeshError && error.fault.detail.length > 0) return 'refused'
      throw new Error(`a frame threw ${String(error)}: ${bytesToHex(bytes)}`, { cause: error })
    }
  }

  it('of random bytes throws MeshError and nothing else', () => {
    const random = seededRandom([20, 26])
    const counts = { taken: 0, refused: 0 }
    for (let i = 0; i < 4_000; i++) {
      const body = Array.from({ length: random.below(200) }, () => random.below(256))
      counts[outcome(Uint8Array.from(random.below(2) === 0 ? body : [0x92, protocolMajor, 0x90 + random.below(16), ...body]))] += 1
    }
    expect(counts.refused).toBeGreaterThan(3_500)
  })

  it('made of damaged messages throws MeshError and nothing else', () => {
    const random = seededRandom([7, 4])
    const frames = kinds.map((kind) => encodeFrame([sampleEnvelope(kind)]))
    const counts = { taken: 0, refused: 0 }
    for (let i = 0; i < 6_000; i++) {
      let bytes = frames[i % frames.length] as Uint8Array
      for (let accidents = 1 + random.below(3); accidents > 0 && bytes.length > 0; accidents--) bytes = damaged(bytes, random)
      counts[outcome(bytes)] += 1
    }
    expect(counts.refused).toBeGreaterThan(counts.taken)
  })
})
