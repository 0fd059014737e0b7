/** The functions that a model may ask for, and the form of its answer. */
import { z } from 'zod'
import { JsonSchema, ToolSpec } from '../../../protocols/models/schema.ts'
import type { ChatInput, ToolChoice } from '../../../protocols/models/schema.ts'
import { refused } from './refusal.ts'

const functionType = z.literal('function', { error: 'only functions are supported' })
const FunctionName = z.object({ type: functionType, function: z.object({ name: z.string().min(1).max(64) }) })

export const RequestTool = z.object({
  type: functionType,
  function: z.object({
    name: ToolSpec.shape.name,
    description: z.string().max(4_096).nullish(),
    parameters: JsonSchema.nullish(),
    strict: z.boolean().nullish().describe('Taken: how well arguments fit `parameters` is the model\'s affair.'),
  }),
})

export const RequestToolChoice = z.union([
  z.enum(['none', 'auto', 'required']),
  FunctionName,
  z.object({ type: z.literal('allowed_tools'), allowed_tools: z.object({ mode: z.enum(['auto', 'required']), tools: z.array(FunctionName).min(1).max(128) }) }),
], { error: 'is none of "none", "auto", "required", a function and allowed tools' })
export type RequestToolChoice = z.infer<typeof RequestToolChoice>

export const ResponseFormat = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text') }),
  z.object({ type: z.literal('json_object') }),
  z.object({
    type: z.literal('json_schema'),
    json_schema: z.object({ name: z.string().max(64).nullish(), description: z.string().max(4_096).nullish(), schema: JsonSchema.nullish(), strict: z.boolean().nullish() }),
  }),
], { error: 'is none of text, json_object and json_schema' })
export type ResponseFormat = z.infer<typeof ResponseFormat>

/** @throws HttpFault 400 when a function is offered twice, or one is chosen that is not offered. */
export function toolsOf(tools: readonly z.infer<typeof RequestTool>[] | null | undefined, choice: RequestToolChoice | null | undefined): Pick<ChatInput, 'tools' | 'toolChoice'> {
  const offered = new Map<string, ToolSpec>()
  for (const [at, { function: { name, description, parameters } }] of (tools ?? []).entries()) {
    if (offered.has(name)) throw refused(`tools[${at}].function.name`, `the function ${name} is offered twice`, { next: 'give each function a name of its own' })
    offered.set(name, { name, ...(typeof description === 'string' ? { description } : {}), ...(parameters === null || parameters === undefined ? {} : { parameters }) })
  }
  const chosen = choice ?? undefined
  if (offered.size === 0) {
    if (chosen === undefined || chosen === 'none' || chosen === 'auto') return {}
    throw refused('tool_choice', 'tool_choice asks for a function, and none is offered', { next: 'offer it in "tools", or leave "tool_choice" out' })
  }
  if (chosen === undefined || typeof chosen === 'string') return { tools: [...offered.values()], ...(chosen === undefined ? {} : { toolChoice: chosen }) }
  const toolOf = (name: string, param: string) => {
    const tool = offered.get(name)
    if (tool === undefined) throw refused(param, `the function ${name} is chosen and not offered`, { next: `offer it in "tools", or choose one of ${[...offered.keys()].slice(0, 10).join(', ')}` })
    return tool
  }
  if (chosen.type === 'function') {
    const toolChoice: ToolChoice = { name: toolOf(chosen.function.name, 'tool_choice.function.name').name }
    return { tools: [...offered.values()], toolChoice }
  }
  const { mode, tools: allowed } = chosen.allowed_tools
  return { tools: allowed.map(({ function: { name } }, at) => toolOf(name, `tool_choice.allowed_tools.tools[${at}].function.name`)), toolChoice: mode }
}

/** What the answer must fit; undefined: it is text. */
export function schemaOf(format: ResponseFormat | null | undefined): JsonSchema | undefined {
  switch (format?.type) {
    case undefined: case 'text': return undefined
    case 'json_object': return { type: 'object', additionalProperties: true }
    case 'json_schema': {
      const { schema, description } = format.json_schema
      return { ...(typeof description === 'string' ? { description } : {}), ...(schema ?? { type: 'object', additionalProperties: true }) }
    }
  }
}
