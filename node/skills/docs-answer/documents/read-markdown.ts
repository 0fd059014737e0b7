/** Markdown as blocks under their headings. Lines stay as they are written: what is quoted is found in the source. */
import type { Block } from './document.ts'
import { TextBlocks } from './text-blocks.ts'

const atxHeading = /^ {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$/
const setextUnderline = /^ {0,3}(=+|-+)[ \t]*$/
const fence = /^ {0,3}(?:[-*+][ \t]+|\d{1,3}[.)][ \t]+)?\s*(`{3,}|~{3,})/

/** A longer line is no heading and no fence: to look for one in it could take very long. */
const markCharsMax = 1_000

export function readMarkdown(text: string): readonly Block[] {
  const found = new TextBlocks()
  const lines = text.split('\n')
  let open: string | undefined
  let at = 0
  if (lines[0] === '---') {
    const end = lines.findIndex((line, index) => index > 0 && /^(---|\.\.\.)\s*$/.test(line))
    if (end > 0 && end < 200) {
      for (at = 1; at < end; at++) found.line(lines[at] ?? '', at + 1, true)
      found.end()
      at = end + 1
    }
  }
  for (; at < lines.length; at++) {
    const line = lines[at] ?? ''
    const number = at + 1
    if (line.length > markCharsMax) {
      found.line(line, number, open !== undefined)
      continue
    }
    const marks = fence.exec(line)?.[1]
    if (open !== undefined) {
      if (marks !== undefined && marks.startsWith(open) && line.trim() === marks) {
        open = undefined
        found.end()
      } else {
        found.line(line, number, true)
      }
      continue
    }
    if (marks !== undefined) {
      found.end()
      open = marks
      continue
    }
    const heading = atxHeading.exec(line)
    if (heading !== null) {
      found.heading((heading[1] ?? '').length, plainHeading(heading[2] ?? ''), number)
      continue
    }
    const underline = setextUnderline.exec(line)?.[1]
    if (underline !== undefined) {
      const title = found.takeOnlyLine()
      found.end()
      if (title !== undefined) found.heading(underline.startsWith('=') ? 1 : 2, plainHeading(title), number - 1)
      continue
    }
    found.line(line, number)
  }
  return found.finish()
}

/** Links as their text, without marks of emphasis and code. */
function plainHeading(text: string): string {
  return text.replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/[`*]|<[^>]*>/g, '').replace(/\s\{#[\w-]+\}\s*$/, '')
}
