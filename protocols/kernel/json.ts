/** What a value from outside must be before anything walks through it: plain, acyclic, not nested without end. */
import { limits } from './limits.ts'

/** Arrays, plain objects, texts, finite numbers, booleans, null, nothing; bytes where the schema asks for them. */
type Kind = 'fine' | 'nested' | 'foreign'

function kindOf(value: unknown): Kind {
  switch (typeof value) {
    case 'number':
      return Number.isFinite(value) ? 'fine' : 'foreign'
    case 'string':
    case 'boolean':
    case 'undefined':
      return 'fine'
    case 'object': {
      if (value === null || value instanceof Uint8Array) return 'fine'
      if (Array.isArray(value)) return 'nested'
      const prototype: unknown = Object.getPrototypeOf(value)
      return prototype === Object.prototype || prototype === null ? 'nested' : 'foreign'
    }
    default:
      return 'foreign'
  }
}

/**
 * Looks at every value once, with a stack of its own: neither depth nor a cycle can hurt the one who asks.
 * @returns why the value is not plain data nested at most `depthMax` levels, in words; undefined when it is.
 */
export function unplain(value: unknown, depthMax: number = limits.jsonDepthMax): string | undefined {
  let level: unknown[] = [value]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > depthMax) return `it is nested more than ${depthMax} levels deep`
    const below: unknown[] = []
    for (const inner of level) {
      const kind = kindOf(inner)
      if (kind === 'foreign') return 'it holds something that is neither text, number, boolean, null, list nor object'
      if (kind === 'nested') for (const deeper of Array.isArray(inner) ? inner : Object.values(inner as object)) below.push(deeper)
    }
    level = below
  }
  return undefined
}

/** Whether two values of plain data say the same. What is undefined counts as left out. */
export function sameValue(left: unknown, right: unknown): boolean {
  if (left === right) return true
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false
  if (Array.isArray(left) || Array.isArray(right)) {
    return Array.isArray(left) && Array.isArray(right) && left.length === right.length && left.every((inner, i) => sameValue(inner, right[i]))
  }
  const [ours, theirs] = [left as Readonly<Record<string, unknown>>, right as Readonly<Record<string, unknown>>]
  let more = 0
  for (const key of Object.keys(ours)) {
    if (ours[key] === undefined) continue
    if (!Object.hasOwn(theirs, key) || !sameValue(ours[key], theirs[key])) return false
    more += 1
  }
  for (const key of Object.keys(theirs)) if (theirs[key] !== undefined) more -= 1
  return more === 0
}

/**
 * The value as it comes back from any disk or wire: text is well-formed Unicode (a lone half of a surrogate pair becomes
 * U+FFFD), what is undefined is left out, and no key is `__proto__`. What is plain already is returned as it is.
 */
export function storable<T>(value: T): T {
  return isStorable(value) ? value : storedAs(value)
}

/** Nearly everything is, and whoever only looks makes no garbage. */
function isStorable(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed()
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return true
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) if (value[i] === undefined || !isStorable(value[i])) return false
    return true
  }
  for (const key in value) {
    const inner = (value as Readonly<Record<string, unknown>>)[key]
    if (inner === undefined || key === '__proto__' || !key.isWellFormed() || !isStorable(inner)) return false
  }
  return true
}

function storedAs<T>(value: T): T {
  if (typeof value === 'string') return (value.isWellFormed() ? value : value.toWellFormed()) as T
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  if (Array.isArray(value)) {
    const kept = value.map((inner: unknown) => (inner === undefined ? null : storedAs(inner)))
    return (kept.every((inner, i) => inner === value[i]) ? value : kept) as T
  }
  let changed = false
  const kept: Record<string, unknown> = {}
  for (const [key, inner] of Object.entries(value)) {
    const storedKey = key === '__proto__' ? '__proto_' : key.toWellFormed()
    const stored: unknown = storedAs(inner)
    if (stored === undefined) changed = true
    else {
      kept[storedKey] = stored
      if (stored !== inner || storedKey !== key) changed = true
    }
  }
  return (changed ? kept : value) as T
}
