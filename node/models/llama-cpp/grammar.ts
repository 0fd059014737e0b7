/**
 * JSON Schema, cut to what the grammars of node-llama-cpp can say. The library ignores the rest without a word (`anyOf`, `minimum`, `pattern`, …),
 * and writes every property of an object whether it is required or not; so here alternatives are spelled out, small ranges of integers become lists,
 * and it is told whether the grammar still says all that the schema does. Where it does not, an answer has to be checked.
 */
import type { GbnfJsonSchema } from 'node-llama-cpp'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import type { JsonSchema } from '../../../protocols/models/schema.ts'

export interface Grammar {
  readonly root: GbnfJsonSchema
  /** What `root` refers to as `#/$defs/NAME`. */
  readonly definitions: Readonly<Record<string, GbnfJsonSchema>>
  /** Whatever the grammar lets through fits the original schema. */
  readonly exact: boolean
}

/** A range of integers of at most so many values is spelled out. */
const listedIntegersMax = 128
/** Longer repetitions make grammars that take long to build; they are left to the check. */
const repetitionsMax = 512
/** In how many ways an object may leave out optional properties; doubled by each of them, multiplied by each level. */
const variantsMax = 16
const depthMax = 64

type Node = Readonly<Record<string, unknown>>
type Scalar = string | number | boolean | null

/** What the rewriting of one schema has found. */
interface Progress {
  exact: boolean
  readonly prefix: string
  readonly definitions: Readonly<Record<string, unknown>>
  /** Names of definitions in use → their rewritten form; present but undefined while being made. */
  readonly made: Map<string, GbnfJsonSchema | undefined>
}

/** Where in the schema: how deep, and how often this part is repeated because of variants further up. */
interface Place {
  readonly depth: number
  readonly copies: number
}

/**
 * @param prefix of the names of definitions, for grammars that become parts of one.
 * @throws MeshError `bad-input` for a schema that nothing can fit, or that is nested without end.
 */
export function grammarOf(schema: JsonSchema, prefix = 'd'): Grammar {
  const progress: Progress = { exact: true, prefix, definitions: definitionsOf(schema), made: new Map() }
  const root = rewrite(schema, progress, { depth: 0, copies: 1 })
  const made = [...progress.made].flatMap(([name, definition]) => (definition === undefined ? [] : [[name, definition] as const]))
  return { root, definitions: Object.fromEntries(made), exact: progress.exact }
}

/** The form that `createGrammarForJsonSchema` takes. Definitions must stand at a place that may have them; a choice of one is such a place. */
export function wholeSchema({ root, definitions }: Pick<Grammar, 'root' | 'definitions'>): GbnfJsonSchema {
  return Object.keys(definitions).length === 0 ? root : ({ oneOf: [root], $defs: definitions } as GbnfJsonSchema)
}

function definitionsOf(schema: Node): Record<string, unknown> {
  const found: Record<string, unknown> = {}
  for (const key of ['definitions', '$defs']) if (isNode(schema[key])) for (const [name, definition] of Object.entries(schema[key])) found[`${key}/${name}`] = definition
  found[''] = schema
  return found
}

function rewrite(schema: unknown, progress: Progress, place: Place): GbnfJsonSchema {
  if (place.depth > depthMax) throw new MeshError('bad-input', `the schema of the answer is nested more than ${depthMax} levels deep`, { next: 'ask for a flatter answer' })
  if (schema === true || schema === undefined) return anything()
  if (!isNode(schema)) throw unsatisfiable()
  const deeper = { depth: place.depth + 1, copies: place.copies }

  if (typeof schema['$ref'] === 'string') return reference(schema['$ref'], progress)
  noteUnsaid(schema, progress)
  if ('const' in schema) return literal(schema['const'])
  if (Array.isArray(schema['enum'])) return oneOf(schema['enum'].map(literal))
  for (const key of ['anyOf', 'oneOf'] as const) {
    const alternatives = schema[key]
    if (!Array.isArray(alternatives)) continue
    // What stands beside the alternatives holds for each of them.
    const { [key]: _, ...beside } = schema
    // Exactly one of them may fit, which no grammar can say.
    if (key === 'oneOf' && alternatives.length > 1 && !areDistinct(alternatives)) progress.exact = false
    return oneOf(alternatives.filter((each) => each !== false).map((each) => rewrite(merged(beside, each, progress), progress, deeper)))
  }
  if (Array.isArray(schema['allOf'])) {
    const { allOf, ...beside } = schema
    return rewrite((allOf as unknown[]).reduce<unknown>((sum, each) => merged(sum, resolved(each, progress), progress), beside), progress, deeper)
  }
  const types = typesOf(schema)
  return oneOf(types.map((type) => ofType(type, schema, progress, deeper)))
}

