import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createLlamaRuntime } from '../../../../node/models/llama-cpp/library.ts'
import { openLlamaCpp } from '../../../../node/models/llama-cpp/llama-cpp-adapter.ts'
import { inUnits } from '../../../../node/models/llama-cpp/memory.ts'
import { faultOf } from '../../../contracts/log-store.ts'
import { brokenGgufs, writeTerabyteGguf } from '../../../support/tiny-gguf/broken-gguf.ts'
import { writeTinyGguf } from '../../../support/tiny-gguf/tiny-gguf.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skein-models-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('a model file', () => {
  it('is loaded and described', async () => {
    const file = join(folder, 'tiny-described.gguf')
    const sizeBytes = await writeTinyGguf(file, { contextTokens: 1_024 })
    const provider = await openLlamaCpp({ file, gpu: false, sequences: 3 })
    try {
      expect(provider.models()).toEqual([{ name: 'tiny-described', does: 'chat', contextTokens: 1_024, quantisation: 'F32', slots: 3, inputUsdPerMillion: 0, outputUsdPerMillion: 0 }])
      expect(provider.origin).toBe(file)
      const about = await provider.about('tiny-described')
      expect(about).toMatchObject({ name: 'tiny-described', fileBytes: sizeBytes, vramFreeBytes: 0 })
      // Nearly all of the file are parameters of four bytes.
      expect(about.parameters * 4).toBeGreaterThan(sizeBytes * 0.85)
      expect(about.parameters * 4).toBeLessThan(sizeBytes)
      expect(about.memoryBytes).toBeGreaterThan(about.parameters * 4)
      expect(about.answerTokensPerSecond).toBeUndefined()
    } finally {
      await provider.close()
    }
  })

  it('is used as its owner says', async () => {
    const file = join(folder, 'tiny-named.gguf')
    await writeTinyGguf(file, { contextTokens: 4_096 })
    const provider = await openLlamaCpp({ file, gpu: false, name: 'mine', contextTokens: 512 })
    try {
      expect(provider.models()).toMatchObject([{ name: 'mine', contextTokens: 512, slots: 2 }])
      expect(await faultOf(provider.chat('tiny-named', { messages: [{ role: 'user', content: 'a' }] }, { signal: new AbortController().signal }))).toMatchObject({ code: 'bad-input', detail: expect.stringContaining('"mine"') })
    } finally {
      await provider.close()
    }
  })

  it.each(Object.keys(brokenGgufs) as (keyof typeof brokenGgufs)[])('that is none (%s) is refused with its path', async (kind) => {
    const file = join(folder, `${kind}.gguf`)
    await brokenGgufs[kind](file)
    const fault = await faultOf(openLlamaCpp({ file, gpu: false }))
    expect(fault).toMatchObject({ code: 'bad-request', retryable: false, detail: expect.stringContaining(file) })
    expect(fault.next).toBeTruthy()
  })

  it('that llama.cpp does not take is refused with its reason', async () => {
    const file = join(folder, 'renamed.gguf')
    await writeTinyGguf(file)
    const bytes = await readFile(file)
    bytes.write('blk.1.attn_z.weight', bytes.indexOf('blk.1.attn_q.weight'))
    await writeFile(file, bytes)
    expect(await faultOf(openLlamaCpp({ file, gpu: false }))).toMatchObject({ code: 'bad-request', detail: expect.stringContaining('blk.1.attn_q.weight') })
  })

  it('that is not there is refused with its path', async () => {
    expect(await faultOf(openLlamaCpp({ file: join(folder, 'gone.gguf'), gpu: false }))).toMatchObject({ code: 'bad-request', detail: `there is no file ${join(folder, 'gone.gguf')}` })
    expect(await faultOf(openLlamaCpp({ file: folder, gpu: false }))).toMatchObject({ code: 'bad-request', detail: `${folder} is not a file` })
  })

  it('that is larger than the memory is refused before it is loaded, with the numbers', async () => {
    const file = join(folder, 'terabyte.gguf')
    const sizeBytes = await writeTerabyteGguf(file)
    expect(sizeBytes).toBeGreaterThan(1e12)
    const fault = await faultOf(openLlamaCpp({ file, gpu: false }))
    expect(fault).toMatchObject({ code: 'too-large', detail: expect.stringMatching(/^the model "terabyte" needs 1\.\d TB, .+ of it for its context; .+ [MG]B are free$/) })
    expect(fault.next).toContain('smaller')
  })

  it('that would just not fit with so many sequences is told so', async () => {
    const file = join(folder, 'tiny-tight.gguf')
    await writeTinyGguf(file)
    expect(await faultOf(openLlamaCpp({ file, gpu: false, freeRamBytes: () => 1_000_000 }))).toMatchObject({ code: 'too-large', next: expect.stringContaining('fewer sequences') })
  })
})

describe('the package node-llama-cpp', () => {
  it('that is not installed is named, with the command that adds it', async () => {
    const file = join(folder, 'tiny-without.gguf')
    await writeTinyGguf(file)
    // What Node says of a package that is not there.
    const fault = await faultOf(openLlamaCpp({ file, importLibrary: () => import('node-llama-cpp-that-nobody-has' as string).catch((thrown: Error & { code?: string }) => Promise.reject(Object.assign(new Error(thrown.message.replace('-that-nobody-has', '')), { code: thrown.code }))) }))
    expect(fault).toMatchObject({ code: 'not-available', detail: 'model files need the package node-llama-cpp, which is not installed', next: 'npm install node-llama-cpp' })
  })

  it('that does not load says why', async () => {
    const runtime = createLlamaRuntime({ importLibrary: () => Promise.reject(new Error('GLIBC_2.99 not found')) })
    expect(await faultOf(runtime.open())).toMatchObject({ code: 'not-available', detail: expect.stringContaining('GLIBC_2.99 not found') })
  })

  it('leaves a processor to the node', () => {
    expect(createLlamaRuntime().threads).toBeGreaterThanOrEqual(1)
    expect(createLlamaRuntime({ threads: 3 }).threads).toBe(3)
  })
})

describe('amounts of memory', () => {
  it.each([[12, '12 bytes'], [999, '999 bytes'], [1_500, '1.5 kB'], [240_000, '240 kB'], [999_900, '1.0 MB'], [8_123_000_000, '8.1 GB'], [1.5e12, '1.5 TB']])('are %i bytes: %s', (bytes, text) => {
    expect(inUnits(bytes)).toBe(text)
  })
})
