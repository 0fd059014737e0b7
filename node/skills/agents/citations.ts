/** Citations in a text, `[name]`: which are good, and the text without the others. Pure. */

export interface CitedText {
  readonly text: string
  /** Each once, in the order of the text. */
  readonly citations: readonly string[]
  readonly removed: number
}

/**
 * What stands in brackets counts as a citation when it looks like a task's name; links, footnotes of code and the like are left alone.
 * @param names of the tasks that may be cited.
 */
export function checkedCitations(text: string, names: ReadonlySet<string>): CitedText {
  const citations = new Set<string>()
  let removed = 0
  // Of code nothing is changed; `[text](address)` is a link, `[x]` and `[1]` are marks.
  const checked = text.replaceAll(/```[\s\S]*?```|`[^`\n]*`|([ \t]?)\[([A-Za-z0-9._-]+(?:\s*[,;]\s*[A-Za-z0-9._-]+)*)\](?![([:])/g, (whole: string, space: string | undefined, inside: string | undefined) => {
    if (inside === undefined) return whole
    const cited = inside.split(/\s*[,;]\s*/)
    const good = cited.filter((name) => names.has(name))
    const bad = cited.filter((name) => !names.has(name))
    if (good.length === 0 && bad.every((name) => !looksLikeName(name))) return whole
    for (const name of good) citations.add(name)
    removed += bad.length
    return good.length === 0 ? '' : `${space ?? ''}${good.map((name) => `[${name}]`).join(' ')}`
  })
  return { text: checked, citations: [...citations], removed }
}

/** Plans' names have two letters at least; `[x]`, `[1]`, `[12]` do not. */
function looksLikeName(text: string): boolean {
  return /[A-Za-z].*[A-Za-z]/.test(text)
}
