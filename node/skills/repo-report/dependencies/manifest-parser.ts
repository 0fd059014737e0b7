/** What a reader of package manifests gives back. Values are names, never specifiers: those may hold addresses with credentials. */

export interface ParsedManifest {
  readonly ecosystem: string
  readonly name?: string | undefined
  readonly version?: string | undefined
  readonly licence?: string | undefined
  readonly runtime: readonly string[]
  readonly development: readonly string[]
}

export interface ParsedLock {
  readonly ecosystem: string
  readonly packages: number
  /** Licence names of the packages, where the lock file has them. */
  readonly licences: readonly string[]
}

export type ManifestReader = (text: string, path: string) => ParsedManifest
export type LockReader = (text: string, path: string) => ParsedLock

/** The value as an object with string keys, or an empty one. */
export function tableOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}
}

export function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : value === undefined || value === null || value === '' ? [] : [value]
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? value.trim().slice(0, 214) : undefined
}

/** Follows keys into nested tables. */
export function at(value: unknown, ...keys: readonly string[]): unknown {
  let inner = value
  for (const key of keys) inner = Object.hasOwn(tableOf(inner), key) ? tableOf(inner)[key] : undefined
  return inner
}

export function keysAt(value: unknown, ...keys: readonly string[]): string[] {
  return Object.keys(tableOf(at(value, ...keys)))
}

/** Every first group of a pattern, each once. */
export function namesIn(text: string, pattern: RegExp): string[] {
  return [...new Set([...text.matchAll(pattern)].map((match) => match[1] ?? '').filter((name) => name !== ''))]
}
