/** The mesh as a model server: OpenAI's routes, served by whichever node has the model and bids best. */
import { z } from 'zod'
import type { ErrorCode } from '../../../protocols/kernel/errors.ts'
import { ModelName } from '../../../protocols/models/schema.ts'
import { jsonAnswer } from '../answer.ts'
import { answerPieces, answerWhole } from '../openai/chat.ts'
import { ChatCompletion } from '../openai/chat-answer.ts'
import { chatAsked, ChatCompletionRequest } from '../openai/chat-request.ts'
import { answerEmbeddings, embedAsked, EmbeddingList, EmbeddingRequest } from '../openai/embeddings.ts'
import { modelNotFound } from '../openai/invoking.ts'
import { modelsIn, ServedModel } from '../openai/models.ts'
import type { BridgeParts } from '../parts.ts'
import { OpenAiError } from '../problem.ts'
import { readDocument } from '../request-body.ts'
import { defineRoute } from '../route-table.ts'
import type { AnswerSpec, Route } from '../route-table.ts'

const tag = 'models'
const noSuchModel: AnswerSpec = { status: 404, description: '`model_not_found`: the mesh has models, and none of this name.', schema: OpenAiError }
const modelFaults: readonly ErrorCode[] = [
  'bad-input', 'context-overflow', 'too-large', 'no-provider', 'unknown-capability', 'version-mismatch', 'overloaded', 'over-limit', 'deadline-exceeded', 'timeout', 'cancelled',
  'provider-failed', 'bad-output', 'lost-worker', 'skill-failed', 'skill-timeout', 'skill-out-of-memory', 'skill-silent', 'skill-exited',
]

export function openAiRoutes(parts: BridgeParts): Route[] {
  const { mesh, limits } = parts
  return [
    defineRoute({
      method: 'GET', path: '/v1/models', summary: 'The models of the mesh.', tag,
      answers: [{ status: 200, description: 'Each model that a live node serves, by name.', schema: z.object({ object: z.literal('list'), data: z.array(ServedModel) }) }],
      faults: [],
      serve: async ({ c }) => jsonAnswer(c, { object: 'list', data: modelsIn(await mesh.capabilities()) }),
    }),
    defineRoute({
      method: 'GET', path: '/v1/models/{model}', summary: 'One model of the mesh.', tag, params: z.object({ model: ModelName }),
      answers: [{ status: 200, description: 'The model.', schema: ServedModel }, noSuchModel],
      faults: [],
      async serve({ c, params: { model } }) {
        const served = modelsIn(await mesh.capabilities())
        const found = served.find(({ id }) => id === model)
        if (found === undefined) throw modelNotFound(model, undefined, served.map(({ id }) => id))
        return jsonAnswer(c, found)
      },
    }),
    defineRoute({
      method: 'POST', path: '/v1/chat/completions', tag,
      summary: 'An answer of a language model, whole or streamed, as OpenAI\'s chat completions. Who disconnects ends it.',
      body: { required: true, content: { 'application/json': ChatCompletionRequest } },
      answers: [
        { status: 200, description: 'The answer.', schema: ChatCompletion },
        { status: 200, description: 'With `"stream": true` server-sent events: each `data` is a ChatCompletionChunk, the last one `[DONE]`; or an OpenAiError, and nothing after it.', mediaType: 'text/event-stream', schema: z.string() },
        noSuchModel,
      ],
      faults: modelFaults,
      async serve({ c, principal }) {
        const asked = chatAsked(await readDocument(c.env.incoming, limits))
        return asked.stream ? answerPieces(parts, c, principal, asked) : answerWhole(parts, c, principal, asked)
      },
    }),
    defineRoute({
      method: 'POST', path: '/v1/embeddings', tag,
      summary: 'Embeddings of one or more texts, as OpenAI\'s.',
      body: { required: true, content: { 'application/json': EmbeddingRequest } },
      answers: [{ status: 200, description: 'One vector per text, in order.', schema: EmbeddingList }, noSuchModel],
      faults: modelFaults,
      serve: async ({ c, principal }) => answerEmbeddings(parts, c, principal, embedAsked(await readDocument(c.env.incoming, limits))),
    }),
  ]
}
