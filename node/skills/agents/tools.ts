/** The mesh's capabilities as functions that a model may call, by the role's policy. */
import { MeshError } from '../../../protocols/kernel/errors.ts'
import type { Json } from '../../../protocols/kernel/payload.ts'
import type { JsonSchema, ToolSpec } from '../../../protocols/models/schema.ts'
import type { OfferedCapability, SkillContext } from '../define-skill.ts'
import { type ValueCheck, checkOf } from './json-answer.ts'
import { agentLimits } from './limits.ts'
import { ranked } from './shortlist.ts'

export interface Tool {
  readonly spec: ToolSpec
  readonly capability: string
  readonly version: string
  /** The capability's input is no object: it stands under `input` among the function's arguments. */
  readonly isWrapped: boolean
  /** Of the capability's input; absent when its schema is not known, or cannot be checked here: the skill checks it anyway. */
  readonly check?: ValueCheck
}

/** Capitals keep it apart from every capability. */
export const readMoreName = 'readMore'

export const readMoreSpec: ToolSpec = {
  name: readMoreName,
  description: `Reads part of a result or file of which only the beginning and end were shown. At most ${agentLimits.readCharsMax} characters at a time.`,
  parameters: {
    type: 'object',
    properties: {
      of: { type: 'string', description: 'its label, as it was shown' },
      from: { type: 'integer', minimum: 0, description: 'first character, counted from 0' },
      chars: { type: 'integer', minimum: 1, maximum: agentLimits.readCharsMax },
    },
    required: ['of', 'from'],
  },
}

/** `docs.search` → `docs_search`. Capabilities have no underscores, so that nothing is lost. */
export function functionName(capability: string): string {
  return capability.replaceAll('.', '_')
}

export function capabilityOf(functionName: string): string {
  return functionName.replaceAll('_', '.')
}

/** Whether a pattern, without its minus, is about this capability. */
export function isAbout(pattern: string, capability: string): boolean {
  const source = pattern.replace(/^-/, '').split('*').map((text) => text.replaceAll(/[.\\+?^${}()|[\]]/g, '\\$&')).join('.*')
  return new RegExp(`^${source}$`).test(capability)
}

/** Never as tools: an agent neither starts agents nor asks models but through its own loop. */
const ownRooms = ['agent.*', 'llm.*']

/**
 * @param patterns of the role: absent allows all, a list without anything allowed allows all that it does not forbid.
 * @param mayAct capabilities with effects outside are allowed, too: those that a pattern other than `*` names.
 */
export function isAllowed(patterns: readonly string[] | undefined, offered: Pick<OfferedCapability, 'name' | 'kind' | 'effects'>, mayAct: boolean): boolean {
  if (offered.kind !== 'leaf' || ownRooms.some((pattern) => isAbout(pattern, offered.name))) return false
  const allowed = patterns?.filter((pattern) => !pattern.startsWith('-')) ?? []
  const forbidden = patterns?.filter((pattern) => pattern.startsWith('-')) ?? []
  if (forbidden.some((pattern) => isAbout(pattern, offered.name))) return false
  if (offered.effects === 'external') return mayAct && allowed.some((pattern) => pattern !== '*' && isAbout(pattern, offered.name))
  if (patterns !== undefined && patterns.length === 0) return false
  return allowed.length === 0 || allowed.some((pattern) => isAbout(pattern, offered.name))
}

/** What says of itself that it is `Part of repo.report.` takes what only that can make. */
export function isPartOfAnother({ summary }: Pick<OfferedCapability, 'summary'>): boolean {
  return /\bPart of [a-z0-9.-]+\.$/.test(summary.trim())
}

/** Of each capability the newest version. */
export function newest(offered: readonly OfferedCapability[]): OfferedCapability[] {
  const byName = new Map<string, OfferedCapability>()
  for (const one of offered) {
    const other = byName.get(one.name)
    if (other === undefined || isNewer(one.version, other.version)) byName.set(one.name, one)
  }
  return [...byName.values()]
}

function isNewer(left: string, right: string): boolean {
  const [major = 0, minor = 0] = left.split('.').map(Number)
  const [otherMajor = 0, otherMinor = 0] = right.split('.').map(Number)
  return major > otherMajor || (major === otherMajor && minor > otherMinor)
}

/** The functions for a task: those allowed, the likeliest first, as many as may be. */
export async function toolsFor(context: Pick<SkillContext, 'inputSchema'>, offered: readonly OfferedCapability[], policy: { readonly patterns: readonly string[] | undefined; readonly mayAct: boolean; readonly goal: string }): Promise<Tool[]> {
  const allowed = newest(offered).filter((one) => isAllowed(policy.patterns, one, policy.mayAct) && !isPartOfAnother(one))
  const chosen = ranked(allowed, (one) => `${one.name} ${one.summary}`, policy.goal).slice(0, agentLimits.toolsMax)
  return await Promise.all(chosen.map(async (one) => toolOf(one, await context.inputSchema(one.name, one.version))))
}

export function toolOf(offered: Pick<OfferedCapability, 'name' | 'version' | 'summary'>, inputSchema: Json | undefined): Tool {
  const schema = isObject(inputSchema) ? inputSchema : undefined
  const isWrapped = schema !== undefined && schema['type'] !== 'object'
  const check = schema === undefined ? undefined : checkIfPossible(schema)
  return {
    spec: {
      name: functionName(offered.name),
      description: offered.summary,
      parameters: schema === undefined ? { type: 'object', additionalProperties: true } : isWrapped ? wrapped(schema) : schema,
    },
    capability: offered.name,
    version: offered.version,
    isWrapped,
    ...(check === undefined ? {} : { check }),
  }
}

function checkIfPossible(schema: JsonSchema): ValueCheck | undefined {
  try {
    return checkOf(schema, 'the schema')
  } catch (thrown) {
    if (thrown instanceof MeshError) return undefined
    throw thrown
  }
}

/** References of a schema start at its root, and so do its definitions when it is put into another. */
export function wrapped(schema: JsonSchema, under = 'input', beside: Record<string, unknown> = {}): JsonSchema {
  const { $defs, $schema: _, ...inner } = schema
  return { type: 'object', properties: { ...beside, [under]: inner }, required: [...Object.keys(beside), under], ...($defs === undefined ? {} : { $defs }) }
}

function isObject(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
