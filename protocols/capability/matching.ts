/** Whether what is offered is what is asked for. */
import { editDistance } from '../kernel/edit-distance.ts'
import type { Attributes, Capability, CapabilityQuery, Match, SchemaVersion } from './schema.ts'

function parts(version: SchemaVersion): [number, number] {
  const [major = '0', minor = '0'] = version.split('.')
  return [Number(major), Number(minor)]
}

/** Same major, at least the minor; anything when no version is asked for. */
export function versionSatisfies(offered: SchemaVersion, wanted: SchemaVersion | undefined): boolean {
  if (wanted === undefined || offered === wanted) return true
  const [offeredMajor, offeredMinor] = parts(offered)
  const [wantedMajor, wantedMinor] = parts(wanted)
  return offeredMajor === wantedMajor && offeredMinor >= wantedMinor
}

/** Negative, zero or positive as `left` is lower than, equal to or higher than `right`. */
export function compareVersions(left: SchemaVersion, right: SchemaVersion): number {
  const [leftMajor, leftMinor] = parts(left)
  const [rightMajor, rightMinor] = parts(right)
  return leftMajor - rightMajor || leftMinor - rightMinor
}

/** The first attribute that is not met, in words; undefined when all are. Numbers are minima, the rest must be equal. */
export function unmetAttribute(offered: Attributes, wanted: Attributes | undefined): string | undefined {
  if (wanted === undefined) return undefined
  for (const [name, value] of Object.entries(wanted)) {
    const own = offered[name]
    if (own === undefined) return `${name} is not stated, ${String(value)} is asked for`
    if (typeof value === 'number' ? typeof own !== 'number' || own < value : own !== value) return `${name} is ${String(own)}, ${String(value)} is asked for`
  }
  return undefined
}

/** Of lists that were looked into: nobody changes one, an offer that is another is another list. */
const byName = new WeakMap<readonly Capability[], ReadonlyMap<string, readonly Capability[]>>()
const none: readonly Capability[] = []

/** A node may offer a thousand capabilities, and is asked for one of them with every task. */
function named(offered: readonly Capability[], name: string): readonly Capability[] {
  let index = byName.get(offered)
  if (index === undefined) byName.set(offered, (index = Map.groupBy(offered, (capability) => capability.name as string)))
  return index.get(name) ?? none
}

/** The highest version among `offered` that answers the query, or why none does. What a capability states goes before what its node has. */
export function match(offered: readonly Capability[], query: CapabilityQuery, ofNode: Attributes = {}): Match {
  const candidates = named(offered, query.capability)
  let best: Capability | undefined
  for (const capability of candidates) {
    if (!versionSatisfies(capability.version, query.version)) continue
    if (query.attributes !== undefined && unmetAttribute({ ...ofNode, ...capability.attributes }, query.attributes) !== undefined) continue
    if (best === undefined || compareVersions(capability.version, best.version) > 0) best = capability
  }
  return best === undefined ? whyNot(candidates, query, ofNode) : { capability: best }
}

function whyNot(candidates: readonly Capability[], query: CapabilityQuery, ofNode: Attributes): Match {
  if (candidates.length === 0) return { unmet: 'no-capability', detail: `${query.capability} is not offered` }
  const versioned = candidates.find((capability) => versionSatisfies(capability.version, query.version))
  if (versioned === undefined) return { unmet: 'version-mismatch', detail: `offers ${candidates.map((capability) => `${capability.name}@${capability.version}`).join(', ')}, asked for ${query.version ?? 'any'}` }
  return { unmet: 'attributes-unmet', detail: unmetAttribute({ ...ofNode, ...versioned.attributes }, query.attributes) ?? '' }
}

/** Up to three known names that a person may have meant, nearest first. */
export function nearestNames(wanted: string, known: Iterable<string>): string[] {
  return [...new Set(known)]
    .map((name) => ({ name, distance: name.startsWith(wanted) || wanted.startsWith(name) ? 1 : editDistance(wanted, name) }))
    .filter(({ distance, name }) => distance <= Math.max(3, Math.floor(name.length / 2)))
    .sort((left, right) => left.distance - right.distance || (left.name < right.name ? -1 : 1))
    .slice(0, 3)
    .map(({ name }) => name)
}
