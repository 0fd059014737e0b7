/** The answer for people: as Markdown with links to where it has things from, and as a few lines for a terminal. Pure. */
import { placeText } from './schema.ts'
import type { Citation } from './schema.ts'

export interface ShownAnswer {
  readonly question: string
  readonly folder: string
  readonly answer: string
  readonly answered: boolean
  readonly written: 'model' | 'extracted'
  readonly model?: string | undefined
  readonly citations: readonly Citation[]
  readonly notes: readonly string[]
}

const quoteShownChars = 300

/** Text from documents must not become markup. */
function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Bidi_Control}]/gu, ' ').replace(/[\\`*_{}[\]<>|#~&]/g, (character) => (character === '<' ? '&lt;' : character === '>' ? '&gt;' : character === '&' ? '&amp;' : `\\${character}`))
}

/** Relative to the folder; `#L3-L5` is understood by the places where repositories are read, `#page=2` by viewers of PDF. */
function linkOf(citation: Citation): string {
  const path = citation.file.split('/').map(encodeURIComponent).join('/').replace(/[()]/g, (character) => `%${character.charCodeAt(0).toString(16)}`)
  if (citation.lines !== undefined) return `${path}#L${citation.lines[0]}${citation.lines[1] > citation.lines[0] ? `-L${citation.lines[1]}` : ''}`
  return citation.page === undefined ? path : `${path}#page=${citation.page}`
}

function sourceOf(citation: Citation): string {
  return `${citation.file}, ${placeText(citation)}`
}

export function renderMarkdown(shown: ShownAnswer): string {
  const { citations } = shown
  const linked = safeMarkdown(shown.answer).replace(/\[(\d+)\](?!\()/g, (whole, number: string) => {
    const citation = citations[Number(number) - 1]
    return citation === undefined ? whole : `[\\[${number}\\]](${linkOf(citation)})`
  })
  const out = [`# ${plain(shown.question)}`, '', linked, '', `*${byline(shown)}*`, '']
  if (citations.length > 0) {
    out.push('## Sources', '')
    for (const [index, citation] of citations.entries()) out.push(`${index + 1}. [${plain(sourceOf(citation))}](${linkOf(citation)})`, `   > ${plain(citation.quote)}`, '')
  }
  if (shown.notes.length > 0) out.push('## Notes', '', ...shown.notes.map((note) => `- ${plain(note)}`), '')
  return `${out.join('\n').trimEnd()}\n`
}

/** A model's text or a document's may be Markdown, but neither HTML nor a link or an image that leads elsewhere. */
function safeMarkdown(text: string): string {
  return text.replace(/[\p{Bidi_Control}]/gu, ' ').replace(/</g, '&lt;').replace(/!\[/g, '!\\[').replace(/\]\(/g, ']\\(')
}

function byline({ answered, written, model, folder }: ShownAnswer): string {
  const how = written === 'model' ? `written by ${plain(model ?? 'a model')} from the documents in ${plain(folder)}` : `quoted from the documents in ${plain(folder)}`
  return answered ? `${how.slice(0, 1).toUpperCase()}${how.slice(1)}.` : `Not answered; ${how}.`
}

export function renderSummary(shown: ShownAnswer): string {
  const sources = shown.citations.map((citation, index) => {
    const quote = citation.quote.length > quoteShownChars ? `${citation.quote.slice(0, quoteShownChars)}…` : citation.quote
    return `[${index + 1}] ${sourceOf(citation)}${shown.written === 'model' ? `\n    "${quote}"` : ''}`
  })
  const notes = shown.notes.map((note) => `- ${note}`)
  return [shown.answer, ...(sources.length === 0 ? [] : [sources.join('\n')]), ...(notes.length === 0 ? [] : [`Notes:\n${notes.join('\n')}`])].join('\n\n')
}
