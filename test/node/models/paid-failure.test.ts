import { describe, expect, it } from 'vitest'
import { inTurn, say } from '../../support/openai-server/server.ts'
import { expectFailed, follow, skillRun } from '../../contracts/skill-runner.ts'
import { startHost } from './host-fixture.ts'

describe('a call that fails after its tokens were computed', () => {
  it('costs what its provider says, not what is guessed', async () => {
    const { host, server } = await startHost({ prices: { 'test-model': { input: 2, output: 10 } }, server: { script: inTurn(say('no JSON at all', { usage: { prompt_tokens: 100, completion_tokens: 50 } })) } })
    const input = { messages: [{ role: 'user', content: 'Hello?' }], schema: { type: 'object' } }
    const failed = expectFailed(await follow(host, skillRun('llm.chat', input)).ended)
    expect(failed.fault.code).toBe('bad-output')
    expect(server.chats, 'it was asked twice').toHaveLength(2)
    expect(failed.stats).toMatchObject({ tokens: { input: 200, output: 100 }, costUsd: (200 * 2 + 100 * 10) / 1_000_000 })
  })
})
