import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLlamaCpp } from '../../../../node/models/llama-cpp/llama-cpp-adapter.ts'
import { llmProviderContract } from '../../../contracts/llm-provider.ts'
import { writeTinyGguf } from '../../../support/tiny-gguf/tiny-gguf.ts'

llmProviderContract('a GGUF file run by llama.cpp', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-contract-'))
  const file = join(folder, 'tiny.gguf')
  await writeTinyGguf(file)
  const provider = await openLlamaCpp({ file, gpu: false, sequences: 4 })
  return {
    provider, chatModel: 'tiny', tooLongChars: 20_000,
    // One with random weights answers as often as it calls, unless it has to.
    toolInput: { messages: [{ role: 'user', content: 'What is the weather in Oslo?' }], tools: [{ name: 'weather', parameters: { type: 'object', properties: { city: { enum: ['Oslo', 'Rome'] } }, required: ['city'] } }], toolChoice: 'required', maxTokens: 100 },
    async close() {
      await provider.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}, { embeds: false })
