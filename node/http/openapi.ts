/**
 * The description of the bridge (OpenAPI 3.1), generated from the route table and the schemas that the routes check with.
 * By zod's own JSON Schema: the generator of `@hono/zod-openapi` 1.6 overflows the stack on a recursive schema (`TaskView`).
 */
import { z } from 'zod'
import { BidSummary, RefusalSummary } from '../../protocols/bidding/schema.ts'
import { Advert, Capability } from '../../protocols/capability/schema.ts'
import { CapabilityView, NodeView } from '../../protocols/capability/views.ts'
import { Fault } from '../../protocols/kernel/errors.ts'
import type { ErrorCode } from '../../protocols/kernel/errors.ts'
import { BlobRef } from '../../protocols/kernel/payload.ts'
import { IndexedEvent, MissionRequest, Plan, ProgressNote } from '../../protocols/tasking/schema.ts'
import { AttemptView, DeadView, MissionView, QueueView, ResultView, TaskView, WhyView } from '../../protocols/tasking/views.ts'
import { LogLine } from '../telemetry/log-line.ts'
import { ChatCompletion, ChatCompletionChunk } from './openai/chat-answer.ts'
import { ChatCompletionRequest } from './openai/chat-request.ts'
import { EmbeddingList, EmbeddingRequest } from './openai/embeddings.ts'
import { ServedModel } from './openai/models.ts'
import { isOpenAiPath, OpenAiError, Problem, statusFor } from './problem.ts'
import type { BodySpec, Route } from './route-table.ts'

type JsonObject = Record<string, unknown>

/** Schemas that get a name of their own in the description; the same in requests and in answers. */
const named: Readonly<Record<string, z.ZodType>> = {
  Advert, AttemptView, BidSummary, BlobRef, Capability, CapabilityView, ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, DeadView, EmbeddingList, EmbeddingRequest,
  Fault, IndexedEvent, LogLine, MissionRequest, MissionView, Model: ServedModel, NodeView, OpenAiError, Plan, Problem, ProgressNote, QueueView, RefusalSummary, ResultView,
  TaskView, WhyView,
}

/** Codes that any route may answer with. */
const everywhere: readonly ErrorCode[] = ['bad-request', 'unauthorised', 'forbidden', 'internal']

export function describeRoutes(routes: readonly Route[], version: string): JsonObject {
  const schemas: JsonObject = {}
  const describe = schemaDescriber(schemas)
  // What the streams of events carry as text is described too.
  for (const schema of [IndexedEvent, ProgressNote, ChatCompletionChunk]) describe(schema, 'output')
  const paths: Record<string, JsonObject> = {}
  for (const route of routes) {
    const operations = (paths[route.path] ??= {})
    operations[route.method.toLowerCase()] = operationOf(route, describe)
    if (route.hasHead) operations['head'] = headOf(route, describe)
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Skein bridge', version, description: 'Missions, nodes and content of a Skein mesh. A mission\'s id is good at every bridge of the mesh.', license: { name: 'MIT', identifier: 'MIT' } },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }, {}],
    paths,
    components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer', description: 'Demanded where tokens are configured, always when the bridge listens beyond loopback.' } }, schemas },
  }
}

type Describe = (schema: z.ZodType, io: 'input' | 'output') => unknown

/** Turns schemas into JSON Schema; the named ones are put into `schemas` and referred to. */
function schemaDescriber(schemas: JsonObject): Describe {
  const registry = z.registry<{ id: string }>()
  for (const [id, schema] of Object.entries(named)) registry.add(schema, { id })
  return (schema, io) => {
    // Wrapped, so that a named schema at the top is referred to like one further down.
    const { $defs = {}, properties } = z.toJSONSchema(z.object({ it: schema }), { metadata: registry, io, unrepresentable: 'any' })
    for (const [name, definition] of Object.entries($defs)) schemas[name] ??= hoisted(definition)
    return hoisted((properties as JsonObject)['it'])
  }
}

