/** Notes to self: TODO, FIXME, HACK, XXX, BUG. */

export const markerKinds = ['TODO', 'FIXME', 'HACK', 'XXX', 'BUG'] as const
export type MarkerKind = (typeof markerKinds)[number]

export interface FoundMarker {
  readonly kind: MarkerKind
  readonly line: number
  readonly text: string
}

const marker = /(?:^|[^\w-])(TODO|FIXME|HACK|XXX|BUG)(?=[\s:(!.,\]-]|$)[(:\s]*([^\n]{0,160})/

/** @param lines for code its comments, for prose its lines; secrets already masked. */
export function findMarkers(lines: readonly string[], prose: boolean): FoundMarker[] {
  const found: FoundMarker[] = []
  for (const [index, line] of lines.entries()) {
    if (line === '' || line.length > 2_000) continue
    const match = marker.exec(line)
    if (match === null) continue
    // In prose, a marker opens a remark; "the TODO list" is only talk.
    if (prose && !/^[\s>*+#<!\d.[\]()-]*$/.test(line.slice(0, match.index + match[0].indexOf(match[1] ?? '')))) continue
    found.push({ kind: match[1] as MarkerKind, line: index + 1, text: (match[2] ?? '').replace(/\*\/|-->/g, '').trim().slice(0, 120) })
  }
  return found
}
