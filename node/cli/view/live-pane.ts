/** The bottom of a terminal, redrawn in place at most ten times a second; ordinary lines go above it. */

export interface PaneStream {
  write(text: string): unknown
  readonly columns?: number | undefined
  readonly rows?: number | undefined
}

export interface LivePane {
  /** Asks for a redraw; many calls within a tenth of a second become one. */
  refresh(): void
  /** A lasting line above the pane. */
  print(line: string): void
  /** Draws once more and leaves the lines standing. */
  finish(): void
}

const redrawMs = 100
const lastRowsMin = 50
const begin = '\u001b[?2026h\u001b[?25l'
const end = '\u001b[?25h\u001b[?2026l'

/** @param draw lines for a pane of this many columns and rows; called again on every redraw, also when only time has passed */
export function livePane(stream: PaneStream, draw: (columns: number, rows: number) => readonly string[]): LivePane {
  let drawn = 0
  let pending: NodeJS.Timeout | undefined
  let lastDrawMs = Number.NEGATIVE_INFINITY
  let finished = false

  const erase = (): string => (drawn === 0 ? '' : `\u001b[${drawn}A\r\u001b[0J`)
  const paint = (above: string, rowsMin = 4): void => {
    lastDrawMs = performance.now()
    const columns = stream.columns ?? 80
    // One column and two rows are kept free: a line that touches the edge wraps and would be counted wrongly.
    const lines = draw(Math.max(20, columns - 1), Math.max(rowsMin, (stream.rows ?? 24) - 2))
    stream.write(`${begin}${erase()}${above}${lines.map((line) => `${line}\n`).join('')}${end}`)
    drawn = lines.length
  }
  // Durations on the screen go on while nothing happens.
  const ticking = setInterval(() => paint(''), 500)
  ticking.unref()

  return {
    refresh() {
      if (finished || pending !== undefined) return
      pending = setTimeout(() => {
        pending = undefined
        if (!finished) paint('')
      }, Math.max(0, redrawMs - (performance.now() - lastDrawMs)))
    },
    print(line) {
      if (finished) stream.write(`${line}\n`)
      else paint(`${line}\n`)
    },
    finish() {
      if (finished) return
      clearInterval(ticking)
      if (pending !== undefined) clearTimeout(pending)
      // Nothing is drawn over it any more, so the last one may be taller than the terminal.
      paint('', lastRowsMin)
      finished = true
    },
  }
}