function ofType(type: string, schema: Node, progress: Progress, place: Place): GbnfJsonSchema {
  switch (type) {
    case 'object':
      return objectOf(schema, progress, place)
    case 'array':
      return arrayOf(schema, progress, place)
    case 'string':
      return stringOf(schema, progress)
    case 'integer':
      return integerOf(schema, progress)
    case 'number':
      if (['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'].some((key) => key in schema)) progress.exact = false
      return { type: 'number' }
    case 'boolean':
    case 'null':
      return { type }
    default:
      throw new MeshError('bad-input', `the schema of the answer asks for the type "${type}", which JSON does not have`, { next: 'use string, number, integer, boolean, null, object or array' })
  }
}

function objectOf(schema: Node, progress: Progress, place: Place): GbnfJsonSchema {
  const declared = isNode(schema['properties']) ? schema['properties'] : {}
  const required = new Set(Array.isArray(schema['required']) ? schema['required'].filter((name) => typeof name === 'string') : [])
  const names = [...Object.keys(declared), ...[...required].filter((name) => !Object.hasOwn(declared, name))]
  const optional = names.filter((name) => !required.has(name) && declared[name] !== false)
  for (const key of ['minProperties', 'maxProperties']) if (key in schema && names.length > 0) progress.exact = false
  if (names.length === 0) return openObject(schema, progress, place)

  const variants = 2 ** optional.length
  const spelledOut = place.copies * variants <= variantsMax
  const build = (kept: (name: string) => boolean): GbnfJsonSchema => {
    const inner = { depth: place.depth, copies: spelledOut ? place.copies * variants : place.copies }
    const entries = names.filter((name) => declared[name] !== false && (required.has(name) || kept(name))).map((name) => [name, rewrite(declared[name], progress, inner)] as const)
    return { type: 'object', properties: Object.fromEntries(entries) }
  }
  // Too many ways: everything is written but what would lead back to where it stands, perhaps without end.
  if (!spelledOut) return build((name) => !JSON.stringify(declared[name] ?? true).includes('"$ref"'))
  return oneOf(Array.from({ length: variants }, (_, variant) => build((name) => (variant & (1 << optional.indexOf(name))) === 0)))
}

function openObject(schema: Node, progress: Progress, place: Place): GbnfJsonSchema {
  const { additionalProperties: more, minProperties, maxProperties } = schema
  if (more === false) return { type: 'object', properties: {} }
  const between = { ...repetitions('minProperties', minProperties, progress), ...repetitions('maxProperties', maxProperties, progress) }
  // The library joins whatever it finds: without a property of its own it needs the word that others may come.
  return { type: 'object', additionalProperties: more === undefined || more === true ? true : rewrite(more, progress, place), ...between } as GbnfJsonSchema
}

function arrayOf(schema: Node, progress: Progress, place: Place): GbnfJsonSchema {
  const { items, prefixItems, minItems, maxItems } = schema
  // Draft 7 writes a tuple as `items`.
  const written = Array.isArray(prefixItems) ? prefixItems : Array.isArray(items) ? items : undefined
  const tuple = typeof maxItems === 'number' ? written?.slice(0, maxItems) : written
  const rest = Array.isArray(items) ? schema['additionalItems'] : items
  const first = tuple === undefined ? {} : { prefixItems: tuple.map((item) => rewrite(item, progress, place)) }
  if (rest === false) return { type: 'array', ...first, minItems: tuple?.length ?? 0, maxItems: tuple?.length ?? 0 } as GbnfJsonSchema
  return {
    type: 'array', ...first,
    ...(rest === undefined || rest === true ? {} : { items: rewrite(rest, progress, place) }),
    ...repetitions('minItems', minItems, progress), ...repetitions('maxItems', maxItems, progress),
  } as GbnfJsonSchema
}

