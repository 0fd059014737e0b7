/** JSON in what a model wrote: models like to fence it, to think aloud first, or to explain themselves. */

/** What a model thinks before it answers is no part of its answer; endpoints that know nothing of thoughts send both. */
export function withoutThoughts(text: string): string {
  return text.replace(/^\s*<think>[\s\S]*?<\/think>\s*/, '')
}

/** What stands in code fences, in order. */
export function fencesIn(text: string): string[] {
  return [...text.matchAll(/```[\w-]*[^\S\n]*\n([\s\S]*?)\n?[^\S\n]*```/g)].map(([, fenced = '']) => fenced.trim())
}

/** Brackets that are tried: the search ends after so many. */
const bracketsTriedMax = 64

/** Every stretch from a bracket to the one that closes it which lies in no other such stretch, in order. */
export function stretchesIn(text: string): string[] {
  const found: string[] = []
  let start = nextBracket(text, 0)
  for (let tried = 0; start >= 0 && tried < bracketsTriedMax; tried++) {
    const end = closing(text, start)
    if (end !== undefined) found.push(text.slice(start, end))
    start = nextBracket(text, end ?? start + 1)
  }
  return found
}

function nextBracket(text: string, from: number): number {
  for (let at = from; at < text.length; at++) if (text[at] === '{' || text[at] === '[') return at
  return -1
}

/** @returns where what begins at `start` is over; undefined when it never is. */
function closing(text: string, start: number): number | undefined {
  let depth = 0
  let isQuoted = false
  for (let at = start; at < text.length; at++) {
    const char = text[at]
    if (isQuoted) {
      if (char === '\\') at += 1
      else if (char === '"') isQuoted = false
    } else if (char === '"') isQuoted = true
    else if (char === '{' || char === '[') depth += 1
    else if (char === '}' || char === ']') {
      depth -= 1
      if (depth === 0) return at + 1
    }
  }
  return undefined
}
