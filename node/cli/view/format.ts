/** Small pieces of text: lengths of time, sizes, ids, cut to fit. */

/** `0.1 s`, `3.2 s`, `2 min 05 s`, `1 h 20 min`. */
export function seconds(ms: number): string {
  const all = Math.max(0, ms)
  if (all < 59_950) return `${(all / 1_000).toFixed(1)} s`
  const whole = Math.round(all / 1_000)
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`
  return `${Math.floor(whole / 3_600)} h ${String(Math.floor((whole % 3_600) / 60)).padStart(2, '0')} min`
}

/** `512 B`, `31.9 KiB`, `1.2 GiB`. */
export function size(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 0
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024
    unit += 1
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit] ?? ''}`
}

/** `0.0123 USD`, as exact as is of interest. */
export function usd(amount: number): string {
  return `${amount === 0 ? '0' : amount >= 0.01 ? amount.toFixed(2) : amount.toPrecision(2)} USD`
}

/** `  812 + 96 tokens, 0.0021 USD`; empty when there is nothing to say. */
export function spent({ costUsd, tokens }: { readonly costUsd?: number | undefined; readonly tokens?: { readonly input: number; readonly output: number } | undefined }): string {
  const parts = [...(tokens === undefined ? [] : [`${Math.round(tokens.input)} + ${Math.round(tokens.output)} tokens`]), ...(costUsd === undefined || costUsd === 0 ? [] : [usd(costUsd)])]
  return parts.length === 0 ? '' : `  ${parts.join(', ')}`
}

/** `1 task`, `3 tasks`. */
export function counted(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`
}

/** The end of a peer id: its beginning is the same for all. */
export function shortPeer(peerId: string): string {
  return peerId.length <= 12 ? peerId : `…${peerId.slice(-8)}`
}

/** Control characters in text from elsewhere must not reach the terminal: they could move its cursor or recolour it. */
export function printable(text: string): string {
  // eslint-disable-next-line no-control-regex -- these are exactly the characters to remove
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '')
}

// eslint-disable-next-line no-control-regex -- an escape sequence begins with one
const colourSequence = /\u001b\[[0-9;]*m/y

/** Columns a text takes, colour sequences aside. Wide characters (CJK, emoji) count two. */
export function width(text: string): number {
  let columns = 0
  walk(text, (character, isColour) => {
    if (!isColour) columns += columnsOf(character)
    return true
  })
  return columns
}

/** Cut to `columns`, colours kept and closed, `…` where something is missing. */
export function fit(text: string, columns: number): string {
  if (width(text) <= columns) return text
  let taken = 0
  let result = ''
  let coloured = false
  walk(text, (part, isColour) => {
    if (isColour) {
      coloured = true
      result += part
      return true
    }
    if (taken + columnsOf(part) > columns - 1) return false
    taken += columnsOf(part)
    result += part
    return true
  })
  return columns < 1 ? '' : `${result}…${coloured ? '\u001b[0m' : ''}`
}

export function pad(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - width(text)))
}

function walk(text: string, visit: (part: string, isColour: boolean) => boolean): void {
  for (let at = 0; at < text.length;) {
    colourSequence.lastIndex = at
    const colour = colourSequence.exec(text)
    const part = colour === null ? String.fromCodePoint(text.codePointAt(at) ?? 0) : colour[0]
    if (!visit(part, colour !== null)) return
    at += part.length
  }
}

function columnsOf(character: string): number {
  const code = character.codePointAt(0) ?? 0
  if (code === 0x200d || (code >= 0x300 && code <= 0x36f) || (code >= 0xfe00 && code <= 0xfe0f)) return 0
  const wide = (code >= 0x1100 && code <= 0x115f) || (code >= 0x2e80 && code <= 0xa4cf) || (code >= 0xac00 && code <= 0xd7a3)
    || (code >= 0xf900 && code <= 0xfaff) || (code >= 0xfe30 && code <= 0xfe6f) || (code >= 0xff00 && code <= 0xff60) || (code >= 0x1f300 && code <= 0x1faff)
  return wide ? 2 : 1
}
