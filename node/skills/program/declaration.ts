/** A program as the node's configuration declares it, checked and turned into a capability. */
import { resolve } from 'node:path'
import { z } from 'zod'
import { Attributes, Effects, SchemaVersion } from '../../../protocols/capability/schema.ts'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import { CapabilityName } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { Json } from '../../../protocols/kernel/payload.ts'
import type { SkillDescription } from '../skill-module.ts'
import { describeIssues } from '../standard-schema.ts'

/** Text on stdout that is more than this is an error: bigger results are files, see `$file` in `program-files.ts`. */
export const programOutputBytesMax = 1024 * 1024

const Text = z.string().max(4_096)

/**
 * Any command as a leaf capability. It gets the input as one JSON text on stdin and answers with one JSON text on stdout;
 * exit code 0 is success. It is started without a shell.
 *
 * ```yaml
 * programs:
 *   - capability: text.summary
 *     command: python3
 *     args: [summarise.py]
 *     input: { type: object, properties: { text: { type: string } }, required: [text] }
 * ```
 */
export const ProgramDeclaration = z.object({
  capability: CapabilityName,
  version: SchemaVersion.default('1.0'),
  summary: z.string().max(280).optional(),
  /** The executable; or the executable and its first arguments. */
  command: z.union([Text.min(1), z.array(Text).min(1).max(256)]),
  args: z.array(Text).max(256).default([]),
  /** Added to the few harmless variables that programs see. */
  env: z.record(z.string().max(256), Text).default({}),
  /** JSON Schemas. */
  input: Json.optional(),
  output: Json.optional(),
  /** What a program does is not known, so it is taken to act on the outside world unless it says `none`. */
  effects: Effects.default('external'),
  attributes: Attributes.default({}),
  timeMs: z.number().int().min(1).default(limits.skillTimeMsDefault),
  /** Resident memory of the program and all it started. */
  memoryBytes: z.number().int().min(1024 * 1024).default(limits.skillMemoryBytesDefault),
  /** Relative to the configuration file. Absent: a fresh folder per run, removed afterwards. */
  cwd: Text.optional(),
}).strict()
export type ProgramDeclaration = z.input<typeof ProgramDeclaration>

export interface Program {
  readonly description: SkillDescription
  readonly command: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly input?: z.ZodType
  readonly output?: z.ZodType
}

/**
 * @param declared an entry of the configuration's `programs`. @param from the folder that relative paths start at.
 * @throws MeshError `bad-request` that names the capability and the field.
 */
export function readProgram(declared: unknown, from: string): Program {
  const checked = ProgramDeclaration.safeParse(declared)
  if (!checked.success) {
    const name = typeof declared === 'object' && declared !== null && 'capability' in declared ? `"${String(declared.capability)}"` : 'without a name'
    throw new MeshError('bad-request', `the program ${name} is declared wrongly: ${describeIssues(checked.error.issues)}`, { next: 'correct it under "programs" in the configuration' })
  }
  const { capability, version, effects, attributes, timeMs, memoryBytes, env } = checked.data
  const [command = '', ...first] = typeof checked.data.command === 'string' ? [checked.data.command] : checked.data.command
  const args = [...first, ...checked.data.args]
  const schema = (side: 'input' | 'output'): Record<string, z.ZodType> => {
    const declaredSchema = checked.data[side]
    return declaredSchema === undefined ? {} : { [side]: compileSchema(declaredSchema, `the ${side} schema of the program "${capability}"`) }
  }
  return {
    description: {
      capability, version, kind: 'leaf', effects, attributes, limits: { timeMs, memoryBytes }, inline: false,
      summary: checked.data.summary ?? `runs ${[command, ...args].join(' ')}`.slice(0, 280),
      ...(checked.data.input === undefined ? {} : { inputSchema: checked.data.input }),
    },
    // A bare name is looked up in PATH; anything with a slash is a path.
    command: command.includes('/') ? resolve(from, command) : command,
    args,
    env,
    ...(checked.data.cwd === undefined ? {} : { cwd: resolve(from, checked.data.cwd) }),
    ...schema('input'),
    ...schema('output'),
  }
}

/** @throws MeshError `bad-request` for something that is not JSON Schema, or uses keywords that cannot be checked. */
export function compileSchema(schema: Json, what: string): z.ZodType {
  const next = 'use JSON Schema of draft 2020-12 or draft 7, without remote references'
  if (typeof schema !== 'boolean' && (typeof schema !== 'object' || schema === null || Array.isArray(schema))) throw new MeshError('bad-request', `${what} is not a JSON Schema`, { next })
  try {
    return z.fromJSONSchema(schema)
  } catch (thrown) {
    throw new MeshError('bad-request', `${what} cannot be used: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { next })
  }
}
