/** An adapter on real clocks, and the scripted server that it talks to; both are closed when the test ends. */
import { onTestFinished } from 'vitest'
import type { Clock } from '../../../../actors/ports/clock.ts'
import type { Fact } from '../../../../actors/ports/telemetry.ts'
import { createOpenAiProvider } from '../../../../node/models/openai/openai-adapter.ts'
import type { OpenAiProvider, OpenAiProviderOptions } from '../../../../node/models/openai/openai-adapter.ts'
import { createPrices } from '../../../../node/models/prices.ts'
import type { ChatInput } from '../../../../protocols/models/schema.ts'
import { startOpenAiServer } from '../../../support/openai-server/server.ts'
import type { OpenAiServer, OpenAiServerOptions } from '../../../support/openai-server/server.ts'

export const realClock: Pick<Clock, 'monotonicMs' | 'schedule' | 'wallMs'> = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  schedule(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
}

export const never = new AbortController().signal

export function asks(content: string, more: Partial<ChatInput> = {}): ChatInput {
  return { messages: [{ role: 'user', content }], ...more }
}

export interface Opened {
  readonly server: OpenAiServer
  readonly provider: OpenAiProvider
  readonly facts: Fact[]
}

/** Retries are quick, and there are none unless asked for. */
export async function open(serverOptions: OpenAiServerOptions = {}, options: Partial<OpenAiProviderOptions> = {}): Promise<Opened> {
  const server = await startOpenAiServer(serverOptions)
  onTestFinished(() => server.close())
  const facts: Fact[] = []
  const provider = createOpenAiProvider({
    name: 'test', baseUrl: server.url, prices: createPrices(), slots: 8, clock: realClock, retriesMax: 0, retryBaseMs: 5,
    telemetry: { record: (fact) => void facts.push(fact) },
    ...options,
  })
  onTestFinished(() => provider.close())
  return { server, provider, facts }
}
