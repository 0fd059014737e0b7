import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openLlamaCpp } from '../../../../node/models/llama-cpp/llama-cpp-adapter.ts'
import { faultOf } from '../../../contracts/log-store.ts'
import { writeTinyGguf } from '../../../support/tiny-gguf/tiny-gguf.ts'

let folder: string
let file: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skein-closing-'))
  file = join(folder, 'tiny.gguf')
  await writeTinyGguf(file)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const never = (): AbortSignal => new AbortController().signal

describe('closing a model', () => {
  it('ends what is under way, may be done twice, and is final', async () => {
    const provider = await openLlamaCpp({ file, gpu: false })
    const begun = Promise.withResolvers<void>()
    const call = faultOf(provider.chat('tiny', { messages: [{ role: 'user', content: 'Write for long.' }], maxTokens: 1_500 }, { signal: never(), onDelta: () => begun.resolve() }))
    await begun.promise
    await Promise.all([provider.close(), provider.close()])
    expect(await call).toMatchObject({ code: 'cancelled' })
    await provider.close()
    expect(await faultOf(provider.chat('tiny', { messages: [{ role: 'user', content: 'a' }] }, { signal: never() }))).toMatchObject({ code: 'cancelled' })
    expect(await faultOf(provider.countTokens('tiny', { messages: [{ role: 'user', content: 'a' }] }))).toMatchObject({ code: 'cancelled' })
  })

  it('leaves the others of the node alone', async () => {
    const [left, right] = await Promise.all(['left', 'right'].map((name) => openLlamaCpp({ file, name, gpu: false })))
    await left?.close()
    expect((await right?.chat('right', { messages: [{ role: 'user', content: 'a' }], maxTokens: 3 }, { signal: never() }))?.usage.completionTokens).toBeGreaterThan(0)
    await right?.close()
  })

  it('gives the memory back', async () => {
    const resident: number[] = []
    for (let round = 0; round < 12; round++) {
      const provider = await openLlamaCpp({ file, gpu: false, sequences: 4 })
      await provider.chat('tiny', { messages: [{ role: 'user', content: 'a' }], maxTokens: 3 }, { signal: never() })
      await provider.close()
      resident.push(process.memoryUsage.rss())
    }
    // One context of four sequences takes some 20 MB: eleven that were kept would be seen.
    expect((resident.at(-1) ?? 0) - (resident[2] ?? 0)).toBeLessThan(100e6)
  })
})
