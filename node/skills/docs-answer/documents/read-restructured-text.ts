/** reStructuredText as blocks: headings by their underlines, the rest as it stands. */
import type { Block } from './document.ts'
import { TextBlocks } from './text-blocks.ts'

const adornment = /^([!-/:-@[-`{-~])\1{2,}\s*$/

export function readRestructuredText(text: string): readonly Block[] {
  const found = new TextBlocks()
  const lines = text.split('\n')
  /** Levels in the order in which their styles are met: `over=` differs from `=`. */
  const styles: string[] = []
  const enter = (style: string, title: string, number: number): void => {
    if (!styles.includes(style)) styles.push(style)
    found.heading(styles.indexOf(style) + 1, title, number)
  }
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? ''
    const mark = adornment.exec(line)?.[1]
    if (mark === undefined) {
      found.line(line, at + 1)
      continue
    }
    const title = lines[at + 1] ?? ''
    if (title.trim() !== '' && adornment.exec(lines[at + 2] ?? '')?.[1] === mark && line.trimEnd().length >= title.trim().length) {
      enter(`over${mark}`, title, at + 2)
      at += 2
      continue
    }
    const above = lines[at - 1] ?? ''
    if (above.trim() !== '' && line.trimEnd().length >= above.trimEnd().length - 1) {
      const only = found.takeOnlyLine()
      if (only !== undefined) {
        enter(mark, only, at)
        continue
      }
    }
    // A transition, or the edge of a simple table, which belongs to its rows.
    if (/^=+(\s+=+)*\s*$/.test(line)) found.line(line, at + 1, true)
    else found.end()
  }
  return found.finish()
}
