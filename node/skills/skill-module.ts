/** What the node knows of a module with skills without running any of its code on the node's own loop. */
import type { Json } from '../../protocols/kernel/payload.ts'

export interface SkillDescription {
  readonly capability: string
  readonly version: string
  readonly summary: string
  readonly kind: 'leaf' | 'composite'
  readonly effects: 'none' | 'external'
  readonly limits: { readonly timeMs: number; readonly memoryBytes: number }
  readonly attributes: Readonly<Record<string, string | number | boolean>>
  readonly inline: boolean
  readonly slots?: number
  /** A composite skill that may add to its plan. */
  readonly revises?: boolean
  /** The input as JSON Schema, when the skill's schema library can say it: inputs are checked by it before anything is awarded. */
  readonly inputSchema?: Json
}

export interface SkillModule {
  /** What a person would call it: the path or package they gave, or `built-in`. */
  readonly origin: string
  /** Where it is imported from: a `file:` URL. */
  readonly url: string
  readonly skills: readonly SkillDescription[]
}

/** `text.count@1.0` */
export function skillKey(capability: string, version: string): string {
  return `${capability}@${version}`
}