function stringOf(schema: Node, progress: Progress): GbnfJsonSchema {
  const { format, pattern, minLength, maxLength } = schema
  const knownFormat = format === 'date-time' || format === 'date' || format === 'time'
  // A grammar knows the shape of a date, not how many days a month has.
  if (pattern !== undefined || format !== undefined) progress.exact = false
  // Characters to the grammar, UTF-16 units to the check.
  if (maxLength !== undefined) progress.exact = false
  if (knownFormat && pattern === undefined) return { type: 'string', format }
  return { type: 'string', ...repetitions('minLength', minLength, progress), ...repetitions('maxLength', maxLength, progress) }
}

function integerOf(schema: Node, progress: Progress): GbnfJsonSchema {
  const bound = (key: string): number | undefined => (typeof schema[key] === 'number' ? schema[key] : undefined)
  const [minimum, maximum, above, below, step] = [bound('minimum'), bound('maximum'), bound('exclusiveMinimum'), bound('exclusiveMaximum'), bound('multipleOf')]
  const first = Math.max(minimum === undefined ? -Infinity : Math.ceil(minimum), above === undefined ? -Infinity : Math.floor(above) + 1)
  const last = Math.min(maximum === undefined ? Infinity : Math.floor(maximum), below === undefined ? Infinity : Math.ceil(below) - 1)
  if (first > last) throw unsatisfiable()
  if (last - first < listedIntegersMax) {
    const values = Array.from({ length: last - first + 1 }, (_, index) => first + index).filter((value) => step === undefined || value % step === 0)
    if (values.length === 0) throw unsatisfiable()
    return { enum: values }
  }
  if (first !== -Infinity || last !== Infinity || step !== undefined) progress.exact = false
  return { type: 'integer' }
}

function repetitions<Key extends string>(key: Key, value: unknown, progress: Progress): Partial<Record<Key, number>> {
  if (typeof value !== 'number') return {}
  if (value > repetitionsMax) {
    progress.exact = false
    return {}
  }
  return { [key]: value } as Record<Key, number>
}

function reference(pointer: string, progress: Progress): GbnfJsonSchema {
  const name = definitionName(pointer, progress)
  const known = progress.made.has(name.grammar)
  if (!known) {
    progress.made.set(name.grammar, undefined)
    progress.made.set(name.grammar, rewrite(name.definition, progress, { depth: 0, copies: 1 }))
  }
  return { $ref: `#/$defs/${name.grammar}` } as GbnfJsonSchema
}

