/** HTML in which every value is escaped unless it is HTML already. */

export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

type Value = Html | string | number | undefined | readonly Value[]

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

function escape(value: string): string {
  // Direction overrides and controls could make a file name read as another; they show as a box.
  return value.replace(/[&<>"']/g, (char) => entities[char] ?? char).replace(/(?![\t\n])[\p{Cc}\p{Bidi_Control}]/gu, '\u25a1')
}

function render(value: Value): string {
  if (value === undefined) return ''
  if (value instanceof Html) return value.text
  if (typeof value === 'string') return escape(value)
  if (typeof value === 'number') return String(value)
  return value.map(render).join('')
}

/** A template whose literal parts are HTML and whose values are text, numbers, HTML or lists of them. */
export function html(parts: TemplateStringsArray, ...values: readonly Value[]): Html {
  return new Html(parts.map((part, index) => part + render(values[index])).join(''))
}

/** A path that may break after its slashes. */
export function breakablePath(path: string): Html {
  return new Html(path.split('/').map(escape).join('/<wbr>'))
}
