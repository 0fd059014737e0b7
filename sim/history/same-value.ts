/** Whether two plain values are the same: fields in any order, what is undefined is as good as absent. */

/** @param ignoring names of fields that do not count, at any depth. */
export function sameValue(left: unknown, right: unknown, ignoring?: string): boolean {
  if (left === right) return true
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return left !== left && right !== right
  if (Array.isArray(left) || Array.isArray(right)) {
    if (!Array.isArray(left) || !Array.isArray(right) || left.length !== right.length) return false
    return left.every((inner, at) => sameValue(inner, right[at], ignoring))
  }
  const others = right as Record<string, unknown>
  let shared = 0
  for (const [key, inner] of Object.entries(left)) {
    if (inner === undefined || key === ignoring) continue
    if (!sameValue(inner, others[key], ignoring)) return false
    shared += 1
  }
  for (const [key, inner] of Object.entries(others)) if (inner !== undefined && key !== ignoring) shared -= 1
  return shared === 0
}
