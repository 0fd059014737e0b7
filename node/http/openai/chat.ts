/** `POST /v1/chat/completions`: one answer, whole or piece by piece. */
import type { ServerResponse } from 'node:http'
import type { Json } from '../../../protocols/kernel/payload.ts'
import type { Principal } from '../../../protocols/kernel/ids.ts'
import { fault, MeshError } from '../../../protocols/kernel/errors.ts'
import { chatCapability, ChatOutput } from '../../../protocols/models/schema.ts'
import { jsonAnswer, written } from '../answer.ts'
import type { BridgeParts } from '../parts.ts'
import { HttpFault, openAiErrorOf } from '../problem.ts'
import type { OpenAiError } from '../problem.ts'
import type { BridgeContext } from '../route-table.ts'
import { checkedOutput, completionId, completionOf, finishNameOf, nowInSeconds, provenanceOf, usageOf } from './chat-answer.ts'
import type { ChatCompletionChunk, ChunkDelta } from './chat-answer.ts'
import type { ChatAsked } from './chat-request.ts'
import { createDeltaWriter } from './delta-writer.ts'
import { ClientGone, clientSignal, invokeModel, modelTimeMsMax, nobodyAnswered } from './invoking.ts'

/** The whole answer as one document. */
export async function answerWhole({ mesh, limits }: BridgeParts, c: BridgeContext, principal: Principal, { input, model, callsMax }: ChatAsked): Promise<Response> {
  const outgoing = c.env.outgoing as ServerResponse
  // Nothing moves on the connection until the answer is there.
  outgoing.setTimeout(modelTimeMsMax + limits.stallMs)
  try {
    const invoked = await invokeModel(mesh, { capability: chatCapability, model, input, principal, signal: clientSignal(outgoing) })
    return jsonAnswer(c, completionOf(invoked, checkedOutput(ChatOutput, invoked), callsMax))
  } catch (thrown) {
    if (thrown instanceof ClientGone) return nobodyAnswered()
    throw thrown
  }
}

/**
 * The answer as server-sent events. Nothing is written before the first piece, or the first sign of life: what goes wrong until then is answered
 * with its own status. Afterwards it is the last event.
 */
export async function answerPieces({ mesh, streams, limits, log }: BridgeParts, c: BridgeContext, principal: Principal, { input, model, includeUsage, callsMax }: ChatAsked): Promise<Response> {
  const over = new AbortController()
  const { signal } = over
  const stream = streams.openOnce(c, () => over.abort(new HttpFault(fault('cancelled', 'this bridge is stopping before the answer is complete', { retryable: true, next: 'ask again at another bridge of the mesh' }))))
  stream.onClosed(() => over.abort(new ClientGone()))

  const head = { id: completionId(), object: 'chat.completion.chunk', created: nowInSeconds(), model: model ?? 'auto' } as const
  const noUsageYet = includeUsage ? { usage: null } : {}
  const writer = createDeltaWriter({
    stream,
    chunkOf: (delta: ChunkDelta): ChatCompletionChunk => ({ ...head, choices: [{ index: 0, delta, logprobs: null, finish_reason: null }], ...noUsageYet }),
    callsMax,
    waitingMax: limits.streamQueueBytesMax,
    tooSlow: () => over.abort(new HttpFault(fault('overloaded', `the client reads more slowly than the model writes, and ${limits.streamQueueBytesMax} characters wait for it`, { next: 'read the stream as it comes, or ask for less with "max_tokens"' }))),
  })
  const onChunk = (chunk: Json): void => {
    if (!signal.aborted && !writer.push(chunk)) over.abort(new HttpFault(fault('bad-output', 'the answering node sent a piece that this bridge does not know', { next: 'run the same release of Skein on both nodes' })))
  }

  try {
    const invoked = await invokeModel(mesh, { capability: chatCapability, model, input, principal, signal, onChunk })
    const output = checkedOutput(ChatOutput, invoked)
    // Its node does not stream, or kept the answer from before.
    if (!writer.begun) writer.pushWhole(output.content, output.toolCalls)
    await writer.drained()
    if (signal.aborted) throw signal.reason
    const tail = { ...head, model: output.model, system_fingerprint: invoked.by.name }
    const skein = provenanceOf(invoked, output.cached)
    stream.send({ data: { ...tail, choices: [{ index: 0, delta: {}, logprobs: null, finish_reason: finishNameOf(output.finish) }], ...noUsageYet, ...(includeUsage ? {} : { skein }) } satisfies ChatCompletionChunk })
    if (includeUsage) stream.send({ data: { ...tail, choices: [], usage: usageOf(output.usage), skein } satisfies ChatCompletionChunk })
    stream.sendLine('[DONE]')
    stream.end()
    return written(200)
  } catch (thrown) {
    if (thrown instanceof ClientGone) return nobodyAnswered()
    if (stream.withdraw()) throw thrown
    if (!(thrown instanceof HttpFault || thrown instanceof MeshError)) log.record({ name: 'http.failed', level: 'error', fields: { method: 'POST', route: c.get('route'), detail: String(thrown), stack: thrown instanceof Error ? thrown.stack : undefined } })
    stream.end(undefined, { data: errorOf(thrown) })
    return written(200)
  }
}

function errorOf(thrown: unknown): OpenAiError {
  if (thrown instanceof HttpFault) return openAiErrorOf(thrown.fault, thrown.options)
  if (thrown instanceof MeshError) return openAiErrorOf(thrown.fault)
  return openAiErrorOf(fault('internal', 'an unexpected error inside the node', { next: 'see the node\'s log (http.failed) and report it' }))
}
