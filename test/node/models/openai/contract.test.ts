import { createOpenAiProvider } from '../../../../node/models/openai/openai-adapter.ts'
import { createPrices } from '../../../../node/models/prices.ts'
import { llmProviderContract } from '../../../contracts/llm-provider.ts'
import { callTool, on, refuse, rules, say, sayJson, startOpenAiServer } from '../../../support/openai-server/server.ts'
import { realClock } from './open-provider.ts'

const contextTokens = 2_000

llmProviderContract('an OpenAI-compatible endpoint', async () => {
  const server = await startOpenAiServer({
    models: [{ id: 'small-chat', max_model_len: contextTokens }, 'small-embedding'],
    script: rules(
      on({ where: ({ prompt }) => prompt.length / 4 > contextTokens }, ({ prompt }) => refuse(400, `This model's maximum context length is ${contextTokens} tokens. However, your messages resulted in ${prompt.length / 4} tokens. Please reduce the length of the messages.`, { code: 'context_length_exceeded', param: 'messages' })),
      on({ schema: 'colour' }, sayJson({ colour: 'green', isBig: true })),
      on({ tools: true }, callTool('fly', { to: 'the south' })),
      on({ user: 'hundred' }, say(Array.from({ length: 100 }, (_, i) => `${i + 1}`).join(' '))),
      on({}, say('Hello there.')),
    ),
  })
  const provider = createOpenAiProvider({ name: 'test', baseUrl: server.url, prices: createPrices(), slots: 4, clock: realClock })
  await provider.refresh()
  return {
    provider,
    chatModel: 'small-chat',
    embedModel: 'small-embedding',
    tooLongChars: 5 * contextTokens,
    toolInput: { messages: [{ role: 'user', content: 'Fly to the south.' }], tools: [{ name: 'fly', description: 'Flies.', parameters: { type: 'object', properties: { to: { type: 'string' } }, required: ['to'] } }], toolChoice: 'required' },
    async close() {
      await provider.close()
      await server.close()
    },
  }
})