function hoisted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(hoisted)
  if (value === null || typeof value !== 'object') return value
  const entries = Object.entries(value).filter(([key, inner]) => !(key === 'id' && typeof inner === 'string' && inner in named))
  return Object.fromEntries(entries.map(([key, inner]) => [key, key === '$ref' && typeof inner === 'string' ? inner.replace('#/$defs/', '#/components/schemas/') : hoisted(inner)]))
}

function operationOf(route: Route, describe: Describe): JsonObject {
  return {
    operationId: operationIdOf(route.method, route.path),
    summary: route.summary,
    tags: [route.tag],
    ...(route.open === true ? { security: [] } : {}),
    parameters: parametersOf(route, describe),
    ...(route.body === undefined ? {} : { requestBody: bodyOf(route.body, describe) }),
    responses: { ...answersOf(route, describe), ...faultsOf(route, describe) },
  }
}

function headOf(route: Route, describe: Describe): JsonObject {
  return {
    operationId: operationIdOf('HEAD', route.path),
    summary: 'Is it here? (no body, nothing is fetched from other nodes)',
    tags: [route.tag],
    parameters: parametersOf(route, describe),
    responses: { 200: { description: 'This node has it.' }, 404: { description: 'This node does not have it.' } },
  }
}

/** `GET /v1/missions/{id}/tasks` → `getMissionsByIdTasks` */
function operationIdOf(method: string, path: string): string {
  const words = path.split('/').filter((part) => part !== '' && part !== 'v1').map((part) => part.replace(/^\{(.*)\}$/, 'by-$1').replace(/\W+(\w)/g, (_all, letter: string) => letter.toUpperCase()))
  return method.toLowerCase() + (words.length === 0 ? 'FrontPage' : words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join(''))
}

function parametersOf(route: Route, describe: Describe): JsonObject[] {
  const parameters: JsonObject[] = []
  for (const [name, schema] of Object.entries(route.params?.shape ?? {})) parameters.push({ name, in: 'path', required: true, schema: describe(schema as z.ZodType, 'input') })
  for (const [name, schema] of Object.entries(route.query?.shape ?? {})) {
    const { description } = schema as z.ZodType
    parameters.push({ name, in: 'query', required: false, ...(description === undefined ? {} : { description }), schema: describe(schema as z.ZodType, 'input') })
  }
  for (const { name, description } of route.headers ?? []) parameters.push({ name, in: 'header', required: false, description, schema: { type: 'string' } })
  return parameters
}

function bodyOf(body: BodySpec, describe: Describe): JsonObject {
  return { required: body.required, content: Object.fromEntries(Object.entries(body.content).map(([mediaType, schema]) => [mediaType, { schema: describe(schema, 'input') }])) }
}

function answersOf(route: Route, describe: Describe): JsonObject {
  const byStatus: Record<number, { description: string; content?: JsonObject }> = {}
  for (const { status, description, schema, mediaType = 'application/json' } of route.answers) {
    // An answer may come in one of several media types.
    const before = byStatus[status]
    const content = { ...before?.content, ...(schema === undefined ? {} : { [mediaType]: { schema: describe(schema, 'output') } }) }
    byStatus[status] = { description: before === undefined ? description : `${before.description} ${description}`, ...(Object.keys(content).length === 0 ? {} : { content }) }
  }
  return byStatus
}

function faultsOf(route: Route, describe: Describe): JsonObject {
  const codesByStatus = new Map<number, ErrorCode[]>()
  for (const code of new Set([...route.faults, ...(route.open === true ? everywhere.filter((code) => code !== 'unauthorised') : everywhere)])) {
    const status = statusFor(route.path, code)
    codesByStatus.set(status, [...(codesByStatus.get(status) ?? []), code])
  }
  const content = isOpenAiPath(route.path)
    ? { 'application/json': { schema: describe(OpenAiError, 'output') } }
    : { 'application/problem+json': { schema: describe(Problem, 'output') } }
  return Object.fromEntries([...codesByStatus].map(([status, codes]) => [status, {
    description: codes.map((code) => `\`${code}\``).join(', '),
    ...(status === 429 ? { headers: { 'Retry-After': { description: 'Seconds.', schema: { type: 'integer' } } } } : {}),
    content,
  }]))
}
