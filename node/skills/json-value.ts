/** Is a value JSON as it stands? `JSON.stringify` alone would quietly turn a Date into text and a Map into nothing. */

const depthMax = 500

/** @returns where the first value lies that JSON cannot hold and what it is, or undefined when all is JSON. Absent optional fields are fine. */
export function findNonJson(root: unknown): string | undefined {
  const pending: { value: unknown; path: string; depth: number }[] = [{ value: root, path: '', depth: 0 }]
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { value, path, depth } = next
    const at = (what: string): string => (path === '' ? `it is ${what}` : `${path} is ${what}`)
    if (depth > depthMax) return at('nested too deeply or refers to itself')
    if (value === null || typeof value === 'string' || typeof value === 'boolean') continue
    if (typeof value === 'number') {
      if (!Number.isFinite(value)) return at(String(value))
    } else if (Array.isArray(value)) {
      for (let i = value.length - 1; i >= 0; i--) pending.push({ value: value[i] as unknown, path: join(path, String(i)), depth: depth + 1 })
    } else if (typeof value === 'object') {
      const prototype: unknown = Object.getPrototypeOf(value)
      if (prototype !== null && prototype !== Object.prototype) return at(`a ${value.constructor.name}`)
      for (const [key, inner] of Object.entries(value)) {
        if (inner !== undefined) pending.push({ value: inner, path: join(path, key), depth: depth + 1 })
      }
    } else {
      return at(value === undefined ? 'undefined' : `a ${typeof value}`)
    }
  }
  return undefined
}

function join(path: string, step: string): string {
  return path === '' ? step : `${path}.${step}`
}