function definitionName(pointer: string, progress: Progress): { readonly grammar: string; readonly definition: unknown } {
  const key = pointer.replace(/^#\/?/, '').replaceAll('~1', '/').replaceAll('~0', '~')
  if (!pointer.startsWith('#') || !Object.hasOwn(progress.definitions, key)) throw new MeshError('bad-input', `the schema of the answer refers to "${pointer}", which is not in it`, { next: 'put it under "$defs" of the schema itself' })
  return { grammar: `${progress.prefix}${Object.keys(progress.definitions).indexOf(key)}`, definition: progress.definitions[key] }
}

function resolved(schema: unknown, progress: Progress): unknown {
  return isNode(schema) && typeof schema['$ref'] === 'string' ? definitionName(schema['$ref'], progress).definition : schema
}

/** Both at once, as far as that can be written as one schema. */
function merged(left: unknown, right: unknown, progress: Progress): unknown {
  if (!isNode(right)) return right === false ? false : left
  if (!isNode(left)) return left === false ? false : right
  if (Object.keys(left).filter((key) => !silent.has(key)).length === 0) return right
  const target = isNode(right) && typeof right['$ref'] === 'string' ? resolved(right, progress) : right
  if (!isNode(target)) return left
  for (const key of Object.keys(target)) if (!silent.has(key) && key in left && !mergeable.has(key) && JSON.stringify(left[key]) !== JSON.stringify(target[key])) progress.exact = false
  return {
    ...left, ...target,
    ...(isNode(left['properties']) && isNode(target['properties']) ? { properties: { ...left['properties'], ...target['properties'] } } : {}),
    ...(Array.isArray(left['required']) && Array.isArray(target['required']) ? { required: [...left['required'] as unknown[], ...target['required'] as unknown[]] } : {}),
  }
}

const mergeable = new Set(['properties', 'required'])
/** Keywords for people. */
const silent = new Set(['title', 'description', '$comment', 'examples', 'default', '$schema', '$id', '$defs', 'definitions', 'deprecated', 'readOnly', 'writeOnly'])
/** Keywords that no grammar can say; whoever meets one has to check. */
const unsaid = ['not', 'if', 'then', 'else', 'contains', 'minContains', 'maxContains', 'uniqueItems', 'patternProperties', 'propertyNames', 'dependentRequired', 'dependentSchemas', 'dependencies', 'unevaluatedProperties', 'unevaluatedItems', '$dynamicRef']

function noteUnsaid(schema: Node, progress: Progress): void {
  if (unsaid.some((key) => key in schema && schema[key] !== false)) progress.exact = false
}

function typesOf(schema: Node): string[] {
  const { type } = schema
  if (typeof type === 'string') return [type]
  if (Array.isArray(type)) return type.includes('number') ? type.filter((each) => each !== 'integer') : type
  if (['properties', 'required', 'additionalProperties'].some((key) => key in schema)) return ['object']
  if (['items', 'prefixItems', 'minItems', 'maxItems'].some((key) => key in schema)) return ['array']
  if (['pattern', 'format', 'minLength', 'maxLength'].some((key) => key in schema)) return ['string']
  if (['minimum', 'maximum', 'multipleOf'].some((key) => key in schema)) return ['number']
  return ['object', 'array', 'string', 'number', 'boolean', 'null']
}

/** Whether no value can fit two of them: each names one type of its own, or constants do. */
function areDistinct(alternatives: readonly unknown[]): boolean {
  const marks = alternatives.map((each) => (isNode(each) ? ('const' in each ? JSON.stringify(each['const']) : typeof each['type'] === 'string' ? each['type'] : undefined) : undefined))
  if (marks.every((mark) => mark !== undefined) && new Set(marks).size === marks.length) return !(marks.includes('number') && marks.includes('integer'))
  // Objects that a constant tells apart.
  const tags = alternatives.map((each) => (isNode(each) && isNode(each['properties']) ? Object.entries(each['properties']).find(([, property]) => isNode(property) && 'const' in property) : undefined))
  const texts = tags.map((tag) => (tag === undefined ? undefined : JSON.stringify([tag[0], (tag[1] as Node)['const']])))
  return tags.every((tag) => tag !== undefined && tag[0] === tags[0]?.[0]) && new Set(texts).size === texts.length
}

function literal(value: unknown): GbnfJsonSchema {
  if (Array.isArray(value)) return { type: 'array', prefixItems: value.map(literal), minItems: value.length, maxItems: value.length } as GbnfJsonSchema
  if (isNode(value)) return { type: 'object', properties: Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, literal(inner)])) }
  return { const: value as Scalar }
}

function oneOf(alternatives: readonly GbnfJsonSchema[]): GbnfJsonSchema {
  const [only] = alternatives
  if (only === undefined) throw unsatisfiable()
  return alternatives.length === 1 ? only : { oneOf: alternatives }
}

function anything(): GbnfJsonSchema {
  return { oneOf: [{ type: ['string', 'number', 'boolean', 'null'] }, { type: 'array' }, { type: 'object', additionalProperties: true }] }
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function unsatisfiable(): MeshError {
  return new MeshError('bad-input', 'the schema of the answer cannot be fitted by anything', { next: 'look for an empty choice, or a minimum above the maximum' })
}
