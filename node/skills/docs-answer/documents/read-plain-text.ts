/** Text without marks: paragraphs between empty lines. */
import type { Block } from './document.ts'
import { TextBlocks } from './text-blocks.ts'

/** @param verbatim code, a configuration, a log: each line stands for itself. */
export function readPlainText(text: string, verbatim: boolean): readonly Block[] {
  const found = new TextBlocks()
  let number = 0
  for (const line of text.split('\n')) {
    number++
    if (line.trim() === '') found.end()
    else found.line(line, number, verbatim)
  }
  return found.finish()
}
